"""`kubectl pxauth list` against a real API server."""

import csv
import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Run, Shell, claims_of, forge
from tests.terminal import run_on_terminal

OTHER_KEY = b"k" * 40


@pytest.fixture
def tokens(shell: Shell) -> Shell:
    """A shell whose namespace has a token in each state that there is."""
    space = shell.namespace
    expired = claims_of(f"{space}-expired", days=10, age_days=11)
    found = {
        "valid": forge(claims_of(f"{space}-valid")),
        "expiring": forge(claims_of(f"{space}-expiring", days=30, age_days=21)),
        "expired": forge(expired),
        "wrong-issuer": forge(claims_of(f"{space}-issuer", iss="other.com")),
        "bad-signature": forge(expired, OTHER_KEY),
        "invalid": forge(claims_of(f"{space}-invalid", email=7)),
        "twin-1": forge(claims_of(f"{space}-twin")),
        "twin-2": forge(claims_of(f"{space}-twin")),
        "not-a-token": "something else",
    }
    for name, token in found.items():
        shell.keep(name, token, labels={"test": space, "first": str(name == "valid").lower()})
    shell.kubectl("create", "secret", "generic", "other", "-n", space, "--from-literal=token=x")
    return shell


def listed(done: Run) -> dict[str, dict[str, Any]]:
    assert done.code == 0, done.err
    return {item["name"]: item for item in json.loads(done.out)["items"]}


def test_every_token_has_its_state(tokens: Shell) -> None:
    found = listed(tokens.pxauth("list", "-n", tokens.namespace, "-o", "json"))
    assert {name: item["status"] for name, item in found.items()} == {
        "valid": "valid",
        "expiring": "expiring",
        "expired": "expired",
        "wrong-issuer": "wrong issuer",
        "bad-signature": "bad signature",
        "invalid": "invalid",
        "twin-1": "duplicate subject",
        "twin-2": "duplicate subject",
    }
    valid = found["valid"]
    assert valid["namespace"] == tokens.namespace
    assert valid["subject"] == f"{tokens.namespace}-valid"
    assert (valid["roles"], valid["issuer"]) == (["system.user"], "portworx.com")
    assert valid["problems"] == []
    assert "expired" in found["expired"]["problems"][0]


def test_soon_is_what_the_flag_says(tokens: Shell) -> None:
    for within, status in (("1d", "valid"), ("366d", "expiring")):
        done = tokens.pxauth("list", "-n", tokens.namespace, "-o", "json", "--within", within)
        assert listed(done)["expiring"]["status"] == status
        assert listed(done)["valid"]["status"] == "valid"  # it is not in its last third


COLUMNS = ["NAMESPACE", "NAME", "SUBJECT", "ROLES", "ISSUER", "EXPIRES", "DAYS", "STATUS"]


def test_a_pipe_gets_whole_columns_that_awk_finds(tokens: Shell) -> None:
    long = "-".join(["a-user-with-a-long-name"] * 5)
    tokens.keep("long", forge(claims_of(long, roles=[])))
    narrow = tokens.with_environment(COLUMNS="40")
    lines = [line.split() for line in narrow.pxauth("list").out.splitlines()]
    assert lines[0] == COLUMNS
    assert {len(line) for line in lines} == {len(COLUMNS)}
    rows = {line[1]: dict(zip(COLUMNS, line, strict=True)) for line in lines[1:]}
    assert (rows["long"]["SUBJECT"], rows["long"]["ROLES"]) == (long, "<none>")
    end = datetime.fromtimestamp(tokens.claims("expiring")["exp"], UTC)
    assert (rows["expiring"]["EXPIRES"], rows["expiring"]["DAYS"]) == (f"{end:%Y-%m-%d}", "8")
    assert rows["expired"]["DAYS"] == "-2"
    assert rows["bad-signature"]["STATUS"] == "bad-signature"
    wide = tokens.pxauth("list", "-o", "wide").out
    assert {len(line.split()) for line in wide.splitlines()} == {len(COLUMNS) + 2}
    assert re.search(rf"{end:%Y-%m-%d}T\d\d:\d\d:\d\dZ  8 ", wide)
    assert "\x1b" not in wide


@pytest.mark.parametrize(("width", "cut"), [(80, True), (200, False)])
def test_on_a_terminal_a_table_is_as_wide_as_it(tokens: Shell, width: int, cut: bool) -> None:
    tokens.keep("long", forge(claims_of("-".join(["a-user-with-a-long-name"] * 4))))
    wide_one = tokens.with_environment(COLUMNS=str(width), LANG="C.UTF-8")
    _, shown = run_on_terminal(wide_one, "pxauth", "list")
    lines = shown.replace("\r", "").splitlines()
    assert ("…" in shown) == cut
    assert 80 - 10 < max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines) <= width


def test_it_is_sorted_as_one_wants(tokens: Shell) -> None:
    tokens.keep("endless", forge({k: v for k, v in claims_of("e").items() if k != "exp"}))
    for spelled in ("expiresAt", ".expiresAt", "{.expiresAt}"):
        done = tokens.pxauth("list", "--sort-by", spelled, "--no-headers")
        rows = [line.split() for line in done.out.splitlines()]
        assert len(rows) == 9
        ends = [row[5] for row in rows]
        assert ends == sorted(ends, key=lambda end: (end == "<none>", end))
        assert rows[-1][1] == "endless"
    done = tokens.pxauth("list", "--sort-by=status", "-o", "json")
    found = [item["status"] for item in json.loads(done.out)["items"]]
    assert found[0] == "bad signature"
    assert found[-1] == "valid"
    refused = tokens.refused("list", "--sort-by", "age", code=2)
    assert refused.err.startswith('error: --sort-by "age" is none of namespace, name, subject')


def test_a_report_for_a_spreadsheet(tokens: Shell) -> None:
    """Texts of others are no formulas there."""
    formula = '=HYPERLINK("https://evil.example")'
    tokens.keep("formula", forge(claims_of(formula, roles=["a", "b"], groups=[])))
    done = tokens.pxauth("list", "-o", "csv", "--sort-by", "name")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(done.out))}
    assert len(rows) == 9
    assert rows["formula"]["subject"] == f"'{formula}"
    assert rows["formula"]["roles"] == "a; b"
    assert rows["expired"]["daysLeft"] == "-2"
    assert rows["bad-signature"]["status"] == "bad signature"
    (item,) = (
        item
        for item in json.loads(tokens.pxauth("list", "-o", "json").out)["items"]
        if item["name"] == "valid"
    )
    assert list(item) == list(rows["valid"])
    assert rows["valid"]["expiresAt"] == item["expiresAt"]
    assert rows["valid"]["daysLeft"] == str(item["daysLeft"])
    bare = tokens.pxauth("list", "-o", "csv", "--no-headers")
    assert len(bare.out.splitlines()) == 9


def test_names_labels_and_yaml(tokens: Shell) -> None:
    labels = ["-A", "-l", f"test={tokens.namespace}"]
    names = tokens.pxauth("list", *labels, "-o", "name").out.splitlines()
    assert len(names) == 8
    assert "secret/valid" in names
    chosen = tokens.pxauth("list", "-A", "-l", f"test={tokens.namespace},first=true")
    assert len(chosen.out.splitlines()) == 2
    assert "status: valid" in tokens.pxauth("list", *labels, "-o", "yaml").out


def test_a_selector_that_is_none_is_named(shell: Shell) -> None:
    for command in (
        ["list", "-l"],
        ["renew", "-l"],
        ["issue", "kubernetes", "--namespace-selector"],
    ):
        said = shell.refused(*command, "a===").err
        assert said.startswith('error: the label selector "a===" is not valid: unable to parse')


def test_nothing_found(shell: Shell) -> None:
    done = shell.pxauth("list", "-n", shell.namespace)
    expected = f"No resources found in {shell.namespace} namespace.\n"
    assert (done.code, done.out, done.err) == (0, "", expected)


def test_without_the_right_to_read_the_key(tokens: Shell, plane: ControlPlane) -> None:
    tokens.kubectl("create", "role", "r", "--verb=list", "--resource=secrets", "-n",
                   tokens.namespace)  # fmt: skip
    tokens.kubectl("create", "rolebinding", "r", "--role=r", "--user=lisa", "-n", tokens.namespace)
    kubeconfig = plane.kubeconfig("lisa", groups=())
    lisa = tokens.with_environment(KUBECONFIG=str(kubeconfig))
    done = lisa.pxauth("list", "-n", tokens.namespace, "-o", "json")
    assert done.err.startswith("warning: signatures are not checked: ")
    found = listed(done)
    assert found["valid"]["status"] == "valid"
    assert found["bad-signature"]["status"] == "expired"
    refused = lisa.pxauth("list", "-A")
    assert refused.code == 1
    assert 'user "lisa" may not list Secrets in all namespaces' in refused.err


def test_a_token_can_not_steer_the_terminal(shell: Shell) -> None:
    shell.keep("odd", forge(claims_of("\x1b[2Jodd\nsub", roles=["\x07"])))
    for form in ([], ["-o", "wide"]):
        out = shell.pxauth("list", "-n", shell.namespace, *form).out
        assert len(out.splitlines()) == 2
        assert "\x1b" not in out
        assert "\x07" not in out


def test_twins_that_end_soon_are_twins_all_the_same(shell: Shell) -> None:
    claims = claims_of(f"{shell.namespace}-twin", days=30, age_days=25)
    for name in ("one", "two"):
        shell.keep(name, forge(claims))
    shell.keep("alone", forge(claims | {"sub": f"{shell.namespace}-alone"}))
    shell.keep("late", forge(claims_of(f"{shell.namespace}-twin", days=10, age_days=11)))
    found = listed(shell.pxauth("list", "-n", shell.namespace, "-o", "json"))
    assert {name: item["status"] for name, item in found.items()} == {
        "one": "duplicate subject",
        "two": "duplicate subject",
        "alone": "expiring",
        "late": "expired",
    }


def test_helms_releases_are_not_read_and_what_only_has_their_type_is(shell: Shell) -> None:
    shell.issue("kubernetes")
    token = shell.secret()["data"]["auth-token"]
    release = {"type": "helm.sh/release.v1", "data": {"auth-token": token}}
    labels = {"owner": "helm", "name": "x"}
    shell.create({"metadata": {"name": "sh.helm.release.v1.x.v1", "labels": labels}, **release})
    shell.create({"metadata": {"name": "hidden"}, **release})
    done = shell.pxauth("list", "-o", "name")
    assert done.out.split() == ["secret/px-k8s-user", "secret/hidden"]

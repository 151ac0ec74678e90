"""`kubectl pxauth list` against a real API server."""

import base64
import json
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Run, Shell, claims_of, forge

OTHER_KEY = b"k" * 40


@pytest.fixture
def tokens(shell: Shell) -> Shell:
    """A shell whose namespace has a token in each state that there is."""
    space = shell.namespace
    expired = claims_of(f"{space}-expired", days=10, age_days=11)
    found = {
        "valid": forge(claims_of(f"{space}-valid")),
        "expiring": forge(claims_of(f"{space}-expiring", days=30, age_days=10)),
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
        assert listed(done)["valid" if status == "expiring" else "expiring"]["status"] == status


def test_the_table_fits_and_wide_cuts_nothing(tokens: Shell) -> None:
    table = tokens.pxauth("list", "-n", tokens.namespace).out.splitlines()
    assert table[0].split() == [
        "NAMESPACE",
        "NAME",
        "SUBJECT",
        "ROLES",
        "ISSUER",
        "EXPIRES",
        "STATUS",
    ]
    assert len(table) == 9
    assert max(map(len, table)) <= 80
    assert any(line.endswith("bad signature") for line in table)
    wide = tokens.pxauth("list", "-n", tokens.namespace, "-o", "wide").out
    assert f"{tokens.namespace}-expiring" in wide
    assert "in 19 days" in wide
    assert "…" not in wide
    assert "\x1b" not in wide


def test_names_labels_and_yaml(tokens: Shell) -> None:
    labels = ["-A", "-l", f"test={tokens.namespace}"]
    names = tokens.pxauth("list", *labels, "-o", "name").out.splitlines()
    assert len(names) == 8
    assert "secret/valid" in names
    chosen = tokens.pxauth("list", *labels, "-l", f"test={tokens.namespace},first=true")
    assert len(chosen.out.splitlines()) == 2
    assert "status: valid" in tokens.pxauth("list", *labels, "-o", "yaml").out


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
    claims = claims_of(f"{shell.namespace}-twin", days=30, age_days=10)
    for name in ("one", "two"):
        shell.keep(name, forge(claims))
    shell.keep("late", forge(claims_of(f"{shell.namespace}-twin", days=10, age_days=11)))
    found = listed(shell.pxauth("list", "-n", shell.namespace, "-o", "json"))
    assert {name: item["status"] for name, item in found.items()} == {
        "one": "duplicate subject",
        "two": "duplicate subject",
        "late": "expired",
    }


def test_helms_releases_are_not_read(shell: Shell) -> None:
    """They are large, and no tokens."""
    token = base64.b64encode(forge(claims_of(shell.namespace, days=1)).encode()).decode()
    release = {"type": "helm.sh/release.v1", "data": {"auth-token": token}}
    shell.create({"metadata": {"name": "sh.helm.release.v1.x.v1"}, **release})
    assert listed(shell.pxauth("list", "-n", shell.namespace, "-o", "json")) == {}
    assert shell.pxauth("renew", "-n", shell.namespace, "--all").err == "none\n"

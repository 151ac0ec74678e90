"""Several clusters at once: commands with several contexts."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from controlplane.run import ControlPlane
from tests.conftest import Shell, claims_of, forge, judge
from tests.patient import Patient, bare, patient, plane_arguments, token
from tests.portworx_site import OURS, fingerprint
from tests.tenants import namespaces
from tests.test_status import LATE, SOON, metrics

__all__ = ["bare", "patient", "plane_arguments"]  # fixtures

pytestmark = pytest.mark.xdist_group("status")


@dataclass(frozen=True)
class Fleet:
    """A shell whose kubeconfig has the contexts east, west, and gone, which nobody answers."""

    shell: Shell
    east: Patient
    west: Shell

    contexts = ("--context", "east", "--context", "gone", "--context", "west")


def merged(folder: Path, **kubeconfigs: Path) -> Path:
    """A kubeconfig with the current context of each, under that name."""
    whole: dict[str, object] = {"apiVersion": "v1", "kind": "Config", "current-context": "east"}
    contexts, clusters, users = [], [], []
    for name, path in kubeconfigs.items():
        one = yaml.safe_load(path.read_text())
        context = one["contexts"][0]["context"] | {"cluster": name, "user": name}
        contexts.append({"name": name, "context": context})
        clusters.append({"name": name, "cluster": one["clusters"][0]["cluster"]})
        users.append({"name": name, "user": one["users"][0]["user"]})
    contexts.append({"name": "gone", "context": {"cluster": "gone", "user": "east"}})
    clusters.append({"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}})
    file = folder / "fleet.kubeconfig"
    file.write_text(
        yaml.safe_dump(whole | {"contexts": contexts, "clusters": clusters, "users": users})
    )
    return file


@pytest.fixture
def fleet(patient: Patient, shell: Shell, tmp_path: Path) -> Fleet:
    """Two clusters with a token of one and the same subject, and one that is not there."""
    shell.keep("px-k8s-user", forge(claims_of("px/px-k8s-user")))
    file = merged(
        tmp_path,
        east=Path(patient.environment["KUBECONFIG"]),
        west=Path(shell.environment["KUBECONFIG"]),
    )
    return Fleet(shell.with_environment(KUBECONFIG=str(file)), patient, shell)


def test_tokens_of_all_and_one_that_fails_is_no_hindrance(fleet: Fleet) -> None:
    done = fleet.shell.pxauth("list", *fleet.contexts, "-o", "json")
    assert done.code == 1
    assert "error: context gone: the server https://127.0.0.1:1 can't be reached: " in done.err
    found = json.loads(done.out)["items"]
    assert [(one["context"], one["name"], one["subject"], one["status"]) for one in found] == [
        ("east", "px-k8s-user", "px/px-k8s-user", "valid"),
        ("west", "px-k8s-user", "px/px-k8s-user", "valid"),
    ]
    table = [line.split() for line in fleet.shell.pxauth("list", *fleet.contexts).out.splitlines()]
    assert [row[0] for row in table] == ["CONTEXT", "east", "west"]
    assert len({len(row) for row in table}) == 1
    report = fleet.shell.pxauth("list", *fleet.contexts, "-o", "csv").out
    assert [row["context"] for row in csv.DictReader(io.StringIO(report))] == ["east", "west"]
    both = ("--context", "east", "--context", "west")
    assert fleet.shell.pxauth("list", *both).code == 0
    # One alone is as it always was.
    done = fleet.shell.pxauth("list", "--context", "west", "-o", "json")
    assert "context" not in json.loads(done.out)["items"][0]


def test_a_line_for_each_cluster_and_the_worst_code(fleet: Fleet) -> None:
    some = ("--context", "gone", "--context", "east")
    assert fleet.shell.pxauth("status", *some).code == 1
    done = fleet.shell.pxauth("status", "--all-contexts")
    assert "error: context gone: " in done.err
    table = [line.split() for line in done.out.splitlines()]
    assert table[0][:4] == ["CONTEXT", "STATUS", "KEY", "ROTATION"]
    assert table[0][4:] == ["TOKENS", "VALID", "EXPIRES", "DAYS"]
    rows = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}
    assert list(rows) == ["east", "west", "gone"]
    assert rows["east"]["STATUS"] == "well"
    assert rows["east"]["KEY"] == fingerprint(OURS)
    assert (rows["east"]["TOKENS"], rows["east"]["DAYS"]) == ("1", "364")
    assert rows["gone"]["STATUS"] == "unknown"
    assert rows["west"]["KEY"] != rows["east"]["KEY"]
    bare_rows = fleet.shell.pxauth("status", "--all-contexts", "--no-headers").out.splitlines()
    assert len(bare_rows) == 3

    twice = fleet.shell.pxauth("status", "--context", "east", "--context", "east", "-o", "json")
    assert json.loads(twice.out)["status"] == "well"
    fleet.east.lay(token("red/px-k8s-user", LATE), token("green/px-k8s-user", SOON))
    done = fleet.shell.pxauth("status", *some, "-o", "wide")
    assert done.code == 4
    assert "problem  east tokens    Secret red/px-k8s-user: expiry: " in done.out
    found = json.loads(fleet.shell.pxauth("status", *fleet.contexts, "-o", "json").out)["items"]
    statuses = {one["context"]: one["status"] for one in found}
    assert (statuses["east"], statuses["gone"]) == ("broken", "unknown")
    report = fleet.shell.pxauth("status", *fleet.contexts, "-o", "csv").out
    lines = {row["context"]: row for row in csv.DictReader(io.StringIO(report))}
    assert (lines["east"]["status"], lines["east"]["tokens"], lines["gone"]["tokens"]) == (
        "broken",
        "3",
        "",
    )
    by_end = fleet.shell.pxauth("status", *fleet.contexts, "-o", "csv", "--sort-by=.expiresAt")
    ends = [row["expiresAt"] for row in csv.DictReader(io.StringIO(by_end.out))]
    assert ends == sorted(ends, key=lambda end: (not end, end))
    assert ends[-1] == ""
    by_name = fleet.shell.pxauth("status", "--all-contexts", "--sort-by=context", "--no-headers")
    assert [line.split()[0] for line in by_name.out.splitlines()] == ["east", "gone", "west"]
    by_status = fleet.shell.pxauth("status", *some, "--sort-by=status", "-o", "json")
    assert [one["context"] for one in json.loads(by_status.out)["items"]] == ["east", "gone"]
    refused = fleet.shell.refused("status", "--sort-by", "age", code=2)
    assert refused.err.startswith('error: --sort-by "age" is none of context, status, fingerprint')
    measured = metrics(fleet.shell, *fleet.contexts, code=4)
    assert measured.value("pxauth_status", context="east", status="broken") == 1
    assert measured.value("pxauth_status", context="gone", status="unknown") == 1
    late = {"context": "east", "namespace": "red", "secret": "px-k8s-user", "status": "expired"}
    assert measured.value("pxauth_token_status", **late) == 1


def test_the_doctor_names_the_cluster_in_each_line(fleet: Fleet) -> None:
    done = fleet.shell.pxauth("doctor", "--context", "east", "--context", "gone")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].startswith("ok       east server    v1.")
    assert any(line.startswith("problem  gone server    the server ") for line in lines)
    done = fleet.shell.pxauth("doctor", "--context", "east", "--context", "gone", "-o", "json")
    found = json.loads(done.out)
    assert found["healthy"] is False
    assert {one["context"] for one in found["findings"]} == {"east", "gone"}


def test_misuse(fleet: Fleet, own_plane: ControlPlane) -> None:
    two = ("--context", "east", "--context", "west")
    done = fleet.shell.refused("inspect", *two, code=2)
    assert done.err == "error: --context names 2 clusters, but this command takes one\n"
    done = fleet.shell.refused("status", "--all-contexts", "--context", "east", code=2)
    assert done.err == "error: --context and --all-contexts can't be used together\n"
    done = fleet.shell.refused("list", *two, "-s", own_plane.server, code=2)
    assert done.err == "error: --server is for one cluster, but you name several contexts\n"
    nowhere = fleet.shell.with_environment(KUBECONFIG="/dev/null")
    done = nowhere.refused("status", "--all-contexts")
    assert done.err == "error: the kubeconfig has no contexts\n"
    done = fleet.shell.pxauth("list", "--context", "east", "--context", "nobody")
    assert done.code == 1
    assert 'context "nobody"' in done.err
    assert len(done.out.splitlines()) == 2


def test_renew_in_each_and_one_that_fails_is_no_hindrance(fleet: Fleet) -> None:
    late = claims_of("px/late", days=90, age_days=80)
    fleet.east.lay(token("px/late", forge(late, OURS)))
    fleet.west.keep("late", forge(late))
    done = fleet.shell.pxauth("renew", *fleet.contexts)
    assert done.code == 1
    assert "error: context gone: the server https://127.0.0.1:1 can't be reached: " in done.err
    assert done.err.splitlines()[-1] == "2 renewed, 2 unchanged, 1 failed"
    lines = sorted(line.partition(",")[0] for line in done.out.splitlines())
    places = {"east": "px", "west": fleet.west.namespace}
    assert lines == [
        f"context {name}: secret/{secret} {outcome} in namespace {place}"
        for name, place in places.items()
        for secret, outcome in (("late", "renewed"), ("px-k8s-user", "unchanged"))
    ]
    renewed = [shell.claims("late") for shell in (fleet.east, fleet.west)]
    assert [claims["sub"] for claims in renewed] == ["px/late"] * 2
    assert all(claims["exp"] > late["exp"] for claims in renewed)
    # What is wrong with one Secret says in which cluster.
    both = ("--context", "east", "--context", "west")
    fleet.east.done("delete", "secret", "late", "-n", "px")
    done = fleet.shell.pxauth("renew", "late", "-n", "px", "--all", *both)
    assert done.code == 1
    assert "error: context east: Secret px/late not found" in done.err
    assert "error: context west: Secret px/late not found" in done.err
    assert done.err.splitlines()[-1] == "2 failed"


def test_issue_in_each_with_a_user_of_each_ones_own(fleet: Fleet) -> None:
    both = ("--context", "east", "--context", "west")
    done = fleet.shell.pxauth("issue", "kubernetes", *fleet.contexts, "--secret", "new")
    assert done.code == 1
    assert "error: context gone: the server https://127.0.0.1:1 can't be reached: " in done.err
    assert done.err.splitlines()[-1] == "2 created, 1 failed"
    lines = sorted(line.partition(",")[0] for line in done.out.splitlines())
    assert lines == [
        "context east: secret/new created in namespace px",
        f"context west: secret/new created in namespace {fleet.west.namespace}",
    ]
    assert judge(fleet.east.token("new"), shared_secret=OURS)["accepted"]
    assert judge(fleet.west.token("new"))["accepted"]

    # The same subject in two clusters is no duplicate, and one in a single cluster is.
    user = ("--sub", "px/same", *both)
    done = fleet.shell.pxauth("issue", "kubernetes", *user, "--secret", "same")
    assert (done.code, done.err) == (0, "2 created\n")
    done = fleet.shell.pxauth("issue", "kubernetes", *user, "--secret", "other")
    assert done.code == 1
    assert 'error: context east: the sub "px/same" is that of Secret px/same already' in done.err

    # A command in a warning has what chose its cluster.
    admins = ("issue", "kubernetes", "--secret", "admins", *both)
    assert fleet.shell.pxauth(*admins, "--role", "system.admin").code == 0
    warnings = fleet.shell.pxauth(*admins).err.splitlines()[:-1]
    assert len(warnings) == 2
    for name in ("east", "west"):
        (said,) = (one for one in warnings if one.startswith(f"warning: context {name}: "))
        assert f": kubectl pxauth --context {name} issue kubernetes --secret admins -n " in said

    tenants = namespaces(fleet.east, 2)
    one = [flag for name in tenants for flag in ("-n", name)]
    done = fleet.shell.pxauth("issue", "kubernetes", *one, *both)
    assert done.code == 1
    for name in tenants:
        assert f"context east: secret/px-k8s-user created in namespace {name}, " in done.out
        assert f'error: context west: namespace "{name}" not found' in done.err
    assert done.err.splitlines()[-1] == "2 created, 2 failed"
    done = fleet.shell.refused("issue", "kubernetes", *both, "-o", "json", code=2)
    assert done.err.startswith("error: --output prints objects of one cluster")

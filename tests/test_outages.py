"""The server goes away, or stands still, in the middle of a run."""

import re
import subprocess
import threading
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from tests.conftest import BIN, SHARED_SECRET, Run, Shell, new_shell

_MANY = 40
_SECRETS = "-o=jsonpath={range .items[*]}{.metadata.namespace} {end}"


@pytest.fixture(scope="module")
def keyed(own_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> ControlPlane:
    """A control plane with a key, which may be killed."""
    keys = {"metadata": {"name": "pxkeys"}, "stringData": {"shared-secret": SHARED_SECRET.decode()}}
    home = tmp_path_factory.mktemp("keys")
    Shell("kube-system", home, {"KUBECONFIG": str(own_plane.kubeconfig())}).create(keys)
    return own_plane


@pytest.fixture
def place(keyed: ControlPlane, tmp_path: Path) -> Shell:
    """A shell with a new namespace there."""
    return new_shell(keyed, tmp_path)


@pytest.fixture
def tenants(place: Shell) -> list[str]:
    """Namespaces with a label of theirs."""
    names = [f"tenant-{number}" for number in range(_MANY)]
    items = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"tenant": "yes"}},
        }
        for name in names
    ]
    place.create({"kind": "List", "metadata": {}, "items": items})
    return names


def tokens(place: Shell) -> set[str]:
    """The namespaces that have a token."""
    flags = ("-A", "--field-selector=metadata.name=px-k8s-user", _SECRETS)
    return set(place.kubectl("get", "secrets", *flags).out.split())


def start(place: Shell, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BIN / "kubectl-pxauth", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=place.environment | {"HOME": str(place.home), "PATH": str(BIN)},
    )


def test_a_server_that_is_killed_and_comes_back(
    own_plane: ControlPlane, place: Shell, tenants: list[str]
) -> None:
    """What is said to be done is done, what is not is said, and a second run does it."""
    issue = ("issue", "kubernetes", "--namespace-selector=tenant", "-o=name", "--concurrency=1")
    running = start(place, *issue)
    assert running.stdout
    first = running.stdout.readline()  # it is in the middle of its work
    own_plane.restart_server()
    out, err = running.communicate(timeout=120)
    done = Run(running.returncode, first + out, err)
    said = set(re.findall(r"^error: (?:Secret )?(?:namespace )?\"?(tenant-\d+)", done.err, re.M))
    there = tokens(place)
    # Of one that is written it may not be known whether its key was rotated meanwhile.
    assert _MANY <= len(done.out.splitlines()) + len(said) <= _MANY + 1, done.err
    doubts = set(re.findall(r"(tenant-\d+).*(?:may be written|not known)", done.err))
    assert there - doubts == set(tenants) - said - doubts, done.err
    assert done.code == (1 if said else 0)
    assert "bug" not in done.err
    again = place.pxauth(*issue, "--if-needed")
    assert (again.code, tokens(place)) == (0, set(tenants)), again.err


def test_a_store_that_stands_still_is_waited_for_as_long_as_was_said(
    own_plane: ControlPlane, place: Shell
) -> None:
    flags = ("issue", "kubernetes", "-n", place.namespace)
    with own_plane.standing_still("etcd"):
        ended = place.pxauth(*flags, "--request-timeout=2s")
    assert (ended.code, ended.out) == (1, "")
    assert "did not answer in 2 s" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("program", ["etcd", "kube-apiserver"])
def test_what_stands_still_for_a_while_is_waited_for_and_said(
    own_plane: ControlPlane, place: Shell, program: str
) -> None:
    with own_plane.standing_still(program):
        running = start(place, "issue", "kubernetes", "-n", place.namespace)
        assert running.stderr
        said = running.stderr.readline()
    ended = threading.Timer(60, running.kill)
    ended.start()
    out, err = running.communicate()
    ended.cancel()
    assert said.startswith("still waiting: no answer yet to GET /"), said
    assert running.returncode == 0, err
    assert out.startswith("secret/px-k8s-user created")

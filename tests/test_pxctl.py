"""`kubectl pxauth pxctl`, in a pod whose commands run for real behind the API server."""

import json
from pathlib import Path

import pytest

from tests.conftest import Portworx, Run, Shell


def pxctl(portworx: Portworx, *arguments: str, flags: tuple[str, ...] = ()) -> Run:
    where = ("--pxctl", str(portworx.pxctl), *portworx.there, *flags)
    return portworx.shell.pxauth("pxctl", *where, "--", *arguments)


def test_a_token_of_minutes_is_in_its_environment(portworx: Portworx) -> None:
    done = pxctl(portworx, "status", flags=("-n", "portworx"))
    assert (done.code, done.err) == (0, "asked: '' \n")
    claims = json.loads(done.out)
    assert (claims["sub"], claims["roles"]) == (
        "px-admin-token.portworx@portworx.com",
        ["system.admin"],
    )
    assert claims["exp"] - claims["iat"] == 300 + 600
    assert not portworx.home("node-a").joinpath(".pxctl").exists()


def test_the_user_and_the_time_are_what_the_flags_say(portworx: Portworx) -> None:
    flags = ("--profile", "kubernetes", "--sub", "alice", "--duration", "1h", "--node", "node-b")
    claims = json.loads(pxctl(portworx, "status", flags=flags).out)
    assert (claims["sub"], claims["roles"]) == ("alice", ["system.user"])
    assert claims["exp"] - claims["iat"] == 3600 + 600


def test_the_exit_code_and_the_output_are_passed_on(portworx: Portworx) -> None:
    done = pxctl(portworx, "status", "--exit", "7", "--show-token")
    assert done.code == 7
    assert json.loads(done.out)["roles"] == ["system.admin"]
    assert done.err.endswith("asked: '' [token]\n")
    odd = pxctl(portworx, "nonsense", "$(touch pwned)", "a b")
    assert odd.code == 2
    assert "invalid choice: 'nonsense'" in odd.err
    assert not list(portworx.home("node-a").glob("*"))


def test_a_pod_that_is_ready_is_taken(portworx: Portworx) -> None:
    status = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    pod = ("pod", "portworx-node-a", "-n", portworx.shell.namespace)
    patched = portworx.shell.kubectl(
        "patch", *pod, "--subresource=status", "-p", json.dumps(status)
    )
    assert patched.code == 0, patched.err
    assert pxctl(portworx, "status").code == 0
    refused = pxctl(portworx, "status", flags=("--node", "node-a"))
    name = f"{portworx.shell.namespace}/portworx-node-a"
    assert (refused.code, refused.err) == (1, f"error: pod {name} is not ready\n")
    nowhere = pxctl(portworx, "status", flags=("--node", "node-z"))
    assert nowhere.err == "error: node node-z: no Portworx pod is there\n"


def test_without_a_pxctl(portworx: Portworx) -> None:
    done = portworx.shell.pxauth("pxctl", *portworx.there, "--pxctl", "/not/there", "--", "status")
    assert done.code == 127
    assert "/not/there" in done.err


def test_local(offline: Shell, pxctl: Path) -> None:
    local = ["pxctl", "--local", "--pxctl", str(pxctl), "--"]
    done = offline.pxauth(*local, "status", "--exit", "3")
    assert (done.code, done.err) == (3, "asked: '' \n")
    assert json.loads(done.out)["roles"] == ["system.admin"]


@pytest.mark.parametrize("arguments", [[], ["--profile", "root", "--", "status"]])
def test_misuse(offline: Shell, arguments: list[str]) -> None:
    offline.refused("pxctl", *arguments, code=2)

"""The proxy that spoils requests does to kubectl what it says."""

from collections.abc import Iterator

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Shell
from tests.fault_proxy import BadConnection, Cut, Fault, FaultProxy, Reset, instead, refusal

MAP = ["create", "configmap", "made", "--from-literal=a=b"]


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane) as running:
        yield running


def test_requests_are_handed_on(shell: Shell, proxy: FaultProxy) -> None:
    through = proxy.shell(shell)
    assert through.kubectl(*MAP).code == 0
    assert shell.kubectl("get", "configmap", "made").code == 0
    assert [seen.method for seen in proxy.requests if "configmaps" in seen.path] == ["POST"]


@pytest.mark.parametrize(
    ("fault", "done", "words"),
    [
        (Reset(), False, "connection reset by peer"),
        (Reset(done=True), True, "connection reset by peer"),
        (Reset(done=True, end=True), True, "EOF"),
        (Cut(), True, "reset"),
        (refusal(500), False, "spoilt with 500"),
        (instead([], done=True), True, ""),
        (instead({}), False, ""),
    ],
)
def test_a_write_that_is_spoilt(
    shell: Shell, proxy: FaultProxy, fault: Fault, done: bool, words: str
) -> None:
    proxy.spoil(fault, method="POST", path="/configmaps")
    made = proxy.shell(shell).kubectl(*MAP)
    assert words in made.err
    assert proxy.met == [fault]
    assert (shell.kubectl("get", "configmap", "made").code == 0) is done


def test_the_second_connection_is_spoilt(shell: Shell, proxy: FaultProxy) -> None:
    through = proxy.shell(shell)
    proxy.spoil_connections(BadConnection("garbage", first=2))
    assert through.kubectl("get", "--raw", "/version").code == 0
    failed = through.kubectl("get", "--raw", "/version")
    assert "does not look like a TLS handshake" in failed.err
    assert through.kubectl("get", "--raw", "/version").code == 0

"""Sockets that are begun before the modules that need them."""

import socket
import subprocess

import pytest
from urllib3.exceptions import ConnectTimeoutError

from kubectl_pxauth.cluster.pools import _Connection
from kubectl_pxauth.parallel import Background
from tests.conftest import BIN

PROGRAM = """\
import sys
from kubectl_pxauth.cluster.ahead import begin
from kubectl_pxauth.cluster.kubeconfig import Target
target = Target(server=sys.argv[1], address_user=None, cluster={}, user={}, context=None)
for begun in begin(target, 3):
    print(begun.result().getpeername()[1], "ssl" in sys.modules, "urllib3" in sys.modules)
"""


def begun(server: str) -> list[str]:
    done = subprocess.run(
        [BIN / "python", "-c", PROGRAM, server], capture_output=True, text=True, timeout=60, env={}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_they_need_neither_tls_nor_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert begun(f"https://localhost:{port}/prefix") == [f"{port} False False"] * 3
        assert begun(f"http://localhost:{port}") == []


def test_one_that_gets_no_answer_is_not_begun_twice() -> None:
    def no_answer() -> socket.socket:
        raise TimeoutError

    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = _Connection("127.0.0.1", server.getsockname()[1])
        connection.begun = Background(no_answer)
        with pytest.raises(ConnectTimeoutError):
            connection.connect()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()

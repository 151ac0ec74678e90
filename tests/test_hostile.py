"""What others may put before the plugin: a server, a node, a class, the user's own machine."""

import json
import os
import resource
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from controlplane.run import ControlPlane
from kubectl_pxauth.cluster.names import check_secret_name
from kubectl_pxauth.errors import UsageError
from tests.conftest import BIN, SHARED_SECRET, Portworx, Shell
from tests.fault_proxy import Answer, Fault, FaultProxy, Reply, instead, status, zipped

STEER = "\x1b]0;owned\x07\x1b[2J\r\u202espoof\u2066"
SECRET = "/secrets/pxkeys"


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane) as running:
        yield running


def answers(body: object, code: int = 200) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(Reply(code, text))


LIES: dict[str, Fault] = {
    "a body of 64 MiB": instead(b'{"a":"' + b"x" * (64 << 20) + b'"}'),
    "a body that unpacks to 256 MiB": zipped(b" " * (1 << 28)),
    "a body that unpacks to JSON": zipped(b'{"a":"' + b"x" * (1 << 28) + b'"}'),
    "lists in lists": instead(b"[" * 500_000),
    "objects in objects": instead(b'{"a":' * 500_000),
    "another server": Answer(Reply(302, headers=(("Location", "https://elsewhere.invalid/"),))),
    "a server without TLS": Answer(Reply(307, headers=(("Location", "http://127.0.0.1:1/"),))),
    "a file": Answer(Reply(302, headers=(("Location", "file:///etc/passwd"),))),
    "no words that steer": answers(json.loads(status(403, "Forbidden", STEER)), 403),
    "nor in a long error": answers(json.loads(status(400, "BadRequest", STEER * 10_000)), 400),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_may_say_anything(shell: Shell, proxy: FaultProxy, lie: str) -> None:
    """It is one short error, in little memory, and nobody else is asked."""
    proxy.spoil(LIES[lie], method="GET", path=SECRET, times=None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = proxy.shell(shell).refused("issue", "kubernetes", "-n", shell.namespace)
    assert len(done.err) < 10_000
    assert not set("\x1b\x07\r\u202e\u2066") & set(done.err)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak == before or peak < 300_000  # KiB, the largest child so far


def test_a_server_without_tls_is_not_gone_on_with(shell: Shell, plane: ControlPlane) -> None:
    """A downgrade: what answers in plain text, or in an old TLS, gets no credentials."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        Thread(target=serve, daemon=True).start()
        address = f"https://127.0.0.1:{server.getsockname()[1]}"
        kubeconfig = plane.kubeconfig(server=address, path=shell.home / "plain")
        flags = ("--kubeconfig", str(kubeconfig), "--token", "bearer-token")
        shell.refused("issue", "kubernetes", *flags)
        server.shutdown(socket.SHUT_RDWR)
    said = [hello for hello in heard if hello]  # a connection given up unused says nothing
    assert said
    assert all(hello[0] == 0x16 for hello in said)  # a TLS handshake, and no request
    assert b"bearer-token" not in b"".join(heard)


def test_an_old_tls_is_not_spoken(shell: Shell, plane: ControlPlane) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*plane.server_cert())
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.deprecated_call():
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    spoken: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    with context.wrap_socket(connection, server_side=True) as secure:
                        spoken.append(secure.recv(65536))
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        Thread(target=serve, daemon=True).start()
        address = f"https://127.0.0.1:{server.getsockname()[1]}"
        kubeconfig = plane.kubeconfig(server=address, path=shell.home / "old")
        shell.refused("issue", "kubernetes", "--kubeconfig", str(kubeconfig))
        server.shutdown(socket.SHUT_RDWR)
    assert not spoken


@pytest.fixture
def pxctl_that(portworx: Portworx, tmp_path: Path) -> "PxctlThat":
    return PxctlThat(portworx, tmp_path / "pxctl")


class PxctlThat:
    """A node whose root has put another program in pxctl's place."""

    def __init__(self, portworx: Portworx, program: Path) -> None:
        self.portworx, self._program = portworx, program

    def says(self, text: str) -> Path:
        self._program.with_suffix(".says").write_text(text)
        return self.does(f"cat {self._program.with_suffix('.says')}")

    def does(self, line: str) -> Path:
        self._program.write_text(f"#!/bin/sh\n{line}\n")
        self._program.chmod(0o755)
        return self._program


def contexts(*items: str, before: str = "") -> str:
    return f"{before}contextconfig:\n  current: a\n  configurations: [{', '.join(items)}]\n"


BOMB = "".join(
    f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9 if level else ['x'] * 9)}]\n"
    for level in range(12)
)


@pytest.mark.parametrize(
    "text",
    [
        contexts("{context: a, token: *l11}", before=BOMB),
        contexts("{context: a, identity: {subject: *l11}}", before=BOMB),
        contexts("{context: *l11}", before=BOMB),
        contexts("{context: a, endpoint: *l11}", before=BOMB),
        contexts("&a {context: a, identity: {subject: *a}}"),
        "[" * 5_000,
        "a: " * 5_000,
        contexts("{context: {a: b}}"),
        contexts("{context: a, token: [1, 2]}"),
        contexts("[context]"),
        contexts("{context: }"),
        contexts("!!python/object/apply:os.system {context: [touch pwned]}"),
        "contextconfig: " + "x" * (2 << 20),
    ],
    ids=lambda text: text[-60:].replace("\n", " ")[:40],
)
def test_a_node_may_lie_in_its_list(pxctl_that: PxctlThat, text: str) -> None:
    flags = ("--node", "node-a", "--request-timeout=60s")
    pxctl = pxctl_that.says(text)
    for form in ((), ("-o", "json")):
        done = pxctl_that.portworx.context("list", *flags, *form, pxctl=pxctl)
        assert done.code == 1
        (error,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert "list of contexts is" in error
        assert len(done.out) < 500
    assert not list(Path().glob("pwned"))


def test_a_node_steers_no_terminal(pxctl_that: PxctlThat) -> None:
    item = json.dumps({"context": STEER, "identity": {"subject": STEER}, "endpoint": STEER})
    pxctl = pxctl_that.says(contexts(item))
    listed = pxctl_that.portworx.context("list", "--node", "node-a", pxctl=pxctl)
    failing = pxctl_that.does(f"cat {pxctl.with_suffix('.says')} >&2; exit 1")
    failed = pxctl_that.portworx.context("set", "a", "--node", "node-a", pxctl=failing)
    for done in (listed, failed):
        assert "owned" in done.out + done.err
        assert not set("\x1b\x07\r\u202e\u2066") & set(done.out + done.err)


def test_a_pod_that_never_stops_talking_is_left(pxctl_that: PxctlThat) -> None:
    pxctl = pxctl_that.does("yes all work and no play")
    done = pxctl_that.portworx.context("list", "--node", "node-a", pxctl=pxctl)
    assert done.code == 1
    assert "the command says more than 16 MiB" in done.err


@pytest.mark.parametrize(
    "name", ["$(touch pwned)", "a;b", "a b", "--from", "../x", "a\nb", "\x1b[2J", "Ä"]
)
def test_a_name_in_a_hint_is_one_that_kubernetes_takes(name: str) -> None:
    with pytest.raises(UsageError):
        check_secret_name(name)


def test_the_working_directory_is_nobodys_to_import_from(offline: Shell) -> None:
    """Whoever may write the folder that somebody works in runs no code in the plugin."""
    for name in ("yaml", "typer", "jose", "kubernetes", "sitecustomize", "json", "kubectl_pxauth"):
        (offline.home / f"{name}.py").write_text("open('pwned', 'w')")
    assert offline.pxauth("token", "admin").code == 0
    run = subprocess.run(
        [BIN / "kubectl-pxauth", "token", "admin"],
        cwd=offline.home,
        env=offline.popen_environment,
        capture_output=True,
    )
    assert run.returncode == 0
    assert not (offline.home / "pwned").exists()


def test_nothing_is_run_that_path_names(offline: Shell, shell: Shell) -> None:
    """A run without plugins starts no program, whoever can put one before it into PATH."""
    folder = offline.home / "bin"
    folder.mkdir()
    for name in ("sh", "openssl", "pxctl", "git", "less", "stty", "tput", "uname", "ldconfig"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {offline.home}/pwned")
        (folder / name).chmod(0o755)
    path = f"{folder}:{BIN}:/usr/bin:/bin"
    for place, arguments in (
        (offline, ("token", "admin")),
        (shell, ("issue", "kubernetes")),
        (shell, ("list",)),
        (shell, ("--help",)),
    ):
        assert place.with_environment(PATH=path).pxauth(*arguments).code == 0
    assert not (offline.home / "pwned").exists()


def test_another_user_sees_no_key_in_proc(offline: Shell) -> None:
    """Its arguments are for all to see: a key is in none, and its file is closed when it waits."""
    fifo = offline.home / "key"
    os.mkfifo(fifo, 0o600)
    process = subprocess.Popen(
        [BIN / "kubectl-pxauth", "token", "admin", "--shared-secret-file", fifo],
        env=offline.popen_environment,
        stdout=subprocess.PIPE,
    )
    with fifo.open("wb") as key:
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        key.write(SHARED_SECRET)
    token, _ = process.communicate(timeout=60)
    assert token.startswith(b"eyJ")
    assert SHARED_SECRET not in shown

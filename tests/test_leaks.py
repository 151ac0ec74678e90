"""The watch over every run does find what it looks for, or its silence would say nothing."""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from kubectl_pxauth.cli.app import COMMANDS
from tests.conftest import BIN, SHARED_SECRET, Portworx, Shell
from tests.leaks import LeakWatch

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def test_the_audit_log_is_searched(shell: Shell, leaks: LeakWatch) -> None:
    canary = secrets.token_hex(16)
    with pytest.raises(AssertionError, match="audit log"), LeakWatch(leaks.audit_log, [canary]):
        assert shell.kubectl("get", "pods", "-n", shell.namespace, "-l", f"x={canary}").code == 0


def test_arguments_are_seen(tmp_path: Path) -> None:
    canary = secrets.token_hex(16)
    watch = LeakWatch(tmp_path / "none", [canary])

    def run() -> None:
        with watch, subprocess.Popen(["sh", "-c", "read x", canary], stdin=subprocess.PIPE) as it:
            deadline = time.monotonic() + 30
            while not watch.leaks() and time.monotonic() < deadline:
                time.sleep(0.01)
            it.communicate()

    with pytest.raises(AssertionError, match="arguments"):
        run()


@pytest.mark.parametrize(
    "text",
    [TOKEN, TOKEN[:30], SHARED_SECRET.decode(), f"sh -c 'pxctl --token={TOKEN}'"],
    ids=["token", "part of a token", "key", "in a command"],
)
def test_tokens_and_keys_are_leaks(leaks: LeakWatch, tmp_path: Path, text: str) -> None:
    assert leaks.is_leak(f"exec {text}")
    log = tmp_path / "audit.log"
    log.write_text(json.dumps({"requestURI": f"/exec?command={text}"}))
    with (
        pytest.raises(AssertionError, match="audit log"),
        LeakWatch(log, [SHARED_SECRET.decode()]),
    ):
        pass


def test_what_people_type_is_none(leaks: LeakWatch) -> None:
    assert not leaks.is_leak("kubectl pxauth issue kubernetes -n portworx")


def test_a_run_that_is_killed_leaves_no_core(offline: Shell) -> None:
    """Nor do programs that it starts; whatever was set before."""
    pipe = offline.home / "key"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [
            *("sh", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$0" "$@"'),
            *(str(BIN / "kubectl-pxauth"), "token", "admin", "--shared-secret-file", str(pipe)),
        ],
        cwd=offline.home,
        env=offline.popen_environment,
        stdout=subprocess.DEVNULL,
    )
    with pipe.open("wb") as key:  # which waits until the plugin reads
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        key.write(SHARED_SECRET)
        key.flush()
        process.send_signal(signal.SIGSEGV)
        assert process.wait(60) == -signal.SIGSEGV
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4] == "0"
    assert [file.name for file in offline.home.iterdir()] == ["key"]


def test_no_command_logs_a_key_or_a_token(portworx: Portworx, leaks: LeakWatch) -> None:
    """Whatever is asked for with -v, and whatever was kept by then."""
    shell, namespace = portworx.shell, portworx.shell.namespace
    there = ["-n", namespace]
    keys = [f"--shared-secret-from={namespace}/keys", "--issuer=portworx.com"]
    shell.create(
        {"metadata": {"name": "keys"}, "stringData": {"shared-secret": secrets.token_urlsafe(48)}}
    )
    pods = [*portworx.there, f"--pxctl={portworx.pxctl}"]
    lines = [
        ["keys", "status", keys[0]],
        ["issue", "kubernetes", *there, *keys],
        ["issue", "kubernetes", *there, *keys, "-o", "json"],
        ["token", "admin", *keys],
        ["list", *there, *keys],
        ["inspect", "px-k8s-user", *there, *keys],
        ["verify", "px-k8s-user", *there, *keys],
        ["renew", "--all", *there, *keys],
        ["keys", "rotate", keys[0], "--yes"],
        ["keys", "adopt", *there, keys[0], "--dry-run=server"],
        ["discover"],
        ["status"],
        ["storageclass", f"leaks-{namespace}", *there],
        ["schedule", *there, *keys, "--image=px.example/pxauth:1"],
        ["unschedule", *there],
        ["context", "create", "admin", *pods],
        ["context", "list", *pods],
        ["context", "set", "admin", *pods],
        ["context", "delete", "admin", *pods],
        ["pxctl", *pods, "--", "status"],
        ["options"],
    ]
    refused = [
        ["keys", "create", *there],  # there are keys already
        ["snapshotclass", f"leaks-{namespace}", *there],  # no such kind
        ["doctor"],  # what it finds is a failure
        ["version"],  # it asks nobody
    ]
    run = {command for command in COMMANDS for line in (*lines, *refused)
           if command.split() == line[: len(command.split())]}  # fmt: skip
    assert run == set(COMMANDS)
    kept: set[str] = set()
    for line in (*lines, *refused):
        done = shell.pxauth(*line[:1], "-v=10", *line[1:])
        assert done.code == 0 or line in refused or line == ["status"], done.err
        listed = shell.kubectl("get", "secrets", *there, "-o", "json")
        for item in json.loads(listed.out)["items"]:
            for value in item.get("data", {}).values():
                kept.update((value, base64.b64decode(value).decode()))
        shown = done.err if line[0] in ("token", "issue") else done.out + done.err
        assert not leaks.is_leak(shown), line
        assert not [value for value in kept if len(value) > 20 and value in shown], line
    assert len([value for value in kept if value.startswith("eyJ")]) > 2


def test_nothing_is_left_in_a_folder_of_a_run_that_is_killed(shell: Shell, tmp_path: Path) -> None:
    """Nor is anything there while it runs, with a client's key from a credential plugin."""
    user = json.loads(Path(shell.environment["KUBECONFIG"]).read_text())["users"][0]["user"]
    status = {
        field: base64.b64decode(user[data]).decode()
        for field, data in (
            ("clientCertificateData", "client-certificate-data"),
            ("clientKeyData", "client-key-data"),
        )
    }
    api = "client.authentication.k8s.io/v1"
    plugin = tmp_path / "plugin"
    answer = json.dumps({"kind": "ExecCredential", "apiVersion": api, "status": status})
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    plugin.chmod(0o755)
    folders = [tmp_path / name for name in ("home", "temporary", "working")]
    for folder in folders:
        folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        exec_ = {"apiVersion": api, "command": str(plugin), "interactiveMode": "Never"}
        address = f"https://127.0.0.1:{server.getsockname()[1]}"
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {"exec": exec_}}],
        }
        (tmp_path / "config").write_text(json.dumps(config))
        home, temporary, working = map(str, folders)
        process = subprocess.Popen(
            [BIN / "kubectl-pxauth", "issue", "kubernetes", "-n", shell.namespace],
            cwd=working,
            env=shell.popen_environment
            | {
                "HOME": home,
                "TMPDIR": temporary,
                "KUBECONFIG": str(tmp_path / "config"),
                "PORTWORX_AUTH_SHARED_SECRET": SHARED_SECRET.decode(),
            },
        )
        server.settimeout(60)
        connection, _ = server.accept()  # it has its key by now, and waits for the handshake
        with connection:
            assert connection.recv(1)
            during = [file for folder in folders for file in folder.rglob("*")]
            process.kill()
            assert process.wait(60) == -signal.SIGKILL
    assert during == []
    assert [file for folder in folders for file in folder.rglob("*")] == []

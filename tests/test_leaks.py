"""The watch over every run does find what it looks for, or its silence would say nothing."""

import json
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import BIN, SHARED_SECRET, Shell
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

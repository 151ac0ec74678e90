"""What every command shares: help, version, exit codes, terminals and how a run ends."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from kubectl_pxauth import __version__
from kubectl_pxauth.cli.app import COMMANDS, GROUPS
from tests.conftest import BIN, Shell
from tests.terminal import run_on_terminal


def test_kubectl_finds_the_plugin(offline: Shell) -> None:
    assert "kubectl-pxauth" in offline.kubectl("plugin", "list").out
    done = offline.pxauth("--version")
    assert (done.code, done.out) == (0, f"kubectl-pxauth {__version__}\n")


@pytest.mark.parametrize("command", ["", *GROUPS, *COMMANDS])
def test_help_has_an_example_and_fits_a_terminal(offline: Shell, command: str) -> None:
    done = offline.pxauth(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: kubectl pxauth {command}".rstrip())
    assert "\n    kubectl pxauth " in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_alone_it_shows_its_help(offline: Shell, group: str) -> None:
    assert offline.pxauth(*group.split()).out == offline.pxauth(*group.split(), "--help").out


def test_misuse_points_to_the_help(offline: Shell) -> None:
    done = offline.refused("issue", "--nonsense", code=2)
    assert "hint: see `kubectl pxauth issue --help`" in done.err


def test_a_terminal_is_told_more_and_without_colour(shell: Shell) -> None:
    plain = shell.with_environment(NO_COLOR="1")
    done, text = run_on_terminal(plain, "pxauth", "issue", "kubernetes", "-n", shell.namespace)
    assert done.code == 0, done.err
    assert f"subject  px-k8s-user.{shell.namespace}@portworx.com" in text
    assert re.search(r"created, expires \d{4}-\d\d-\d\d \d\d:\d\d UTC", text)
    assert "\x1b" not in text
    assert "eyJ" not in text


def test_a_reader_that_leaves_is_no_traceback(offline: Shell) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [BIN / "kubectl", "pxauth", "issue", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=offline.popen_environment,
    )
    os.close(writer)
    assert done.returncode != 0
    assert done.stderr == b""


def run(shell: Shell, line: str) -> subprocess.CompletedProcess[str]:
    """Run a shell's command line, with $kubectl in it."""
    return subprocess.run(
        ["sh", "-c", line], env=shell.popen_environment, capture_output=True, text=True
    )


def test_output_that_nobody_can_take_is_an_error(offline: Shell) -> None:
    for command in ("token admin", "issue --help", "issue kubernetes --dry-run=client"):
        done = run(offline, f"kubectl pxauth {command} >/dev/full")
        assert (done.returncode, done.stderr) == (
            1,
            "error: standard output: No space left on device\n",
        )


def test_messages_that_nobody_can_take_change_nothing(shell: Shell) -> None:
    command = f"kubectl-pxauth issue kubernetes -n {shell.namespace} -n {shell.namespace}-no"
    for closed in ("2>/dev/full", "2>&-", "<&-", ">&-", "<&- >&- 2>&-"):
        done = run(shell, f"{command} {closed}")
        assert done.returncode == 1
        assert "error" not in done.stdout
        assert "bug" not in done.stderr
    assert shell.claims()["name"] == f"px-k8s-user.{shell.namespace}"


def test_letters_that_the_locale_does_not_know(offline: Shell) -> None:
    strict = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 PYTHONIOENCODING=ascii"
    refused = run(offline, f"{strict} kubectl-pxauth token admin --name J\u00fcrgen")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--name has letters that this locale's encoding does not know" in refused.stderr
    token = offline.pxauth("token", "admin", "--name", "J\u00fcrgen").out
    (offline.home / "token").write_text(token)
    flags = f"--token-file {offline.home / 'token'} --issuer portworx.com"
    shown = run(offline, f"{strict} kubectl-pxauth inspect {flags}")
    assert shown.returncode == 0, shown.stderr
    assert "J\\xfcrgen" in shown.stdout


def test_an_interrupt_ends_quietly(offline: Shell, tmp_path: Path) -> None:
    fifo = tmp_path / "user.yaml"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        ["env", "--default-signal=INT", BIN / "kubectl-pxauth", "token", "-f", fifo],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=offline.popen_environment,
    )
    # Opening the other end returns once the plugin is reading the file.
    with fifo.open("w"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


def test_flags_are_spelled_as_in_kubectl(offline: Shell) -> None:
    flags = ["-n=elsewhere", "-v=0", "-o=name", "--change-identity=false", "--dry-run=client"]
    done = offline.pxauth("issue", "kubernetes", *flags)
    assert (done.code, done.out) == (0, "secret/px-k8s-user\n")
    offline.refused("issue", "kubernetes", "--change-identity=maybe", code=2)

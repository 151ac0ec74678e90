"""Completion as the shell gets it: asked of kubectl, which asks the plugin."""

import pytest

from kubectl_pxauth.cli.app import COMMANDS
from tests.conftest import BIN, Shell


def candidates(shell: Shell, *words: str) -> list[str]:
    done = shell.kubectl("__complete", "pxauth", *words)
    assert done.code == 0, done.err
    *lines, directive = done.out.splitlines()
    assert directive in (":0", ":4")
    return [line.partition("\t")[0] for line in lines]


def test_commands(offline: Shell) -> None:
    assert set(candidates(offline, "")) == {name.partition(" ")[0] for name in COMMANDS}
    assert candidates(offline, "is") == ["issue"]


def test_flags_and_their_values(offline: Shell) -> None:
    assert candidates(offline, "issue", "--dr") == ["--dry-run"]
    assert candidates(offline, "issue", "--dry-run", "") == ["none", "client", "server"]
    assert candidates(offline, "issue", "-o", "j") == ["json"]


@pytest.mark.parametrize("command", ["issue", "token"])
def test_profiles(offline: Shell, command: str) -> None:
    assert candidates(offline, command, "") == ["kubernetes", "admin"]


def test_files_are_left_to_the_shell(offline: Shell) -> None:
    assert offline.kubectl("__complete", "pxauth", "issue", "-f", "").out.endswith(":0\n")


def test_under_kubectls_name_for_it_the_program_completes(offline: Shell) -> None:
    (offline.home / "kubectl_complete-pxauth").symlink_to(BIN / "kubectl-pxauth")
    linked = offline.with_environment(PATH=f"{offline.home}:{BIN}:/usr/bin:/bin")
    assert candidates(linked, "is") == ["issue"]

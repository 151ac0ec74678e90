"""A terminal that one of a command's streams is on."""

import os
import pty
import subprocess
from pathlib import Path
from typing import Literal

from tests.conftest import BIN, Run, Shell


def run_on_terminal(
    shell: Shell, *arguments: str | Path, stream: Literal["stdout", "stderr"] = "stdout"
) -> tuple[Run, str]:
    """Run kubectl with that stream on a terminal; returns how it ended, and what is shown there.

    The other stream is in the Run, unless the shell's environment says otherwise TERM is xterm.
    """
    ours, theirs = pty.openpty()
    other = "stderr" if stream == "stdout" else "stdout"
    with subprocess.Popen(
        [BIN / "kubectl", *arguments],
        cwd=shell.home,
        env={"TERM": "xterm"} | shell.popen_environment,
        text=True,
        **{stream: theirs, other: subprocess.PIPE},  # type: ignore[call-overload]
    ) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
        out, err = process.communicate(timeout=60)
    os.close(ours)
    return Run(process.returncode, out or "", err or ""), shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody has its other end any more
        return b""

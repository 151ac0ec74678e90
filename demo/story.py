"""How the demos tell their story: headings, and commands with what they print."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

_PLUGIN = Path(sys.executable).with_name("kubectl-pxauth")


def heading(text: str) -> None:
    """Begin a chapter."""
    print(f"\n== {text}\n", flush=True)


def run(command: str, folder: Path | None = None, *, fails: bool = False) -> str:
    """Show a command, run it, and show and return what it prints.

    `kubectl pxauth` is run as kubectl does, by the program kubectl-pxauth, and needs no kubectl.
    """
    print(f"$ {command}", flush=True)
    words = shlex.split(command)
    if words[:2] == ["kubectl", "pxauth"]:
        words[:2] = [str(_PLUGIN)]
    environment = {
        name: value for name, value in os.environ.items() if name != "PORTWORX_AUTH_SHARED_SECRET"
    }
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment,
    )
    print(done.stdout, flush=True)
    if bool(done.returncode) is not fails:
        raise SystemExit(f"that ended with exit code {done.returncode}")
    return done.stdout

"""Candidates for the shell, as kubectl asks its plugins for them.

kubectl runs kubectl_complete-pxauth with the words so far, the last of them unfinished, and takes
a candidate a line, then a directive of cobra's. Source: kubectl, pkg/cmd/plugin_completion.go.
"""

import typer
from typer._completion_classes import BashComplete

from kubectl_pxauth.cli.app import PROGRAM, application

_FILES_IF_NONE, _NO_FILES = 0, 4  # cobra's ShellCompDirectives


def complete(words: list[str]) -> list[str]:
    """The lines for kubectl; words are what follows `kubectl pxauth`, the last one unfinished."""
    *before, unfinished = words or [""]
    app = typer.main.get_command(application(before))
    # Which shell it is makes no difference to the candidates; kubectl adds what the shell needs.
    found = BashComplete(app, {}, PROGRAM, "").get_completions(before, unfinished)
    lines = [f"{item.value}\t{item.help}" if item.help else item.value for item in found]
    return [*lines, f":{_NO_FILES if lines else _FILES_IF_NONE}"]

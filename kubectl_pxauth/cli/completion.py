"""Candidates for the shell, as kubectl asks its plugins for them.

kubectl runs kubectl_complete-pxauth with the words so far, the last of them unfinished, and takes
a candidate a line, then a directive of cobra's. Source: kubectl, pkg/cmd/plugin_completion.go.
"""

import re

import typer

from kubectl_pxauth.cli._click import Parameter, resolve_context, resolve_incomplete
from kubectl_pxauth.cli.app import COMMANDS, PROGRAM, application, as_typer_spells
from kubectl_pxauth.cli.candidates import find_candidates
from kubectl_pxauth.cli.command_line import in_order

_FILES, _NO_FILES = 0, 4  # cobra's ShellCompDirectives
_FILE = re.compile(r"\bFILE\b")


def complete(words: list[str]) -> list[str]:
    """The lines for kubectl; words are what follows `kubectl pxauth`, the last one unfinished."""
    *before, unfinished = words or [""]
    before = in_order(before, COMMANDS)
    app = typer.main.get_command(application(before))
    before = as_typer_spells(before, app)
    context = resolve_context(app, {}, PROGRAM, before)
    wanted, unfinished = resolve_incomplete(context, before, unfinished)
    if isinstance(wanted, Parameter):
        names = find_candidates(str(context.info_name), str(wanted.name), context.params)
        if names is not None:
            return [*(name for name in names if name.startswith(unfinished)), f":{_NO_FILES}"]
        if _FILE.search(wanted.metavar or ""):
            return [f":{_FILES}"]
    found = wanted.shell_complete(context, unfinished)
    lines = [f"{item.value}\t{item.help}" if item.help else item.value for item in found]
    return [*lines, f":{_NO_FILES}"]

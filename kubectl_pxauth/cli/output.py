"""What goes to the terminal: results to standard output, all else to standard error."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from kubectl_pxauth import text
from kubectl_pxauth.cluster.objects import Change, DryRun
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.frozen import dataclass

DONE, FAILED, MISUSED = 0, 1, 2
"""What the program exits with that nothing has interrupted."""

SUFFIXES = {DryRun.NONE: "", DryRun.CLIENT: " (dry run)", DryRun.SERVER: " (server dry run)"}
"""What kubectl says behind a change that was none."""

_COMMAND = (
    r"\bkubectl(?: pxauth(?= [a-z])(?![a-z -]* --help)|(?= (?:auth|cluster-info|create|delete"
    r"|describe|edit|get|logs|patch|rollout|wait)\b))"
)
"""The beginning of a command in a message, behind which its flags may come."""

printable = text.printable
"""What every text goes through that others may have written, before it reaches a terminal."""


_choosing = ""
_quiet = False


def be_quiet(wanted: bool) -> bool:
    """Let this run print no lines for people but warnings and errors, if that is wanted."""
    global _quiet  # noqa: PLW0603 - a process runs one command
    _quiet = wanted
    return wanted


def is_quiet() -> bool:
    """Whether this run prints no lines for people but warnings and errors."""
    return _quiet


def choose_cluster(flags: str) -> None:
    """Let the commands that this run suggests carry these flags: they chose cluster and user."""
    global _choosing  # noqa: PLW0603 - a process runs one command
    _choosing = flags


def for_this_cluster(message: str, context: str = "") -> str:
    """A message whose commands carry what chose this run's cluster and user.

    context names the cluster where a run has several.
    """
    flags = " ".join(filter(None, (_choosing, context and text.command_line("--context", context))))
    if not flags or "kubectl " not in message:
        return message
    import re

    return re.sub(_COMMAND, lambda found: f"{found[0]} {flags}", message)


class Format(StrEnum):
    """kubectl's -o, as far as it makes sense for one object."""

    NAME = "name"
    JSON = "json"
    YAML = "yaml"


FORMATS = ("name", "wide", "json", "yaml")
"""What kubectl's users expect to be taken for -o."""


class DataFormat(StrEnum):
    """kubectl's -o, for what is no object of the cluster."""

    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True)
class Row:
    """A label, which may be empty, and a line or more to its right; style is one of rich's."""

    label: str
    lines: Sequence[str]
    style: str = ""


def problem(found: PxauthError) -> None:
    """One `error:` line with its warnings before it, and a `hint:` line where there is one."""
    warnings(found.warnings)
    error(str(found))
    if found.hint:
        _line("hint", for_this_cluster(found.hint))


def failure(found: PxauthError, what: str = "", context: str = "") -> None:
    """One of many that failed: an `error:` line, with what it is before and the hint behind."""
    warnings(found.warnings, context)
    error(in_one_line(found, what, context))


def in_one_line(found: PxauthError, what: str = "", context: str = "") -> str:
    """An error with what it is about before it, if the error does not say, and its hint behind.

    context is that of its cluster, where there are several.
    """
    hint = f" ({for_this_cluster(found.hint, context)})" if found.hint else ""
    return f"{what}: {found}{hint}" if what else f"{found}{hint}"


def error(message: str) -> None:
    """One `error:` line on standard error."""
    _line("error", message)


def warning(message: str) -> None:
    """One `warning:` line on standard error."""
    _line("warning", for_this_cluster(message))


def in_context(context: str) -> str:
    """What goes before a message of that cluster, where there are several."""
    return f"context {context}: " if context else ""


def warnings(messages: Iterable[str], context: str = "") -> None:
    """A `warning:` line for each, which begins with the context where there are several."""
    for message in messages:
        _line("warning", f"{in_context(context)}{for_this_cluster(message, context)}")


def note(message: str, context: str = "") -> None:
    """One line on standard error that is neither wrong nor asked for, as kubectl has them.

    It begins with the context where there are several.
    """
    if not _quiet:
        _to_stderr(f"{in_context(context)}{for_this_cluster(message, context)}")


def log(message: str) -> None:
    """One line on standard error, for -v."""
    _to_stderr(message)


def objects(manifest: dict[str, Any], form: Format | DataFormat) -> None:
    """An object as kubectl prints it with -o json or yaml."""
    if form == "json":
        import json

        print(json.dumps(manifest, indent=4))
    else:
        import yaml

        print(yaml.safe_dump(manifest, default_flow_style=False, width=float("inf")), end="")


def line(message: str, columns: str = "") -> None:
    """One line of a result on standard output, fit for a terminal whoever wrote parts of it.

    columns come before the message, as they are.
    """
    if not _quiet:
        print(f"{columns}{printable(message)}")


def expiry(moment: datetime | None) -> str:
    """When a token ends, as lines about a token that was written end; nothing where it never does.

    The time is local, as in all that is printed for people.
    """
    return f", expires {moment.astimezone():%Y-%m-%d %H:%M %Z}" if moment else ""


def written(
    what: str, change: str, manifest: dict[str, Any], dry_run: DryRun, form: Format | None
) -> None:
    """What became of an object, as kubectl says it; what is like secret/px-k8s-user.

    With -o name, which has no room for it, a note tells of an object that is as it was.
    """
    if form in (Format.JSON, Format.YAML):
        objects(manifest, form)
    elif form is Format.NAME:
        print(what)
        if change.startswith(Change.UNCHANGED):
            note(f"{what} {change}")
    else:
        line(f"{what} {change}{SUFFIXES[dry_run]}")


def _line(kind: str, message: str) -> None:
    _to_stderr(f"{kind}: {message}")


def _to_stderr(message: str) -> None:
    if "eyJ" in message:
        from kubectl_pxauth.cli.guard import without_tokens

        message = without_tokens(message)
    sys.stderr.write(f"{printable(message)}\n")  # whole, from whichever thread

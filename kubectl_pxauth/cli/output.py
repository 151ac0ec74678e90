"""What goes to the terminal: results to standard output, all else to standard error."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from kubectl_pxauth import text
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.frozen import dataclass

DONE, FAILED, MISUSED = 0, 1, 2
"""What the program exits with that nothing has interrupted."""

SUFFIXES = {DryRun.NONE: "", DryRun.CLIENT: " (dry run)", DryRun.SERVER: " (server dry run)"}
"""What kubectl says behind a change that was none."""

printable = text.printable
"""What every text goes through that others may have written, before it reaches a terminal."""


class Format(StrEnum):
    """kubectl's -o, as far as it makes sense for one object."""

    NAME = "name"
    JSON = "json"
    YAML = "yaml"


class DataFormat(StrEnum):
    """kubectl's -o, for what is no object of the cluster."""

    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True)
class Row:
    """A label, which may be empty, and a line or more beside it; style is one of rich's."""

    label: str
    lines: Sequence[str]
    style: str = ""


def problem(found: PxauthError) -> None:
    """One `error:` line, and a `hint:` line where there is one."""
    error(str(found))
    if found.hint:
        _line("hint", found.hint)


def failure(found: PxauthError, what: str = "") -> None:
    """One of many that failed: an `error:` line, with what it is before and the hint behind."""
    error(in_one_line(found, what))


def in_one_line(found: PxauthError, what: str = "") -> str:
    """An error with what it is about before it, if the error does not say, and its hint behind."""
    hint = f" ({found.hint})" if found.hint else ""
    return f"{what}: {found}{hint}" if what else f"{found}{hint}"


def error(message: str) -> None:
    """One `error:` line on standard error."""
    _line("error", message)


def warning(message: str) -> None:
    """One `warning:` line on standard error."""
    _line("warning", message)


def warnings(messages: Iterable[str]) -> None:
    """A `warning:` line for each."""
    for message in messages:
        warning(message)


def note(message: str) -> None:
    """One line on standard error that is neither wrong nor asked for, as kubectl has them."""
    _to_stderr(message)


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


def line(message: str) -> None:
    """One line of a result on standard output, fit for a terminal whoever wrote parts of it."""
    print(printable(message))


def expiry(moment: datetime | None) -> str:
    """When a token ends, as lines about a token that was written end; nothing where it never does.

    The time is local, as in all that is printed for people.
    """
    return f", expires {moment.astimezone():%Y-%m-%d %H:%M %Z}" if moment else ""


def written(
    what: str, change: str, manifest: dict[str, Any], dry_run: DryRun, form: Format | None
) -> None:
    """What became of an object, as kubectl says it; what is like secret/px-k8s-user."""
    if form in (Format.JSON, Format.YAML):
        objects(manifest, form)
    elif form is Format.NAME:
        print(what)
    else:
        line(f"{what} {change}{SUFFIXES[dry_run]}")


def _line(kind: str, message: str) -> None:
    _to_stderr(f"{kind}: {message}")


def _to_stderr(message: str) -> None:
    sys.stderr.write(f"{printable(message)}\n")  # whole, from whichever thread

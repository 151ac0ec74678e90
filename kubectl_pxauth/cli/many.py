"""Work on many objects as a person sees it: a progress bar, Ctrl-C, a summary."""

import gc
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Annotated, TypeVar

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.errors import PxauthError

ConcurrencyFlag = Annotated[
    int, typer.Option(metavar="N", min=1, max=256, help="How many to work on at once.")
]

FAILED = "failed"
"""What outcomes are counted as that make the exit code one."""


def counter(outcomes: Iterable[str]) -> Counter[str]:
    """Counts of outcomes and of failures, to be told in this order."""
    return Counter(dict.fromkeys([*outcomes, FAILED], 0))


Outcome = TypeVar("Outcome")


@contextmanager
def interruptible() -> Iterator[Event]:
    """An event that the first Ctrl-C sets, so that what is under way ends; a second ends all.

    Such work is long, so that its memory is collected again.
    """
    gc.enable()
    stop = Event()

    def interrupted(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def with_progress(outcomes: Iterable[Outcome], what: str, total: int | None) -> Iterator[Outcome]:
    """The outcomes, with a bar on a terminal's standard error; total is None where unknown."""
    if not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        # Lines for a pipe are to go there, and not to the bar's terminal.
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task(what, total=total)
        for outcome in outcomes:
            yield outcome
            progress.advance(task)


def failed(namespace: str, error: PxauthError) -> None:
    """Say what went wrong in a namespace, and which it is, if the error does not."""
    named = f" {namespace}/" in str(error) or f'"{namespace}"' in str(error)
    output.failure(error, "" if named else f"namespace {namespace}")


def finish(counts: Counter[str], total: int | None, stop: Event) -> None:
    """Say how many of what on standard error, and exit with the code for it."""
    done = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none"
    if stop.is_set():
        rest = "" if total is None else f" of {total}"
        output.error(f"interrupted after {counts.total()}{rest}: {done}")
        raise typer.Exit(output.INTERRUPTED)
    output.note(done)
    if counts[FAILED]:
        raise typer.Exit(output.FAILED)

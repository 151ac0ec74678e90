"""Work on many objects as a person sees it: a progress bar, Ctrl-C, a summary."""

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer
from types import FrameType
from typing import Annotated, TypeVar

import typer

from kubectl_pxauth.cli import output, signals
from kubectl_pxauth.errors import (
    InterruptedWriteError,
    LeftOutError,
    PxauthError,
    StillUnderWayError,
)

_SECONDS_TO_END = 7  # a little more than what is done side by side has
_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_LARGE_BYTES = 1 << 17  # what glibc begins with

ConcurrencyFlag = Annotated[
    int, typer.Option(metavar="N", min=1, max=256, help="How many to work on at the same time.")
]

FAILED = "failed"
"""What outcomes are counted as that make the exit code one."""
SKIPPED = "skipped"
"""What outcomes are counted as that are left as they are, on purpose."""


def counter(outcomes: Iterable[str]) -> Counter[str]:
    """Counts of outcomes and of failures, to be told in this order."""
    return Counter(dict.fromkeys([*outcomes, SKIPPED, FAILED], 0))


def count_again(counts: Counter[str], counted: dict[str, str], place: str, what: str) -> None:
    """Count what became of a place; what it was counted as before, which counted has, is void."""
    if place in counted:
        counts[counted[place]] -= 1
    counted[place] = what
    counts[what] += 1


Result = TypeVar("Result")


class Stop(Event):
    """Set where a run is to begin nothing more; working tells that something is under way."""

    working = False


@contextmanager
def interruptible() -> Iterator[Stop]:
    """An event that the first Ctrl-C sets, so that what is under way ends; a second ends all.

    So do SIGTERM and SIGHUP. Where nothing is under way yet the first ends all. Such work is long,
    so that its memory is collected again.
    """
    gc.enable()
    stop = Stop()

    def end_soon(number: int, _: FrameType | None) -> None:
        if not stop.working:
            signals.interrupted(number)
        signals.note(number)
        stop.set()
        for one, handler in before.items():
            signal.signal(one, handler)
        # What has not ended by then waits for an answer that does not come.
        last = Timer(_SECONDS_TO_END, signals.send_to_main, (number,))
        last.daemon = True
        last.start()

    before = {
        one: signal.signal(one, end_soon)
        for one in signals.SIGNALS
        if signal.getsignal(one) is not signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def give_memory_back() -> None:
    """Let what large lists took go back to the system as soon as it is freed.

    glibc else keeps blocks up to the size of the largest one that was freed, for each thread
    (mallopt(3)), and the job that renews has 128 MiB. Other C libraries have no such
    function, and some Pythons no ctypes.
    """
    with suppress(ImportError, AttributeError, OSError, TypeError):
        import ctypes

        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def with_progress(
    outcomes: Iterable[Result],
    what: str,
    total: int | None,
    stop: Stop,
    counts: Counter[str] | None = None,
) -> Iterator[Result]:
    """The outcomes, with a bar on a terminal's standard error; total is None where unknown.

    They end where an interrupt ends them. With counts, an error that ends them is told and counted,
    so that the summary comes.
    """
    stop.working = True
    try:
        yield from _with_bar(outcomes, what, total)
    except StillUnderWayError as error:
        output.problem(error)
    except KeyboardInterrupt as interrupt:
        if not stop.is_set():
            raise
        if isinstance(interrupt, InterruptedWriteError):
            output.error(f"no answer yet for {interrupt}: whether that is written is not known")
    except PxauthError as error:
        if counts is None:
            raise
        counts[FAILED] += 1
        output.failure(error)
    finally:
        stop.working = False


def _with_bar(outcomes: Iterable[Result], what: str, total: int | None) -> Iterator[Result]:
    # Where colours are not wanted somebody may have it read out, and a bar is read again and again.
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if plain or not sys.stderr.isatty():
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


def failed(namespace: str, error: PxauthError, context: str = "") -> str:
    """Say what went wrong in a namespace, and which it is, if the error does not.

    context is that of its cluster, where there are several. Returns what it is counted as: a token
    that is left out on purpose is no failure.
    """
    named = f" {namespace}/" in str(error) or f'"{namespace}"' in str(error)
    places = {"context": context, "namespace": "" if named else namespace}
    what = ": ".join(f"{kind} {name}" for kind, name in places.items() if name)
    if isinstance(error, LeftOutError):
        output.warning(output.in_one_line(error, what, context))
        return SKIPPED
    output.failure(error, what, context)
    return FAILED


def failed_cluster(context: str, error: PxauthError, stop: Stop, counts: Counter[str]) -> None:
    """Say what ended the work in one cluster, and count it; context is empty for the only one.

    Raises the error where it is all that came of the run.
    """
    if not (context or counts.total() or stop.is_set() or isinstance(error, StillUnderWayError)):
        raise error
    output.failure(error, f"context {context}" if context else "", context)
    if not isinstance(error, StillUnderWayError):
        counts[FAILED] += 1


def finish(counts: Counter[str], total: int | None, stop: Stop) -> None:
    """Say how many of what on standard error, and exit with the code for it."""
    done = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none"
    if stop.is_set():
        rest = "" if total is None else f" of {total}"
        output.error(f"interrupted after {counts.total()}{rest}: {done}")
        raise typer.Exit(signals.exit_code())
    output.note(done)
    if counts[FAILED]:
        raise typer.Exit(output.FAILED)

"""How a run ends that is told to: by Ctrl-C, by what stops a pod, by a terminal that is closed."""

import _thread
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

_A_MOMENT = 0.01  # seconds
_at_work = False
_received: int | None = None


def take_signals() -> None:
    """Let each of them be a KeyboardInterrupt; also where this is a pod's first process.

    Those that are ignored, as SIGHUP is under nohup, stay so.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupted)


def interrupted(number: int, frame: FrameType | None = None) -> None:
    """End a run that has done nothing yet; else raise KeyboardInterrupt, or do so after an import.

    Where a module is being imported, Python in some places prints the exception and goes on, and in
    others makes another error of it.
    """
    note(number)
    if not _at_work:
        end_early()
    if not _is_importing(frame):
        raise KeyboardInterrupt
    again = threading.Timer(_A_MOMENT, send_to_main, (number,))
    again.daemon = True
    try:
        again.start()
    except RuntimeError:  # the system gives no more threads
        raise KeyboardInterrupt from None


def _is_importing(frame: FrameType | None) -> bool:
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib."):
        frame = frame.f_back
    return frame is not None


def begin_work() -> None:
    """From now on there may be something to say of what was done."""
    global _at_work  # noqa: PLW0603 - a process has one beginning
    _at_work = True


def note(number: int) -> None:
    """Remember which signal ends this run."""
    global _received  # noqa: PLW0603 - a process has one end
    _received = number


def exit_code() -> int:
    """What a shell says of a process that the signal ended."""
    return 128 + (_received or signal.SIGINT)


def were_received() -> bool:
    """Whether a signal has told this run to end."""
    return _received is not None


def send_to_main(number: int) -> None:
    """Let the main thread have the signal, also while it waits for the network."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def ignore_signals() -> None:
    """Let nothing disturb the end of a run."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def not_loaded(error: MemoryError | SystemError | ImportError) -> str:
    """Why there was no room for a module or for its work, in words.

    Python raises a SystemError where its own code got no memory, and an ImportError where a library
    finds no room.
    """
    return str(error) if isinstance(error, ImportError) else "there is not enough memory"


def end_early() -> NoReturn:
    """End a run that was interrupted before it did anything."""
    ignore_signals()
    sys.stderr.write("error: interrupted\n")
    os._exit(exit_code())

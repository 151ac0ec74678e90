"""What a person types: the entry points, and what errors look like."""

import gc
import os
import sys

from kubectl_pxauth import __version__
from kubectl_pxauth.cli.streams import prepare_streams

SHARED_SECRET_VARIABLE = "PORTWORX_AUTH_SHARED_SECRET"  # noqa: S105 - a variable's name
_LEAST_MEMORY = 85 << 20  # bytes of address space that a run with connections takes
_COMPLETION = "kubectl_complete-pxauth"


def main() -> None:
    """Run `kubectl pxauth` with this process's arguments, and exit with its code.

    Under the name that kubectl has for it, a plugin's program completes command lines.
    """
    # A run is short and almost all of it is imports: collecting garbage on the way costs more than
    # the memory it would give back. Work on many objects turns it on again.
    gc.disable()
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        from kubectl_pxauth.cli.signals import end_early

        end_early()
    except (MemoryError, SystemError, ImportError) as error:
        from kubectl_pxauth.cli.signals import not_loaded

        sys.stderr.write(f"error: {not_loaded(error)}\n")
        code = 1
    sys.stdout.flush()
    # Python's own end would look for garbage; and it can wait for ever for OpenSSL, where a thread
    # is still opening a connection.
    os._exit(code)


def _run(arguments: list[str]) -> int:
    _leave_no_core()
    prepare_streams()
    _environment_for_others()
    if sys.argv[0].removesuffix(".exe").endswith(_COMPLETION):
        complete()
        return 0
    if arguments == ["--version"]:
        print(f"kubectl-pxauth {__version__}")  # which needs no parser
        return 0
    from kubectl_pxauth.cli.signals import take_signals

    take_signals()
    _check_memory()
    from kubectl_pxauth.cli.head_start import head_start

    head_start(arguments)
    from kubectl_pxauth.cli.app import run

    return run(arguments)


def _check_memory() -> None:
    """Raise MemoryError where that is sure to come: in the middle of a run Python may hang of it.

    Seen with Python 3.11, which can't unwind a frame without memory, and tries for ever.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_MEMORY:
        raise MemoryError


def _leave_no_core() -> None:
    """Let no crash write to a disk what is in memory: a key may be."""
    try:
        import resource
    except ImportError:  # Windows has neither
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


_taken: list[str] = []


def environment_secret() -> bytes | None:
    """The shared secret in the environment, taken out of it: no program that we start has it."""
    if SHARED_SECRET_VARIABLE in os.environ:
        _taken.append(os.environ.pop(SHARED_SECRET_VARIABLE))
    return os.fsencode(_taken[0]) if _taken else None


def _environment_for_others() -> None:
    """Leave in the environment what the programs that we start are to have.

    In the archive the launcher points LD_LIBRARY_PATH at the archive's own libraries, which no
    other program may load. Source: PyInstaller's manual, "Run-time information".
    """
    environment_secret()
    if getattr(sys, "frozen", False):
        os.environ.pop("LD_LIBRARY_PATH", None)
        if (given := os.environ.pop("LD_LIBRARY_PATH_ORIG", None)) is not None:
            os.environ["LD_LIBRARY_PATH"] = given


def complete() -> None:
    """Print what kubectl's completion offers; a shell has no place for what goes wrong."""
    from contextlib import suppress

    with suppress(Exception):
        from kubectl_pxauth.cli.completion import complete as candidates

        print("\n".join(candidates(sys.argv[1:])))

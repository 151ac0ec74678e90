"""A file for a token: its owner's alone, whole or not there, and where it was meant to be."""

import os
import stat
from pathlib import Path

from kubectl_pxauth.errors import PxauthError

_MOST_LINKS = 40  # as Linux


def write_private_file(path: str, text: str) -> None:
    """Write a line to a file that its owner alone can read: whole, or not at all.

    Links are followed. What is there and is no file, such as a pipe or /dev/stdout, is written to
    as it is. Raises PxauthError, also for a link or a pipe of another user in a folder that others
    may write: who put it there would get the token, or choose what it replaces.
    """
    line = f"{text}\n".encode()
    try:
        target = _followed(Path(path))
        try:
            there = target.lstat()
        except FileNotFoundError:
            there = None
        if there is None or stat.S_ISREG(there.st_mode):
            _replace(target, line)
        elif stat.S_ISDIR(there.st_mode):
            raise IsADirectoryError(None, "Is a directory")
        else:
            _check_owner(there, target)
            _write_to(target, line)
    except OSError as error:
        raise PxauthError(f"{path}: {error.strerror}") from None


def _followed(path: Path) -> Path:
    """Where the path leads; each link on the way is looked at before it is followed."""
    whole = Path.cwd() / path
    here, parts = Path(whole.anchor), list(reversed(whole.parts[1:]))
    links = 0
    while parts:
        part = parts.pop()
        if part == "..":
            here = here.parent
            continue
        here /= part
        if not here.is_symlink():
            continue
        _check_owner(here.lstat(), here)
        links += 1
        if links > _MOST_LINKS:
            raise OSError(None, "Too many levels of symbolic links")
        leads_to = here.parent / here.readlink()
        if here.exists() and not os.path.lexists(leads_to):
            break  # /proc/self/fd/1 leads to what has no name
        here, parts = Path(leads_to.anchor), [*parts, *reversed(leads_to.parts[1:])]
    return here.joinpath(*reversed(parts))


def _replace(target: Path, line: bytes) -> None:
    import tempfile

    # mkstemp makes it with mode 0600.
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(line)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise


def _write_to(target: Path, line: bytes) -> None:
    # It is looked at again once it is open, and can't be changed for another any more.
    with os.fdopen(os.open(target, os.O_WRONLY), "wb", buffering=0) as file:
        _check_owner(os.fstat(file.fileno()), target)
        file.write(line)


def _check_owner(found: os.stat_result, path: Path) -> None:
    if not hasattr(os, "geteuid"):
        return
    own = (os.geteuid(), 0)
    folder = path.parent.stat()
    others_may_write = folder.st_uid not in own or folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if found.st_uid not in own and others_may_write:
        kind = "link" if stat.S_ISLNK(found.st_mode) else "pipe or device"
        raise PxauthError(
            f"{path} is another user's {kind}, in a folder that others may write",
            hint="choose a folder that you alone may write",
        )

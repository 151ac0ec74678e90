"""The oldest C library that an archive for Linux runs with, by the symbols in it."""

import re
import tarfile
from pathlib import Path

_ELF = b"\x7fELF"
_VERSION = re.compile(rb"\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?\0")


def oldest_glibc(archive: Path) -> tuple[int, int]:
    """The newest version of glibc's symbols that any program or library in it names."""
    newest = (0, 0)
    with tarfile.open(archive) as files:
        for file in files:
            content = files.extractfile(file)
            data = content.read() if content else b""
            if data.startswith(_ELF):
                # As they stand in .dynstr, one behind the other.
                found = _VERSION.findall(data.replace(b"\0", b"\0\0"))
                newest = max([newest, *((int(major), int(minor)) for major, minor in found)])
    return newest

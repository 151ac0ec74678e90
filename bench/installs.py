"""The plugin as its users have it: the wheel in an environment of its own, and the archive."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from release.archive import DIST, ROOT, archive_name, this_platform

_BIN = Path(sys.executable).parent


def install_wheel(folder: Path) -> Path:
    """Build the wheel and install it; returns the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", ROOT], check=True)
    return folder / "bin"


def unpack_archive(folder: Path) -> Path:
    """Build the archive and unpack it as krew does; returns the folder of its programs."""
    subprocess.run([sys.executable, "-m", "release.archive"], cwd=ROOT, check=True)
    with tarfile.open(DIST / archive_name(*this_platform())) as archive:
        archive.extractall(folder / "store", filter="data")
    programs = folder / "bin"
    programs.mkdir()
    for name in ("kubectl-pxauth", "kubectl_complete-pxauth"):
        (programs / name).symlink_to(folder / "store" / "kubectl-pxauth")
    return programs


def path_without_the_checkout() -> str:
    """Return PATH without the virtual environment, whose plugin is the checkout's."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder) != _BIN)


def kubectl() -> Path:
    """The kubectl of the virtual environment."""
    return (_BIN / "kubectl").resolve()

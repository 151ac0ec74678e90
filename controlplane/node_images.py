"""The images that a node's pods run from, built without a registry, once, into the cache folder.

Ours is built by the project's Containerfile, on bases that are bootstrapped from Debian's packages.
"""

import ast
import hashlib
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controlplane import build

PAUSE = "localhost/pause:e2e"
"""Holds a pod's namespaces. It has one program, and no shell."""
SHELL = "localhost/shell:e2e"
"""Debian with a shell and Python, run by root."""
PXAUTH = "localhost/kubectl-pxauth:e2e"
"""The project's own image."""

_PROJECT = Path(__file__).parents[1]
_SUITE = "trixie"  # the one that the Containerfile's bases are made of
_PYTHON = "ca-certificates,python3,python3-venv,libpython3.13"
_CERTIFICATES = Path("/etc/ssl/certs")


def pause() -> Path:
    """Return the archive of PAUSE; raises RuntimeError with the end of a build's log, as all do."""
    program = build.pause()
    copied = f'FROM scratch\nCOPY {program.name} /\nCMD ["/{program.name}"]\n'
    return _image(
        PAUSE, [str(program)], lambda buildah: buildah.build(PAUSE, copied, program.parent)
    )


def shell() -> Path:
    """Return the archive of SHELL."""
    python = _python()
    return _image(SHELL, [str(python)], lambda buildah: buildah.unpack(SHELL, python))


def pxauth() -> Path:
    """Return the archive of PXAUTH."""
    python, slim = _python(), _bootstrapped("slim", "--variant=essential")
    containerfile = (_PROJECT / "Containerfile").read_text()

    def build_with(buildah: _Buildah) -> None:
        buildah.unpack("localhost/python", python)
        buildah.unpack("localhost/slim", slim)
        bases = ["--build-arg=PYTHON=localhost/python", "--build-arg=BASE=localhost/slim"]
        buildah.build(PXAUTH, containerfile, _PROJECT, *bases)

    return _image(PXAUTH, [str(python), str(slim), containerfile, *_sources()], build_with)


@dataclass(frozen=True)
class _Buildah:
    """buildah with a storage of its own."""

    storage: Path

    def unpack(self, tag: str, root: Path) -> None:
        """Make an image of the archive of a root file system."""
        self.build(tag, f"FROM scratch\nADD {root.name} /\n", root.parent)

    def build(self, tag: str, containerfile: str, context: Path, *arguments: str) -> None:
        file = self.storage / "Containerfile"
        file.write_text(containerfile)
        # pip is to reach its index from inside as it does from here.
        pip = self.storage / "pip.conf"
        pip.write_text(_settings_of_pip())
        mounts = [f"--volume={pip}:/etc/pip.conf:ro"]
        if _CERTIFICATES.exists():
            mounts.append(f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro")
        how = ["--isolation=chroot", f"--tag={tag}", f"--file={file}", *mounts, *arguments]
        self._run(f"building {tag}", "build", *how, str(context))

    def save(self, tag: str, archive: Path) -> None:
        self._run(f"saving {tag}", "push", tag, f"docker-archive:{archive}:{tag}")

    def _run(self, what: str, *arguments: str) -> None:
        places = [f"--root={self.storage}/root", f"--runroot={self.storage}/run"]
        command = ["buildah", *places, "--storage-driver=vfs", *arguments]
        build.run_long(what, command, _PROJECT)


def _image(tag: str, inputs: list[str], build_with: Callable[[_Buildah], None]) -> Path:
    def make(archive: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="images-") as storage:
            buildah = _Buildah(Path(storage))
            build_with(buildah)
            buildah.save(tag, archive)

    return _cached("image.tar", [tag, *inputs], make)


def _python() -> Path:
    return _bootstrapped("python", "--variant=apt", f"--include={_PYTHON}")


def _bootstrapped(name: str, *arguments: str) -> Path:
    """Return a root file system of Debian, as an archive."""
    command = ["mmdebstrap", *arguments, _SUITE]

    def make(archive: Path) -> None:
        build.run_long(f"bootstrapping {name}", [*command, str(archive)], _PROJECT)

    return _cached(f"{name}.tar", command, make)


def _cached(name: str, inputs: list[str], make: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256("\0".join([platform.machine(), *inputs]).encode())
    folder = build.cache_folder() / f"images-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with build.locked(folder / "lock"):
        done = folder / name
        if not done.exists():
            # What an interrupted build leaves must not pass for the file.
            unfinished = folder / f"unfinished-{name}"
            unfinished.unlink(missing_ok=True)
            make(unfinished)
            unfinished.rename(done)
    return done


def _sources() -> list[str]:
    """Name all that the Containerfile may copy, each with a digest of what is in it."""
    ignored = (_PROJECT / ".dockerignore").read_text().splitlines()
    return [
        f"{path.relative_to(_PROJECT)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for name in (line[1:] for line in ignored if line.startswith("!"))
        for path in sorted([_PROJECT / name, *(_PROJECT / name).rglob("*")])
        if path.is_file() and "__pycache__" not in path.parts
    ]


def _settings_of_pip() -> str:
    """Return what files and environment variables say to pip on this host, as one file."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings = [line.partition("=") for line in listed.stdout.splitlines()]
    # :env: comes first in the list, and counts before files.
    wanted = {key.rpartition(".")[2]: ast.literal_eval(text) for key, _, text in reversed(settings)}
    return "\n".join(["[global]", *(f"{key} = {text}" for key, text in wanted.items())]) + "\n"

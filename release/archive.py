"""`make archive`: the plugin with its own interpreter, for the machine it is built on."""

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

from kubectl_pxauth import __version__
from release.glibc import oldest_glibc
from release.reference import write_man_pages
from release.sbom import bill_of_materials

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_EPOCH = 315532800  # 1980-01-01, which every archive format can hold
_LICENCE_NAMES = ("licen", "copying", "notice", "authors")


def archive_name(system: str, architecture: str, version: str = __version__) -> str:
    """The file of one release for one platform, in Go's words as krew has them."""
    return f"kubectl-pxauth-v{version}-{system}-{architecture}.tar.gz"


def this_platform() -> tuple[str, str]:
    """Return the machine's system and architecture, in Go's words."""
    return _SYSTEMS[sys.platform], _ARCHITECTURES[platform.machine().lower()]


def main() -> None:
    """Build, add the licences and the man pages, pack, and list what is inside beside it."""
    folder = _freeze()
    parts = _distributions(folder / "_internal")
    shutil.copy(ROOT / "LICENSE", folder)
    _add_licences(folder, parts)
    write_man_pages(folder / "man" / "man1")
    DIST.mkdir(exist_ok=True)
    archive = DIST / archive_name(*this_platform())
    _pack(folder, archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    bill = archive.with_name(archive.name.replace(".tar.gz", ".cdx.json"))
    at = datetime.fromtimestamp(_EPOCH, UTC)
    bill.write_text(bill_of_materials(digest, parts, at), encoding="utf-8")
    print(f"{digest}  {archive.relative_to(ROOT)}")
    if sys.platform == "linux":
        print("glibc {}.{} or later".format(*oldest_glibc(archive)))


def _freeze() -> Path:
    build = ROOT / "build"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level=WARN"),
            *("--distpath", build / "frozen", "--workpath", build / "work"),
            ROOT / "release" / "kubectl-pxauth.spec",
        ],
        cwd=ROOT,
        env=os.environ
        | {
            # So that the same sources give the same bytes.
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": str(_EPOCH),
            # Its cache for all builds of a user breaks where two build at once.
            "PYINSTALLER_CONFIG_DIR": str(build / "cache"),
        },
    )
    if done.returncode:
        raise SystemExit("PyInstaller failed")
    return build / "frozen" / "kubectl-pxauth"


def _add_licences(folder: Path, parts: list[Distribution]) -> None:
    """Put the licence of everything that is in the archive beside it."""
    licences = folder / "licences"
    python = next(Path(sys.base_prefix).glob("lib/python3*/LICENSE.txt"), None)
    python = python or Path(sys.base_prefix) / "LICENSE.txt"
    licences.mkdir()
    shutil.copy(python, licences / "Python.txt")
    for found in parts:
        files = [
            file
            for file in found.files or []
            if ".dist-info" in file.parts[0] and file.name.lower().startswith(_LICENCE_NAMES)
        ]
        if not files:
            raise SystemExit(f"{found.name} comes without its licence")
        for file in files:
            target = licences / f"{found.name}-{file.name}"
            shutil.copyfile(str(found.locate_file(file)), target)


def _distributions(internal: Path) -> list[Distribution]:
    """The packages that something in the archive came from, PyInstaller for its bootloader."""
    owners = packages_distributions()
    names = {"pyinstaller"}
    for entry in internal.iterdir():
        names.update(owners.get(entry.name.partition(".")[0], []))
    return [distribution(name) for name in sorted(names - {"kubectl-pxauth"})]


def _pack(folder: Path, archive: Path) -> None:
    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = _EPOCH
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=_EPOCH) as packed,
        # krew unpacks no links.
        tarfile.open(fileobj=packed, mode="w", dereference=True) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder), recursive=False, filter=plain)


if __name__ == "__main__":
    main()

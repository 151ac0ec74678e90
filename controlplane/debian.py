"""Programs of Debian's packages, unpacked into the cache folder, which takes no root."""

import shutil
import tempfile
from pathlib import Path

from controlplane import build


def promtool() -> Path:
    """Return Prometheus' checker of rules and metrics: this host's, or that of Debian's package.

    Raises RuntimeError where there is neither.
    """
    if found := shutil.which("promtool"):
        return Path(found)
    if shutil.which("apt-get") is None:
        raise RuntimeError("there is no promtool, which comes with Prometheus, and no apt-get")
    program = build.cache_folder() / "debian" / "promtool"
    program.parent.mkdir(parents=True, exist_ok=True)
    with build.locked(program.with_suffix(".lock")):
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=program.parent) as unfinished:
                _unpack("prometheus", Path(unfinished))
                (Path(unfinished) / "usr/bin/promtool").rename(program)
    return program


def _unpack(package: str, folder: Path) -> None:
    lists = folder / "lists"
    lists.mkdir()
    # The host's own lists may be old or not there, and only root may get them.
    places = [f"-oDir::State::Lists={lists}", f"-oDir::Cache={folder}", "-oAPT::Sandbox::User=root"]
    for arguments in (["update"], ["download", package]):
        build.run_long(f"fetching {package}", ["apt-get", *places, *arguments], folder)
    (archive,) = folder.glob("*.deb")
    build.run_long(f"unpacking {package}", ["dpkg", "-x", str(archive), str(folder)], folder)

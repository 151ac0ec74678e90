"""`make audit`: which of the pinned files have known weaknesses, by a database that is a file."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True)
class Weakness:
    """An advisory that names a version that is pinned; fixed is empty where no release is."""

    package: str
    version: str
    identifier: str
    fixed: str


def pinned(requirements: str) -> dict[str, str]:
    """The version of each package that is pinned."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", requirements, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def advisories(database: Path) -> Iterator[dict[str, Any]]:
    """Those of a zip file, as osv.dev publishes it for an ecosystem (https://ossf.github.io/osv-schema)."""
    with ZipFile(database) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def weaknesses(pins: dict[str, str], database: Path) -> Iterator[Weakness]:
    """Each advisory that is not withdrawn, and each pinned version that it names."""
    for advisory in advisories(database):
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected") or ():
            package = affected.get("package") or {}
            name = canonicalize_name(package.get("name") or "")
            version = pins.get(name)
            if package.get("ecosystem") == "PyPI" and version and _names(affected, version):
                yield Weakness(name, version, advisory["id"], ", ".join(_fixes(affected)))


def _names(affected: dict[str, Any], version: str) -> bool:
    ranges = [one for one in affected.get("ranges") or () if one.get("type") == "ECOSYSTEM"]
    return version in (affected.get("versions") or ()) or any(
        _is_within(one["events"], Version(version)) for one in ranges
    )


def _is_within(events: list[dict[str, str]], version: Version) -> bool:
    within = False
    for event in events:
        ((kind, text),) = event.items()
        try:
            bound = Version(text)
        except InvalidVersion:
            continue
        if kind == "introduced" and version >= bound:
            within = True
        elif (kind == "fixed" and version >= bound) or (
            kind == "last_affected" and version > bound
        ):
            within = False
    return within


def _fixes(affected: dict[str, Any]) -> Iterator[str]:
    for one in affected.get("ranges") or ():
        for event in one["events"]:
            if "fixed" in event and one.get("type") == "ECOSYSTEM":
                yield event["fixed"]


def main() -> None:
    """Print what is found; nothing was checked where there is no database, and that is said."""
    parser = argparse.ArgumentParser(prog="python -m release.audit", description=main.__doc__)
    parser.add_argument("database", type=Path, nargs="?", help="all.zip of osv.dev's PyPI")
    database: Path | None = parser.parse_args().database
    if database is None:
        sys.exit("not checked: there is no database; name one: make audit DATABASE=all.zip")
    pins = pinned(REQUIREMENTS.read_text())
    found = list(weaknesses(pins, database))
    for one in found:
        print(
            f"{one.package} {one.version}: {one.identifier}, fixed in {one.fixed or 'no release'}"
        )
    if found:
        sys.exit(1)
    print(f"{len(pins)} packages: none is named")


if __name__ == "__main__":
    main()

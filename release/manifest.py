"""`make release`: write the archives' version and sums into the krew manifest."""

import argparse
import hashlib
from pathlib import Path

from ruamel.yaml import YAML

from kubectl_pxauth import __version__
from release.archive import DIST, ROOT, archive_name

MANIFEST = ROOT / "krew-manifest.yaml"
NOT_BUILT = "0" * 64


def stamp(manifest: Path, archives: Path, version: str) -> list[str]:
    """Write them; returns the archives that are not there, which krew then can't install."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    plugin = yaml.load(manifest)
    spec = plugin["spec"]
    spec["version"] = f"v{version}"
    missing = []
    for platform in spec["platforms"]:
        labels = platform["selector"]["matchLabels"]
        name = archive_name(labels["os"], labels["arch"], version)
        releases = f"{spec['homepage']}/releases/download"
        platform["uri"] = f"{releases}/v{version}/{name}"
        archive = archives / name
        if archive.exists():
            platform["sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
        else:
            platform["sha256"] = NOT_BUILT
            missing.append(name)
    yaml.dump(plugin, manifest)
    return missing


def main() -> None:
    """Stamp the manifest at the root."""
    parser = argparse.ArgumentParser(prog="python -m release.manifest", description=__doc__)
    parser.add_argument(
        "--all-platforms", action="store_true", help="fail where an archive is missing"
    )
    strict = parser.parse_args().all_platforms
    missing = stamp(MANIFEST, DIST, __version__)
    for name in missing:
        print(f"not built: {name}")
    if missing and strict:
        raise SystemExit("the manifest is not complete")


if __name__ == "__main__":
    main()

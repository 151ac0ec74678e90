"""What the documentation shows is what is printed, and the site can be built from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.transcripts import ROOT, difference, differences, entries_of, world

TOLD = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "```console" in path.read_text()]


@pytest.mark.slow  # it has a control plane of its own
@pytest.mark.parametrize("file", TOLD, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_shows_what_is_printed(file: Path) -> None:
    with world() as told_to:
        found = list(differences(file, told_to))
    assert not found, "\n\n".join(found) + f"\n\nto write it: python -m tests.transcripts {file}"


def test_a_transcript_that_is_not_true_is_noticed() -> None:
    (entry,) = entries_of("$ echo one\ntwo\n")
    assert difference(entry.shown, ("one",)) == "- two\n+ one"
    assert difference(("at 2026-01-01, in 3 days",), ("at 2027-02-02, in a year",)) == ""
    assert difference(("a", "…"), ("b",))
    assert not difference(("a", "…"), ("b", "a", "c"))


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for page in ("index.html", "reference/issue/index.html", "reference/keys-rotate/index.html"):
        assert (tmp_path / page).is_file()

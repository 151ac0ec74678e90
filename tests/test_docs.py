"""What the documentation shows is what is printed, and the site can be built from it."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubectl_pxauth.cli.app import COMMANDS
from kubectl_pxauth.cli.table import relative
from release.reference import write_man_pages
from tests.picture import PICTURE, draw, lines_of
from tests.transcripts import ROOT, Part, difference, differences, entries_of, parts_of, world

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]


def is_told(part: Part) -> bool:
    """Whether there is something in it to run."""
    return part.kind in ("console", "sh") and not part.reason


TOLD = [path for path in PAGES if any(map(is_told, parts_of(path.read_text())))]


@pytest.mark.slow  # it has a control plane of its own
@pytest.mark.parametrize("file", TOLD, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_shows_what_is_printed(file: Path) -> None:
    with world() as told_to:
        found = list(differences(file, told_to))
    assert not found, "\n\n".join(found) + f"\n\nto write it: python -m tests.transcripts {file}"


@pytest.mark.slow
def test_the_picture_is_todays() -> None:
    with world() as told_to:
        drawn = lines_of(draw(told_to))
    found = difference(lines_of(PICTURE.read_text()), drawn)
    assert not found, f"{found}\n\nto draw it: python -m tests.picture"


def test_a_transcript_that_is_not_true_is_noticed() -> None:
    (entry,) = entries_of("$ echo one\ntwo\n")
    assert difference(entry.shown, ("one",)) == "- two\n+ one"
    assert difference(("at 2026-01-01, in 3 days",), ("at 2027-02-02, in a year",)) == ""
    now = datetime.now(UTC)
    for seconds in (0, 1, 2, 59, 60, 150, 3600, 9000, *(86400 * days for days in range(1, 1200))):
        ago, ahead = (relative(now + sign * timedelta(seconds=seconds), now) for sign in (-1, 1))
        assert difference(("2 seconds ago",), (ago,)) == ""
        assert difference(("in a year",), (ahead,)) == ""
    assert difference(("a", "…"), ("b",))
    assert not difference(("a", "…"), ("b", "a", "c"))


def test_every_block_is_run_or_says_why_not() -> None:
    blocks = [part for path in PAGES for part in parts_of(path.read_text())]
    fences = sum(len(re.findall(r"^ *```\w", path.read_text(), re.M)) for path in PAGES)
    assert fences == sum(part.kind not in ("setup", "check") for part in blocks)
    assert {part.kind for part in blocks} <= {"setup", "check", "console", "sh", "yaml", "text"}


def test_the_readme_is_short_and_names_every_command() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    assert re.findall(r"^\| \[`([a-z ]+)`\]\(docs/", text, re.M) == sorted(
        COMMANDS, key=lambda name: text.index(f"[`{name}`]")
    )


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_of_pages_outside_the_site_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        text = (ROOT / (path or name)).read_text()
        slugs = {
            re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.M)
        }
        assert not anchor or anchor in slugs, link


def test_every_command_has_a_man_page_with_its_flags(tmp_path: Path) -> None:
    write_man_pages(tmp_path)
    for name in COMMANDS:
        page = (tmp_path / f"kubectl-pxauth-{name.replace(' ', '-')}.1").read_text()
        text = page.replace("\\-", "-")
        assert f".SH NAME\nkubectl-pxauth-{name.replace(' ', '-')} - {COMMANDS[name]}\n" in text
        assert not re.search(r"^\.(?!TH|SH|TP|PP|nf|fi)", page, re.M)  # nothing reads as a macro
    issue = (tmp_path / "kubectl-pxauth-issue.1").read_text().replace("\\-", "-")
    assert "\\fB--namespace-selector SELECTOR\\fR" in issue
    assert "--kubeconfig" in (tmp_path / "kubectl-pxauth-options.1").read_text().replace("\\-", "-")
    assert "--kubeconfig" not in issue


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for page in ("index", "reference/issue/index", "reference/rights/index"):
        assert (tmp_path / f"{page}.html").is_file()


TESTED = r"`(tests/[\w/]+\.py)::(\w+)`"


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/explanation/threat-model.md"])
def test_each_promise_names_a_test_that_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    named = re.findall(TESTED, text)
    assert len(named) > 5
    for file, test in named:
        assert f"\ndef {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
    rows = [line for line in text.splitlines() if re.match(r"\| (?!---|They can't|Promise)", line)]
    assert [row for row in rows if not re.search(TESTED, row)] == []

"""What releases are made of, who may make them, and what is known of their parts."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release import audit
from release.archive import ROOT

REQUIREMENTS = audit.REQUIREMENTS.read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
JOBS = [
    (path.name, name, job)
    for path in WORKFLOWS
    for name, job in yaml.safe_load(path.read_text())["jobs"].items()
]


def test_what_the_archive_holds_is_pinned_by_hash() -> None:
    entries = re.split(r"\n(?=\w)", REQUIREMENTS.strip())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in REQUIREMENTS
    recipe = (ROOT / "Makefile").read_text().partition("ifeq ($(GROUP),release)")[2]
    assert "--require-hashes" in recipe.partition("else")[0]
    assert "GROUP=release" in (ROOT / "Containerfile").read_text()
    for _, _, job in JOBS:
        for step in job["steps"]:
            command = step.get("run", "")
            assert "make archive" not in command or "GROUP=release" in command


def test_the_pins_are_what_is_asked_for() -> None:
    """Whoever changes pyproject.toml also runs `make requirements`."""
    pins = audit.pinned(REQUIREMENTS)
    text = (ROOT / "pyproject.toml").read_text()
    asked = text.partition("dependencies = [")[2].partition("]\n\n")[0]
    asked += text.partition("release = [")[2].partition("]")[0]
    for requirement in re.findall(r'"([^"]+)"', asked):
        parsed = Requirement(requirement)
        assert parsed.specifier.contains(pins[canonicalize_name(parsed.name)]), requirement


def test_actions_are_pinned_by_commit() -> None:
    uses = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert len(uses) > 10
    for line in uses:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line), line


def test_base_images_are_pinned_by_digest() -> None:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    bases = dict(line.removeprefix("ARG ").split("=", 1) for line in lines if line[:4] == "ARG ")
    used = [re.split(r"[ {}]+", line.partition("$")[2])[1] for line in lines if line[:5] == "FROM "]
    assert used == list(bases)
    for image in bases.values():
        assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", image), image


def test_a_pull_request_may_write_nothing() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
    writing = [(name, job) for _, name, job in JOBS if "write" in str(job.get("permissions"))]
    assert {name for name, _ in writing} == {"attest", "image", "release"}
    for _, job in writing:
        assert job["if"] == "github.ref_type == 'tag'"
        assert job["environment"] == "release"
    for _, _, job in JOBS:
        for step in job["steps"]:
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def advisory(**more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": "Demo.Pkg"}} | more
    return {"id": "TEST-1", "affected": [affected]}


def events(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [{kind: text} for kind, text in pairs]}]}


@pytest.mark.parametrize(
    ("said", "fixed"),
    [
        (advisory(**events(("introduced", "0"), ("fixed", "2.0.1"))), "2.0.1"),
        (advisory(**events(("introduced", "2"), ("last_affected", "2.0"))), ""),
        (advisory(versions=["2.0"]), ""),
        (advisory(**events(("introduced", "0"), ("fixed", "1.5"), ("introduced", "2.0"))), "1.5"),
        (advisory(**events(("introduced", "0"), ("fixed", "2.0"))), None),
        (advisory(**events(("introduced", "2.0.1"))), None),
        (advisory(versions=["1.9"]), None),
        (advisory(versions=["2.0"]) | {"withdrawn": "2026-01-01T00:00:00Z"}, None),
        (advisory(versions=["2.0"], package={"ecosystem": "npm", "name": "demo-pkg"}), None),
        (advisory(versions=["2.0"], package={"ecosystem": "PyPI", "name": "other"}), None),
    ],
)
def test_an_advisory_is_heeded(tmp_path: Path, said: dict[str, Any], fixed: str | None) -> None:
    database = tmp_path / "all.zip"
    with ZipFile(database, "w") as archive:
        archive.writestr("TEST-1.json", json.dumps(said))
    found = list(audit.weaknesses({"demo-pkg": "2.0"}, database))
    assert found == ([] if fixed is None else [audit.Weakness("demo-pkg", "2.0", "TEST-1", fixed)])


def run(*arguments: str | Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "release.audit", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_without_a_database_nothing_is_said_to_be_well(tmp_path: Path) -> None:
    code, said = run()
    assert code == 1
    assert said.startswith("not checked: ")
    database = tmp_path / "all.zip"
    pin = audit.pinned(REQUIREMENTS)["urllib3"]
    package = {"ecosystem": "PyPI", "name": "urllib3"}
    with ZipFile(database, "w") as archive:
        archive.writestr("TEST-1.json", json.dumps(advisory(package=package, versions=[pin])))
    assert run(database) == (1, f"urllib3 {pin}: TEST-1, fixed in no release\n")
    with ZipFile(database, "w") as archive:
        archive.writestr("TEST-1.json", json.dumps(advisory(versions=["1"])))
    assert run(database)[1].endswith(" packages: none is named\n")

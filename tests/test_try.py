"""`make try`: the story that is told without a cluster."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_story_without_a_cluster_is_true(tmp_path: Path) -> None:
    nowhere = {"PATH": os.devnull, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "demo.without_cluster"],
        cwd=ROOT,
        env=nowhere,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall("^== ", done.stdout, re.MULTILINE)) > 4
    assert "Accepted:   yes" in done.stdout
    assert "problem  signature  not made with the cluster's key" in done.stdout
    assert {"kind: Secret", "kind: StorageClass"} <= set(done.stdout.splitlines())
    assert not list(tmp_path.iterdir())


def test_trying_it_needs_neither_the_tests_nor_go() -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "--always-make", "try"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    assert "demo.without_cluster" in recipe
    assert "--group" not in recipe
    assert "controlplane" not in recipe
    assert "--no-build-isolation" in recipe  # nor all that it needs a second time

"""GitHub's workflows, as far as they can be checked without GitHub."""

import subprocess

from controlplane.build import actionlint
from release.archive import ROOT


def test_the_linter_finds_nothing() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
    assert workflows
    # Without shellcheck and pyflakes, so that it finds the same on every host.
    done = subprocess.run(
        [actionlint(), "-no-color", "-shellcheck=", "-pyflakes=", *workflows],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")

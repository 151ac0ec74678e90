"""The wheel and the sdist, installed where nothing else is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from release.archive import ROOT
from tests.conftest import BIN, Shell, judge


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_pip_installs_it_and_it_does_its_main_job(shell: Shell, kind: str) -> None:
    dist = shell.home / "dist"
    subprocess.run([BIN / "python", "-m", "build", f"--{kind}", "-o", dist, ROOT], check=True)
    (package,) = dist.iterdir()
    programs = install(shell.home / "environment", package)
    manual = programs.with_name("share") / "man" / "man1" / "kubectl-pxauth-keys-rotate.1"
    assert ".SH SYNOPSIS" in manual.read_text()
    installed = shell.with_environment(PATH=f"{programs}:/usr/bin:/bin")
    assert str(programs / "kubectl-pxauth") in installed.kubectl("plugin", "list").out
    assert "secret/px-k8s-user created, " in installed.issue("kubernetes").out
    assert judge(installed.token())["accepted"]


def test_pipx_installs_it_and_it_does_its_main_job(shell: Shell) -> None:
    pipx = shell.home / "pipx"
    environment = os.environ | {"PIPX_HOME": str(pipx), "PIPX_BIN_DIR": str(pipx / "bin")}
    subprocess.run([BIN / "pipx", "install", str(ROOT)], env=environment, check=True)
    installed = shell.with_environment(PATH=f"{pipx / 'bin'}:/usr/bin:/bin")
    assert str(pipx / "bin" / "kubectl-pxauth") in installed.kubectl("plugin", "list").out
    assert "secret/px-k8s-user created, " in installed.issue("kubernetes").out
    assert installed.kubectl("__complete", "pxauth", "is").out.startswith("issue\t")
    assert judge(installed.token())["accepted"]


def install(environment: Path, package: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin" / "pip", "install", "--quiet", package], check=True)
    return environment / "bin"

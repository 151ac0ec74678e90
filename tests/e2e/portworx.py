"""Portworx in the real cluster: a DaemonSet whose pods are our CSI driver, and the sidecars.

The objects are those of the older manifests: the DaemonSet `portworx` in kube-system takes its key
from Secret pxkeys. The driver (controlplane/csi) asks for tokens as Portworx does.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane import build
from controlplane.node import Cluster
from controlplane.node_images import SHELL
from tests.conftest import SHARED_SECRET
from tests.e2e.waiting import eventually, kubectl_until_done
from tests.portworx_site import Site

DRIVER = "pxd.portworx.com"
_PXCTL = "#!/usr/bin/python3\n" + (Path(__file__).parents[1] / "pxctl.py").read_text()


@dataclass(frozen=True)
class Storage:
    """A cluster with Portworx in it, in the hands of an administrator."""

    site: Site
    volumes: Path
    """The driver's folder, with one for each volume."""

    def namespace(self, *names: str) -> None:
        """Make namespaces of tenants, which are deleted after the test."""
        metadata = {"labels": {"px-tenant": "true"}}
        spaces = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}
            for name in names
        ]
        self.create(*spaces)

    def pxauth(self, *arguments: str) -> str:
        """Run the plugin, which must succeed; returns what it prints."""
        done = self.site.pxauth(*arguments)
        assert done.code == 0, done.err
        return done.out

    def create(self, *manifests: dict[str, Any], namespace: str = "default") -> None:
        whole = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.site.done("create", "-n", namespace, "-f", "-", stdin=whole)

    def show(self, kind: str, name: str, namespace: str, path: str) -> str:
        return self.site.done("get", kind, name, "-n", namespace, "-o", f"jsonpath={path}")

    def wait(self, namespace: str, condition: str, *what: str) -> None:
        """Wait as `kubectl wait` does, for as long as the other stories wait."""
        kubectl_until_done(self.site, "wait", f"--for={condition}", *what, "-n", namespace)

    def claim(self, name: str, namespace: str, storage_class: str, **spec: Any) -> None:
        """Ask for a volume of 1 Gi."""
        self.create(volume_claim(name, storage_class, **spec), namespace=namespace)

    def bound(self, name: str, namespace: str) -> str:
        """Wait until a claim has its volume; returns whom that belongs to."""
        self.wait(namespace, "jsonpath={.status.phase}=Bound", f"pvc/{name}")
        return self.owner(self.handle(name, namespace))

    def owner(self, handle: str) -> str:
        """Whom the driver keeps a volume for."""
        kept = json.loads((self.volumes / handle / "volume.json").read_text())
        owner: str = kept["Ownership"]["owner"]
        return owner

    def all_bound(self, namespace: str) -> dict[str, str]:
        """Wait until all claims have their volumes; returns what the driver calls those."""
        self.wait(namespace, "jsonpath={.status.phase}=Bound", "pvc", "--all")
        each = "{.spec.claimRef.namespace} {.spec.claimRef.name} {.spec.csi.volumeHandle}"
        path = f'jsonpath={{range .items[*]}}{each}{{"\\n"}}{{end}}'
        lines = [line.split() for line in self.site.done("get", "pv", "-o", path).splitlines()]
        return {line[1]: line[2] for line in lines if line[0] == namespace}

    def handle(self, name: str, namespace: str) -> str:
        """What the driver calls the volume of a claim."""
        volume = self.show("pvc", name, namespace, "{.spec.volumeName}")
        return self.show("pv", volume, "", "{.spec.csi.volumeHandle}")

    def data(self, handle: str) -> Path:
        return self.volumes / handle / "data"

    def is_there(self, handle: str) -> bool:
        return (self.volumes / handle).exists()

    def grow(self, name: str, namespace: str, size: str) -> None:
        """Ask for more room in the volume of a claim."""
        patch = {"spec": {"resources": {"requests": {"storage": size}}}}
        self.site.done("patch", "pvc", name, "-n", namespace, "-p", json.dumps(patch))

    def has_grown(self, name: str, namespace: str, size: str) -> None:
        """Wait until the volume of a claim has this size."""
        self.wait(namespace, f"jsonpath={{.status.capacity.storage}}={size}", f"pvc/{name}")

    def run_pod(self, name: str, namespace: str, claim: str) -> None:
        """Make a pod that mounts a claim at /data."""
        self.create(pod(name, claim), namespace=namespace)

    def pod_runs(self, name: str, namespace: str) -> None:
        """Wait until a pod runs, with its volume mounted."""
        self.wait(namespace, "condition=Ready", f"pod/{name}")

    def snapshot_ready(self, name: str, namespace: str) -> None:
        """Wait until a snapshot is taken."""
        self.wait(namespace, "jsonpath={.status.readyToUse}=true", f"volumesnapshot/{name}")

    def sh(self, pod: str, namespace: str, command: str) -> str:
        return self.site.done("exec", pod, "-n", namespace, "--", "sh", "-c", command)

    def told(self, namespace: str, about: str, words: str) -> None:
        """Wait until an event about an object says these words."""
        field = f"--field-selector=involvedObject.name={about}"

        def said() -> bool:
            messages = "-o=jsonpath={.items[*].message}"
            return words in self.site.done("get", "events", "-n", namespace, field, messages)

        eventually(said, f"an event about {about} says {words!r}")

    def restart(self) -> None:
        """Restart Portworx as an administrator does, and wait for it."""
        self.site.done("rollout", "restart", "ds/portworx", "-n", "kube-system")
        self.started()

    def started(self) -> None:
        kubectl_until_done(self.site, "rollout", "status", "ds/portworx", "-n", "kube-system")


def volume_claim(name: str, storage_class: str, **spec: Any) -> dict[str, Any]:
    """Return the manifest of a claim for 1 Gi."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": "1Gi"}},
        }
        | spec,
    }


def pod(name: str, claim: str) -> dict[str, Any]:
    """Return the manifest of a pod that mounts a claim at /data."""
    container = {
        "name": "shell",
        "image": SHELL,
        "command": ["sleep", "1000000"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
            "terminationGracePeriodSeconds": 0,
        },
    }


@pytest.fixture(scope="session")
def sidecars(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The cluster with what stands between Kubernetes and the driver, in kube-system."""
    home = tmp_path_factory.mktemp("sidecars")
    site = Site("kube-system", home, {"KUBECONFIG": str(cluster.plane.kubeconfig())})
    crds = [flag for file in build.snapshot_crds() for flag in ("-f", str(file))]
    site.done("create", *crds)
    site.create({"kind": "ServiceAccount", "metadata": {"name": "px-csi"}})
    account = "--serviceaccount=kube-system:px-csi"
    site.done("create", "clusterrolebinding", "px-csi", "--clusterrole=cluster-admin", account)
    driver = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": False},
    }
    site.done("create", "-f", "-", stdin=driver)
    sockets = _HostFolder("plugins", cluster.node.kubelet_folder / "plugins" / DRIVER)
    address = f"--csi-address={sockets.path}/csi.sock"
    patience = ["--retry-interval-start=500ms", "--retry-interval-max=2s"]
    arguments = {
        "csi-provisioner": [address, "--feature-gates=Topology=false", *patience],
        "csi-resizer": [address, *patience],
        "csi-snapshotter": [address, *patience],
        "snapshot-controller": patience,
    }
    built = [build.sidecar(name) for name in arguments]
    folders = [sockets, _HostFolder("programs", built[0].parent)]
    containers = [
        {
            "name": program.name,
            "image": SHELL,
            "command": [str(program), "--leader-election=false", *arguments[program.name]],
            "volumeMounts": [folder.mount for folder in folders],
        }
        for program in built
    ]
    spec = {
        "serviceAccountName": "px-csi",
        "containers": containers,
        "volumes": [folder.volume for folder in folders],
        "terminationGracePeriodSeconds": 0,
    }
    site.done("create", "-f", "-", stdin=_workload("Deployment", "px-csi-ext", spec))
    return site


@pytest.fixture
def storage(cluster: Cluster, sidecars: Site, tmp_path: Path) -> Iterator[Storage]:
    """Portworx that runs with the key in Secret kube-system/pxkeys, and no token yet.

    What a test leaves in namespaces of tenants and in `portworx` is removed.
    """
    kubelet = cluster.node.kubelet_folder
    volumes = _HostFolder("volumes", cluster.node.folder / "volumes")
    folders = [
        _HostFolder("kubelet", kubelet, "Bidirectional"),
        volumes,
        _HostFolder("program", build.csi_driver().parent),
    ]
    pxctl = {"name": "pxctl", "mountPath": "/opt/pwx/bin/pxctl"}
    arguments = [
        f"-socket={kubelet}/plugins/{DRIVER}/csi.sock",
        f"-registry={kubelet}/plugins_registry",
        f"-state={volumes.path}",
        "-node=$(NODE)",
        "-jwt_issuer",
        "portworx.com",
    ]
    key = {"secretKeyRef": {"name": "pxkeys", "key": "shared-secret"}}
    node = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    container = {
        "name": "portworx",
        "image": SHELL,
        "command": [str(build.csi_driver())],
        "args": arguments,
        "env": [
            {"name": "NODE", "valueFrom": node},
            {"name": "PORTWORX_AUTH_JWT_SHAREDSECRET", "valueFrom": key},
        ],
        "securityContext": {"privileged": True},
        "volumeMounts": [pxctl, *(folder.mount for folder in folders)],
    }
    script = cluster.node.folder / "pxctl"
    script.write_text(_PXCTL)
    script.chmod(0o755)
    program = {"name": "pxctl", "hostPath": {"path": str(script), "type": "File"}}
    spec = {
        "containers": [container],
        "volumes": [program, *(folder.volume for folder in folders)],
        "terminationGracePeriodSeconds": 1,
    }
    site = Site("kube-system", tmp_path, sidecars.environment)
    site.done("create", "-f", "-", stdin=_workload("DaemonSet", "portworx", spec))
    storage = Storage(site, volumes.path)
    storage.started()
    yield storage
    _remove_what_tests_made(site)
    made = ("ds/portworx", "secret/pxkeys")
    site.done("delete", *made, "-n", "kube-system", "--ignore-not-found")
    site.lay_secret("kube-system/pxkeys", SHARED_SECRET)


def _remove_what_tests_made(site: Site) -> None:
    """Remove tenants with all that they have, volumes first: their tokens are needed for that."""
    ours = "app.kubernetes.io/managed-by=kubectl-pxauth"
    tenants = ["-l", "px-tenant=true"]
    found = site.done("get", "namespaces", *tenants, "-o", "jsonpath={.items[*].metadata.name}")
    for namespace in found.split():
        made = "pods,volumesnapshots,pvc"
        kubectl_until_done(site, "delete", made, "--all", "-n", namespace)
    kubectl_until_done(site, "delete", "pv", "--all")
    kubectl_until_done(site, "delete", "namespaces", *tenants)
    site.done("delete", "storageclasses,volumesnapshotclasses", "-l", ours)
    site.done("delete", "secrets", "-n", "portworx", "--all")


@dataclass(frozen=True)
class _HostFolder:
    """A folder of the node that a container has at the same path."""

    name: str
    path: Path
    propagation: str = "None"

    @property
    def volume(self) -> dict[str, Any]:
        host = {"path": str(self.path), "type": "DirectoryOrCreate"}
        return {"name": self.name, "hostPath": host}

    @property
    def mount(self) -> dict[str, Any]:
        mount = {"name": self.name, "mountPath": str(self.path)}
        return mount | {"mountPropagation": self.propagation}


def _workload(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"name": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }

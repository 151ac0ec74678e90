"""A cluster for the doctor, and what it says of it."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Run, claims_of, forge
from tests.portworx_site import (
    OURS,
    SECRET_VARIABLE,
    Site,
    csi,
    from_secret,
)

KINDS = (
    "storageclusters,secrets,daemonsets,storageclasses,persistentvolumeclaims,persistentvolumes,"
    "deployments,roles,rolebindings"
)


@dataclass(frozen=True)
class Said:
    """One finding: its severity and check, what it says, and what to do."""

    kind: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class Patient(Site):
    """A cluster to be looked at."""

    def doctor(self, *arguments: str, code: int = 0) -> list[Said]:
        """What the doctor finds."""
        done = self.pxauth("doctor", "-o", "json", *arguments)
        assert (done.code, done.err) == (code, ""), done.out
        found = json.loads(done.out)
        assert found["healthy"] is (code == 0)
        return [
            Said(f"{one['severity']} {one['check']}", one["message"], one["hint"])
            for one in found["findings"]
        ]

    def ill(self, kind: str, *arguments: str) -> Said:
        """The one finding of that kind, beside which all is well."""
        found = self.doctor(*arguments, code=int(kind.startswith("problem")))
        (said,) = (one for one in found if not one.kind.startswith("ok "))
        assert said.kind == kind
        return said

    def do_as_told(self, said: Said) -> list[Said]:
        """Let a shell do what a hint says, and what the doctor finds then."""
        assert said.hint
        command = ["sh", "-c", said.hint]
        subprocess.run(command, check=True, cwd=self.home, env=self.popen_environment)
        return self.doctor()

    def rights_of_jobs(self) -> set[str]:
        """The roles and bindings that are labelled as a job's, of this release or of 0.1.0."""
        kinds = "roles,rolebindings,clusterroles,clusterrolebindings"
        label = "app.kubernetes.io/name=pxauth-renew"
        found = json.loads(self.done("get", kinds, "-A", "-l", label, "-o", "json"))["items"]
        return {
            f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}"
            for one in found
        }

    def pxauth(self, *arguments: str | Path, stdin: str | None = None) -> Run:
        done = super().pxauth(*arguments, stdin=stdin)
        assert "eyJ" not in done.out
        return done

    def lay(self, *manifests: dict[str, Any]) -> None:
        """Make objects, in as few calls as can be."""
        self.done(
            "create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": manifests}
        )

    def scheduled(self, *arguments: str) -> None:
        """Let a job renew tokens."""
        done = self.pxauth("schedule", *arguments, "--image=i:1")
        assert done.code == 0, done.err

    def status(self, what: str, status: dict[str, Any]) -> None:
        """Say of something in kube-system how it is, as a controller would."""
        patch = ["--subresource=status", "--type=merge", "-p", json.dumps({"status": status})]
        self.done("patch", what, "-n", "kube-system", *patch)

    def remove(self, *arguments: str) -> None:
        self.done("delete", *arguments)

    def restarted(self, **spec: Any) -> None:
        """Start Portworx in another way."""
        self.remove("daemonset", "portworx", "-n", "kube-system")
        self.daemon_set(**spec)


def token(place: str, text: str | None = None, **metadata: Any) -> dict[str, Any]:
    """A Secret that holds a token, by default a good one of its own user."""
    namespace, name = place.split("/")
    data = (text or forge(claims_of(place), OURS)).encode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": namespace, "name": name, **metadata},
        "data": {"auth-token": base64.b64encode(data).decode()},
    }


def storage_class(name: str, parameters: dict[str, str], **content: Any) -> dict[str, Any]:
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    default = {"provisioner": "pxd.portworx.com", "allowVolumeExpansion": True}
    return kind | default | {"parameters": parameters} | content


def claim(place: str, of: str, **metadata: Any) -> dict[str, Any]:
    namespace, name = place.split("/")
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"]}
    spec["resources"] = {"requests": {"storage": "1Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": name, **metadata},
        "spec": spec | ({"storageClassName": of} if of else {}),
    }


def without(parameters: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if not key.endswith(keys)}


@pytest.fixture(scope="module")
def plane_arguments() -> list[str]:
    """No controller ends a claim's use."""
    return ["--disable-admission-plugins=ServiceAccount,StorageObjectInUseProtection"]


@pytest.fixture
def bare(own_plane: ControlPlane, tmp_path: Path) -> Patient:
    """A cluster with nothing of Portworx."""
    kubeconfig = own_plane.kubeconfig(namespace="px")
    patient = Patient("px", tmp_path, {"KUBECONFIG": str(kubeconfig)})
    patient.serve_storage_clusters()
    for namespace in ("px", "red", "green"):
        patient.kubectl("create", "namespace", namespace)
    patient.done("delete", KINDS, "--all", "-A")
    return patient


@pytest.fixture
def patient(bare: Patient) -> Patient:
    """A cluster that is well, with a claim that waits for something else than a token."""
    bare.lay_secret("kube-system/pxkeys")
    bare.daemon_set(
        args=["-jwt_issuer", "portworx.com"], env=[from_secret(SECRET_VARIABLE, "pxkeys")]
    )
    bare.lay(
        token("px/px-k8s-user"),
        storage_class("px-sc", csi("px"), volumeBindingMode="WaitForFirstConsumer"),
        storage_class("others", {}, provisioner="other.example"),
        claim("px/waits", "px-sc"),
        claim("px/others", "others"),
        claim("px/none", ""),
    )
    return bare

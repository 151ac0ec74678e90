"""Portworx as a cluster has it: what the operator, the older manifests or the docs lay down."""

import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Run, Shell, judge

GROUP = "core.libopenstorage.org"
OURS = b"never-shown: the shared secret of this cluster"
OTHERS = b"never-shown: the shared secret of another one"
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"storageclusters.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {
            "kind": "StorageCluster",
            "plural": "storageclusters",
            "singular": "storagecluster",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
SELF_SIGNED = "spec.security.auth.selfSigned"
SECRET_VARIABLE = "PORTWORX_AUTH_JWT_SHAREDSECRET"
ISSUER_VARIABLE = "PORTWORX_AUTH_JWT_ISSUER"
FINALIZER = "operator.libopenstorage.org/delete"
OPERATOR = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "StorageCluster",
    "name": "px-cluster",
    "uid": "1",
}
"""The owner of a Secret that the operator keeps."""
_SERVED_SECONDS = 30


@dataclass(frozen=True)
class Site(Shell):
    """A cluster to lay Portworx down in."""

    def done(self, *arguments: str, stdin: object = None) -> str:
        text = None if stdin is None else json.dumps(stdin)
        done = self.kubectl(*arguments, stdin=text)
        assert done.code == 0, done.err
        return done.out

    def serve_storage_clusters(self) -> None:
        """Make the operator's CRD, if it is not there; returns once the server knows the kind."""
        listing = ("get", "--raw", f"/apis/{GROUP}/v1/storageclusters")
        if self.kubectl(*listing).code == 0:
            return
        self.done("create", "-f", "-", stdin=CRD)
        self.done("wait", "--for=condition=established", "crd", "--all")
        deadline = time.monotonic() + _SERVED_SECONDS
        while (asked := self.kubectl(*listing)).code != 0:  # it is served a moment after
            assert time.monotonic() < deadline, f"StorageClusters are not served: {asked.err}"

    def release_storage_clusters(self) -> None:
        """Take the operator's finalizer off, so that they can be deleted."""
        listed = json.loads(self.done("get", "storageclusters", "-A", "-o", "json"))
        for item in listed["items"]:
            metadata = item["metadata"]
            if metadata.get("finalizers"):
                self.done(
                    *("patch", "storagecluster", metadata["name"], "-n", metadata["namespace"]),
                    *("--type=merge", "-p", '{"metadata":{"finalizers":null}}'),
                )

    def post(self, path: str, manifest: dict[str, Any]) -> None:
        self.done("create", "--raw", path, "-f", "-", stdin=manifest)

    def lay_secret(self, place: str, value: bytes = OURS, key: str = "shared-secret") -> None:
        namespace, name = place.split("/")
        path = self.home / "value"
        path.write_bytes(value)
        self.done(
            *("create", "secret", "generic", name, "-n", namespace, f"--from-file={key}={path}")
        )

    def storage_cluster(
        self,
        place: str,
        annotations: dict[str, str] | None = None,
        *,
        taken_up: bool = False,
        **spec: Any,
    ) -> None:
        """One as a user applies it, or as it is once the operator has taken it up."""
        namespace, name = place.split("/")
        finalizers = [FINALIZER] if taken_up else []
        self.post(
            f"/apis/{GROUP}/v1/namespaces/{namespace}/storageclusters",
            {
                "apiVersion": f"{GROUP}/v1",
                "kind": "StorageCluster",
                "metadata": {
                    "name": name,
                    "annotations": annotations or {},
                    "finalizers": finalizers,
                },
                "spec": {"image": "portworx/oci-monitor:3.1.0"} | spec,
            },
        )

    def daemon_set(
        self,
        namespace: str = "kube-system",
        args: list[str] | None = None,
        env: list[dict[str, Any]] | None = None,
        name: str = "portworx",
        env_from: list[dict[str, Any]] | None = None,
    ) -> None:
        labels = {"name": "portworx"}
        container: dict[str, Any] = {"name": "portworx", "image": "portworx/oci-monitor:2.13"}
        container |= {"envFrom": env_from or []}
        other = {"name": "csi-node-driver-registrar", "image": "csi", "args": ["--v=5"]}
        self.post(
            f"/apis/apps/v1/namespaces/{namespace}/daemonsets",
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {
                            "containers": [
                                container | {"args": ["-c", "px", *(args or [])], "env": env or []},
                                other,
                            ]
                        },
                    },
                },
            },
        )

    def allow(self, user: str, namespace: str, verb: str, resource: str) -> None:
        name = f"{user}-{verb}-{resource.replace('/', '-').replace('.', '-')}"
        role = ["role", name, f"--verb={verb}", f"--resource={resource.partition('/')[0]}"]
        if named := resource.partition("/")[2]:
            role.append(f"--resource-name={named}")
        self.done("create", *role, "-n", namespace)
        self.done(
            "create", "rolebinding", name, f"--role={name}", f"--user={user}", "-n", namespace
        )

    @contextmanager
    def everywhere(self, user: str, *resources: str) -> Iterator[None]:
        """Let the user get and list that in all namespaces."""
        role = ["--verb=get,list", f"--resource={','.join(resources)}"]
        self.done("create", "clusterrole", user, *role)
        try:
            binding = [f"--clusterrole={user}", f"--user={user}"]
            self.done("create", "clusterrolebinding", user, *binding)
            yield
        finally:
            self.kubectl("delete", f"clusterrole/{user}", f"clusterrolebinding/{user}")

    def discover(self, *arguments: str) -> dict[str, Any]:
        done = self.pxauth("discover", "-o", "json", *arguments)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    def pxauth(self, *arguments: str | Path, stdin: str | None = None) -> Run:
        done = super().pxauth(*arguments, stdin=stdin)
        assert "never-shown" not in done.out + done.err
        return done

    def takes(self, issuer: str, *arguments: str) -> None:
        """Issue a token; each command that judges it agrees, and knows that issuer."""
        assert self.pxauth("issue", "kubernetes", *arguments).code == 0
        assert f'ok       issuer     "{issuer}"' in self.pxauth("verify", *arguments).out
        assert json.loads(self.pxauth("inspect", *arguments, "-o=json").out)["accepted"] is True
        (token,) = json.loads(self.pxauth("list", *arguments, "-o=json").out)["items"]
        assert (token["status"], token["issuer"]) == ("valid", issuer)

    def signs_with(self, key: bytes, issuer: str, *arguments: str) -> str:
        """Make a token with what is found, and have it judged; returns what was said beside it."""
        done = self.pxauth("token", "kubernetes", *arguments)
        assert done.code == 0, done.err
        assert judge(done.out, issuer, key)["accepted"]
        return done.err


@pytest.fixture
def site(own_plane: ControlPlane, tmp_path: Path) -> Site:
    """A cluster with the operator's CRD, and nothing of Portworx."""
    site = Site("px", tmp_path, {"KUBECONFIG": str(own_plane.kubeconfig(namespace="px"))})
    site.serve_storage_clusters()
    kinds = "storageclusters,secrets,configmaps,daemonsets,roles,rolebindings"
    site.release_storage_clusters()
    site.done("delete", kinds, "--all", "-A")
    for namespace in ("px", "portworx", "other"):
        site.kubectl("create", "namespace", namespace)
    return site


def fingerprint(key: bytes) -> str:
    """What the plugin is to show of a key."""
    text = b"kubectl-pxauth: fingerprint of a shared secret"
    return hmac.digest(key, text, "sha256").hex()[:8]


def variable(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def from_secret(name: str, secret: str, key: str = "shared-secret") -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def self_signed(**fields: str) -> dict[str, Any]:
    return {"enabled": True, "auth": {"guestAccess": "Enabled", "selfSigned": fields}}


def csi(namespace: str, secret: str = "px-k8s-user") -> dict[str, str]:
    """The parameters of the Portworx docs' StorageClass for CSI."""
    pairs = [f"csi.storage.k8s.io/{step}-secret" for step in ("provisioner", "node-publish")]
    pairs.append("csi.storage.k8s.io/controller-expand-secret")
    names = {f"{pair}-name": secret for pair in pairs}
    return names | {f"{pair}-namespace": namespace for pair in pairs}

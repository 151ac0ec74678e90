"""The whole model, from a cluster with nothing of it to a StorageClass."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Portworx, Shell, decode, judge

NODE = Portworx.nodes[0]


@pytest.fixture
def bare(own_plane: ControlPlane, tmp_path: Path, pxctl: Path) -> Iterator[Portworx]:
    """A cluster of one node, with Portworx' pod on it as the DaemonSet makes it, and no keys."""
    homes = tmp_path / "homes"
    (homes / NODE).mkdir(parents=True)
    own_plane.start_kubelet({f"portworx-{NODE}": homes / NODE})
    shell = Shell("portworx", tmp_path, {"KUBECONFIG": str(own_plane.kubeconfig())})
    reference = {"name": "pxkeys", "key": "shared-secret"}
    container = {
        "name": "portworx",
        "image": "portworx",
        "args": ["-jwt_issuer", "portworx.com"],
        "env": [
            {
                "name": "PORTWORX_AUTH_JWT_SHAREDSECRET",
                "valueFrom": {"secretKeyRef": reference},
            }
        ],
    }
    labels = {"name": "portworx"}
    spec = {"containers": [container]}
    whole = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "portworx", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    shell.create(whole)
    shell.create({"kind": "Namespace", "metadata": {"name": "portworx", "namespace": None}})
    shell.create({"kind": "Node", "metadata": {"name": NODE, "namespace": None}})
    metadata = {"name": f"portworx-{NODE}", "labels": labels, "namespace": "kube-system"}
    shell.create({"kind": "Pod", "metadata": metadata, "spec": spec | {"nodeName": NODE}})
    ready = ("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
    assert shell.kubectl(*ready, "-n", "kube-system").code == 0
    yield Portworx(shell, homes, pxctl)
    shutil.rmtree(homes)


def test_from_nothing_to_a_storage_class(bare: Portworx) -> None:
    shell = bare.shell
    for command, said in (
        (["keys", "create"], "secret/pxkeys created"),
        (["issue", "kubernetes", "-n", "portworx"], "secret/px-k8s-user created"),
        (
            ["context", "create", "admin", "--pxctl", bare.pxctl],
            f"context/admin saved on node {NODE}",
        ),
        (
            ["storageclass", "px-sc", "-n", "portworx"],
            "storageclass.storage.k8s.io/px-sc created",
        ),
    ):
        done = shell.pxauth(*command)
        assert (done.code, done.out.strip().partition(", expires ")[0]) == (0, said), done.err
    keys = json.loads(
        shell.kubectl("get", "secret", "pxkeys", "-n", "kube-system", "-o", "json").out
    )
    shared_secret = base64.b64decode(keys["data"]["shared-secret"])
    admin = bare.token(NODE) or ""
    for token, roles in ((shell.token(), ["system.user"]), (admin, ["system.admin"])):
        assert judge(token, shared_secret=shared_secret)["accepted"]
        assert decode(token)["roles"] == roles
    found = json.loads(shell.kubectl("get", "storageclass", "px-sc", "-o", "json").out)
    assert found["parameters"]["csi.storage.k8s.io/provisioner-secret-name"] == "px-k8s-user"
    healthy = shell.pxauth("doctor")
    assert healthy.code == 0
    assert "warning" not in healthy.out

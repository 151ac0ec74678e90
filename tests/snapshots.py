"""VolumeSnapshotClasses in a test's cluster: a CRD with what the real one checks of them.

The real one: kubernetes-csi/external-snapshotter, client/config/crd.
"""

from typing import Any

from tests.conftest import Shell

_RESOURCE = "volumesnapshotclasses"
_GROUP = "snapshot.storage.k8s.io"
_TEXT = {"type": "string"}

SNAPSHOT_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": f"{_RESOURCE}.{_GROUP}",
        "annotations": {"api-approved.kubernetes.io": "unapproved, for tests alone"},
    },
    "spec": {
        "group": _GROUP,
        "scope": "Cluster",
        "names": {
            "kind": "VolumeSnapshotClass",
            "listKind": "VolumeSnapshotClassList",
            "plural": _RESOURCE,
            "singular": "volumesnapshotclass",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["deletionPolicy", "driver"],
                        "properties": {
                            "deletionPolicy": {"type": "string", "enum": ["Delete", "Retain"]},
                            "driver": _TEXT,
                            "parameters": {"type": "object", "additionalProperties": _TEXT},
                        },
                    }
                },
            }
        ],
    },
}


def group_snapshot_crd(version: str) -> dict[str, Any]:
    """The same for VolumeGroupSnapshotClasses, served in that version alone."""
    resource, group = "volumegroupsnapshotclasses", "groupsnapshot.storage.k8s.io"
    spec = SNAPSHOT_CRD["spec"]
    names = {
        "kind": "VolumeGroupSnapshotClass",
        "listKind": "VolumeGroupSnapshotClassList",
        "plural": resource,
        "singular": "volumegroupsnapshotclass",
    }
    versions = [spec["versions"][0] | {"name": version}]
    metadata = SNAPSHOT_CRD["metadata"] | {"name": f"{resource}.{group}"}
    spec = spec | {"group": group, "names": names, "versions": versions}
    return SNAPSHOT_CRD | {"metadata": metadata, "spec": spec}


def wait_for_snapshot_classes(shell: Shell, crd: dict[str, Any] = SNAPSHOT_CRD) -> None:
    """Wait until the API server serves them, which it does a moment after it has the CRD."""
    spec = crd["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    for _ in range(100):
        if shell.kubectl("get", "--raw", path).code == 0:
            return
    raise AssertionError(f"{path} is not served")

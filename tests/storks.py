"""stork's objects in a test's cluster: CRDs that take any spec.

Source of names and groups: libopenstorage/stork, pkg/apis/stork/v1alpha1, and
kubernetes-incubator/external-storage, snapshot/pkg/apis/crd/v1.
"""

from typing import Any

_STORKS = "stork.libopenstorage.org/v1alpha1"
API_VERSIONS = {
    "VolumeSnapshotSchedule": _STORKS,
    "MigrationSchedule": _STORKS,
    "GroupVolumeSnapshot": _STORKS,
    "VolumeSnapshotRestore": _STORKS,
    "ClusterPair": _STORKS,
    "VolumeSnapshot": "volumesnapshot.external-storage.k8s.io/v1",
}


def stork_crd(kind: str) -> dict[str, Any]:
    group, _, version = API_VERSIONS[kind].partition("/")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.lower()}s.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests alone"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": f"{kind.lower()}s",
                "singular": kind.lower(),
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def stork_object(kind: str, place: str, secret: str = "") -> dict[str, Any]:
    """An object of that kind, which names that Secret by its annotations."""
    namespace, name = place.split("/")
    metadata: dict[str, Any] = {"namespace": namespace, "name": name}
    if secret:
        its_namespace, its_name = secret.split("/")
        metadata["annotations"] = {
            "openstorage.io/auth-secret-namespace": its_namespace,
            "openstorage.io/auth-secret-name": its_name,
        }
    return {"apiVersion": API_VERSIONS[kind], "kind": kind, "metadata": metadata}

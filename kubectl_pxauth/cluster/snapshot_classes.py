"""VolumeSnapshotClasses, and VolumeGroupSnapshotClasses, which are only read.

Source: kubernetes-csi/external-snapshotter, client/apis/volumesnapshot/v1 and pkg/utils/util.go
(IsDefaultSnapshotClassAnnotation).
"""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from kubectl_pxauth.cluster.applied import Kind
from kubectl_pxauth.cluster.classes import (
    AnyClass,
    class_manifest,
    list_classes,
    metadata_change,
)
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import Metadata
from kubectl_pxauth.cluster.storage_classes import ReclaimPolicy
from kubectl_pxauth.errors import ClusterError, ForbiddenError, NotFoundError
from kubectl_pxauth.frozen import dataclass


@dataclass(frozen=True)
class SnapshotClass(AnyClass):
    """A VolumeSnapshotClass as the API server has it."""

    KIND = Kind(
        "VolumeSnapshotClass", "volumesnapshotclasses", "snapshot.storage.k8s.io", namespaced=False
    )
    DEFAULTS = ("snapshot.storage.kubernetes.io/is-default-class",)

    @property
    def driver(self) -> str:
        """What makes its snapshots."""
        return str(self.manifest["driver"])


_GROUPS = Kind(
    "VolumeGroupSnapshotClass",
    "volumegroupsnapshotclasses",
    "groupsnapshot.storage.k8s.io",
    namespaced=False,
)


@dataclass(frozen=True)
class SnapshotClassContent:
    """What this plugin writes into a VolumeSnapshotClass.

    None for the policy or the default leaves it as it is; a new class deletes.
    """

    driver: str
    parameters: Mapping[str, str]
    deletion_policy: ReclaimPolicy | None
    default: bool | None
    asked: Metadata = field(default_factory=Metadata)

    def manifest(self, name: str) -> dict[str, Any]:
        """A VolumeSnapshotClass of just this content, as `kubectl apply -f -` takes it."""
        content = {
            "driver": self.driver,
            "parameters": dict(self.parameters),
            "deletionPolicy": str(self.deletion_policy or ReclaimPolicy.DELETE),
        }
        return class_manifest(SnapshotClass, name, content, default=self.default, asked=self.asked)

    def change(self, found: SnapshotClass) -> dict[str, Any]:
        """The fields to change, as a merge patch; empty where there are none.

        A parameter that is there and not here stays: it is somebody else's. Raises ClusterError
        for a class of another driver.
        """
        if found.driver != self.driver:
            raise ClusterError(
                f"VolumeSnapshotClass {found.name} is of the driver {found.driver}",
                hint="choose another name",
            )
        change: dict[str, Any] = {}
        parameters = {
            key: value
            for key, value in self.parameters.items()
            if found.parameters.get(key) != value
        }
        if parameters:
            change["parameters"] = parameters
        if self.deletion_policy not in (None, found.manifest.get("deletionPolicy")):
            change["deletionPolicy"] = str(self.deletion_policy)
        if metadata := metadata_change(found, default=self.default, asked=self.asked):
            change["metadata"] = metadata
        return change


def list_snapshot_classes(
    cluster: Cluster, kind: type[SnapshotClass] = SnapshotClass
) -> list[SnapshotClass] | None:
    """All VolumeSnapshotClasses, None where the cluster knows no such thing.

    Raises ForbiddenError and other ClusterErrors.
    """
    try:
        return list(list_classes(cluster, kind))
    except NotFoundError:
        return None
    except ForbiddenError:
        if not _is_served(cluster, kind.KIND):
            return None
        raise


def list_group_snapshot_classes(cluster: Cluster) -> list[SnapshotClass] | None:
    """All VolumeGroupSnapshotClasses, in the same way."""
    # The newest version first: an older snapshot controller serves only older ones.
    for version in ("v1", "v1beta2", "v1beta1"):

        class GroupSnapshotClass(SnapshotClass):
            KIND = replace(_GROUPS, version=version)

        found = list_snapshot_classes(cluster, GroupSnapshotClass)
        if found is not None:
            return found
    return None


def _is_served(cluster: Cluster, kind: Kind) -> bool:
    """Whether the API server serves the kind, which every user may ask."""
    try:
        resources = cluster.get(*kind.path(None)[:-1]).get("resources") or ()
    except NotFoundError:
        return False
    return any(resource.get("name") == kind.plural for resource in resources)

"""VolumeSnapshotClasses, read and written.

Source: kubernetes-csi/external-snapshotter, client/apis/volumesnapshot/v1 and pkg/utils/util.go
(IsDefaultSnapshotClassAnnotation).
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import (
    MANAGED_BY,
    DryRun,
    explain_forbidden,
    holds,
    write_for_sure,
    write_query,
)
from kubectl_pxauth.cluster.storage_classes import ReclaimPolicy
from kubectl_pxauth.errors import ConflictError, ForbiddenError, NotFoundError
from kubectl_pxauth.frozen import dataclass

IS_DEFAULT = "snapshot.storage.kubernetes.io/is-default-class"
_GROUP = ("apis", "snapshot.storage.k8s.io", "v1")
_PATH = (*_GROUP, "volumesnapshotclasses")


@dataclass(frozen=True)
class SnapshotClass:
    """A VolumeSnapshotClass as the API server has it; manifest is the whole object."""

    name: str
    manifest: dict[str, Any] = field(repr=False)

    @property
    def is_default(self) -> bool:
        """Whether it is taken for snapshots that name none."""
        annotations = self.manifest["metadata"].get("annotations") or {}
        return bool(annotations.get(IS_DEFAULT) == "true")

    @property
    def driver(self) -> str:
        """What makes its snapshots."""
        return str(self.manifest["driver"])

    @property
    def parameters(self) -> Mapping[str, str]:
        """What its driver is told."""
        return self.manifest.get("parameters") or {}


@dataclass(frozen=True)
class SnapshotClassContent:
    """What this plugin writes into a VolumeSnapshotClass; a default of None leaves it as it is."""

    driver: str
    parameters: Mapping[str, str]
    deletion_policy: ReclaimPolicy
    default: bool | None

    def manifest(self, name: str) -> dict[str, Any]:
        """A VolumeSnapshotClass of just this content, as `kubectl apply -f -` takes it."""
        metadata: dict[str, Any] = {"name": name, "labels": {MANAGED_BY: "kubectl-pxauth"}}
        if self.default is not None:
            metadata["annotations"] = self._annotations()
        return {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshotClass",
            "metadata": metadata,
            "driver": self.driver,
            "parameters": dict(self.parameters),
            "deletionPolicy": str(self.deletion_policy),
        }

    def change(self, found: SnapshotClass) -> dict[str, Any]:
        """The fields to change, as a merge patch; empty where there are none.

        A parameter that is there and not here stays: it is somebody else's.
        """
        change: dict[str, Any] = {}
        parameters = {
            key: value
            for key, value in self.parameters.items()
            if found.parameters.get(key) != value
        }
        if parameters:
            change["parameters"] = parameters
        if found.manifest.get("deletionPolicy") != self.deletion_policy:
            change["deletionPolicy"] = str(self.deletion_policy)
        if self.default is not None and self.default != found.is_default:
            change["metadata"] = {"annotations": self._annotations()}
        return change

    def _annotations(self) -> dict[str, str]:
        return {IS_DEFAULT: "true" if self.default else "false"}


def find_snapshot_class(cluster: Cluster, name: str) -> SnapshotClass | None:
    """The VolumeSnapshotClass, or None where there is none; raises ForbiddenError and others."""
    try:
        return _snapshot_class(cluster.get(*_PATH, name))
    except NotFoundError:
        return None
    except ForbiddenError as error:
        raise _forbidden(error, "get", name) from None


def list_snapshot_classes(cluster: Cluster) -> list[SnapshotClass] | None:
    """All VolumeSnapshotClasses, None where the cluster knows no such thing.

    Raises ForbiddenError and other ClusterErrors.
    """
    try:
        return [_snapshot_class(item) for item in cluster.items(*_PATH)]
    except NotFoundError:
        return None
    except ForbiddenError as error:
        if not _has_crd(cluster):
            return None
        raise _forbidden(error, "list") from None


def create_snapshot_class(
    cluster: Cluster, name: str, content: SnapshotClassContent, dry_run: DryRun
) -> SnapshotClass:
    """Make the VolumeSnapshotClass; a client-side dry run returns what would be sent.

    Raises ConflictError if it exists, NotFoundError where the CRD does not, and other
    ClusterErrors.
    """
    if dry_run is DryRun.CLIENT:
        return SnapshotClass(name, content.manifest(name))
    try:
        manifest, query = content.manifest(name), write_query(dry_run)
        answer = write_for_sure(
            cluster,
            f"VolumeSnapshotClass {name}",
            (*_PATH, name),
            lambda: cluster.post(*_PATH, body=manifest, **query),
            done=lambda there: holds(there, manifest),
            free=lambda there: there is None,
        )
    except NotFoundError:
        raise NotFoundError(
            "this cluster knows no VolumeSnapshotClasses",
            hint="its CRDs come with the snapshot controller: kubectl get crd"
            " volumesnapshotclasses.snapshot.storage.k8s.io",
        ) from None
    except ForbiddenError as error:
        raise _forbidden(error, "create", name) from None
    return _snapshot_class(answer)


def update_snapshot_class(
    cluster: Cluster, found: SnapshotClass, change: dict[str, Any], dry_run: DryRun
) -> SnapshotClass:
    """Lay the change over the class as it was read; raises ConflictError if it changed."""
    precondition = {"resourceVersion": found.manifest["metadata"]["resourceVersion"]}
    body = change | {"metadata": precondition | change.get("metadata", {})}
    try:
        query = write_query(dry_run)
        answer = write_for_sure(
            cluster,
            f"VolumeSnapshotClass {found.name}",
            (*_PATH, found.name),
            lambda: cluster.merge_patch(*_PATH, found.name, body=body, **query),
            done=lambda there: holds(there, change),
            free=lambda there: holds(there, {"metadata": precondition}),
        )
    except NotFoundError as error:
        raise ConflictError(f"VolumeSnapshotClass {found.name}: {error}") from None
    except ForbiddenError as error:
        raise _forbidden(error, "patch", found.name) from None
    return _snapshot_class(answer)


def _has_crd(cluster: Cluster) -> bool:
    """Whether the API server serves the group, which every user may ask."""
    try:
        resources = cluster.get(*_GROUP).get("resources") or ()
    except NotFoundError:
        return False
    return any(resource.get("name") == _PATH[-1] for resource in resources)


def _snapshot_class(manifest: dict[str, Any]) -> SnapshotClass:
    manifest["metadata"].pop("managedFields", None)  # kubectl leaves them out as well
    return SnapshotClass(manifest["metadata"]["name"], manifest)


def _forbidden(error: ForbiddenError, verb: str, name: str = "") -> ForbiddenError:
    what = f"VolumeSnapshotClass {name}" if name else "VolumeSnapshotClasses"
    resource = "volumesnapshotclasses.snapshot.storage.k8s.io"
    return explain_forbidden(error, verb, what, resource=resource, name=name, namespace="")

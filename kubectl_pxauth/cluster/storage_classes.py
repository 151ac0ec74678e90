"""StorageClasses, read and written."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import (
    MANAGED_BY,
    DryRun,
    Metadata,
    explain_forbidden,
    holds,
    write_for_sure,
    write_query,
)
from kubectl_pxauth.errors import ConflictError, ForbiddenError, NotFoundError
from kubectl_pxauth.frozen import dataclass

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
# Kubernetes still heeds the older of the two.
_DEFAULTS = {IS_DEFAULT, "storageclass.beta.kubernetes.io/is-default-class"}
_PATH = ("apis", "storage.k8s.io", "v1", "storageclasses")


class ReclaimPolicy(StrEnum):
    """What becomes of a volume whose claim is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


@dataclass(frozen=True)
class StorageClass:
    """A StorageClass as the API server has it; manifest is the whole object, for printing."""

    name: str
    manifest: dict[str, Any] = field(repr=False)

    @property
    def is_default(self) -> bool:
        """Whether Kubernetes gives it to claims that name none; source: pkg/volume/util."""
        return any(_annotations(self.manifest).get(key) == "true" for key in _DEFAULTS)

    @property
    def provisioner(self) -> str:
        """What makes its volumes."""
        return str(self.manifest["provisioner"])

    @property
    def parameters(self) -> Mapping[str, str]:
        """What its provisioner is told."""
        return self.manifest.get("parameters") or {}

    @property
    def allows_expansion(self) -> bool:
        """Whether claims of it can grow."""
        return bool(self.manifest.get("allowVolumeExpansion"))


@dataclass(frozen=True)
class StorageClassContent:
    """What this plugin writes into a StorageClass; a default of None leaves it as it is."""

    provisioner: str
    parameters: Mapping[str, str]
    reclaim_policy: ReclaimPolicy
    allow_volume_expansion: bool
    default: bool | None
    asked: Metadata = field(default_factory=Metadata)

    def manifest(self, name: str) -> dict[str, Any]:
        """A StorageClass of just this content, as `kubectl apply -f -` takes it."""
        labels = {MANAGED_BY: "kubectl-pxauth", **self.asked.labels}
        annotations = dict(self.asked.annotations)
        if self.default is not None:
            annotations[IS_DEFAULT] = _text(self.default)
        metadata: dict[str, Any] = {"name": name, "labels": labels}
        if annotations:
            metadata["annotations"] = annotations
        return {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": metadata,
            "provisioner": self.provisioner,
            "parameters": dict(self.parameters),
            "reclaimPolicy": str(self.reclaim_policy),
            "allowVolumeExpansion": self.allow_volume_expansion,
        }

    def differences(self, found: StorageClass) -> tuple[str, ...]:
        """Each field that would have to change but can't, with its old and its new value.

        Source: ValidateStorageClassUpdate of Kubernetes' pkg/apis/storage/validation, which lets
        metadata, allowVolumeExpansion, mountOptions and allowedTopologies change.
        """
        old, new = _immutable(found.manifest), _immutable(self.manifest(found.name))
        return tuple(
            f"{key} {_quoted(old.get(key))} -> {_quoted(new.get(key))}"
            for key in sorted(old | new)
            if old.get(key) != new.get(key)
        )

    def change(self, found: StorageClass) -> dict[str, Any]:
        """The fields to change, as a merge patch; empty where there are none."""
        change: dict[str, Any] = {}
        if found.allows_expansion != self.allow_volume_expansion:
            change["allowVolumeExpansion"] = self.allow_volume_expansion
        if self.default is not None and self.default != found.is_default:
            present = _DEFAULTS & _annotations(found.manifest).keys()
            keys = {IS_DEFAULT} if self.default else present
            change["metadata"] = {"annotations": dict.fromkeys(keys, _text(self.default))}
        if not self.asked.is_on(found.manifest):
            metadata = change.setdefault("metadata", {})
            metadata["labels"] = dict(self.asked.labels)
            metadata["annotations"] = {
                **self.asked.annotations,
                **metadata.get("annotations", {}),
            }
        return change


def find_storage_class(cluster: Cluster, name: str) -> StorageClass | None:
    """The StorageClass, or None where there is none; raises ForbiddenError and ClusterErrors."""
    try:
        return _storage_class(cluster.get(*_PATH, name))
    except NotFoundError:
        return None
    except ForbiddenError as error:
        raise _forbidden(error, "get", name) from None


def list_storage_classes(cluster: Cluster) -> list[StorageClass]:
    """All StorageClasses; raises ForbiddenError and other ClusterErrors."""
    try:
        return [_storage_class(item) for item in cluster.items(*_PATH)]
    except ForbiddenError as error:
        raise _forbidden(error, "list") from None


def create_storage_class(
    cluster: Cluster, name: str, content: StorageClassContent, dry_run: DryRun
) -> StorageClass:
    """Make the StorageClass; a client-side dry run returns what would be sent.

    Raises ConflictError if it exists, and other ClusterErrors.
    """
    if dry_run is DryRun.CLIENT:
        return _storage_class(content.manifest(name))
    try:
        manifest, query = content.manifest(name), write_query(dry_run)
        answer = write_for_sure(
            cluster,
            f"StorageClass {name}",
            (*_PATH, name),
            lambda: cluster.post(*_PATH, body=manifest, **query),
            done=lambda there: holds(there, manifest),
            free=lambda there: there is None,
        )
    except ForbiddenError as error:
        raise _forbidden(error, "create", name) from None
    return _storage_class(answer)


def update_storage_class(
    cluster: Cluster, found: StorageClass, change: dict[str, Any], dry_run: DryRun
) -> StorageClass:
    """Lay the change over the StorageClass as it was read; raises ConflictError if it changed."""
    precondition = {"resourceVersion": found.manifest["metadata"]["resourceVersion"]}
    body = change | {"metadata": precondition | change.get("metadata", {})}
    try:
        query = write_query(dry_run)
        answer = write_for_sure(
            cluster,
            f"StorageClass {found.name}",
            (*_PATH, found.name),
            lambda: cluster.merge_patch(*_PATH, found.name, body=body, **query),
            done=lambda there: holds(there, change),
            free=lambda there: holds(there, {"metadata": precondition}),
        )
    except NotFoundError as error:
        raise ConflictError(f"StorageClass {found.name}: {error}") from None
    except ForbiddenError as error:
        raise _forbidden(error, "patch", found.name) from None
    return _storage_class(answer)


def _annotations(manifest: dict[str, Any]) -> dict[str, str]:
    return manifest["metadata"].get("annotations") or {}


def _immutable(manifest: dict[str, Any]) -> dict[str, str]:
    parameters = manifest.get("parameters") or {}
    fields = {key: manifest[key] for key in ("provisioner", "reclaimPolicy")}
    return fields | {f"parameters.{key}": value for key, value in parameters.items()}


def _quoted(value: str | None) -> str:
    return "(none)" if value is None else f'"{value}"'


def _text(value: bool) -> str:
    return "true" if value else "false"


def _storage_class(manifest: dict[str, Any]) -> StorageClass:
    manifest["metadata"].pop("managedFields", None)  # kubectl leaves them out as well
    return StorageClass(manifest["metadata"]["name"], manifest)


def _forbidden(error: ForbiddenError, verb: str, name: str = "") -> ForbiddenError:
    what = f"StorageClass {name}" if name else "StorageClasses"
    return explain_forbidden(error, verb, what, resource="storageclasses", name=name, namespace="")

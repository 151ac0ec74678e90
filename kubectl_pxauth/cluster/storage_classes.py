"""StorageClasses."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from kubectl_pxauth.cluster.applied import Kind
from kubectl_pxauth.cluster.classes import AnyClass, class_manifest, metadata_change
from kubectl_pxauth.cluster.objects import Metadata
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.frozen import dataclass


class ReclaimPolicy(StrEnum):
    """What becomes of a volume whose claim is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


@dataclass(frozen=True)
class StorageClass(AnyClass):
    """A StorageClass as the API server has it."""

    KIND = Kind("StorageClass", "storageclasses", "storage.k8s.io", namespaced=False)
    # Kubernetes still heeds the older of the two; source: pkg/volume/util.
    DEFAULTS = (
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    )

    @property
    def provisioner(self) -> str:
        """What makes its volumes."""
        return str(self.manifest["provisioner"])

    @property
    def allows_expansion(self) -> bool:
        """Whether claims of it can grow."""
        return bool(self.manifest.get("allowVolumeExpansion"))


@dataclass(frozen=True)
class StorageClassContent:
    """What this plugin writes into a StorageClass.

    None for the expansion or the default leaves it as it is; claims of a new class can grow.
    """

    provisioner: str
    parameters: Mapping[str, str]
    reclaim_policy: ReclaimPolicy
    allow_volume_expansion: bool | None
    default: bool | None
    asked: Metadata = field(default_factory=Metadata)

    def manifest(self, name: str) -> dict[str, Any]:
        """A StorageClass of just this content, as `kubectl apply -f -` takes it."""
        content = {
            "provisioner": self.provisioner,
            "parameters": dict(self.parameters),
            "reclaimPolicy": str(self.reclaim_policy),
            "allowVolumeExpansion": self.allow_volume_expansion is not False,
        }
        return class_manifest(StorageClass, name, content, default=self.default, asked=self.asked)

    def change(self, found: StorageClass) -> dict[str, Any]:
        """The fields to change, as a merge patch; empty where there are none.

        Raises ClusterError where a field would have to change that can't. Source:
        ValidateStorageClassUpdate of Kubernetes' pkg/apis/storage/validation, which lets metadata,
        allowVolumeExpansion, mountOptions and allowedTopologies change.
        """
        old, new = _immutable(found.manifest), _immutable(self.manifest(found.name))
        differences = [
            f"{key} {_quoted(old.get(key))} -> {_quoted(new.get(key))}"
            for key in sorted(old | new)
            if old.get(key) != new.get(key)
        ]
        if differences:
            raise ClusterError(
                f"StorageClass {found.name} exists, and can't be changed in"
                f" {', '.join(differences)}",
                hint="choose another name, or delete the class and run this command again:"
                f" kubectl delete storageclass {found.name} (its volumes stay, and go on using the"
                " Secret that they were made with)",
            )
        change: dict[str, Any] = {}
        if self.allow_volume_expansion not in (None, found.allows_expansion):
            change["allowVolumeExpansion"] = self.allow_volume_expansion
        if metadata := metadata_change(found, default=self.default, asked=self.asked):
            change["metadata"] = metadata
        return change


def _immutable(manifest: dict[str, Any]) -> dict[str, str]:
    parameters = manifest.get("parameters") or {}
    fields = {key: manifest[key] for key in ("provisioner", "reclaimPolicy")}
    return fields | {f"parameters.{key}": value for key, value in parameters.items()}


def _quoted(value: str | None) -> str:
    return "(none)" if value is None else f'"{value}"'

"""PersistentVolumeClaims, read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import explain_forbidden
from kubectl_pxauth.errors import ForbiddenError

_CLASS = "volume.beta.kubernetes.io/storage-class"  # an annotation, which Kubernetes still heeds


@dataclass(frozen=True, slots=True)
class VolumeClaim:
    """A PersistentVolumeClaim; storage_class is empty where it names none.

    volume is the name of its volume, or the one that the CSI provisioner will give it.
    """

    namespace: str
    name: str
    storage_class: str
    volume: str
    annotations: Mapping[str, str]
    pending: bool

    def template_values(self) -> dict[str, str]:
        """What the CSI provisioner fills in for it, by the templates' names."""
        values = {f"pvc.annotations['{key}']": value for key, value in self.annotations.items()}
        own = {"pvc.namespace": self.namespace, "pvc.name": self.name, "pv.name": self.volume}
        return values | own


def list_volume_claims(cluster: Cluster) -> Iterator[VolumeClaim]:
    """Those of all namespaces, page by page; raises ForbiddenError and other ClusterErrors."""
    try:
        yield from map(_claim, cluster.items("api", "v1", "persistentvolumeclaims"))
    except ForbiddenError as error:
        what = "PersistentVolumeClaims"
        raise explain_forbidden(
            error, what, resource="persistentvolumeclaims", name="", namespace=None
        ) from None


def _claim(manifest: dict[str, Any]) -> VolumeClaim:
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    spec = manifest["spec"]
    return VolumeClaim(
        namespace=metadata["namespace"],
        name=metadata["name"],
        storage_class=annotations.get(_CLASS) or spec.get("storageClassName") or "",
        volume=spec.get("volumeName") or f"pvc-{metadata['uid']}",
        annotations=annotations,
        pending=(manifest.get("status") or {}).get("phase") == "Pending",
    )

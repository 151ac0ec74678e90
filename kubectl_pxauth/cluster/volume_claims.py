"""PersistentVolumeClaims, read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import explain_forbidden
from kubectl_pxauth.errors import ForbiddenError

_CLASS = "volume.beta.kubernetes.io/storage-class"  # an annotation, which Kubernetes still heeds


@dataclass(frozen=True)
class VolumeClaim:
    """A PersistentVolumeClaim; storage_class is empty where it names none."""

    namespace: str
    name: str
    storage_class: str
    pending: bool


def list_volume_claims(cluster: Cluster) -> Iterator[VolumeClaim]:
    """Those of all namespaces, page by page; raises ForbiddenError and other ClusterErrors."""
    try:
        yield from map(_claim, cluster.items("api", "v1", "persistentvolumeclaims"))
    except ForbiddenError as error:
        what = "PersistentVolumeClaims"
        raise explain_forbidden(
            error, "list", what, resource="persistentvolumeclaims", name="", namespace=None
        ) from None


def _claim(manifest: dict[str, Any]) -> VolumeClaim:
    metadata = manifest["metadata"]
    annotated = (metadata.get("annotations") or {}).get(_CLASS)
    return VolumeClaim(
        namespace=metadata["namespace"],
        name=metadata["name"],
        storage_class=annotated or manifest["spec"].get("storageClassName") or "",
        pending=(manifest.get("status") or {}).get("phase") == "Pending",
    )

"""PersistentVolumes, read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import explain_forbidden
from kubectl_pxauth.errors import ForbiddenError

_DELETION = "volume.kubernetes.io/provisioner-deletion-secret"
_MODIFICATION = "volume.kubernetes.io/controller-modify-secret"
_RELEASED = ("Released", "Failed")  # the latter where it could not be deleted then
_SECRET_REF = "SecretRef"  # noqa: S105 - what fields end with


@dataclass(frozen=True, slots=True)
class Volume:
    """A PersistentVolume.

    claim is like shop/data, or empty. sources are the fields of its spec, one of which says what
    it is made of; driver is that of CSI, or empty. secrets are the Secrets that CSI is to be given,
    by the step, like nodePublish. deletion is the one to delete it with, and modification the one
    to give it another VolumeAttributesClass with, if there is one for that alone. Each is by
    namespace and name. deleted_with_claim is whether it goes when its claim does, and released
    whether that has gone: it is mounted no more.
    """

    name: str
    claim: str
    sources: frozenset[str]
    driver: str
    secrets: Mapping[str, tuple[str, str]]
    deletion: tuple[str, str] | None
    modification: tuple[str, str] | None
    annotations: Mapping[str, str]
    deleted_with_claim: bool
    released: bool


def list_volumes(cluster: Cluster) -> Iterator[Volume]:
    """All of them, page by page; raises ForbiddenError and other ClusterErrors."""
    try:
        yield from map(_volume, cluster.items("api", "v1", "persistentvolumes"))
    except ForbiddenError as error:
        what = "PersistentVolumes"
        raise explain_forbidden(
            error, what, resource="persistentvolumes", name="", namespace=""
        ) from None


def secret_in_annotations(
    annotations: Mapping[str, str], prefix: str, default_namespace: str = ""
) -> tuple[str, str] | None:
    """The Secret that two annotations name, prefix-namespace and prefix-name; None without both.

    The default stands for a namespace that is not named.
    """
    namespace = annotations.get(f"{prefix}-namespace") or default_namespace
    name = annotations.get(f"{prefix}-name")
    return (namespace, name) if namespace and name else None


def _volume(manifest: dict[str, Any]) -> Volume:
    metadata, spec = manifest["metadata"], manifest["spec"]
    annotations = metadata.get("annotations") or {}
    claim, csi = spec.get("claimRef") or {}, spec.get("csi") or {}
    secrets = {
        field.removesuffix(_SECRET_REF): (value.get("namespace", ""), value.get("name", ""))
        for field, value in csi.items()
        if field.endswith(_SECRET_REF)
    }
    return Volume(
        name=metadata["name"],
        claim=f"{claim['namespace']}/{claim['name']}" if claim else "",
        sources=frozenset(spec),
        driver=csi.get("driver", ""),
        secrets=secrets,
        deletion=secret_in_annotations(annotations, _DELETION),
        modification=secret_in_annotations(annotations, _MODIFICATION),
        annotations=annotations,
        deleted_with_claim=spec.get("persistentVolumeReclaimPolicy") == "Delete",
        released=(manifest.get("status") or {}).get("phase") in _RELEASED,
    )

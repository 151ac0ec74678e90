"""Who keeps a Secret, and whether a token may be written into it."""

from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.text import printable

_LONGEST_NAME = 253  # of an object
_SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name


def storage_cluster_of(secret: Secret) -> str | None:
    """The StorageCluster whose operator keeps this Secret, if one does."""
    for owner in secret.manifest["metadata"].get("ownerReferences") or []:
        group = owner.get("apiVersion", "").partition("/")[0]
        if owner.get("kind") == "StorageCluster" and group == "core.libopenstorage.org":
            return printable(str(owner["name"]), _LONGEST_NAME)  # nobody checks it
    return None


def why_unwritable(secret: Secret) -> ClusterError | None:
    """Why a token must not be written here, if it must not."""
    if secret.manifest.get("immutable"):
        return ClusterError(
            f"{secret.display_name} is immutable",
            hint=f"choose another with --secret, or make room for it:"
            f" kubectl delete secret {secret.name} -n {secret.namespace}",
        )
    if secret.manifest.get("type") == _SERVICE_ACCOUNT_TOKEN:
        return ClusterError(
            f"{secret.display_name} holds a service account's token ({_SERVICE_ACCOUNT_TOKEN})",
            hint="choose another with --secret",
        )
    if storage_cluster := storage_cluster_of(secret):
        return ClusterError(
            f"{secret.display_name} is kept by the Portworx operator (StorageCluster"
            f" {storage_cluster}), which would undo the change",
            hint="choose another with --secret",
        )
    return None

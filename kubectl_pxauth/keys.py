"""The first keys of a cluster: the Secret that Portworx is started with.

Its name and its keys: Portworx docs, security, the shared-secret model's step before "Generate
tokens".
"""

import base64
import secrets
from dataclasses import dataclass

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import MANAGED_BY, Change, DryRun, until_no_conflict
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    SecretKeyReference,
    create_secret,
    find_secret,
    update_secret,
)
from kubectl_pxauth.discovery import find_key
from kubectl_pxauth.errors import DiscoveryError, ForbiddenError, SharedSecretError
from kubectl_pxauth.store import SKIP_BACKUP

SYSTEM_KEYS = ("system-secret", "stork-secret", SecretKeyReference.key)
_BYTES = 64


@dataclass(frozen=True)
class KeysResult:
    """What became of the Secret, and which of its keys were made."""

    secret: str
    change: Change
    made: tuple[str, ...]


def new_key() -> bytes:
    """A key from the system's randomness, as text: Portworx takes it from its environment."""
    return base64.b64encode(secrets.token_bytes(_BYTES))


def create_keys(cluster: Cluster, namespace: str, dry_run: DryRun) -> KeysResult:
    """Make the Secret, or what it lacks; a key that is there is never changed.

    Raises DiscoveryError where the cluster has its shared secret in another place, ClusterErrors.
    """
    place = SecretKeyReference(namespace)
    _check_no_other_key(cluster, place)
    return until_no_conflict(
        find_secret(cluster, namespace, place.name),
        write=lambda found: _write(cluster, place, found, dry_run),
        read=lambda: find_secret(cluster, namespace, place.name),
    )


def _check_no_other_key(cluster: Cluster, place: SecretKeyReference) -> None:
    try:
        key = find_key(cluster, None)
    except (DiscoveryError, SharedSecretError, ForbiddenError):
        return  # there is none, or none to be seen
    if key.reference != place:
        where = f"{key.reference} ({key.where})" if key.reference else key.where
        raise DiscoveryError(
            f"this cluster has a shared secret already: {where}",
            hint="tokens can be issued with it: kubectl pxauth issue; a new one in its place:"
            " kubectl pxauth keys rotate",
        )


def _write(
    cluster: Cluster, place: SecretKeyReference, found: Secret | None, dry_run: DryRun
) -> KeysResult:
    there = found.data if found else {}
    missing = tuple(key for key in SYSTEM_KEYS if not there.get(key))
    data = {key: new_key() for key in missing}
    if found is None:
        # The operator keeps its own keys out of backups in the same way.
        content = SecretContent(data, {MANAGED_BY: "kubectl-pxauth"}, {SKIP_BACKUP: "true"})
        if dry_run is not DryRun.CLIENT:
            server = dry_run is DryRun.SERVER
            create_secret(cluster, place.namespace, place.name, content, dry_run=server)
        return KeysResult(place.name, Change.CREATED, missing)
    if not missing:
        return KeysResult(place.name, Change.UNCHANGED, ())
    if problem := found.unwritable():
        raise problem
    if dry_run is not DryRun.CLIENT:
        content = SecretContent(data, {}, {})
        update_secret(cluster, found, content, dry_run=dry_run is DryRun.SERVER)
    return KeysResult(place.name, Change.CONFIGURED, missing)

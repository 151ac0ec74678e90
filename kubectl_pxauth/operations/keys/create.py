"""Make the first keys of a cluster: the Secret that Portworx is started with."""

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
from kubectl_pxauth.errors import DiscoveryError, NoKeyError
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.key_secret import SYSTEM_KEYS, new_key
from kubectl_pxauth.portworx.token_content import SKIP_BACKUP


@dataclass(frozen=True)
class KeysResult:
    """What became of the Secret, and what is not sure about it."""

    secret: str
    change: Change
    warnings: tuple[str, ...]


def create_keys(cluster: Cluster, namespace: str, dry_run: DryRun) -> KeysResult:
    """Make the Secret, or what it lacks; a key that is there is never changed.

    Raises DiscoveryError where the cluster has its shared secret in another place, ClusterErrors.
    """
    place = SecretKeyReference(namespace)
    warnings = _check_no_other_key(cluster, place)
    change = until_no_conflict(
        find_secret(cluster, namespace, place.name),
        write=lambda found: _write(cluster, place, found, dry_run),
        read=lambda: find_secret(cluster, namespace, place.name),
    )
    return KeysResult(place.name, change, warnings)


def _check_no_other_key(cluster: Cluster, place: SecretKeyReference) -> tuple[str, ...]:
    """Raise DiscoveryError where Portworx takes, or seems to take, another key; warns of doubts."""
    search = Search(cluster, None, beside=place)
    specs = search.specs()
    stated = [spec.shared_secret for spec in specs.specs if spec.shared_secret]
    for one in stated:
        if one.value != place:
            raise DiscoveryError(
                f"Portworx takes its shared secret from elsewhere: {one.stated_by}",
                hint="that is the place to make it; the operator does so by itself",
            )
    if not stated:
        try:
            key = search.named_key()
        except NoKeyError:
            pass
        else:
            if key.reference != place:
                raise DiscoveryError(
                    f"this cluster has a shared secret already: {key.reference} ({key.stated_by})",
                    hint="tokens are issued with it; to put a new one in its place:"
                    " kubectl pxauth keys rotate",
                )
    if not specs.forbidden:
        return ()
    return (
        "whether Portworx takes its shared secret from elsewhere is not known: you may not list"
        f" {', '.join(specs.forbidden)}",
    )


def _write(
    cluster: Cluster, place: SecretKeyReference, found: Secret | None, dry_run: DryRun
) -> Change:
    there = found.data if found else {}
    missing = tuple(key for key in SYSTEM_KEYS if not there.get(key))
    data = {key: new_key() for key in missing}
    if found is None:
        # The operator keeps its own keys out of backups in the same way.
        content = SecretContent(data, {MANAGED_BY: "kubectl-pxauth"}, {SKIP_BACKUP: "true"})
        if dry_run is not DryRun.CLIENT:
            server = dry_run is DryRun.SERVER
            create_secret(cluster, place.namespace, place.name, content, dry_run=server)
        return Change.CREATED
    if not missing:
        return Change.UNCHANGED
    if problem := found.unwritable():
        raise problem
    if dry_run is not DryRun.CLIENT:
        content = SecretContent(data, {}, {})
        update_secret(cluster, found, content, dry_run=dry_run is DryRun.SERVER)
    return Change.CONFIGURED

"""Make the first keys of a cluster: the Secret that Portworx is started with."""

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import MANAGED_BY, Change, DryRun, Metadata
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    SecretKeyReference,
    create_secret,
    find_secret,
    update_secret,
    write_secret,
)
from kubectl_pxauth.errors import ClusterError, DiscoveryError, NoKeyError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.believed import widest
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.key_secret import SYSTEM_KEYS, new_key, same_value_warnings
from kubectl_pxauth.portworx.owners import keeper_warnings, why_unwritable
from kubectl_pxauth.portworx.settings import pxkeys
from kubectl_pxauth.portworx.token_content import SKIP_BACKUP


@dataclass(frozen=True)
class KeysResult:
    """What became of the Secret, and what is not sure about it."""

    secret: str
    change: Change
    warnings: tuple[str, ...]


def create_keys(
    namespace: str, cluster: Cluster, dry_run: DryRun, metadata: Metadata
) -> KeysResult:
    """Make the Secret, or what it lacks; a key that is there is never changed.

    metadata is what is asked for on the Secret, also where it lacks no key.
    Raises DiscoveryError where the cluster has its shared secret in another place, ClusterErrors.
    """
    reference = pxkeys(namespace)
    warnings = _check_no_other_key(cluster, reference)
    found = find_secret(cluster, namespace, reference.name)
    if found:
        warnings += same_value_warnings(found, reference.key)
    change = write_secret(
        cluster,
        namespace,
        reference.name,
        found,
        lambda found: _write(cluster, reference, found, dry_run, metadata),
    )
    if change is Change.CONFIGURED:
        warnings += keeper_warnings(found)
    return KeysResult(reference.name, change, warnings)


def _check_no_other_key(cluster: Cluster, reference: SecretKeyReference) -> tuple[str, ...]:
    """Raise DiscoveryError where Portworx takes, or seems to take, another key; warns of doubts."""
    search = Search(cluster, None, near=reference)
    specs = search.specs()
    stated = [spec for spec in specs.specs if spec.shared_secret]
    for spec in stated:
        if spec.shared_secret and spec.shared_secret.value != reference:
            raise DiscoveryError(
                f"Portworx takes its shared secret from elsewhere: {spec.shared_secret.stated_by}",
                hint="the operator makes it by itself when it starts Portworx"
                if spec.is_operators
                else "create it there",
            )
    operators = [spec for spec in specs.specs if spec.is_operators]
    if operators and not any(spec.takes_from(reference) for spec in operators):
        owners = ", ".join(dict.fromkeys(spec.owner for spec in operators))
        raise DiscoveryError(
            f"nothing would read Secret {reference.namespace}/{reference.name}: the operator starts"
            f" Portworx ({owners}), and gives it no key from there",
            hint="set spec.security.enabled of the StorageCluster to true, and leave"
            " spec.security.auth.enabled out or set it to true as well; the operator then makes"
            " the keys by itself",
        )
    if not stated:
        try:
            key = search.named_key()
        except NoKeyError:
            pass
        else:
            if key.reference != reference:
                raise DiscoveryError(
                    f"this cluster has a shared secret already: {key.reference} ({key.stated_by})",
                    hint="tokens are issued with it; to put a new one in its place:"
                    " kubectl pxauth keys rotate",
                )
    if not specs.forbidden:
        return specs.ignored
    return (
        *specs.ignored,
        "whether Portworx takes its shared secret from elsewhere is not known: you may not list"
        f" {', '.join(widest(specs.forbidden))}",
    )


def _write(
    cluster: Cluster,
    reference: SecretKeyReference,
    found: Secret | None,
    dry_run: DryRun,
    metadata: Metadata,
) -> Change:
    there = found.data if found else {}
    missing = tuple(key for key in SYSTEM_KEYS if not there.get(key))
    data = {key: new_key() for key in missing}
    if found is None:
        # The operator keeps its own keys out of backups in the same way.
        labels = {MANAGED_BY: "kubectl-pxauth", **metadata.labels}
        content = SecretContent(data, labels, {SKIP_BACKUP: "true", **metadata.annotations})
        create_secret(cluster, reference.namespace, reference.name, content, dry_run)
        return Change.CREATED
    if not missing and metadata.is_on(found.manifest):
        return Change.UNCHANGED
    if problem := why_unwritable(found):
        raise ClusterError(str(problem))  # its hint is for tokens
    update_secret(
        cluster, found, SecretContent(data, metadata.labels, metadata.annotations), dry_run
    )
    return Change.CONFIGURED

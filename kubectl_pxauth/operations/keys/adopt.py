"""Lay the keys of a DaemonSet's Portworx where the operator takes them from, byte for byte.

The operator makes a key only where its Secret has none (libopenstorage/operator,
drivers/storage/portworx/component/auth.go, getPrivateKeyOrGenerate). So tokens stay valid when
Portworx moves to it, if it also keeps its issuer and the claim that it takes users from.
"""

from collections.abc import Mapping
from functools import partial

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import Change, DryRun, Metadata
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    SecretKeyReference,
    create_secret,
    find_secret,
    update_secret,
    write_secret,
)
from kubectl_pxauth.errors import ClusterError, DiscoveryError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.discovery import Search, default_issuer
from kubectl_pxauth.portworx.key_secret import key_flags, read_key_state, same_value_warnings
from kubectl_pxauth.portworx.owners import keeper_warnings, why_unwritable
from kubectl_pxauth.portworx.settings import (
    APPLICATIONS_KEY,
    APPLICATIONS_SECRET,
    OPERATOR_SECRET,
    SHARED_SECRET_KEY,
    USUAL_NAMESPACES,
)
from kubectl_pxauth.portworx.token_content import SKIP_BACKUP

_OTHER_KEYS = (("system-secret", "system-secret"), ("stork-secret", APPLICATIONS_KEY))
"""The other keys of pxkeys, and what the operator calls them."""


@dataclass(frozen=True)
class AdoptedKeys:
    """What became of each Secret, by its name; and what the StorageCluster has to say."""

    namespace: str
    changes: Mapping[str, Change]
    issuer: str
    username_claim: str
    warnings: tuple[str, ...]


def adopt_keys(
    source: SecretKeyReference | None,
    namespace: str | None,
    cluster: Cluster,
    dry_run: DryRun,
    metadata: Metadata,
) -> AdoptedKeys:
    """Copy the keys that Portworx has now into that namespace's Secrets of the operator.

    Without a namespace it is that of the StorageCluster that the operator has taken up, if that is
    a usual one. metadata is what is asked for on both Secrets. Raises DiscoveryError and
    SharedSecretError where keys or namespace can't be found, and ClusterError where a rotation is
    under way or one of the Secrets has another key already; nothing is written then.
    """
    search = Search(cluster, None, near=source)
    key = None if source else search.key()
    reference = key.reference if key else source
    if reference is None:
        raise DiscoveryError(
            f"the shared secret of {key.stated_by if key else 'Portworx'} is in no Secret",
            hint="put it into one, and name that: --shared-secret-from NAMESPACE/NAME:KEY",
        )
    namespace = namespace or _operators_namespace(search.specs().taken_up_in)
    secret = find_secret(cluster, reference.namespace, reference.name)
    state = read_key_state(reference, secret)
    assert secret is not None  # noqa: S101 - it has a state
    if state.rotation:
        raise ClusterError(
            f"{secret.display_name}: a rotation of the shared secret is under way",
            hint=f"end it first: {state.rotation.next_command(key_flags(source))}",
        )
    settings = search.settings(None, default_issuer(reference))
    others = {new: secret.data[old] for old, new in _OTHER_KEYS if secret.data.get(old)}
    wanted = {OPERATOR_SECRET: {SHARED_SECRET_KEY: state.current.value}}
    if others:
        wanted[APPLICATIONS_SECRET] = others
    found = {name: find_secret(cluster, namespace, name) for name in wanted}
    for name, data in wanted.items():
        _check_free(found[name], data)
    warnings = [
        *settings.warnings,
        *state.current.reference_warnings(),
        *same_value_warnings(secret, reference.key),
    ]
    changes = {}
    for name, data in wanted.items():
        write = partial(_write, cluster, (namespace, name), data, metadata, dry_run=dry_run)
        changes[name] = write_secret(cluster, namespace, name, found[name], write)
    for name, change in changes.items():
        if change is Change.CONFIGURED:
            warnings += keeper_warnings(found[name])
    return AdoptedKeys(
        namespace, changes, settings.issuer.value, settings.username_claim.value, tuple(warnings)
    )


def _operators_namespace(taken_up_in: tuple[str, ...]) -> str:
    """Where the operator runs Portworx, if that is where it usually does.

    Whoever may write a StorageCluster can write the finalizer of one that is taken up, and the keys
    would be laid before them.
    """
    found = next(iter(taken_up_in), None)
    if found in USUAL_NAMESPACES:
        return found
    raise DiscoveryError(
        f"the StorageCluster in namespace {found} may be anybody's"
        if found
        else "there is no StorageCluster yet that the operator has taken up",
        hint=f"name the namespace that the operator runs Portworx in: -n {found or 'NAMESPACE'};"
        " whoever reads Secrets there reads the keys",
    )


def _check_free(found: Secret | None, data: Mapping[str, bytes]) -> None:
    """Raise ClusterError where the Secret has another value in one of these keys."""
    for key, value in data.items():
        if found and found.data.get(key) not in (None, b"", value):
            raise ClusterError(
                f'{found.display_name} has another key "{key}" already',
                hint="if no Portworx was started with it, and no token that it signed is in use:"
                f" kubectl delete secret {found.name} -n {found.namespace}",
            )
    lacks = found and any(found.data.get(key) != value for key, value in data.items())
    if found and lacks and (problem := why_unwritable(found)):
        raise ClusterError(str(problem))  # its hint is for tokens


def _write(
    cluster: Cluster,
    place: tuple[str, str],
    data: Mapping[str, bytes],
    metadata: Metadata,
    found: Secret | None,
    *,
    dry_run: DryRun,
) -> Change:
    # The operator has both Secrets so, without an owner.
    annotations = {SKIP_BACKUP: "true", **metadata.annotations}
    content = SecretContent(dict(data), metadata.labels, annotations)
    if found is None:
        create_secret(cluster, *place, content, dry_run)
        return Change.CREATED
    _check_free(found, data)  # what another wrote meanwhile stays
    there = all(found.data.get(key) == value for key, value in data.items())
    if there and metadata.is_on(found.manifest):
        return Change.UNCHANGED
    update_secret(cluster, found, content, dry_run)
    return Change.CONFIGURED

"""Find the shared secret and the issuer where the cluster itself says that they are.

In this order: the StorageCluster of the operator, the DaemonSet of the older manifests, and,
where neither says anything, the Secrets that both are usually given.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_pxauth.cluster.connection import Ahead, Cluster
from kubectl_pxauth.cluster.portworx import (
    OPERATOR_ISSUER,
    OPERATOR_SECRET,
    SHARED_SECRET_KEY,
    USUAL_NAMESPACES,
    PortworxSpec,
    PortworxSpecs,
    Stated,
    daemon_set_specs,
    storage_cluster_specs,
)
from kubectl_pxauth.cluster.secrets import Secret, SecretKeyReference, find_secret
from kubectl_pxauth.errors import DiscoveryError, ForbiddenError, SharedSecretError
from kubectl_pxauth.token.shared_secret import SharedSecret

DEFAULT_ISSUER = "portworx.com"

_PXKEYS = SecretKeyReference()
_FLAG = "name the Secret that holds it: --shared-secret-from NAMESPACE/NAME:KEY"


@dataclass(frozen=True)
class FoundKey:
    """A shared secret, the Secret's key that holds it if one does, and what pointed there."""

    shared_secret: SharedSecret
    reference: SecretKeyReference | None
    where: str


@dataclass(frozen=True)
class FoundText:
    """The issuer or the user name claim, and what said so."""

    value: str
    where: str


@dataclass(frozen=True)
class Discovery:
    """What the cluster says; not_read names the places that RBAC kept closed."""

    key: FoundKey
    issuer: FoundText
    username_claim: FoundText
    not_read: tuple[str, ...]


def discover(cluster: Cluster, namespace: str | None, issuer: str | None = None) -> Discovery:
    """Find all of it, in the Portworx of that namespace or of all; a given issuer is not sought.

    Raises DiscoveryError where the cluster says nothing of the key, or two things;
    SharedSecretError where the Secret that it names can't be used; and ClusterErrors.
    """
    reading = _Reading(cluster, namespace)
    usual, others = _usual_places(namespace)
    secrets = _Secrets(cluster)
    secrets.ask(usual)
    found = reading.result()
    key = _stated_key(found.specs, secrets) or _key_by_name(usual, others, found, secrets)
    return Discovery(
        key=key,
        issuer=FoundText(issuer, "as given")
        if issuer
        else _issuer(found.specs, secrets, default_issuer(key.reference)),
        username_claim=next(
            (
                FoundText(str(spec.username_claim.value), spec.username_claim.where)
                for spec in found.specs
                if spec.username_claim
            ),
            FoundText("sub", "by default"),
        ),
        not_read=(*found.forbidden, *secrets.forbidden()),
    )


def find_issuer(cluster: Cluster, namespace: str | None, default: str) -> str:
    """The issuer alone, or the default where the cluster says none; raises as discover does."""
    found = _Reading(cluster, namespace).result()
    return _issuer(found.specs, _Secrets(cluster), default).value


def default_issuer(reference: SecretKeyReference | None) -> str:
    """The issuer of a Portworx that is started with this key and no word about its issuer."""
    operator = reference is not None and reference.name == OPERATOR_SECRET
    return OPERATOR_ISSUER if operator else DEFAULT_ISSUER


def read_shared_secret(cluster: Cluster, reference: SecretKeyReference) -> SharedSecret:
    """The shared secret that is in that key; raises SharedSecretError and ClusterErrors."""
    return _Secrets(cluster).shared_secret(reference)


class _Reading:
    """StorageClusters and DaemonSets, read side by side."""

    def __init__(self, cluster: Cluster, namespace: str | None) -> None:
        self._storage_clusters = Ahead(lambda: storage_cluster_specs(cluster, namespace))
        self._daemon_sets = Ahead(lambda: daemon_set_specs(cluster, namespace))

    def result(self) -> PortworxSpecs:
        operator, older = self._storage_clusters.result(), self._daemon_sets.result()
        return PortworxSpecs(
            (*operator.specs, *older.specs), (*operator.forbidden, *older.forbidden)
        )


class _Secrets:
    """Secrets that are asked for ahead, each once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._asked: dict[tuple[str, str], Ahead[Secret | None]] = {}

    def ask(self, references: Iterable[SecretKeyReference]) -> None:
        for reference in references:
            place = (reference.namespace, reference.name)
            if place not in self._asked:
                self._asked[place] = Ahead(
                    lambda place=place: find_secret(self._cluster, *place)  # type: ignore[misc]
                )

    def find(self, reference: SecretKeyReference) -> Secret | None:
        self.ask([reference])
        return self._asked[reference.namespace, reference.name].result()

    def value(self, reference: SecretKeyReference) -> bytes:
        secret = self.find(reference)
        where = f"Secret {reference.namespace}/{reference.name}"
        if secret is None:
            raise SharedSecretError(f"{where} not found", hint=_FLAG)
        if reference.key not in secret.data:
            keys = ", ".join(sorted(secret.data)) or "none"
            raise SharedSecretError(
                f'{where} has no key "{reference.key}"; its keys: {keys}',
                hint=f"--shared-secret-from {reference.namespace}/{reference.name}:KEY",
            )
        return secret.data[reference.key]

    def shared_secret(self, reference: SecretKeyReference) -> SharedSecret:
        where = f'Secret {reference.namespace}/{reference.name} key "{reference.key}"'
        return SharedSecret(self.value(reference), where)

    def forbidden(self) -> tuple[str, ...]:
        found = []
        for (namespace, name), asked in self._asked.items():
            try:
                asked.result()
            except ForbiddenError:
                found.append(f"Secret {namespace}/{name}")
        return tuple(found)


def _usual_places(
    namespace: str | None,
) -> tuple[list[SecretKeyReference], list[SecretKeyReference]]:
    """The Secrets that hold the key where nothing else is said, and those to ask after them."""
    first, *others = (
        SecretKeyReference(name, OPERATOR_SECRET, SHARED_SECRET_KEY)
        for name in ((namespace,) if namespace else USUAL_NAMESPACES)
    )
    return [_PXKEYS, first], others


def _stated_key(specs: tuple[PortworxSpec, ...], secrets: _Secrets) -> FoundKey | None:
    stated = [spec.shared_secret for spec in specs if spec.shared_secret]
    secrets.ask(one.value for one in stated if isinstance(one.value, SecretKeyReference))
    found = [_resolved(one, secrets) for one in stated]
    return _one_key(found)


def _resolved(stated: Stated, secrets: _Secrets) -> FoundKey:
    if isinstance(stated.value, str):
        return FoundKey(SharedSecret(stated.value.encode(), stated.where), None, stated.where)
    try:
        shared_secret = secrets.shared_secret(stated.value)
    except SharedSecretError as error:
        raise SharedSecretError(f"{stated.where}: {error}", error.hint) from None
    return FoundKey(shared_secret, stated.value, stated.where)


def _one_key(found: list[FoundKey]) -> FoundKey | None:
    if len({one.shared_secret.value for one in found}) > 1:
        places = " and ".join(
            one.where if one.reference is None else f"{one.reference} ({one.where})"
            for one in found
        )
        raise DiscoveryError(f"the cluster names different shared secrets: {places}", hint=_FLAG)
    return found[0] if found else None


def _key_by_name(
    usual: list[SecretKeyReference],
    others: list[SecretKeyReference],
    reading: PortworxSpecs,
    secrets: _Secrets,
) -> FoundKey:
    places = dict.fromkeys(reading.forbidden, "not allowed to list them")
    if not places:
        places["StorageClusters and DaemonSets"] = "say nothing of it" if reading.specs else "none"
    found = _named(usual, secrets, places)
    # A StorageCluster that could not be read may be why Portworx uses another.
    if reading.forbidden or not found:
        secrets.ask(others)
        found += _named(others, secrets, places)
    if key := _one_key(found):
        return key
    looked = "; ".join(f"{place}: {outcome}" for place, outcome in places.items())
    public = next((spec.public_key_file for spec in reading.specs if spec.public_key_file), None)
    if public:
        raise DiscoveryError(
            f"no shared secret was found, and Portworx verifies with a public key"
            f" ({public.where} {public.value}); looked at {looked}",
            hint="sign with its private key: --rsa-private-keyfile or --ecdsa-private-keyfile",
        )
    raise DiscoveryError(f"no shared secret was found; looked at {looked}", hint=_FLAG)


def _named(
    references: Iterable[SecretKeyReference], secrets: _Secrets, places: dict[str, str]
) -> list[FoundKey]:
    found = []
    for reference in references:
        where = f"Secret {reference.namespace}/{reference.name}"
        try:
            secret = secrets.find(reference)
            if secret is None:
                places[where] = "not found"
                continue
            found.append(FoundKey(secrets.shared_secret(reference), reference, "by its name"))
        except (ForbiddenError, SharedSecretError) as error:
            places[where] = str(error).removeprefix(f"{where} ")
    return found


def _issuer(specs: tuple[PortworxSpec, ...], secrets: _Secrets, default: str) -> FoundText:
    found = []
    for stated in (spec.issuer for spec in specs):
        if stated is None:
            continue
        value = stated.value
        if isinstance(value, SecretKeyReference):
            value = secrets.value(value).decode(errors="replace")
        found.append(FoundText(value, stated.where))
    if len({one.value for one in found}) > 1:
        both = " and ".join(f'"{one.value}" ({one.where})' for one in found)
        raise DiscoveryError(
            f"the cluster names different issuers: {both}", hint="choose one with --issuer"
        )
    return found[0] if found else FoundText(default, "by default")

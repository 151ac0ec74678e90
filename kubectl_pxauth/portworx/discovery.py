"""Find the shared secret and the issuer where the cluster itself says that they are.

In this order: the StorageCluster of the operator, the DaemonSet of the older manifests, and,
where neither says anything, the Secrets that both are usually given.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import Secret, SecretKeyReference, find_secret
from kubectl_pxauth.errors import (
    DiscoveryError,
    ForbiddenError,
    NoKeyError,
    SharedSecretError,
)
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.settings import (
    OPERATOR_ISSUER,
    OPERATOR_SECRET,
    PXKEYS,
    SHARED_SECRET_KEY,
    USUAL_NAMESPACES,
    PortworxSpec,
    PortworxSpecs,
    Stated,
    Value,
    daemon_set_specs,
    pxkeys,
    read_config_map_key,
    storage_cluster_specs,
)
from kubectl_pxauth.token.shared_secret import SharedSecret

DEFAULT_ISSUER = "portworx.com"
BY_DEFAULT = "by default"
BY_NAME = "by its name"

_FLAG = "name the Secret that holds it: --shared-secret-from NAMESPACE/NAME:KEY"


@dataclass(frozen=True)
class FoundKey:
    """A shared secret, the Secret's key that holds it if one does, and what pointed there.

    copies are the other Secrets that hold the same one, as far as they were looked at.
    """

    shared_secret: SharedSecret
    reference: SecretKeyReference | None
    stated_by: str
    copies: tuple[SecretKeyReference, ...] = ()


@dataclass(frozen=True)
class FoundText:
    """The issuer or the user name claim, and what said so."""

    value: str
    stated_by: str


@dataclass(frozen=True)
class VerifierSettings:
    """What Portworx's verifier is configured to accept.

    Where the cluster says nothing, issuer is the usual one and username_claim is sub.
    public_key_file is a path on its nodes, of a key that verifies tokens as well. not_read names
    the resources that this user may not list. untrusted are DaemonSets that may be anybody's.
    """

    issuer: FoundText
    username_claim: FoundText
    public_key_file: FoundText | None
    not_read: tuple[str, ...]
    untrusted: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What might be otherwise if more could be read, or were believed."""
        if self.issuer.stated_by != BY_DEFAULT:
            return ()
        guess = f'the issuer is taken to be "{self.issuer.value}"'
        warnings = []
        if self.not_read:
            warnings.append(
                f"{guess}, but may be named where you can't read:"
                f" {', '.join(self.not_read)}; --issuer settles it"
            )
        if self.untrusted:
            warnings.append(
                f"{guess}; {', '.join(self.untrusted)} may be anybody's and is not asked: if it"
                " is your Portworx, name its namespace with --portworx-namespace"
            )
        return tuple(warnings)


def default_issuer(reference: SecretKeyReference | None) -> str:
    """The issuer of a Portworx that is started with this key and no word about its issuer."""
    operator = reference is not None and reference.name == OPERATOR_SECRET
    return OPERATOR_ISSUER if operator else DEFAULT_ISSUER


def read_shared_secret(cluster: Cluster, reference: SecretKeyReference) -> SharedSecret:
    """The shared secret that is in that key; raises SharedSecretError and ClusterErrors."""
    return _Secrets(cluster).shared_secret(reference)


class Search:
    """What the cluster says of its key and of its verifier's settings, read side by side.

    What is trusted, in this order:
    1. StorageClusters in any namespace.
    2. DaemonSets in kube-system, in portworx, in the namespace that the user named, or beside a
       Secret that the user named.
    3. Other DaemonSets are untrusted, as anybody with a namespace can make one. They count only
       where neither of the above exists: they can supply a key when no Secret with a usual name
       does, and can contradict such a Secret, but never override it.

    The methods raise DiscoveryError where the cluster says nothing of it, or two things;
    SharedSecretError where the Secret that it names can't be used; and ClusterErrors.
    """

    def __init__(
        self, cluster: Cluster, namespace: str | None, beside: SecretKeyReference | None = None
    ) -> None:
        """Begin to read, in the Portworx of that namespace or of all."""
        self._namespace = namespace
        self._trusted_namespaces = {
            *USUAL_NAMESPACES,
            namespace,
            beside.namespace if beside else None,
        }
        self._secrets = _Secrets(cluster)
        self._storage_clusters = Background(lambda: storage_cluster_specs(cluster, namespace))
        self._daemon_sets = Background(lambda: daemon_set_specs(cluster, namespace))

    def specs(self) -> PortworxSpecs:
        """What the trusted objects that start Portworx say."""
        operator, older = self._storage_clusters.result(), self._daemon_sets.result()
        trusted = (spec for spec in older.specs if spec.namespace in self._trusted_namespaces)
        return PortworxSpecs((*operator.specs, *trusted), (*operator.forbidden, *older.forbidden))

    def key(self) -> FoundKey:
        """The key that is stated, or else the one that is found by its name."""
        self._secrets.ask(_usual_places(self._namespace)[0])
        if stated := self.stated_key():
            return stated
        try:
            named = self.named_key()
        except NoKeyError:
            if not self._untrusted():
                raise
            self._trusted_namespaces.update(spec.namespace for spec in self._untrusted())
            return self.stated_key() or self.named_key()
        _one_key([named, *self._untrusted_keys()])
        return named

    def stated_key(self) -> FoundKey | None:
        """The key that Portworx is started with, None where nothing states one."""
        return _stated_key(self.specs().specs, self._secrets)

    def named_key(self) -> FoundKey:
        """The key that has one of the usual names; raises NoKeyError where there is none."""
        return _key_by_name(*_usual_places(self._namespace), self.specs(), self._secrets)

    def settings(self, issuer: str | None, default: str) -> VerifierSettings:
        """What the verifier accepts; a given issuer is not sought, default is the last resort."""
        settings = _settings(self.specs(), self._secrets, issuer, default)
        untrusted = dict.fromkeys(spec.owner for spec in self._untrusted())
        return replace(settings, untrusted=tuple(untrusted))

    def namespaces(self) -> set[str]:
        """Where Portworx runs; untrusted objects count where there are no others."""
        return {spec.namespace for spec in self.specs().specs or self._untrusted()}

    def secrets_not_read(self) -> tuple[str, ...]:
        """The Secrets that RBAC kept closed, of those that were looked at so far."""
        return self._secrets.forbidden()

    def _untrusted(self) -> tuple[PortworxSpec, ...]:
        """What untrusted DaemonSets say, where no trusted object is there."""
        return () if self.specs().specs else self._daemon_sets.result().specs

    def _untrusted_keys(self) -> Iterator[FoundKey]:
        for spec in self._untrusted():
            # What can't be read starts no Portworx.
            with suppress(SharedSecretError, ForbiddenError):
                if spec.shared_secret:
                    yield _resolved(spec.shared_secret, self._secrets)


class _Secrets:
    """Secrets that are asked for ahead, each once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._asked: dict[tuple[str, str], Background[Secret | None]] = {}

    def ask(self, references: Iterable[SecretKeyReference]) -> None:
        for reference in references:
            place = (reference.namespace, reference.name)
            if place not in self._asked:
                self._asked[place] = Background(
                    lambda place=place: find_secret(self._cluster, *place)  # type: ignore[misc]
                )

    def find(self, reference: SecretKeyReference) -> Secret | None:
        self.ask([reference])
        return self._asked[reference.namespace, reference.name].result()

    def value(self, stated: Value) -> bytes:
        """What is stated, or in the key that is; raises SharedSecretError where there is none."""
        if isinstance(stated, str):
            return stated.encode()
        if isinstance(stated, SecretKeyReference):
            return self._secret_value(stated)
        text = read_config_map_key(self._cluster, stated)
        if text is None:
            raise SharedSecretError(
                f'ConfigMap {stated.namespace}/{stated.name} has no key "{stated.key}"', hint=_FLAG
            )
        return text.encode()

    def _secret_value(self, reference: SecretKeyReference) -> bytes:
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
    first, *others = (namespace,) if namespace else USUAL_NAMESPACES
    namespaces = (first, *others)
    operators = [SecretKeyReference(it, OPERATOR_SECRET, SHARED_SECRET_KEY) for it in namespaces]
    older = [pxkeys(it) for it in namespaces]
    later = [place for place in (*operators[1:], *older) if place != PXKEYS]
    return [PXKEYS, operators[0]], later


def _stated_key(specs: tuple[PortworxSpec, ...], secrets: _Secrets) -> FoundKey | None:
    stated = [spec.shared_secret for spec in specs if spec.shared_secret]
    secrets.ask(one.value for one in stated if isinstance(one.value, SecretKeyReference))
    found = [_resolved(one, secrets) for one in stated]
    return _one_key(found)


def _resolved(stated: Stated, secrets: _Secrets) -> FoundKey:
    try:
        if isinstance(stated.value, SecretKeyReference):
            shared_secret = secrets.shared_secret(stated.value)
            return FoundKey(shared_secret, stated.value, stated.stated_by)
        value = secrets.value(stated.value)
    except SharedSecretError as error:
        raise SharedSecretError(f"{stated.stated_by}: {error}", error.hint) from None
    return FoundKey(SharedSecret(value, stated.stated_by), None, stated.stated_by)


def _one_key(found: list[FoundKey]) -> FoundKey | None:
    if len({one.shared_secret.value for one in found}) > 1:
        places = " and ".join(
            one.stated_by if one.reference is None else f"{one.reference} ({one.stated_by})"
            for one in found
        )
        raise DiscoveryError(
            f"the cluster names different shared secrets: {places}",
            hint="choose one with --shared-secret-from NAMESPACE/NAME:KEY, or the Portworx that is"
            " meant with --portworx-namespace",
        )
    if not found:
        return None
    references = dict.fromkeys(one.reference for one in found if one.reference)
    copies = tuple(place for place in references if place != found[0].reference)
    return replace(found[0], copies=copies)


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
        raise NoKeyError(
            f"no shared secret was found, and Portworx verifies with a public key"
            f" ({public.stated_by} {public.value}); looked at {looked}",
            hint="name a file with the other half: --rsa-private-keyfile or"
            " --ecdsa-private-keyfile signs, --rsa-public-keyfile or --ecdsa-public-keyfile"
            " verifies",
        )
    hint = (
        _FLAG
        if reading.forbidden
        else f"{_FLAG}; or make the first one: kubectl pxauth keys create"
    )
    raise NoKeyError(f"no shared secret was found; looked at {looked}", hint)


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
            found.append(FoundKey(secrets.shared_secret(reference), reference, BY_NAME))
        except (ForbiddenError, SharedSecretError) as error:
            places[where] = str(error).removeprefix(f"{where} ")
    return found


def _settings(
    reading: PortworxSpecs, secrets: _Secrets, issuer: str | None, default: str
) -> VerifierSettings:
    public = next((spec.public_key_file for spec in reading.specs if spec.public_key_file), None)
    return VerifierSettings(
        issuer=FoundText(issuer, "as given")
        if issuer
        else _issuer(reading.specs, secrets) or FoundText(default, BY_DEFAULT),
        username_claim=_claim(reading.specs, secrets) or FoundText("sub", BY_DEFAULT),
        public_key_file=FoundText(str(public.value), public.stated_by) if public else None,
        not_read=reading.forbidden,
    )


def _issuer(specs: tuple[PortworxSpec, ...], secrets: _Secrets) -> FoundText | None:
    stated = [spec.issuer for spec in specs if spec.issuer]
    return _one_text("issuers", stated, secrets, hint="choose one with --issuer")


def _claim(specs: tuple[PortworxSpec, ...], secrets: _Secrets) -> FoundText | None:
    stated = [spec.username_claim for spec in specs if spec.username_claim]
    hint = "choose the Portworx that is meant with --portworx-namespace"
    return _one_text("user name claims", stated, secrets, hint)


def _one_text(what: str, stated: list[Stated], secrets: _Secrets, hint: str) -> FoundText | None:
    found = [_text(one, secrets) for one in stated]
    if len({one.value for one in found}) > 1:
        both = " and ".join(f'"{one.value}" ({one.stated_by})' for one in found)
        raise DiscoveryError(f"the cluster names different {what}: {both}", hint)
    return found[0] if found else None


def _text(stated: Stated, secrets: _Secrets) -> FoundText:
    try:
        value = secrets.value(stated.value).decode(errors="replace")
    except SharedSecretError as error:
        raise DiscoveryError(f"{stated.stated_by}: {error}", hint="or name it: --issuer") from None
    if not value:
        raise DiscoveryError(f"{stated.stated_by} is empty", hint="or name it: --issuer")
    return FoundText(value, stated.stated_by)

"""Find the shared secret and the issuer where the cluster itself says that they are.

In this order: the StorageCluster of the operator, the DaemonSet of the older manifests, and,
where there is neither, the Secrets that both are usually given.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import Secret, SecretKeyReference, find_secret
from kubectl_pxauth.errors import (
    DiscoveryError,
    ForbiddenError,
    NoKeyError,
    NoSharedSecretError,
    SharedSecretError,
)
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.key_secret import rotation_notice
from kubectl_pxauth.portworx.key_source import DEFAULT_ISSUER
from kubectl_pxauth.portworx.settings import (
    APPS_ISSUER,
    OPERATOR_ISSUER,
    OPERATOR_SECRET,
    PXKEYS,
    SHARED_SECRET_KEY,
    STORK_ISSUER,
    USUAL_NAMESPACES,
    MalformedError,
    PortworxObject,
    PortworxSpec,
    PortworxSpecs,
    Stated,
    Value,
    daemon_sets,
    pxkeys,
    read_config_map_key,
    storage_clusters,
)
from kubectl_pxauth.token.shared_secret import SharedSecret

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
    public_key_file is a path on its nodes, of a key that verifies tokens as well. provider is the
    OpenID Connect provider whose tokens are taken as well, by its issuer. not_read names the
    resources that this user may not list. untrusted are DaemonSets that may be anybody's.
    malformed says which objects could not be read, and why.
    """

    issuer: FoundText
    username_claim: FoundText
    public_key_file: FoundText | None
    not_read: tuple[str, ...]
    provider: FoundText | None = None
    untrusted: tuple[str, ...] = ()
    malformed: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What might be otherwise if more could be read, or were believed."""
        warnings = list(self.malformed)
        if self.issuer.stated_by != BY_DEFAULT:
            return tuple(warnings)
        guess = f'the issuer is taken to be "{self.issuer.value}"'
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


def same_values(secret: Secret, key: str) -> tuple[str, ...]:
    """The other keys of a Secret that have the same value as this one."""
    value = secret.data.get(key)
    return tuple(
        sorted(other for other, data in secret.data.items() if other != key and data == value)
        if value
        else ()
    )


class Search:
    """What the cluster says of its key and of its verifier's settings, read side by side.

    What is believed, in this order:
    1. StorageClusters in any namespace: whoever may write one decides how the operator starts
       Portworx. DaemonSets in kube-system, in the namespace that the user named, or beside a
       Secret that the user named.
    2. Where there is none of these, a DaemonSet in the namespace portworx.
    3. Other DaemonSets may be anybody's, and are not even read. Where nothing above exists, and
       no Secret with a usual name, they are the last resort for a key.
    Two that are believed and do not agree are an error.

    The methods raise DiscoveryError where the cluster says nothing of it, or two things;
    SharedSecretError where the Secret that it names can't be used; and ClusterErrors.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str | None,
        beside: SecretKeyReference | None = None,
        *,
        try_usual: bool = True,
    ) -> None:
        """Begin to read, in the Portworx of that namespace or of all.

        Who may not list all namespaces is given the usual ones, if try_usual.
        """
        self._namespace = namespace
        beside_namespace = beside.namespace if beside else None
        self._trusted_namespaces = {USUAL_NAMESPACES[0], namespace, beside_namespace}
        self._secrets = _Secrets(cluster)
        self._storage_clusters = Background(
            lambda: storage_clusters(cluster, namespace, try_usual=try_usual)
        )
        self._daemon_sets = Background(lambda: daemon_sets(cluster, namespace, try_usual=try_usual))

    def specs(self) -> PortworxSpecs:
        """What the objects that are believed say."""
        return self._believed

    @cached_property
    def _believed(self) -> PortworxSpecs:
        operator, older = self._storage_clusters.result(), self._daemon_sets.result()
        forbidden = (*operator.forbidden, *older.forbidden)
        trusted = [one for one in older.objects if one.namespace in self._trusted_namespaces]
        specs, malformed = _read((*operator.objects, *trusted))
        if not specs:
            specs, more = _read(
                one
                for one in older.objects
                if one.namespace in USUAL_NAMESPACES and one not in trusted
            )
            malformed += more
        return PortworxSpecs(specs, forbidden, malformed)

    def key(self) -> FoundKey:
        """The key that is stated, or where nothing is stated the one that is found by its name.

        Raises NoSharedSecretError where what starts Portworx gives it no shared secret.
        """
        self._secrets.ask(_usual_places(self._namespace)[0])
        if stated := self.stated_key():
            return stated
        if keyless := self.keyless():
            raise keyless
        try:
            return self.named_key()
        except NoKeyError:
            strangers = () if self.specs().specs else self._strangers()
            if not strangers:
                raise
            specs, _ = _read(strangers)
            self._believed = replace(self.specs(), specs=specs)
            return self.stated_key() or self.named_key()

    def stated_key(self) -> FoundKey | None:
        """The key that Portworx is started with, None where nothing states one."""
        return _stated_key(self.specs().specs, self._secrets)

    def named_key(self) -> FoundKey:
        """The key that has one of the usual names; raises NoKeyError where there is none."""
        return _key_by_name(*_usual_places(self._namespace), self.specs(), self._secrets)

    def keyless(self) -> NoSharedSecretError | None:
        """Why there is no shared secret, where what starts Portworx is known and names none."""
        reading = self.specs()
        if any(spec.shared_secret or spec.unseen for spec in reading.specs):
            return None
        where = "; ".join(dict.fromkeys(spec.owner for spec in reading.specs))
        if public := _first(reading.specs, "public_key_file"):
            return NoSharedSecretError(
                "no shared secret was found, and Portworx verifies with a public key"
                f" ({public.stated_by} {public.value}){self._left_over()}",
                hint="name a file with the other half: --rsa-private-keyfile or"
                " --ecdsa-private-keyfile signs, --rsa-public-keyfile or --ecdsa-public-keyfile"
                " verifies",
            )
        if provider := self.provider():
            return NoSharedSecretError(
                f'Portworx trusts the OpenID Connect provider "{provider.value}" alone'
                f" ({provider.stated_by}), so no shared secret signs its tokens{self._left_over()}",
                hint="the provider makes the tokens; Portworx takes self-signed ones as well once"
                " it is started with a shared secret and an issuer",
            )
        if self.is_authorization_off():
            return NoSharedSecretError(
                f"authorization is off ({where}), so Portworx asks for no tokens"
                f"{self._left_over()}",
                hint="switch it on: spec.security.enabled of the StorageCluster, or a DaemonSet's"
                " PORTWORX_AUTH_JWT_SHAREDSECRET; or name the key that it is to take:"
                " --shared-secret-from NAMESPACE/NAME:KEY",
            )
        return None

    def is_authorization_off(self) -> bool:
        """Whether Portworx is known to ask for no tokens."""
        reading = self.specs()
        known = reading.specs and not reading.forbidden
        return bool(known) and not any(spec.asks_for_tokens for spec in reading.specs)

    def left_over(self) -> tuple[SecretKeyReference, ...]:
        """The shared secrets with a usual name that nothing gives to Portworx."""
        names = [*dict.fromkeys(spec.namespace for spec in self.specs().specs), USUAL_NAMESPACES[0]]
        places = [
            place
            for namespace in dict.fromkeys(names)
            for place in (
                SecretKeyReference(namespace, OPERATOR_SECRET, SHARED_SECRET_KEY),
                pxkeys(namespace),
            )
        ]
        self._secrets.ask(places)
        return tuple(place for place in places if self._secrets.holds(place))

    def _left_over(self) -> str:
        found = self.left_over()
        return f"; not used: {', '.join(f'Secret {one}' for one in found)}" if found else ""

    def settings(self, issuer: str | None, default: str) -> VerifierSettings:
        """What the verifier accepts; a given issuer is not sought, default is the last resort."""
        reading = self.specs()
        public = _first(reading.specs, "public_key_file")
        return VerifierSettings(
            issuer=FoundText(issuer, "as given")
            if issuer
            else self.stated_issuer() or FoundText(default, BY_DEFAULT),
            username_claim=_claim(reading.specs, self._secrets) or FoundText("sub", BY_DEFAULT),
            public_key_file=FoundText(str(public.value), public.stated_by) if public else None,
            not_read=reading.forbidden,
            provider=self.provider(),
            untrusted=() if reading.specs else tuple(one.name for one in self._strangers()),
            malformed=reading.malformed,
        )

    def stated_issuer(self) -> FoundText | None:
        """The issuer that Portworx is started with, None where nothing states one."""
        return _issuer(self.specs().specs, self._secrets)

    def provider(self) -> FoundText | None:
        """The OpenID Connect provider that Portworx trusts, by its issuer."""
        stated = [spec.oidc_issuer for spec in self.specs().specs if spec.oidc_issuer]
        hint = "choose the Portworx that is meant with --portworx-namespace"
        return _one_text("OpenID Connect providers", stated, self._secrets, hint)

    def application_keys(self) -> dict[str, FoundKey]:
        """The keys of Portworx' own applications, by their issuer, as far as they can be read."""
        stated = {
            issuer: one
            for issuer, setting in ((APPS_ISSUER, "apps_key"), (STORK_ISSUER, "stork_key"))
            if (one := _first(self.specs().specs, setting))
        }
        self._secrets.ask(
            one.value for one in stated.values() if isinstance(one.value, SecretKeyReference)
        )
        found = {
            issuer: attempt(lambda one=one: _resolved(one, self._secrets))  # type: ignore[misc]
            for issuer, one in stated.items()
        }
        return {issuer: key for issuer, key in found.items() if isinstance(key, FoundKey)}

    def not_used(self) -> tuple[str, ...]:
        """What variables of a StorageCluster say that is not so, as the operator overrides it."""
        return tuple(self._not_used())

    def _not_used(self) -> Iterator[str]:
        for spec in self.specs().specs:
            issuer, key = spec.not_used.get("issuer"), spec.not_used.get("shared_secret")
            if issuer and spec.issuer:
                said = attempt(lambda issuer=issuer: _text(issuer, self._secrets))  # type: ignore[misc]
                if isinstance(said, FoundText) and said.value != spec.issuer.value:
                    yield (
                        f'{said.stated_by} names the issuer "{said.value}", but the operator starts'
                        f' Portworx with "{spec.issuer.value}" ({spec.issuer.stated_by})'
                    )
            if key:
                said_key = attempt(lambda key=key: _resolved(key, self._secrets))  # type: ignore[misc]
                used = attempt(lambda spec=spec: _key_of(spec, self._secrets))  # type: ignore[misc]
                if (
                    isinstance(said_key, FoundKey)
                    and isinstance(used, FoundKey)
                    and said_key.shared_secret.value != used.shared_secret.value
                ):
                    yield (
                        f"{key.stated_by} names another shared secret"
                        f"{f' ({said_key.reference})' if said_key.reference else ''}, but the"
                        f" operator starts Portworx with {used.reference} ({used.stated_by})"
                    )

    def secrets_not_read(self) -> tuple[str, ...]:
        """The Secrets that RBAC kept closed, of those that were looked at so far."""
        return self._secrets.forbidden()

    def _strangers(self) -> tuple[PortworxObject, ...]:
        """The DaemonSets that may be anybody's."""
        trusted = {*self._trusted_namespaces, *USUAL_NAMESPACES}
        return tuple(
            one for one in self._daemon_sets.result().objects if one.namespace not in trusted
        )


def _read(objects: Iterable[PortworxObject]) -> tuple[tuple[PortworxSpec, ...], tuple[str, ...]]:
    """What the objects say, and which can't be read and why."""
    specs: list[PortworxSpec] = []
    malformed = []
    for one in objects:
        try:
            specs += one.read()
        except MalformedError as error:
            malformed.append(f"{one.name} is passed over: {error}")
    return tuple(specs), tuple(malformed)


def _first(specs: tuple[PortworxSpec, ...], setting: str) -> Stated | None:
    return next((stated for spec in specs if (stated := getattr(spec, setting))), None)


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

    def holds(self, reference: SecretKeyReference) -> bool:
        """Whether there is something in that key, as far as this user may look."""
        secret = attempt(lambda: self.find(reference))
        return isinstance(secret, Secret) and bool(secret.data.get(reference.key))

    def shared_secret(self, reference: SecretKeyReference) -> SharedSecret:
        where = f'Secret {reference.namespace}/{reference.name} key "{reference.key}"'
        value, secret = self.value(reference), self.find(reference)
        rotation = rotation_notice(reference, secret) if secret else ""
        return SharedSecret(value, where, rotation)

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
    stating = [spec for spec in specs if spec.shared_secret]
    values = [spec.shared_secret.value for spec in stating if spec.shared_secret]
    secrets.ask(value for value in values if isinstance(value, SecretKeyReference))
    found = [key for spec in stating if (key := _key_of(spec, secrets))]
    return _one_key(found)


def _key_of(spec: PortworxSpec, secrets: _Secrets) -> FoundKey | None:
    """The key that the object states.

    The operator fills a Secret that has none yet from the variable, if that is there.
    """
    stated, variable = spec.shared_secret, spec.not_used.get("shared_secret")
    if stated is None:
        return None
    if variable and isinstance(stated.value, SecretKeyReference):
        secret = secrets.find(stated.value)
        if not (secret and secret.data.get(stated.value.key)):
            return _resolved(variable, secrets)
    try:
        return _resolved(stated, secrets)
    except SharedSecretError as error:
        if not spec.is_operators:
            raise
        hint = f"the operator makes it when it starts Portworx; or {error.hint or _FLAG}"
        raise SharedSecretError(str(error), hint) from None


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


def _issuer(specs: tuple[PortworxSpec, ...], secrets: _Secrets) -> FoundText | None:
    stated = [spec.issuer for spec in specs if spec.issuer]
    naming = {spec.owner for spec in specs if spec.issuer}
    # Where another Portworx names an issuer, one that names none has its default.
    if naming:
        stated += [
            Stated(_default_of(spec.shared_secret), f"{spec.owner}, by default")
            for spec in specs
            if spec.shared_secret and spec.owner not in naming
        ]
    hint = "choose one with --issuer, or the Portworx that is meant with --portworx-namespace"
    return _one_text("issuers", stated, secrets, hint)


def _default_of(key: Stated) -> str:
    return default_issuer(key.value if isinstance(key.value, SecretKeyReference) else None)


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

"""Find the shared secret and the issuer where the cluster itself says that they are.

What starts Portworx says both. Where nothing does, the Secrets with the usual names are read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import Secret, SecretKeyReference
from kubectl_pxauth.errors import (
    DiscoveryError,
    ForbiddenError,
    NoKeyError,
    NoSharedSecretError,
    PxauthError,
    SharedSecretError,
)
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.believed import (
    PortworxObject,
    PortworxSpecs,
    believe,
    daemon_sets,
    read_strangers,
    storage_clusters,
    strangers,
    widest,
)
from kubectl_pxauth.portworx.key_source import DEFAULT_ISSUER
from kubectl_pxauth.portworx.settings import (
    APPLICATIONS_KEY,
    APPLICATIONS_SECRET,
    APPS_ISSUER,
    OPERATOR_ISSUER,
    OPERATOR_SECRET,
    PXKEYS,
    SHARED_SECRET_KEY,
    STORK_ISSUER,
    USUAL_NAMESPACES,
    PortworxSpec,
    Stated,
    pxkeys,
)
from kubectl_pxauth.portworx.stated_values import NAME_IT, FoundKey, FoundText, StatedValues
from kubectl_pxauth.token.shared_secret import SharedSecret

BY_DEFAULT = "by default"
BY_NAME = "by its name"

_CHOOSE = "choose the Portworx that is meant with --portworx-namespace"
_ABSENT = "not found"
_MOST_STATING = 10  # objects that name a shared secret, and whose Secrets are read


@dataclass(frozen=True)
class VerifierSettings:
    """What Portworx's verifier is configured to accept.

    Where the cluster says nothing, issuer is the usual one and username_claim is sub.
    public_key_file is a path on its nodes, of a key that verifies tokens as well. provider is the
    OpenID Connect provider whose tokens are taken as well, by its issuer. not_read names the
    resources that this user may not list. untrusted are DaemonSets that may be anybody's.
    ignored says which objects do not count though they seem to start Portworx, and why; unseen,
    which of those that count get variables that could not be seen, if key or issuer is a guess.
    """

    issuer: FoundText
    username_claim: FoundText
    public_key_file: FoundText | None
    not_read: tuple[str, ...]
    provider: FoundText | None = None
    untrusted: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What does not count, and what might be otherwise if more could be read, or did count."""
        return (*self.ignored, *self.unseen, *self.guesses)

    @property
    def guesses(self) -> tuple[str, ...]:
        """Why the issuer might be another one."""
        if self.issuer.stated_by != BY_DEFAULT:
            return ()
        warnings = []
        guess = f'the issuer is taken to be "{self.issuer.value}"'
        if self.not_read:
            warnings.append(
                f"{guess}, but you may not list {', '.join(widest(self.not_read))}, which may name"
                " another; --issuer settles it"
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


class Search:
    """What the cluster says of its key and of its verifier's settings, read side by side.

    Whom it believes: portworx/believed.py. DaemonSets that may be anybody's are the last resort for
    a key, where nothing else starts Portworx and no Secret has a usual name.

    The methods raise DiscoveryError where the cluster says nothing of it, or two things;
    SharedSecretError where the Secret that it names can't be used; and ClusterErrors.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str | None,
        near: SecretKeyReference | None = None,
        *,
        try_usual: bool = True,
    ) -> None:
        """Begin to read, in the Portworx of that namespace or of all.

        A DaemonSet in the namespace of the Secret near counts as well. If try_usual, a user who
        may not list all namespaces is given the usual ones.
        """
        self._namespace = namespace
        near_namespace = near.namespace if near else None
        self._trusted_namespaces = (namespace, near_namespace)
        self._values = StatedValues(cluster)
        self._storage_clusters = Background(
            lambda: storage_clusters(cluster, namespace, try_usual=try_usual)
        )
        self._daemon_sets = Background(lambda: daemon_sets(cluster, namespace, try_usual=try_usual))

    def specs(self) -> PortworxSpecs:
        """What counts of what the objects say that are believed."""
        return self._believed

    @cached_property
    def _believed(self) -> PortworxSpecs:
        objects = self._storage_clusters.result(), self._daemon_sets.result()
        return self._without_missing_keys(believe(*objects, self._trusted_namespaces))

    def _without_missing_keys(self, reading: PortworxSpecs) -> PortworxSpecs:
        """Pass over a StorageCluster whose key is missing, where an older object's is in a Secret.

        Else a tenant's would stop every command. What is younger, or stands in the object itself,
        does not outdo a key that is missing: that may be the real one's.
        """
        stating = {spec.owner: spec for spec in reading.specs if spec.shared_secret}
        if len(stating) <= 1:
            return reading
        if len(stating) > _MOST_STATING:
            some = ", ".join(list(stating)[:_MOST_STATING])
            raise DiscoveryError(f"{len(stating)} objects name a shared secret: {some}, …", _CHOOSE)
        self._ask_for_keys(reading.specs)
        keys = {
            owner: attempt(lambda spec=spec: self._values.key_of(spec))  # type: ignore[misc]
            for owner, spec in stating.items()
        }
        found = [
            stating[owner].made
            for owner, key in keys.items()
            if isinstance(key, FoundKey) and key.reference
        ]
        missing = {
            owner: error
            for owner, error in keys.items()
            if isinstance(error, SharedSecretError)
            and any(stating[owner].made > it for it in found)
        }
        if not missing:
            return reading
        return replace(
            reading,
            specs=tuple(spec for spec in reading.specs if spec.owner not in missing),
            ignored=(
                *reading.ignored,
                *(f"{owner} is ignored: {error!s}" for owner, error in missing.items()),
            ),
        )

    def _ask_for_keys(self, specs: Iterable[PortworxSpec]) -> None:
        self._values.ask(spec.shared_secret.value for spec in specs if spec.shared_secret)

    def key(self) -> FoundKey:
        """The key that is stated, or where nothing is stated the one that is found by its name.

        Raises NoSharedSecretError where what starts Portworx gives it no shared secret.
        """
        self._values.ask(_usual_places(self._namespace)[0])
        if stated := self.stated_key():
            return stated
        if keyless := self.keyless():
            raise keyless
        try:
            return self.named_key()
        except NoKeyError:
            objects = () if self.specs().specs else self._strangers()
            if not objects:
                raise
            self._believed = replace(self.specs(), specs=read_strangers(objects))
            return self.stated_key() or self.named_key()

    def stated_key(self) -> FoundKey | None:
        """The key that Portworx is started with, None where nothing states one."""
        specs = self.specs().specs
        self._ask_for_keys(specs)
        key = _one_key([key for spec in specs if (key := self._values.key_of(spec))])
        has_key = {spec.owner for spec in specs if spec.shared_secret or spec.unseen}
        for spec in specs:
            if key and spec.owner not in has_key:
                raise DiscoveryError(
                    f"the cluster says different things: {key.stated_by} names a shared secret, and"
                    f" {spec.owner} names none",
                    hint=_CHOOSE,
                )
        return key

    def namespaces_of(self, key: FoundKey | None) -> frozenset[str]:
        """Where Portworx is known to run with this shared secret, or with a public key if None."""
        specs = self.specs().specs
        if key:
            return frozenset(spec.namespace for spec in specs if self._gives(spec, key))
        found = frozenset(spec.namespace for spec in specs if spec.public_key_file)
        return found if len(found) == 1 else frozenset()

    def _specs_of(self, key: FoundKey | None) -> tuple[PortworxSpec, ...]:
        """What the objects say that give Portworx this key; where none does, all that counts."""
        specs = self.specs().specs
        if key is None or len({spec.owner for spec in specs}) <= 1:
            return specs
        owners = {spec.owner for spec in specs if self._gives(spec, key)}
        return tuple(spec for spec in specs if spec.owner in owners) if owners else specs

    def _gives(self, spec: PortworxSpec, key: FoundKey) -> bool:
        found = attempt(lambda: self._values.key_of(spec))
        return isinstance(found, FoundKey) and found.shared_secret.value == key.shared_secret.value

    def named_key(self) -> FoundKey:
        """The key that has one of the usual names; raises NoKeyError where there is none."""
        return _key_by_name(*_usual_places(self._namespace), self.specs(), self._values)

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
        self._values.ask(places)
        return tuple(place for place in places if self._values.holds(place))

    def _left_over(self) -> str:
        found = self.left_over()
        return f"; not used: {', '.join(f'Secret {one}' for one in found)}" if found else ""

    def settings(
        self, issuer: str | None, default: str, key: FoundKey | None = None
    ) -> VerifierSettings:
        """What the verifier accepts that has this key, if it is known.

        A given issuer is not sought, default is the last resort.
        """
        reading, specs = self.specs(), self._specs_of(key)
        public = _first(specs, "public_key_file")
        found = FoundText(issuer, "as given") if issuer else self.stated_issuer(key)
        guessed = [
            what
            for what, is_guess in (
                ("key", key is not None and key.stated_by == BY_NAME),
                ("issuer", found is None),
            )
            if is_guess
        ]
        return VerifierSettings(
            issuer=found or FoundText(default, BY_DEFAULT),
            username_claim=self.username_claim(key),
            public_key_file=FoundText(str(public.value), public.stated_by) if public else None,
            not_read=reading.forbidden,
            provider=self.provider(key),
            untrusted=() if reading.specs else tuple(one.name for one in self._strangers()),
            ignored=reading.ignored,
            unseen=tuple(_unseen(specs, guessed)) if guessed else (),
        )

    def stated_issuer(self, key: FoundKey | None = None) -> FoundText | None:
        """The issuer that Portworx is started with, None where nothing states one."""
        specs = self._specs_of(key)
        stated = [spec.issuer for spec in specs if spec.issuer]
        naming = {spec.owner for spec in specs if spec.issuer}
        # Where another Portworx names an issuer, one that names none has its default.
        if naming:
            stated += [
                Stated(_default_of(spec.shared_secret), f"{spec.owner}, by default")
                for spec in specs
                if spec.shared_secret and spec.owner not in naming
            ]
        hint = f"choose one with --issuer, or {_CHOOSE.removeprefix('choose ')}"
        return self._values.one_text("issuers", stated, hint)

    def username_claim(self, key: FoundKey | None = None) -> FoundText:
        """The claim that Portworx takes for the user."""
        stated = [spec.username_claim for spec in self._specs_of(key) if spec.username_claim]
        found = self._values.one_text("user name claims", stated, _CHOOSE)
        return found or FoundText("sub", BY_DEFAULT)

    def provider(self, key: FoundKey | None = None) -> FoundText | None:
        """The OpenID Connect provider that Portworx trusts, by its issuer."""
        stated = [spec.oidc_issuer for spec in self._specs_of(key) if spec.oidc_issuer]
        return self._values.one_text("OpenID Connect providers", stated, _CHOOSE)

    def application_keys(self) -> dict[str, FoundKey]:
        """The keys of Portworx' own applications, by their issuer, as far as they can be read."""
        stated = {
            issuer: one
            for issuer, setting in ((APPS_ISSUER, "apps_key"), (STORK_ISSUER, "stork_key"))
            if (one := _first(self.specs().specs, setting))
        }
        self._values.ask(one.value for one in stated.values())
        found = {
            issuer: attempt(lambda one=one: self._values.key(one))  # type: ignore[misc]
            for issuer, one in stated.items()
        }
        return {issuer: key for issuer, key in found.items() if isinstance(key, FoundKey)}

    def same_elsewhere(self, key: SharedSecret, own: SecretKeyReference | None) -> tuple[str, ...]:
        """The places outside its own Secret where another key of Portworx' has that value.

        All keys of a Secret count that Portworx has one of them from, but for its shared secret.
        What can't be read is left out.
        """
        found = attempt(lambda: tuple(self._same_elsewhere(key, own)))
        return () if isinstance(found, PxauthError) else tuple(dict.fromkeys(found))

    def _same_elsewhere(self, key: SharedSecret, own: SecretKeyReference | None) -> Iterator[str]:
        specs = self.specs().specs
        stated = [
            one for spec in specs for one in (spec.system_key, spec.apps_key, spec.stork_key) if one
        ]
        if own and not specs:
            place = SecretKeyReference(own.namespace, APPLICATIONS_SECRET, APPLICATIONS_KEY)
            stated = [Stated(place, BY_NAME)]
        shared = [spec.shared_secret.value for spec in specs if spec.shared_secret]
        self._values.ask(one.value for one in stated)
        for one in stated:
            if not isinstance(one.value, SecretKeyReference):
                other = attempt(lambda one=one: self._values.key(one))  # type: ignore[misc]
                if isinstance(other, FoundKey) and other.shared_secret.value == key.value:
                    yield one.stated_by
                continue
            secret = attempt(lambda place=one.value: self._values.find(place))  # type: ignore[misc]
            if not isinstance(secret, Secret) or (own and one.value.secret == own.secret):
                continue
            for name, data in secret.data.items():
                place = replace(one.value, key=name)
                if data == key.value and place not in shared:
                    yield place.display_name

    def not_used(self) -> tuple[str, ...]:
        """What variables of a StorageCluster say that is not so, as the operator overrides it."""
        return tuple(self._not_used())

    def _not_used(self) -> Iterator[str]:
        for spec in self.specs().specs:
            issuer, key = spec.not_used.get("issuer"), spec.not_used.get("shared_secret")
            if issuer and spec.issuer:
                said = attempt(lambda issuer=issuer: self._values.text(issuer))  # type: ignore[misc]
                if isinstance(said, FoundText) and said.value != spec.issuer.value:
                    yield (
                        f'{said.stated_by} names the issuer "{said.value}", but the operator starts'
                        f' Portworx with "{spec.issuer.value}" ({spec.issuer.stated_by})'
                    )
            used = attempt(lambda spec=spec: self._values.key_of(spec))  # type: ignore[misc]
            if key and isinstance(used, FoundKey):
                said_key = attempt(lambda key=key: self._values.key(key))  # type: ignore[misc]
                if isinstance(said_key, SharedSecretError):
                    yield (
                        f"{said_key}: the operator reads it in each round, and keeps none of its"
                        " keys and tokens while it is gone"
                    )
                elif isinstance(said_key, FoundKey) and not self._gives(spec, said_key):
                    yield (
                        f"{key.stated_by} names another shared secret"
                        f"{f' ({said_key.reference})' if said_key.reference else ''}, but the"
                        f" operator starts Portworx with {used.reference} ({used.stated_by})"
                    )

    def secrets_not_read(self) -> tuple[str, ...]:
        """The Secrets that RBAC kept closed, of those that were looked at so far."""
        return self._values.forbidden()

    def _strangers(self) -> tuple[PortworxObject, ...]:
        """The DaemonSets that may be anybody's."""
        return strangers(self._daemon_sets.result(), self._trusted_namespaces)


def _unseen(specs: Iterable[PortworxSpec], guessed: list[str]) -> Iterator[str]:
    for owner in dict.fromkeys(spec.owner for spec in specs if spec.unseen):
        yield (
            f"{owner} has variables that are not seen here (envFrom, or $(…) of what is not in it),"
            f" so its {' and '.join(guessed)} may be another: --shared-secret-from and --issuer"
            " settle it"
        )


def _first(specs: tuple[PortworxSpec, ...], setting: str) -> Stated | None:
    return next((stated for spec in specs if (stated := getattr(spec, setting))), None)


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
    values: StatedValues,
) -> FoundKey:
    places: dict[str, str] = {}
    if not reading.forbidden and not reading.ignored:
        places["StorageClusters and DaemonSets"] = "say nothing of it" if reading.specs else "none"
    refusals: list[ForbiddenError] = []
    found = _named(usual, values, places, refusals)
    # A StorageCluster that could not be read may be why Portworx uses another.
    if reading.forbidden or not found:
        values.ask(others)
        found += _named(others, values, places, refusals)
    if key := _one_key(found):
        return key
    nothing = "; ".join(("no shared secret was found", *reading.ignored))
    if refusals:
        told = [f"{place}: {outcome}" for place, outcome in places.items() if outcome != _ABSENT]
        refused = "; ".join((_refused(refusals, reading.forbidden), *told))
        hint = "; or ".join(filter(None, (refusals[0].hint, NAME_IT)))
        raise NoKeyError(f"{nothing}: {refused}", hint)
    places = dict.fromkeys(widest(reading.forbidden), "not allowed to list them") | places
    looked = "; ".join(f"{place}: {outcome}" for place, outcome in places.items())
    hint = NAME_IT
    if not (reading.forbidden or reading.ignored):
        hint = f"make the first keys: kubectl pxauth keys create; or {NAME_IT}"
    raise NoKeyError(f"{nothing}; looked at {looked}", hint)


def _refused(refusals: list[ForbiddenError], kinds: Iterable[str]) -> str:
    """The first refusal, which says enough of the others: many commands warn with it."""
    others = list(dict.fromkeys(kind.partition(" in ")[0] for kind in kinds))
    if more := len(refusals) - 1:
        others.append(f"{more} other Secret{'s' if more > 1 else ''}")
    return f"{refusals[0]}; nor read {', '.join(others)}" if others else str(refusals[0])


def _named(
    references: Iterable[SecretKeyReference],
    values: StatedValues,
    places: dict[str, str],
    refusals: list[ForbiddenError],
) -> list[FoundKey]:
    found = []
    for reference in references:
        where = f"Secret {reference.namespace}/{reference.name}"
        try:
            secret = values.find(reference)
            if secret is None:
                places[where] = _ABSENT
                continue
            found.append(FoundKey(values.shared_secret(reference), reference, BY_NAME))
        except ForbiddenError as error:
            refusals.append(error)
        except SharedSecretError as error:
            places[where] = str(error).removeprefix(f"{where} ")
    return found


def _default_of(key: Stated) -> str:
    return default_issuer(key.value if isinstance(key.value, SecretKeyReference) else None)

"""Who signs in the cluster, and whether what starts Portworx says the same."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from kubectl_pxauth.cluster.access import Right
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference, find_secret
from kubectl_pxauth.errors import NoKeyError, NoSharedSecretError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.doctor.diagnosis import (
    Diagnosis,
    errors_as_diagnoses,
    from_error,
    ok,
    problem,
    unchecked,
    warning,
)
from kubectl_pxauth.parallel import attempt
from kubectl_pxauth.portworx.believed import widest
from kubectl_pxauth.portworx.discovery import BY_DEFAULT, BY_NAME, Search, VerifierSettings
from kubectl_pxauth.portworx.key_secret import (
    ROTATED_BY,
    changed_at,
    key_flags,
    read_key_state,
    same_value_warnings,
)
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.running import find_running
from kubectl_pxauth.portworx.settings import PXKEYS
from kubectl_pxauth.portworx.signing import (
    AS_GIVEN,
    KeySearch,
    TrustedKeys,
    trusted_keys,
)
from kubectl_pxauth.portworx.stated_values import FoundKey
from kubectl_pxauth.token.claims import rfc3339

_LIST_DAEMON_SETS = Right("list", "daemonsets.apps", None)
_NEW_KEY = "put a new one in its place: kubectl pxauth keys rotate"
_OWN_VALUES = "give each a value of its own: kubectl pxauth keys rotate"
_REAL_KEY = "name the real one: --shared-secret-from NAMESPACE/NAME:KEY or --shared-secret-file"


@dataclass(frozen=True)
class SigningCheck:
    """What tokens are verified against, whether Portworx asks for any, and what was found.

    asks is None where that is not known. key_place is where the shared secret is, or is to be,
    though it may be missing or unreadable.
    """

    trusted: TrustedKeys
    asks: bool | None
    diagnoses: tuple[Diagnosis, ...]
    search: Search
    key_place: SecretKeyReference


def check_signing(cluster: Cluster, source: KeySource) -> SigningCheck:
    """Who signs in the cluster, as far as it can be found; all errors are diagnoses."""
    search = KeySearch(cluster, source)
    discovery = search.discovery()
    key = attempt(search.key)
    found = key if isinstance(key, FoundKey) else None
    settings = attempt(lambda: search.settings(found, None))
    applications = attempt(discovery.application_keys)
    trusted = trusted_keys(
        source, key, settings, {} if isinstance(applications, PxauthError) else applications
    )
    asks = attempt(lambda: _asks(discovery, trusted.no_key))
    asks = None if isinstance(asks, PxauthError) else asks
    ignored: tuple[str, ...] = ()
    if isinstance(settings, VerifierSettings):
        ignored = (*settings.ignored, *settings.unseen)
    if asks is False:
        diagnoses = errors_as_diagnoses("portworx", lambda: _check_off(discovery))
    else:
        diagnoses = chain(
            _check_key(key, discovery),
            errors_as_diagnoses("key", lambda: _check_secret(cluster, found)),
            _check_other_keys(found, discovery),
            _check_issuer(settings, source.issuer),
            errors_as_diagnoses("portworx", lambda: _check_portworx(key, discovery)),
            errors_as_diagnoses("portworx", lambda: _check_not_used(discovery)),
            errors_as_diagnoses("portworx", lambda: _check_started(cluster, found, discovery)),
        )
    odd = (warning("portworx", message) for message in ignored)
    each: dict[str, Diagnosis] = {}
    for one in (*diagnoses, *odd):
        each.setdefault(one.message, one)  # one error may be in the way of several checks
    place = (found.reference if found else source.shared_secret_from) or _stated_place(discovery)
    return SigningCheck(trusted, asks, tuple(each.values()), discovery, place)


def _stated_place(discovery: Search) -> SecretKeyReference:
    """The Secret that Portworx is to have its key from, or the usual one."""
    specs = attempt(discovery.specs)
    stated = () if isinstance(specs, PxauthError) else specs.specs
    values = (spec.shared_secret.value for spec in stated if spec.shared_secret)
    return next((value for value in values if isinstance(value, SecretKeyReference)), PXKEYS)


def _asks(search: Search, no_key: PxauthError | None) -> bool | None:
    """Whether Portworx asks for tokens; None where too little can be read to say so."""
    specs = search.specs()
    if search.is_authorization_off():
        return False
    if any(spec.names_a_key or spec.oidc_issuer for spec in specs.specs):
        return True
    if specs.specs or specs.forbidden or search.secrets_not_read() or specs.ignored:
        return None
    return not isinstance(no_key, NoKeyError)


def _check_off(search: Search) -> Iterator[Diagnosis]:
    if search.is_authorization_off():
        yield ok("portworx", str(search.keyless()))
        return
    yield warning(
        "portworx",
        "there is no StorageCluster, no DaemonSet named portworx, and no shared secret",
        "choose another cluster with --context, or make the first keys: kubectl pxauth keys create",
    )


def _check_key(key: FoundKey | PxauthError | None, search: Search) -> Iterator[Diagnosis]:
    if key is None:
        yield ok("key", f"public, {AS_GIVEN}")
        return
    if isinstance(key, PxauthError):
        yield _no_key(key, search)
        return
    secret = key.shared_secret
    says = f"{secret.source}, {len(secret.value)} bytes"
    if fingerprint := secret.fingerprint:
        says += f", fingerprint {fingerprint}"
    if key.stated_by == BY_NAME:
        says += ", found by its name"
    elif key.stated_by == AS_GIVEN:
        says += f", {AS_GIVEN}"
    elif key.stated_by != secret.source:
        says += f", named by {key.stated_by}"
    yield ok("key", says)
    for odd in secret.warnings():
        yield warning("key", odd, _REAL_KEY if secret.is_reference else _NEW_KEY)


def _check_not_used(search: Search) -> Iterator[Diagnosis]:
    for message in search.not_used():
        yield warning("portworx", message, "take the variable out of spec.env")


def _check_secret(cluster: Cluster, key: FoundKey | None) -> Iterator[Diagnosis]:
    if key is None or key.reference is None:
        return
    secret = find_secret(cluster, key.reference.namespace, key.reference.name)
    if secret is None:
        return
    for says in same_value_warnings(secret, key.reference.key):
        yield warning("key", says, _OWN_VALUES)
    state = read_key_state(key.reference, secret)  # which says what is in a rotation's way
    if state.rotation:
        since = f", since {state.rotation.since}" if state.rotation.since else ""
        flags = key_flags(key.reference if key.stated_by == AS_GIVEN else None)
        yield warning(
            "key",
            f"a rotation of it is under way{since}",
            f"{state.rotation.next_command(flags)} continues it; kubectl pxauth keys status{flags}"
            " shows how far it is",
        )


def _check_other_keys(key: FoundKey | None, search: Search) -> Iterator[Diagnosis]:
    if key is None:
        return
    for place in search.same_elsewhere(key.shared_secret, key.reference):
        yield warning(
            "key",
            f"{place} has the same value as {key.shared_secret.source}: whoever has the one key has"
            " the other",
            _OWN_VALUES,
        )


def _check_started(cluster: Cluster, key: FoundKey | None, search: Search) -> Iterator[Diagnosis]:
    """Whether the pods that run were started after the key was changed, where that is known."""
    if key is None or key.reference is None:
        return
    secret = find_secret(cluster, key.reference.namespace, key.reference.name)
    if secret is None:
        return
    changed, manager = changed_at(key.reference, secret)
    if changed is None or manager != ROTATED_BY:
        return
    running = find_running(cluster, search.specs().specs, key.reference.namespace)
    stale = running.started_before(changed)
    if stale:
        yield problem(
            "portworx",
            f"{len(stale)} of {len(running.pods)} pods were started before the shared secret was"
            f" changed, {rfc3339(changed)}, and refuse its tokens:"
            f" {', '.join(pod.name for pod in stale)}",
            "; ".join(running.restart_commands(stale)),
        )


def _no_key(error: PxauthError, search: Search) -> Diagnosis:
    if isinstance(error, NoKeyError):
        specs = search.specs()
        if isinstance(error, NoSharedSecretError) and search.provider():
            return ok("key", str(error))
        hidden = specs.forbidden or search.secrets_not_read()
        # A key that only the nodes have, or that others may see, is no fault of the cluster's.
        if hidden:
            return unchecked("key", str(error), error.hint)
        if any(spec.public_key_file for spec in specs.specs):
            return warning("key", str(error), error.hint)
    return from_error("key", error)


def _check_issuer(
    settings: VerifierSettings | PxauthError, given: str | None
) -> Iterator[Diagnosis]:
    if isinstance(settings, PxauthError):
        yield from_error("issuer", settings)
        return
    issuer, provider = settings.issuer, settings.provider
    if provider:
        yield ok(
            "issuer",
            f'"{provider.value}", an OpenID Connect provider, named by {provider.stated_by}; its'
            " tokens are verified by the provider, not here",
        )
        if issuer.stated_by == BY_DEFAULT and not given:
            return
    if given and issuer.stated_by == BY_DEFAULT:
        yield ok("issuer", f'"{given}", {AS_GIVEN}; the cluster names none')
    elif given and given != issuer.value:
        yield problem(
            "issuer",
            f'"{given}" is given, but "{issuer.value}" is what {issuer.stated_by} names',
            "leave out --issuer",
        )
    elif guessed := settings.guesses:
        odd = warning("issuer", guessed[0], _LIST_DAEMON_SETS.question)
        yield replace(odd, unchecked=bool(settings.not_read))
    elif issuer.stated_by == BY_DEFAULT:
        yield warning(
            "issuer",
            f'"{issuer.value}" {BY_DEFAULT}, as nothing names it',
            "look up the issuer that Portworx was started with, and name it: --issuer",
        )
    else:
        yield ok("issuer", f'"{issuer.value}", named by {issuer.stated_by}')


def _check_portworx(key: FoundKey | PxauthError | None, search: Search) -> Iterator[Diagnosis]:
    specs = search.specs()
    if isinstance(key, PxauthError) and not isinstance(key, NoKeyError):
        return  # the check of the key says it
    stated = search.stated_key()
    public = next((spec.public_key_file for spec in specs.specs if spec.public_key_file), None)
    if stated and isinstance(key, FoundKey):
        yield _compared(stated, key)
    elif public:
        yield ok("portworx", f"verifies with a public key: {public.stated_by} {public.value}")
    elif provider := search.provider():
        yield ok("portworx", f"trusts a provider alone: {provider.stated_by}")
    elif stated:
        yield ok("portworx", f"set to take a shared secret by {stated.stated_by}")
    elif specs.specs:
        yield warning(
            "portworx",
            "what starts it names no key: is its security on?",
            "StorageCluster: spec.security.enabled; DaemonSet: PORTWORX_AUTH_JWT_SHAREDSECRET",
        )
    elif specs.forbidden:
        places = ", ".join(widest(specs.forbidden))
        yield unchecked(
            "portworx", f"not checked: you may not list {places}", _LIST_DAEMON_SETS.question
        )
    elif not specs.ignored:
        yield warning(
            "portworx",
            "there is no StorageCluster, and no DaemonSet named portworx",
            "choose another cluster with --context, or name Portworx' own: --portworx-namespace",
        )


def _compared(stated: FoundKey, key: FoundKey) -> Diagnosis:
    place = stated.reference or "a key of its own"
    if stated.shared_secret.value != key.shared_secret.value:
        return problem(
            "portworx",
            f"{stated.stated_by} takes {place}, which is another key than"
            f" {key.shared_secret.source}",
            "leave out --shared-secret-from, --shared-secret-file and PORTWORX_AUTH_SHARED_SECRET",
        )
    if stated.stated_by == key.stated_by:
        return ok("portworx", "takes this key when it starts")
    if stated.reference == key.reference:
        return ok("portworx", f"{stated.stated_by} takes this key")
    return ok("portworx", f"{stated.stated_by} takes {place}, which is the same key")

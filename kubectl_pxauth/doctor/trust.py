"""What signs and in whose name, and whether Portworx says the same."""

from collections.abc import Iterator
from dataclasses import dataclass

from kubectl_pxauth.cluster.access import Right
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.portworx import PortworxSpecs
from kubectl_pxauth.cluster.secrets import find_secret
from kubectl_pxauth.discovery import (
    BY_DEFAULT,
    BY_NAME,
    DEFAULT_ISSUER,
    FoundKey,
    Names,
    Search,
    default_issuer,
    read_shared_secret,
)
from kubectl_pxauth.doctor.finding import Finding, attempt, of_error, ok, problem, reported, warning
from kubectl_pxauth.errors import NoKeyError, PxauthError
from kubectl_pxauth.rotation import ROTATION
from kubectl_pxauth.tokens import Trusted
from kubectl_pxauth.trust import TrustSource

_AS_GIVEN = "as given"
_LIST_DAEMON_SETS = Right("list", "daemonsets.apps", None)
_NEW_KEY = "put a new one in its place: kubectl pxauth keys rotate"


@dataclass(frozen=True)
class Ground:
    """What tokens are held against, whether Portworx asks for any, and what was found of that."""

    trusted: Trusted
    secured: bool
    findings: tuple[Finding, ...]


def find_ground(cluster: Cluster, source: TrustSource) -> Ground:
    """What the cluster trusts, as far as it can be found; all errors are findings."""
    search = Search(cluster, source.portworx_namespace, beside=source.shared_secret_from)
    key = attempt(lambda: _key_in_use(cluster, source, search))
    found = key if isinstance(key, FoundKey) else None
    default = default_issuer(found.reference) if found else DEFAULT_ISSUER
    names = attempt(lambda: search.names(None, default))
    specs = attempt(search.specs)
    findings = (
        *_check_key(key, search),
        *reported("key", lambda: _check_rotation(cluster, found)),
        *_check_issuer(names, source.issuer),
        *reported("portworx", lambda: _check_portworx(key, search)),
    )
    claim = "sub" if isinstance(names, PxauthError) else names.username_claim.value
    issuer = source.issuer or (None if isinstance(names, PxauthError) else names.issuer.value)
    trust = source.trust(issuer, found.shared_secret if found else source.shared_secret, claim)
    no_key = str(key) if isinstance(key, PxauthError) else None
    return Ground(Trusted(trust, no_key), _is_secured(specs, no_key), findings)


def _key_in_use(cluster: Cluster, source: TrustSource, search: Search) -> FoundKey | None:
    """The shared secret, None where it is public keys that are given."""
    if source.shared_secret:
        return FoundKey(source.shared_secret, None, _AS_GIVEN)
    if reference := source.shared_secret_from:
        return FoundKey(read_shared_secret(cluster, reference), reference, _AS_GIVEN)
    return None if source.has_key else search.key()


def _is_secured(specs: PortworxSpecs | PxauthError, no_key: str | None) -> bool:
    """Whether Portworx is known to ask for tokens."""
    if isinstance(specs, PxauthError) or not specs.specs:
        return no_key is None
    return any(spec.shared_secret or spec.public_key_file for spec in specs.specs)


def _check_key(key: FoundKey | PxauthError | None, search: Search) -> Iterator[Finding]:
    if key is None:
        yield ok("key", f"public, {_AS_GIVEN}")
        return
    if isinstance(key, PxauthError):
        yield _no_key(key, search)
        return
    secret = key.shared_secret
    says = f"{secret.source}, {len(secret.value)} bytes"
    if key.where == BY_NAME:
        says += ", found by its name"
    elif key.where == _AS_GIVEN:
        says += f", {_AS_GIVEN}"
    elif key.where != secret.source:
        says += f", named by {key.where}"
    yield ok("key", says)
    for odd in secret.warnings():
        yield warning("key", odd, _NEW_KEY)


def _check_rotation(cluster: Cluster, key: FoundKey | None) -> Iterator[Finding]:
    if key is None or key.reference is None:
        return
    secret = find_secret(cluster, key.reference.namespace, key.reference.name)
    if secret and ROTATION in (secret.manifest["metadata"].get("annotations") or {}):
        yield warning(
            "key",
            "a rotation of it is under way, and tokens that the other key signed are bad here",
            "kubectl pxauth keys rotate goes on, and with --rollback goes back",
        )


def _no_key(error: PxauthError, search: Search) -> Finding:
    if isinstance(error, NoKeyError):
        specs = search.specs()
        hidden = specs.forbidden or search.secrets_not_read()
        # A key that only the nodes have, or that others may see, is no fault of the cluster's.
        if hidden or any(spec.public_key_file for spec in specs.specs):
            return warning("key", str(error), error.hint)
    return of_error("key", error)


def _check_issuer(names: Names | PxauthError, given: str | None) -> Iterator[Finding]:
    if isinstance(names, PxauthError):
        yield of_error("issuer", names)
        return
    issuer = names.issuer
    if given and issuer.where == BY_DEFAULT:
        yield ok("issuer", f'"{given}", {_AS_GIVEN}; the cluster names none')
    elif given and given != issuer.value:
        yield problem(
            "issuer",
            f'"{given}" is given, but "{issuer.value}" is what {issuer.where} names',
            "leave out --issuer",
        )
    elif doubts := names.warnings():
        yield warning("issuer", doubts[0], _LIST_DAEMON_SETS.question)
    elif issuer.where == BY_DEFAULT:
        yield warning(
            "issuer",
            f'"{issuer.value}" {BY_DEFAULT}, as nothing names it',
            "compare it with how Portworx was started, and say it with --issuer",
        )
    else:
        yield ok("issuer", f'"{issuer.value}", named by {issuer.where}')


def _check_portworx(key: FoundKey | PxauthError | None, search: Search) -> Iterator[Finding]:
    specs = search.specs()
    if isinstance(key, PxauthError) and not isinstance(key, NoKeyError):
        return  # the check of the key says it
    stated = search.stated_key()
    public = next((spec.public_key_file for spec in specs.specs if spec.public_key_file), None)
    if stated and isinstance(key, FoundKey):
        yield _compared(stated, key)
    elif public:
        yield ok("portworx", f"verifies with a public key: {public.where} {public.value}")
    elif stated:
        yield ok("portworx", f"set to take a shared secret by {stated.where}")
    elif specs.specs:
        yield warning(
            "portworx",
            "what starts it names no key: is its security on?",
            "StorageCluster: spec.security.enabled; DaemonSet: PORTWORX_AUTH_JWT_SHAREDSECRET",
        )
    elif specs.forbidden:
        places = ", ".join(specs.forbidden)
        yield warning(
            "portworx", f"not checked: you may not list {places}", _LIST_DAEMON_SETS.question
        )
    else:
        yield warning(
            "portworx",
            "there is no StorageCluster, and no DaemonSet named portworx",
            "is it another cluster? --context, --portworx-namespace",
        )


def _compared(stated: FoundKey, key: FoundKey) -> Finding:
    place = stated.reference or "a key of its own"
    if stated.shared_secret.value != key.shared_secret.value:
        return problem(
            "portworx",
            f"{stated.where} takes {place}, which is another key than {key.shared_secret.source}",
            "leave out --shared-secret-from, --shared-secret-file and PORTWORX_AUTH_SHARED_SECRET",
        )
    if stated.where == key.where:
        return ok("portworx", "set to take this very key when it starts")
    if stated.reference == key.reference:
        return ok("portworx", f"{stated.where} takes this very key")
    return ok("portworx", f"{stated.where} takes {place}, which is the same key")

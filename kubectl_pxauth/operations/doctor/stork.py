"""Whether Portworx takes the tokens that stork makes for itself.

stork signs with PX_SHARED_SECRET under PX_JWT_ISSUER, of which it knows three and takes the second
of these where none is said: libopenstorage/stork, drivers/volume/portworx/portworx.go (Init). The
operator gives it the key of Portworx' own applications: libopenstorage/operator,
drivers/storage/portworx/portworx.go (GetStorkEnvMap).
"""

from collections.abc import Iterator

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.deployments import Deployment, Unseen, find_deployments
from kubectl_pxauth.cluster.secrets import SecretKeyReference, find_secret
from kubectl_pxauth.errors import ForbiddenError, NotFoundError
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, ok, warning
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.settings import (
    APPS_ISSUER,
    OPERATOR_ISSUER,
    STORK_ISSUER,
    USUAL_NAMESPACES,
)
from kubectl_pxauth.portworx.signing import TrustedKeys

_KEY, _ISSUER = "PX_SHARED_SECRET", "PX_JWT_ISSUER"
_UNSEEN = "may come from elsewhere, and was not compared"
_KNOWN = (APPS_ISSUER, STORK_ISSUER, OPERATOR_ISSUER)


def check_stork(cluster: Cluster, search: Search, trusted: TrustedKeys) -> Iterator[Diagnosis]:
    """A warning for each stork whose tokens a Portworx that wants tokens does not take.

    A Deployment counts only where Portworx runs: anybody can call one so. Raises ClusterErrors.
    """
    try:
        found = list(find_deployments(cluster, "stork"))
    except ForbiddenError:
        return  # it may not be there at all
    portworxs = {*USUAL_NAMESPACES, *(spec.namespace for spec in search.specs().specs)}
    for stork in found:
        if stork.namespace in portworxs:
            yield _check(cluster, stork, search, trusted)


def _check(cluster: Cluster, stork: Deployment, search: Search, trusted: TrustedKeys) -> Diagnosis:
    who = f"Deployment {stork.namespace}/{stork.name}"
    issuer = stork.variable(_ISSUER) or STORK_ISSUER
    stated = stork.variable(_KEY)
    if isinstance(issuer, SecretKeyReference | Unseen):
        return ok("stork", f"{who}: {_ISSUER} {_UNSEEN}")
    if issuer not in _KNOWN:
        says = f'{_ISSUER} is "{issuer}", and stork starts with {", ".join(_KNOWN)} alone'
        return warning("stork", f"{who}: {says}", f"set {_ISSUER} to {APPS_ISSUER}")
    if isinstance(stated, Unseen):
        return ok("stork", f"{who}: {_KEY} {_UNSEEN}")
    if not stated:
        says = f"it has no {_KEY}, and asks Portworx without a token"
        return warning("stork", f"{who}: {says}", "give it the key that Portworx has for it")
    key = _value(cluster, stated)
    if key is None:
        return warning("stork", f"{who}: {_KEY} is in {stated}, which is not there")
    return _compare(who, issuer, key, search, trusted)


def _compare(who: str, issuer: str, key: bytes, search: Search, trusted: TrustedKeys) -> Diagnosis:
    hint = f"set {_KEY} and {_ISSUER} as Portworx has them for its applications"
    if issuer == OPERATOR_ISSUER:
        theirs, known = trusted.trust.shared_secret, trusted.trust.issuer is not None
        takes_issuer, by = trusted.trust.issuer == issuer, "its own shared secret"
    else:
        setting = "apps_key" if issuer == APPS_ISSUER else "stork_key"
        specs = search.specs()
        found = trusted.application_keys.get(issuer)
        theirs = found.shared_secret.value if found else None
        by = found.stated_by if found else ""
        takes_issuer = any(getattr(spec, setting) for spec in specs.specs)
        known = bool(specs.specs) and not specs.forbidden
    if known and not takes_issuer:
        says = f'Portworx is started with no key for tokens of "{issuer}"'
        return warning("stork", f"{who}: {says}, which stork makes", hint)
    if takes_issuer and theirs and theirs != key:
        says = f'{_KEY} is not the key that Portworx has for tokens of "{issuer}": {by}'
        return warning("stork", f"{who}: {says}", hint)
    if theirs:
        return ok("stork", f'{who}: signs as "{issuer}" with the key that Portworx has for it')
    return ok("stork", f'{who}: signs as "{issuer}"; its key could not be compared')


def _value(cluster: Cluster, stated: str | SecretKeyReference) -> bytes | None:
    if isinstance(stated, str):
        return stated.encode()
    try:
        return stated.value_in(find_secret(cluster, stated.namespace, stated.name))
    except NotFoundError:
        return None

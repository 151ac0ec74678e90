"""Examine a token that is there already: what it says, and whether its cluster would take it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from kubectl_pxauth.cluster.connection import Cluster, side_by_side
from kubectl_pxauth.cluster.secrets import SecretKeyReference, find_secret
from kubectl_pxauth.discovery import Names
from kubectl_pxauth.errors import DiscoveryError, NotFoundError, PxauthError
from kubectl_pxauth.token.verdict import (
    NO_KEY,
    Finding,
    Severity,
    Trust,
    Verdict,
    judge,
)
from kubectl_pxauth.trust import TrustSource, find_trust


@dataclass(frozen=True)
class FileToken:
    """The bytes of a token, and the name of the file that they were read from."""

    token: bytes = field(repr=False)
    filename: str


@dataclass(frozen=True)
class Examination:
    """What a token says, and what its cluster would say of it.

    Where what the cluster trusts could not be found, unknown says why, and the verdict goes
    without it. warnings are about the cluster, not the token.
    """

    where: str
    verdict: Verdict
    unknown: PxauthError | None
    warnings: tuple[str, ...]

    @property
    def accepted(self) -> bool | None:
        """Whether the cluster would take the token; None where that can't be told."""
        if self.unknown and self.verdict.accepted:
            return None
        return self.verdict.accepted


def examine(
    place: SecretKeyReference | FileToken,
    source: TrustSource,
    now: datetime,
    connect: Callable[[], Cluster],
) -> Examination:
    """Judge the token in that place as the cluster would at that moment.

    The cluster is asked for what is not given; for a file with an issuer and a key, nobody is.
    Raises PxauthErrors where there is no token, but not where there is nothing to hold it
    against: the Examination has that one.
    """
    if isinstance(place, FileToken):
        trusted = _attempt(lambda: _trust_for_file(source, connect))
        return _examination(place.token, place.filename, source, trusted, now)
    cluster = connect()
    trusted, token = side_by_side(
        lambda: _attempt(lambda: find_trust(cluster, source)), lambda: _read_token(cluster, place)
    )
    where = f'Secret {place.namespace}/{place.name} key "{place.key}"'
    return _examination(token, where, source, trusted, now)


_Trusted = tuple[Trust, Names | None]


def _attempt(find: Callable[[], _Trusted]) -> _Trusted | PxauthError:
    try:
        return find()
    except PxauthError as error:
        return error


def _examination(
    token: bytes,
    where: str,
    source: TrustSource,
    trusted: _Trusted | PxauthError,
    now: datetime,
) -> Examination:
    if not isinstance(trusted, PxauthError):
        trust, names = trusted
        verdict = judge(token, trust, now)
        warnings = names.warnings() if names else ()
        public = names.public_key_file if names else None
        if not public or not _lacks_key(verdict):
            return Examination(where, verdict, None, warnings)
        trusted = DiscoveryError(
            f"Portworx verifies such a token with a key that is not at hand ({public.where}"
            f" {public.value})",
            hint="name its file: --rsa-public-keyfile or --ecdsa-public-keyfile",
        )
        return Examination(where, _without_signature(verdict), trusted, warnings)
    verdict = judge(token, source.trust(source.issuer, source.shared_secret), now)
    if not source.has_key and _lacks_key(verdict):
        verdict = _without_signature(verdict)
    return Examination(where, verdict, trusted, ())


def _lacks_key(verdict: Verdict) -> bool:
    return any(found.message.startswith(NO_KEY) for found in verdict.problems("signature"))


def _without_signature(verdict: Verdict) -> Verdict:
    not_checked = Finding(Severity.WARNING, "signature", "not checked")
    findings = (not_checked if one.check == "signature" else one for one in verdict.findings)
    return replace(verdict, findings=tuple(findings))


def _read_token(cluster: Cluster, place: SecretKeyReference) -> bytes:
    where = f"Secret {place.namespace}/{place.name}"
    secret = find_secret(cluster, place.namespace, place.name)
    if secret is None:
        raise NotFoundError(
            f"{where} not found", hint="name it: SECRET -n NAMESPACE; or a file: --token-file FILE"
        )
    if place.key not in secret.data:
        keys = ", ".join(sorted(secret.data)) or "none"
        raise NotFoundError(
            f'{where} has no key "{place.key}"; its keys: {keys}', hint="name the key with --key"
        )
    return secret.data[place.key]


def _trust_for_file(source: TrustSource, connect: Callable[[], Cluster]) -> _Trusted:
    if source.has_key and source.issuer:
        return source.trust(source.issuer, source.shared_secret), None
    return find_trust(connect(), source)

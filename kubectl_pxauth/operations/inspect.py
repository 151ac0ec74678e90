"""Examine a token that is there already: what it says, and whether its cluster would take it."""

from collections.abc import Callable
from dataclasses import field, replace
from datetime import datetime

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference, find_secret
from kubectl_pxauth.errors import DiscoveryError, NotFoundError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import attempt, side_by_side
from kubectl_pxauth.portworx.discovery import BY_DEFAULT, VerifierSettings
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.signing import (
    TrustedKeys,
    find_trusted_keys,
    trusted_keys,
)
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import (
    NO_KEY,
    Finding,
    Severity,
    Verdict,
)


@dataclass(frozen=True)
class FileToken:
    """The bytes of a token, and the name of the file that they were read from."""

    token: bytes = field(repr=False)
    filename: str


@dataclass(frozen=True)
class Examination:
    """What a token says, and what its cluster would say of it.

    Where what the cluster trusts could not be found, unknown says why, and the verdict goes
    without it. key is the shared secret that the signature was checked with, if one was. warnings
    are about the cluster, not the token.
    """

    where: str
    verdict: Verdict
    unknown: PxauthError | None
    key: SharedSecret | None
    warnings: tuple[str, ...]

    @property
    def accepted(self) -> bool | None:
        """Whether the cluster would take the token; None where that can't be told."""
        if self.unknown and self.verdict.accepted:
            return None
        return self.verdict.accepted


def examine_file(
    file: FileToken, source: KeySource, connect: Callable[[], Cluster], now: datetime
) -> Examination:
    """Judge the token of a file as the cluster would at that moment.

    The cluster is asked for what is not given: with an issuer and a key, nobody is. Where there is
    nothing to verify it against, the Examination has the error.
    """
    trusted = _trusted_for_file(source, connect)
    return _examination(file.token, file.filename, source, trusted, now)


def examine(
    places: tuple[SecretKeyReference, ...], source: KeySource, cluster: Cluster, now: datetime
) -> list[Examination | PxauthError]:
    """Judge the tokens in those places as the cluster would at that moment, in their order.

    An error stands for a place where there is no token; where there is nothing to verify a token
    against, its Examination has the error.
    """

    def read(place: SecretKeyReference) -> bytes | PxauthError:
        return attempt(lambda: _read_token(cluster, place))

    trusted, tokens = side_by_side(
        lambda: _trusted(cluster, source), lambda: [read(place) for place in places]
    )
    return [
        token
        if isinstance(token, PxauthError)
        else _examination(token, place.display_name, source, trusted, now)
        for place, token in zip(places, tokens, strict=True)
    ]


def _trusted(cluster: Cluster, source: KeySource) -> TrustedKeys:
    found = attempt(lambda: find_trusted_keys(cluster, source))
    return trusted_keys(source, found, found) if isinstance(found, PxauthError) else found


def _trusted_for_file(source: KeySource, connect: Callable[[], Cluster]) -> TrustedKeys:
    if source.has_key and source.issuer:
        return trusted_keys(source, None, None)
    cluster = attempt(connect)
    if isinstance(cluster, PxauthError):
        return trusted_keys(source, cluster, cluster)
    return _trusted(cluster, source)


def _examination(
    token: bytes, where: str, source: KeySource, trusted: TrustedKeys, now: datetime
) -> Examination:
    verdict, unknown = trusted.judge(token, now), trusted.unknown
    found = trusted.key_of(verdict)
    key = found.shared_secret if found else None
    if elsewhere := trusted.maker(verdict.issuer):
        # None where the header names no algorithm that is taken: such a token is refused anyway.
        signature = next((one for one in verdict.findings if one.check == "signature"), None)
        unknown = None
        if key is None and signature:
            unknown = DiscoveryError(f"signature {signature.message}: {elsewhere}")
    elif (public := trusted.public_key_file) and _lacks_key(verdict):
        unknown = DiscoveryError(
            f"Portworx verifies such a token with a key that is not at hand"
            f" ({public.stated_by} {public.value})",
            hint="name its file: --rsa-public-keyfile or --ecdsa-public-keyfile",
        )
        verdict = _without_signature(verdict)
    elif trusted.no_key and not source.has_key and _lacks_key(verdict):
        verdict = _without_signature(verdict)
    verdict = _explained(verdict, key, trusted)
    warnings = () if unknown or trusted.unknown else trusted.warnings
    return Examination(where, verdict, unknown, key, warnings)


def _explained(verdict: Verdict, key: SharedSecret | None, trusted: TrustedKeys) -> Verdict:
    """The verdict with the key named, and an issuer that is only a default called that."""
    settings = trusted.settings
    guessed = isinstance(settings, VerifierSettings) and settings.issuer.stated_by == BY_DEFAULT

    def explained(one: Finding) -> Finding:
        if one.check == "signature" and key:
            return replace(one, message=f"{one.message}: {key.label}")
        if one.check == "issuer" and guessed and trusted.trust.issuer:
            return replace(one, message=f"{one.message}, which is only the default")
        return one

    return replace(verdict, findings=tuple(map(explained, verdict.findings)))


def _lacks_key(verdict: Verdict) -> bool:
    return any(found.message.startswith(NO_KEY) for found in verdict.problems("signature"))


def _without_signature(verdict: Verdict) -> Verdict:
    not_checked = Finding(Severity.WARNING, "signature", "not checked")
    findings = (not_checked if one.check == "signature" else one for one in verdict.findings)
    return replace(verdict, findings=tuple(findings))


def _read_token(cluster: Cluster, reference: SecretKeyReference) -> bytes:
    secret = find_secret(cluster, reference.namespace, reference.name)
    try:
        return reference.value_in(secret)
    except NotFoundError as error:
        hint = "name the key with --key"
        if secret is None:
            hint = (
                "name another Secret, SECRET -n NAMESPACE, or a file, --token-file FILE;"
                " kubectl pxauth list -A shows the Secrets with a token"
            )
        raise NotFoundError(str(error), hint) from None

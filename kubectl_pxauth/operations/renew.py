"""Sign tokens again before they end, for the same user and for as long."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretFailure,
    find_secret,
    list_secrets,
    update_secret,
    write_secret,
)
from kubectl_pxauth.errors import IdentityError, NotFoundError, PxauthError
from kubectl_pxauth.parallel import run_concurrently
from kubectl_pxauth.portworx.owners import storage_cluster_of, why_unwritable
from kubectl_pxauth.portworx.signing import KeySource, find_signer
from kubectl_pxauth.portworx.token_content import EXPIRES, token_secret_content
from kubectl_pxauth.portworx.token_secrets import Scope
from kubectl_pxauth.token.claims import CLOCK_SKEW, Claims, lifetime, rfc3339
from kubectl_pxauth.token.identity import OWNER_CLAIMS, Identity
from kubectl_pxauth.token.minting import MintedToken, Signer, mint_claims
from kubectl_pxauth.token.verdict import Verdict, judge


class Outcome(StrEnum):
    """What became of a token that was looked at."""

    RENEWED = "renewed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class RenewRequest:
    """Which tokens to renew, when, and how.

    Named Secrets are of the scope's namespace; without names it is all that hold a token.
    due_within is how near its end a token is renewed; None renews it whenever its end is.
    resign also renews tokens that the present key did not sign; duration is None to keep it.
    """

    names: tuple[str, ...]
    scope: Scope
    key: str
    due_within: timedelta | None
    resign: bool
    duration: timedelta | None
    dry_run: DryRun
    now: datetime


@dataclass(frozen=True)
class RenewResult:
    """What became of one token, and until when it lives now; reason is why it was skipped."""

    namespace: str
    secret: str
    outcome: Outcome
    expires_at: datetime | None
    reason: str = ""


def renew(
    request: RenewRequest,
    source: KeySource,
    cluster: Cluster,
    concurrency: int,
    stop: Event,
) -> tuple[Signer, Iterator[RenewResult | SecretFailure]]:
    """The signer that signs, and the outcomes as they are reached; one failure is no other's.

    Raises PxauthErrors where nothing can be renewed; the iterator may raise ClusterErrors where
    the Secrets can't be listed.
    """
    signer = find_signer(cluster, source)

    def work(place: tuple[str, str, Secret | None]) -> RenewResult | SecretFailure | None:
        namespace, name, found = place
        try:
            return write_secret(
                cluster,
                namespace,
                name,
                found or find_secret(cluster, namespace, name),
                write=lambda secret: _renew_one(
                    request, signer, cluster, _there(secret, namespace, name)
                ),
            )
        except PxauthError as error:
            return SecretFailure(namespace, name, error)

    outcomes = run_concurrently(work, _places(request, cluster), concurrency, stop)
    return signer, (outcome for outcome in outcomes if outcome)


def _places(request: RenewRequest, cluster: Cluster) -> Iterator[tuple[str, str, Secret | None]]:
    if request.names:
        assert request.scope.namespace  # noqa: S101 - names are of a namespace
        for name in request.names:
            yield request.scope.namespace, name, None
        return
    for secret in list_secrets(cluster, request.scope.namespace, selector=request.scope.selector):
        if request.key in secret.data:
            yield secret.namespace, secret.name, secret


def _there(secret: Secret | None, namespace: str, name: str) -> Secret:
    if secret is None:
        raise NotFoundError(f"Secret {namespace}/{name} not found")
    return secret


def _renew_one(
    request: RenewRequest, signer: Signer, cluster: Cluster, secret: Secret
) -> RenewResult | None:
    """Renew the token, if it is due; None where there is none in a Secret that nobody named."""
    verdict = judge(secret.data.get(request.key, b"").strip(), signer.trust, request.now)
    if not verdict.is_jwt:
        if not request.names:
            return None
        raise IdentityError(f'{secret.display_name} holds no token under its key "{request.key}"')
    left_alone = RenewResult(secret.namespace, secret.name, Outcome.UNCHANGED, verdict.expires_at)
    if storage_cluster := storage_cluster_of(secret):
        reason = f"the Portworx operator keeps it (StorageCluster {storage_cluster})"
        return replace(left_alone, outcome=Outcome.SKIPPED, reason=reason)
    if not verdict.is_due(request.due_within, request.now):
        return left_alone
    if problem := why_unwritable(secret):
        raise problem
    minted = _sign_again(request, signer, secret, verdict)
    content = token_secret_content(request.key, minted, secret)
    update_secret(cluster, secret, content, request.dry_run)
    return replace(left_alone, outcome=Outcome.RENEWED, expires_at=minted.claims.expires_at)


def _sign_again(
    request: RenewRequest, signer: Signer, secret: Secret, verdict: Verdict
) -> MintedToken:
    if not verdict.signed and not request.resign:
        raise IdentityError(
            f"{secret.display_name}: the present key did not sign the token: it may be forged, or"
            " older than the key",
            hint="if you know that it is genuine, sign it again with --resign",
        )
    user = verdict.user
    missing = [claim for claim in OWNER_CLAIMS if getattr(user, claim) is None]
    if missing:
        raise IdentityError(
            f"{secret.display_name}: the token names no {' and no '.join(missing)}",
            hint="issue it anew: kubectl pxauth issue",
        )
    identity = user.over(Identity("", "", "", roles=(), groups=None))
    duration = request.duration or _duration(secret, verdict)
    issued_at, expires_at = lifetime(request.now, duration)
    return mint_claims(Claims(signer.issuer, identity, issued_at, expires_at), signer)


def _duration(secret: Secret, verdict: Verdict) -> timedelta:
    """For how long the token was made to live from then on."""
    if verdict.issued_at is None or verdict.expires_at is None:
        raise IdentityError(
            f"{secret.display_name}: the token does not say how long it was to live",
            hint="say it with --duration",
        )
    span = verdict.expires_at - verdict.issued_at
    # Our own are set back by this, and would live longer with each renewal.
    if secret.annotations.get(EXPIRES) == rfc3339(verdict.expires_at):
        span -= CLOCK_SKEW
    if span <= timedelta():
        raise IdentityError(
            f"{secret.display_name}: the token ends before it begins", hint="say it with --duration"
        )
    return span

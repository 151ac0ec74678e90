"""Sign tokens again before they end, for the same user and for as long."""

from collections.abc import Iterator
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event
from typing import Any

from kubectl_pxauth.cluster.connection import METADATA, WHOLE, Cluster
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
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import run_concurrently
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.latest_key import WrittenToken, look_at_the_key_again
from kubectl_pxauth.portworx.owners import (
    keeper_of,
    keeper_warnings,
    storage_cluster_of,
    why_unwritable,
)
from kubectl_pxauth.portworx.resigning import (
    Holders,
    issue_anew,
    issued_elsewhere,
    left_out,
    renew_on_purpose,
    unnamed_claims,
    why_left_out,
)
from kubectl_pxauth.portworx.signing import find_signer, made_elsewhere
from kubectl_pxauth.portworx.token_content import duration_of, token_secret_content
from kubectl_pxauth.portworx.token_secrets import Scope
from kubectl_pxauth.text import shown
from kubectl_pxauth.token.claims import LONGEST, lifetime
from kubectl_pxauth.token.identity import Identity
from kubectl_pxauth.token.minting import Signer, mint_claims
from kubectl_pxauth.token.verdict import Verdict, judge


class Outcome(StrEnum):
    """What became of a token that was looked at."""

    RENEWED = "renewed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class RenewRequest:
    """Which tokens to renew, when, and how.

    names are those of Secrets, each behind its namespace, which is the scope's where it is None;
    without names it is all that hold a token.
    due_within is how near its end a token is renewed; None renews it whenever its end is.
    resign also renews, in named Secrets, tokens that the present key did not sign or that were
    issued for another Secret. grace is how long ago a token of a Secret that nobody named may have
    ended. duration is None to keep it. wants_objects is whether results have the Secrets, which may
    be large: the job that renews has little memory.
    """

    names: tuple[tuple[str | None, str], ...]
    scope: Scope
    key: str
    due_within: timedelta | None
    resign: bool
    grace: timedelta
    duration: timedelta | None
    dry_run: DryRun
    now: datetime
    wants_objects: bool = True


@dataclass(frozen=True)
class RenewResult:
    """What became of one token, and until when it lives now; reason is why it was skipped.

    manifest is the Secret as an object, if it was renewed and the objects are wanted.
    """

    namespace: str
    secret: str
    outcome: Outcome
    expires_at: datetime | None
    reason: str = ""
    signer: Signer | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()
    manifest: dict[str, Any] = field(default_factory=dict, repr=False)


def renew(
    request: RenewRequest,
    source: KeySource,
    cluster: Cluster,
    concurrency: int,
    stop: Event,
) -> tuple[Signer, Iterator[RenewResult | SecretFailure]]:
    """The signer that signs, and the outcomes as they are reached; one failure is no other's.

    Raises PxauthErrors where nothing can be renewed; the iterator may raise ClusterErrors where
    the Secrets can't be listed, and at its end IdentityError where nobody named a Secret and the
    key signed none of the tokens: one that it did not sign is nothing to fail for, but all are.
    """
    signer = find_signer(cluster, source)
    trusts, scope = [signer.trust], request.scope
    holders = Holders(cluster, trusts, scope.namespace, request.now, signer.namespaces)
    signed: set[bool] = set()

    def look_at(secret: Secret) -> RenewResult | None:
        token, now = secret.data.get(request.key, b"").strip(), signer
        verdict = judge(token, now.trust, request.now)
        if verdict.issuer == signer.issuer:
            if not verdict.signed:
                now = signer.latest()  # a rotation may have signed this one meanwhile
                verdict = judge(token, now.trust, request.now)
            signed.add(verdict.signed)
        return _renew_one(request, now, cluster, secret, verdict, holders=holders)

    def work(place: tuple[str, str, Secret | None]) -> RenewResult | SecretFailure | None:
        namespace, name, found = place
        try:
            return write_secret(
                cluster,
                namespace,
                name,
                found or find_secret(cluster, namespace, name),
                write=lambda secret: look_at(_there(secret, namespace, name)),
            )
        except PxauthError as error:
            return SecretFailure(namespace, name, error)

    def outcomes() -> Iterator[RenewResult | SecretFailure]:
        places = _places(request, cluster)
        for outcome in run_concurrently(work, places, concurrency, stop):
            if outcome:
                yield outcome
        if signed == {False} and not request.names and not stop.is_set():
            raise IdentityError(
                "the present key signed none of these tokens: it was changed, or all are forged",
                hint="issue them again: kubectl pxauth issue PROFILE -n NAMESPACE; or sign those"
                " that you know: kubectl pxauth renew SECRET -n NAMESPACE --resign",
            )

    def written(outcome: RenewResult | SecretFailure) -> WrittenToken | None:
        if isinstance(outcome, SecretFailure) or outcome.outcome is not Outcome.RENEWED:
            return None
        return WrittenToken(
            outcome.namespace, outcome.secret, request.key, outcome.signer or signer
        )

    def mended(
        outcome: RenewResult | SecretFailure, now: Secret | PxauthError
    ) -> RenewResult | SecretFailure:
        if isinstance(outcome, SecretFailure):
            return outcome
        if isinstance(now, PxauthError):
            return SecretFailure(outcome.namespace, outcome.secret, now)
        return replace(outcome, manifest=now.manifest if request.wants_objects else {})

    if request.dry_run is not DryRun.NONE:
        return signer, outcomes()
    return signer, look_at_the_key_again(cluster, signer, outcomes(), written, mended)


def _places(request: RenewRequest, cluster: Cluster) -> Iterator[tuple[str, str, Secret | None]]:
    for namespace, name in request.names:
        yield namespace or str(request.scope.namespace), name, None
    if request.names:
        return
    for secret in list_secrets(cluster, request.scope.namespace, selector=request.scope.selector):
        if request.key in secret.data:
            yield secret.namespace, secret.name, secret.with_only(request.key)


def _there(secret: Secret | None, namespace: str, name: str) -> Secret:
    if secret is None:
        raise NotFoundError(f"Secret {namespace}/{name} not found")
    return secret


def _renew_one(
    request: RenewRequest,
    signer: Signer,
    cluster: Cluster,
    secret: Secret,
    verdict: Verdict,
    *,
    holders: Holders,
) -> RenewResult | None:
    """Renew the token, if it is due; None where there is none in a Secret that nobody named."""
    if not verdict.is_jwt:
        if not request.names:
            return None
        if len(secret.data.get(request.key, b"")) > LONGEST:
            reason = verdict.problems("format")[0].message
            raise IdentityError(f"{secret.display_name}: what is there is no token: {reason}")
        raise IdentityError(f'{secret.display_name} holds no token under its key "{request.key}"')
    left_alone = RenewResult(secret.namespace, secret.name, Outcome.UNCHANGED, verdict.expires_at)
    if other := _who_else_renews(request, secret, verdict):
        return replace(left_alone, outcome=Outcome.SKIPPED, reason=other)
    if not verdict.is_due(request.due_within, request.now):
        return left_alone
    if problem := why_unwritable(secret):
        raise problem
    _check_signature(request, signer, secret, verdict)
    identity, duration = _identity(secret, verdict), _duration(request, secret, verdict)
    _check_place(request, signer, secret, verdict, holders)
    times = lifetime(request.now, duration)
    minted = mint_claims(signer, identity, *times, place=(secret.namespace, secret.name))
    content = token_secret_content(request.key, minted, secret)
    answer = WHOLE if request.wants_objects else METADATA
    written = update_secret(cluster, secret, content, request.dry_run, answer=answer)
    return replace(
        left_alone,
        outcome=Outcome.RENEWED,
        expires_at=minted.claims.expires_at,
        signer=minted.signer,
        warnings=keeper_warnings(secret),
        manifest=written.manifest if request.wants_objects else {},
    )


def _who_else_renews(request: RenewRequest, secret: Secret, verdict: Verdict) -> str | None:
    if storage_cluster := storage_cluster_of(secret):
        return f"the Portworx operator keeps it (StorageCluster {storage_cluster})"
    keeper = keeper_of(secret)
    if keeper and keeper.is_copy and not request.names:
        return f"{keeper.name} copies it from elsewhere"
    return made_elsewhere(verdict.issuer)


def _check_signature(
    request: RenewRequest, signer: Signer, secret: Secret, verdict: Verdict
) -> None:
    """Raise IdentityError where another key signed, and nobody says that the token is genuine."""
    if verdict.signed or request.resign:
        return
    reason = "the present key did not sign the token"
    if verdict.issuer == signer.issuer:
        reason += ": it may be forged, or older than the key"
    else:
        reason += f", and its issuer is {shown(verdict.issuer)}: it is probably another product's"
    if not request.names:
        raise left_out(secret, reason, renew_on_purpose(secret, verdict))
    raise IdentityError(
        f"{secret.display_name}: {reason}",
        hint="if you know that it is genuine, sign it again with --resign",
    )


def _check_place(
    request: RenewRequest, signer: Signer, secret: Secret, verdict: Verdict, holders: Holders
) -> None:
    """Raise IdentityError where a token is not for that Secret, or only if somebody says so."""
    if not request.names:
        reason = why_left_out(
            verdict,
            secret,
            request.now,
            grace=request.grace,
            trusted_namespaces=signer.namespaces,
            other_holder=holders.other,
        )
        if reason:
            not_due = request.due_within is None
            raise left_out(secret, reason, renew_on_purpose(secret, verdict, not_due=not_due))
    elif not request.resign and (other := issued_elsewhere(verdict, secret)):
        raise IdentityError(
            f"{secret.display_name}: its token was issued for {other}",
            hint="if its user is meant to be here too, sign it again with --resign",
        )


def _identity(secret: Secret, verdict: Verdict) -> Identity:
    if missing := unnamed_claims(verdict):
        raise IdentityError(
            f"{secret.display_name}: the token names no {' and no '.join(missing)}",
            hint=f"issue another one: {issue_anew(secret.namespace, secret.name)}",
        )
    return verdict.user.over(Identity("", "", "", roles=(), groups=None))


def _duration(request: RenewRequest, secret: Secret, verdict: Verdict) -> timedelta:
    duration = request.duration or duration_of(secret, verdict)
    if duration is None:
        raise IdentityError(
            f"{secret.display_name}: the token does not say how long it was to live",
            hint="name it: --duration",
        )
    return duration

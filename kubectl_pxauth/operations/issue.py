"""Issue a token into a Secret: made if it is missing, renewed in place if it is there."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field, replace
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import Change, DryRun, Metadata
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    SecretFailure,
    create_secret,
    find_secret,
    secret_of,
    update_secret,
    write_secret,
)
from kubectl_pxauth.errors import IdentityError, LeftOutError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.latest_key import WrittenToken, look_at_the_key_again
from kubectl_pxauth.portworx.owners import keeper_of, keeper_warnings, why_unwritable
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.portworx.signing import find_signer, signer_for_one_token
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN, duration_of, token_secret_content
from kubectl_pxauth.text import command_line, printable, shown
from kubectl_pxauth.token.claims import CLOCK_SKEW
from kubectl_pxauth.token.duration import format_duration
from kubectl_pxauth.token.identity import (
    NOBODY,
    OWNER_CLAIMS,
    Identity,
    PartialIdentity,
    default_secret,
)
from kubectl_pxauth.token.minting import MintedToken, Signer, TokenRequest, identity_for, mint
from kubectl_pxauth.token.profile import PROFILES
from kubectl_pxauth.token.roles import ADMIN, EVERY_GROUP
from kubectl_pxauth.token.shared_secret import SharedSecret

if TYPE_CHECKING:
    from kubectl_pxauth.portworx.resigning import Holders
    from kubectl_pxauth.token.verdict import Verdict

_LONGEST_SHOWN = 60  # of a value that is not as it was
_USER_OF_ITS_OWN = (
    "leave the volumes to that user, and give this Secret one of its own with --change-identity"
)


@dataclass(frozen=True)
class IssueRequest:
    """A token, and how it is to be written.

    due_within is how near its end a valid token is replaced; None replaces it whenever its end is.
    metadata is what is asked for on the Secret, also where its token stays.
    """

    token: TokenRequest
    key: str
    change_identity: bool
    allow_shared_subject: bool
    due_within: timedelta | None
    dry_run: DryRun
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class IssueResult:
    """What was written, or with a dry run would be; manifest is the Secret as an object.

    differences say what is not as in the token that was there; note is what may surprise, though
    nothing is wrong.
    """

    namespace: str
    secret: str
    change: Change
    manifest: dict[str, Any] = field(repr=False)
    identity: PartialIdentity
    issuer: str
    expires_at: datetime | None
    warnings: tuple[str, ...]
    note: str = ""
    differences: tuple[str, ...] = ()
    signer: Signer | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Namespaces:
    """The namespaces to issue into: those named, or those with labels that match a selector."""

    names: tuple[str, ...] = ()
    selector: str | None = None


@dataclass(frozen=True)
class BulkIssue:
    """What is under way in how many namespaces; the outcomes come as they are reached.

    A second one of a namespace takes the place of the first: its key was changed meanwhile.
    warnings are the signer's, to be said before the outcomes.
    """

    total: int
    outcomes: Iterator[IssueResult | SecretFailure]
    warnings: tuple[str, ...] = ()


def issue(
    request: IssueRequest, namespace: str, source: KeySource, connect: Callable[[], Cluster]
) -> IssueResult:
    """Sign a token and put it into its Secret.

    A client-side dry run with a key at hand does not look for the Secret. Raises PxauthErrors, and
    then has changed nothing.
    """
    if source.signing_key and request.dry_run is DryRun.CLIENT:
        return _preview(request, namespace, _signer_at_hand(source, connect))
    cluster = connect()
    finding = Background(lambda: find_secret(cluster, namespace, request.token.secret))
    sharing = Background(lambda: _same_user(request, (namespace,), cluster))
    signer = find_signer(cluster, source)
    secret = finding.result()
    try:
        _check_subject(request, (namespace,), cluster, signer, sharing.result())
        done = _issue_one(request, namespace, signer, cluster, secret)
    except PxauthError as error:
        error.warnings = signer.warnings
        raise
    *_, outcome = _look_at_the_key_again(request, signer, cluster, [done])
    if isinstance(outcome, SecretFailure):
        raise outcome.error
    return outcome


def _note(result: IssueResult, signer: Signer) -> str:
    """That other tools may not take this Secret, as the operator keeps one of the same name.

    stork looks for that name in all namespaces (pkg/storkctl/clusterpair.go of
    libopenstorage/stork).
    """
    operators = signer.operators_namespace
    if result.secret != PROFILES["admin"].secret or operators in (None, result.namespace):
        return ""
    return (
        f"The Portworx operator keeps a Secret {operators}/{result.secret}: tools that look for"
        " that name in all namespaces, as storkctl does, may take either."
    )


def issue_into_many(
    request: IssueRequest,
    namespaces: Namespaces,
    source: KeySource,
    connect: Callable[[], Cluster],
    *,
    concurrency: int,
    stop: Event,
) -> BulkIssue:
    """Do the same in many namespaces, each with a user of its own; one's failure is no other's.

    Raises PxauthErrors where nothing can be done anywhere, and then has changed nothing.
    """
    from kubectl_pxauth.parallel import run_concurrently
    from kubectl_pxauth.portworx.resigning import Holders

    names = namespaces.names
    if source.signing_key and request.dry_run is DryRun.CLIENT and namespaces.selector is None:
        local = _signer_at_hand(source, connect)
        return BulkIssue(len(names), (_preview(request, name, local) for name in names))
    cluster = connect()
    finding = Background(lambda: find_signer(cluster, source))
    if namespaces.selector is not None:
        from kubectl_pxauth.cluster.namespaces import find_namespaces

        names = find_namespaces(cluster, namespaces.selector)
    sharing = _same_user(request, names, cluster)
    signer = finding.result()
    _check_subject(request, names, cluster, signer, sharing)
    holders = Holders(cluster, [signer.trust], None, request.token.now, signer.namespaces)

    def work(found: _FoundSecret) -> IssueResult | SecretFailure:
        namespace = found.namespace
        try:
            secret = found.secret
            if secret is None and not found.known:
                secret = find_secret(cluster, namespace, request.token.secret)
            return _issue_one(request, namespace, signer, cluster, secret, holders=holders)
        except PxauthError as error:
            return SecretFailure(namespace, request.token.secret, error)

    secrets = (
        (_FoundSecret(name) for name in names)
        if namespaces.selector is None
        else _find_secrets(request, names, cluster)
    )
    outcomes = run_concurrently(work, secrets, concurrency, stop)
    outcomes = _look_at_the_key_again(request, signer, cluster, outcomes)
    return BulkIssue(len(names), outcomes, signer.warnings)


def _look_at_the_key_again(
    request: IssueRequest,
    signer: Signer,
    cluster: Cluster,
    outcomes: Iterable[IssueResult | SecretFailure],
) -> Iterator[IssueResult | SecretFailure]:
    def written(outcome: IssueResult | SecretFailure) -> WrittenToken | None:
        if isinstance(outcome, SecretFailure) or outcome.change is Change.UNCHANGED:
            return None
        return WrittenToken(
            outcome.namespace, outcome.secret, request.key, outcome.signer or signer
        )

    def mended(
        outcome: IssueResult | SecretFailure, now: Secret | PxauthError
    ) -> IssueResult | SecretFailure:
        if isinstance(outcome, SecretFailure):
            return outcome
        if isinstance(now, PxauthError):
            return SecretFailure(outcome.namespace, outcome.secret, now)
        return replace(outcome, manifest=now.manifest)

    if request.dry_run is not DryRun.NONE:
        return iter(outcomes)
    return look_at_the_key_again(cluster, signer, outcomes, written, mended)


@dataclass(frozen=True)
class _FoundSecret:
    """A namespace and its Secret, if already listed.

    known says that the listing was complete, so that no Secret means there is none.
    """

    namespace: str
    secret: Secret | None = None
    known: bool = False


def _find_secrets(
    request: IssueRequest, namespaces: tuple[str, ...], cluster: Cluster
) -> Iterator[_FoundSecret]:
    """The namespaces with their Secrets, by one list instead of a request for each."""
    from kubectl_pxauth.cluster.secrets import list_secrets
    from kubectl_pxauth.errors import ForbiddenError

    missing = dict.fromkeys(namespaces)
    known = True
    try:
        for secret in list_secrets(cluster, None, name=request.token.secret):
            if secret.namespace in missing:
                del missing[secret.namespace]
                yield _FoundSecret(secret.namespace, secret)
    except ForbiddenError:
        known = False
    for namespace in missing:
        yield _FoundSecret(namespace, known=known)


def _same_user(
    request: IssueRequest, namespaces: tuple[str, ...], cluster: Cluster, claim: str = "sub"
) -> list[tuple[str, bytes]]:
    """The tokens of other Secrets whose sub is the one that the user names, as find_user has them.

    A default sub is the Secret's own. claim is sub, or the one that Portworx takes for the user in
    its place. Raises IdentityError where several of the namespaces would share it.
    """
    user = getattr(request.token.user or request.token.named, claim)
    if user is None or request.allow_shared_subject:
        return []
    if len(namespaces) > 1:
        raise IdentityError(
            f'{len(namespaces)} namespaces would share the {claim} "{user}"', _sharing(claim)
        )
    from kubectl_pxauth.portworx.token_secrets import find_user

    keys = {AUTH_TOKEN, request.key}
    return [
        found
        for namespace in namespaces
        for found in find_user(
            cluster,
            claim,
            user,
            (namespace, request.token.secret),
            keys=keys,
            now=request.token.now,
        )
    ]


def _check_subject(
    request: IssueRequest,
    namespaces: tuple[str, ...],
    cluster: Cluster,
    signer: Signer,
    same_sub: list[tuple[str, bytes]],
) -> None:
    """Raise IdentityError where another token of the cluster's is the same user's.

    One that no key of the cluster's signed is none: whoever has a namespace can name anybody there.
    """
    found: dict[str, list[tuple[str, bytes]]] = {"sub": same_sub}
    if (other := signer.username_claim) != "sub":
        found[other] = _same_user(request, namespaces, cluster, other)
    for claim, tokens in found.items():
        for where, token in tokens:
            if _may_be_accepted(token, signer, request.token.now):
                user = getattr(request.token.user or request.token.named, claim)
                raise IdentityError(
                    f'the {claim} "{user}" is that of {where} already', _sharing(claim)
                )


def _may_be_accepted(token: bytes, signer: Signer, now: datetime) -> bool:
    """Whether the cluster's key signed it, or the other key of a rotation.

    A private key is the user's word alone: the cluster may have a shared secret besides.
    """
    from kubectl_pxauth.token.verdict import NO_KEY, Trust, judge

    verdict = judge(token, signer.trust, now)
    if not isinstance(signer.key, SharedSecret):
        lacking = verdict.problems("signature")
        return verdict.signed or any(one.message.startswith(NO_KEY) for one in lacking)
    other = signer.key.other
    return verdict.signed or bool(other and judge(token, Trust(None, other), now).signed)


def _sharing(claim: str) -> str:
    return f"volumes belong to a {claim}: leave it out, or share it with --allow-shared-subject"


def _issue_one(
    request: IssueRequest,
    namespace: str,
    signer: Signer,
    cluster: Cluster,
    secret: Secret | None,
    *,
    holders: "Holders | None" = None,
) -> IssueResult:
    """Write the token over what was found; with holders nobody named this very Secret."""

    def write(found: Secret | None) -> IssueResult:
        nonlocal signer
        verdict = _judge(request, signer, found)
        if verdict and verdict.is_jwt and not verdict.signed:
            signer = signer.latest()  # a rotation may have signed this one meanwhile
            verdict = _judge(request, signer, found)
        # Another's write came in between, and what signs may have changed with it.
        if found is not secret and verdict and verdict.is_jwt and not verdict.signed:
            raise IdentityError(
                f"Secret {namespace}/{request.token.secret} was meanwhile given a token of another"
                " key",
                hint="if the shared secret was rotated, run the command again",
            )
        keeper = keeper_of(found) if found and holders else None
        if found and keeper and keeper.is_copy:
            raise LeftOutError(
                f"{found.display_name} is left out: {keeper.name} copies it from elsewhere",
                hint=keeper.remedy,
            )
        if found is None or verdict is None:
            return _write_first(request, namespace, signer, cluster, found)
        return _write_again(request, signer, cluster, found, verdict, holders=holders)

    result = write_secret(cluster, namespace, request.token.secret, secret, write)
    return replace(result, note=_note(result, signer))


def _write_first(
    request: IssueRequest, namespace: str, signer: Signer, cluster: Cluster, found: Secret | None
) -> IssueResult:
    """Write the token where there is none yet."""
    if found and (problem := why_unwritable(found)):
        raise problem
    identity = identity_for(request.token, namespace, signer.issuer)
    minted = mint(request.token, signer, identity, namespace=namespace)
    content = token_secret_content(request.key, minted, found, request.metadata)
    if found:
        written = update_secret(cluster, found, content, request.dry_run)
        result = _result(Change.CONFIGURED, written, minted)
        return replace(result, warnings=(*result.warnings, *keeper_warnings(found)))
    name = request.token.secret
    written = create_secret(cluster, namespace, name, content, request.dry_run)
    return _result(Change.CREATED, written, minted)


def _write_again(
    request: IssueRequest,
    signer: Signer,
    cluster: Cluster,
    found: Secret,
    verdict: "Verdict",
    *,
    holders: "Holders | None",
) -> IssueResult:
    """Write the token over the one that was found, if that is due."""
    asked = _asked_for(request.token)
    due = verdict.is_due(request.due_within, request.token.now) or not _has(verdict.user, asked)
    if due and (problem := why_unwritable(found)):
        raise problem
    identity = _identity(request, signer, found, verdict, unasked=holders is not None)
    if not due:
        change, found = _label(request, cluster, found)
        kept_by = keeper_warnings(found) if change is Change.CONFIGURED else ()
        return IssueResult(
            namespace=found.namespace,
            secret=found.name,
            change=change,
            manifest=found.manifest,
            identity=verdict.user,
            issuer=signer.issuer,
            expires_at=verdict.expires_at,
            warnings=(*signer.warnings, *kept_by),
        )
    kept = verdict.signed and not _changes(verdict.user, identity)
    if kept:
        _check_kept(request, signer, cluster, found, verdict, holders=holders)
    duration = duration_of(found, verdict)
    minted = mint(
        request.token,
        signer,
        identity,
        kept_duration=duration if kept else None,
        namespace=found.namespace,
    )
    content = token_secret_content(request.key, minted, found, request.metadata)
    written = update_secret(cluster, found, content, request.dry_run)
    result = _result(Change.CONFIGURED, written, minted)
    return replace(
        result,
        differences=tuple(_differences(verdict, duration, minted)),
        warnings=(
            *result.warnings,
            *keeper_warnings(found),
            *_unlike_the_profile(request, found, identity),
        ),
    )


def _label(request: IssueRequest, cluster: Cluster, found: Secret) -> tuple[Change, Secret]:
    """Give a Secret whose token stays the labels and annotations that are asked for."""
    asked = request.metadata
    if asked.is_on(found.manifest):
        return Change.UNCHANGED, found
    if problem := why_unwritable(found):
        raise problem
    content = SecretContent({}, asked.labels, asked.annotations)
    return Change.CONFIGURED, update_secret(cluster, found, content, request.dry_run)


def _signer_at_hand(source: KeySource, connect: Callable[[], Cluster]) -> Signer:
    """The signer of a key at hand; a key of the environment is compared with the cluster's."""
    return source.local_signer() or signer_for_one_token(source, connect)


def _preview(request: IssueRequest, namespace: str, signer: Signer) -> IssueResult:
    """What would be sent where there is no Secret yet; nobody is asked whether that is so."""
    identity = identity_for(request.token, namespace, signer.issuer)
    minted = mint(request.token, signer, identity, namespace=namespace)
    content = token_secret_content(request.key, minted, None, request.metadata)
    secret = secret_of(content.manifest(namespace, request.token.secret))
    return _result(Change.CREATED, secret, minted)


def _result(change: Change, written: Secret, minted: MintedToken) -> IssueResult:
    return IssueResult(
        namespace=written.namespace,
        secret=written.name,
        change=change,
        manifest=written.manifest,
        identity=PartialIdentity(**vars(minted.claims.identity)),
        issuer=minted.claims.issuer,
        expires_at=minted.claims.expires_at,
        warnings=minted.warnings,
        signer=minted.signer,
    )


def _judge(request: IssueRequest, signer: Signer, secret: Secret | None) -> "Verdict | None":
    """The verdict on the token that is there; None where there is nothing of that form."""
    token = secret.data.get(request.key) if secret else None
    if not token:
        return None
    from kubectl_pxauth.token.verdict import judge

    verdict = judge(token.strip(), signer.trust, request.token.now)
    return verdict if verdict.is_jwt else None


def _asked_for(token: TokenRequest) -> PartialIdentity:
    """What the user says by flags or a user file, and not by a profile alone."""
    return PartialIdentity(**vars(token.user)) if token.user else token.named


def _has(user: PartialIdentity, asked: PartialIdentity) -> bool:
    """Whether a token has just the roles and groups that are asked for, if any are."""
    return all(
        wanted is None or set(wanted) == set(there or ())
        for wanted, there in ((asked.roles, user.roles), (asked.groups, user.groups))
    )


def _identity(
    request: IssueRequest, signer: Signer, found: Secret, verdict: "Verdict", *, unasked: bool
) -> Identity:
    """Who the token is for: whoever the last one was for, with what that one let it do.

    Volumes belong to that user. A token that our key did not sign may be anybody's work, so what it
    alone says is not signed unless the user says the same; nor is what was issued for another
    Secret. unasked is whether nobody named this very Secret.
    """
    fresh = identity_for(request.token, found.namespace, signer.issuer)
    wanted = fresh
    if verdict.signed:
        wanted = identity_for(request.token, found.namespace, signer.issuer, kept=verdict.user)
    if request.change_identity:
        return fresh if _changes(verdict.user, fresh) else wanted
    where = found.display_name
    named = _asked_for(request.token).sub is not None
    if changes := _changes(verdict.user, wanted):
        if not verdict.signed:
            error = LeftOutError if unasked and not named else IdentityError
            raise error(
                f"the token in {where} is another user's ({changes}), and the present key did"
                " not sign it: it may be forged, or older than the key",
                hint=f"the key is not the cluster's: {signer.without_key}"
                if signer.without_key
                else "if it is yours, keep its user with --sub, --name and --email;"
                " else replace it with --change-identity",
            )
        raise IdentityError(
            f"the token in {where} is another user's ({changes}); volumes belong to the user that"
            " made them, and a token for another one can't reach them",
            hint="leave out the user to keep the old one, or change it with --change-identity",
        )
    if verdict.signed and not named and not unasked:
        from kubectl_pxauth.portworx.resigning import issued_elsewhere, renew_on_purpose

        if other := issued_elsewhere(verdict, found):
            raise IdentityError(
                f"the token in {where} was issued for {other}",
                hint=f"{_USER_OF_ITS_OWN}; or, if the user is meant to be in both:"
                f" {renew_on_purpose(found, verdict, not_due=True)}",
            )
    return wanted


def _check_kept(
    request: IssueRequest,
    signer: Signer,
    cluster: Cluster,
    found: Secret,
    verdict: "Verdict",
    *,
    holders: "Holders | None",
) -> None:
    """Raise IdentityError where what is kept of the token that is there must be asked for.

    Whoever may write the Secret chose that token. With holders nobody named this very Secret, and
    the error is a LeftOutError; else what was issued for it may be an administrator's too.
    """
    from kubectl_pxauth.portworx.resigning import (
        GRACE,
        Holders,
        is_trusted,
        issued_for,
        left_out,
        renew_on_purpose,
        why_rights_left_out,
        why_user_left_out,
    )

    if holders is None and is_trusted(found.namespace, signer.namespaces):
        return
    asked, now, here = (
        _asked_for(request.token),
        request.token.now,
        f"{found.namespace}/{found.name}",
    )
    others = holders or Holders(cluster, [signer.trust], found.namespace, now, signer.namespaces)
    reason, instead = None, _USER_OF_ITS_OWN
    if asked.sub is None and verdict.user.owner != NOBODY:
        # Without the old token it would be just the same user that gets a new one.
        is_default = default_secret(verdict.user, verdict.issuer) == here
        # The Portworx docs put their token in the namespace portworx, and it ends after a year.
        is_docs = holders is None and found.namespace in USUAL_NAMESPACES
        grace = timedelta.max if is_default or is_docs else GRACE
        reason = why_user_left_out(verdict, found, now, grace=grace, other_holder=others.other)
    has_ended = verdict.expires_at is not None and now - verdict.expires_at > GRACE
    if reason is None and (holders or has_ended or issued_for(verdict) != here):
        user = verdict.user
        roles = user.roles if asked.roles is None else {*asked.roles} - {ADMIN}
        groups = user.groups if asked.groups is None else ()
        reason = why_rights_left_out(roles, groups, verdict, found, signer.namespaces)
        instead = "say what the new one may do with --role and --group"
    if reason is None:
        return
    on_purpose = renew_on_purpose(found, verdict, not_due=True)
    if holders:
        raise left_out(found, reason, on_purpose)
    raise IdentityError(
        f"the token in {found.display_name} is not issued again: {reason}",
        hint=f"if it is meant to be there: {on_purpose}; else {instead}",
    )


def _changes(found: PartialIdentity, wanted: Identity) -> str:
    return ", ".join(
        f"{claim} {shown(old)}, not {shown(new)}"
        for claim in OWNER_CLAIMS
        if (old := getattr(found, claim)) is not None and old != (new := getattr(wanted, claim))
    )


def _differences(
    before: "Verdict", duration: timedelta | None, minted: MintedToken
) -> Iterator[str]:
    """What is not as it was, as "what old -> new", in words that are fit for a terminal."""
    claims = minted.claims
    user, old = claims.identity, before.user
    for claim in OWNER_CLAIMS:
        yield from _difference(claim, getattr(old, claim), getattr(user, claim))
    for claim in ("roles", "groups"):
        listed = [",".join(sorted(getattr(one, claim) or ())) for one in (old, user)]
        yield from _difference(claim, *listed)
    yield from _difference("issuer", before.issuer, claims.issuer)
    lives = claims.expires_at - claims.issued_at - CLOCK_SKEW
    if duration and duration != lives:
        yield f"duration {format_duration(duration)} -> {format_duration(lives)}"


def _difference(what: str, old: str | None, new: str) -> Iterator[str]:
    if (old or "") != new:
        yield f"{what} {_brief(old)} -> {_brief(new)}"


def _brief(text: str | None) -> str:
    return printable(text, _LONGEST_SHOWN) if text else "none"


def _unlike_the_profile(request: IssueRequest, found: Secret, identity: Identity) -> Iterator[str]:
    """A role that is kept, and that whoever names only the profile might not expect."""
    profile = request.token.profile
    if profile is None or _asked_for(request.token).roles is not None:
        return
    keeps_admin, wants_admin = ADMIN in identity.roles, ADMIN in profile.roles
    if keeps_admin == wants_admin and identity.roles:
        return
    roles = [word for role in profile.roles for word in ("--role", role)]
    groups = [word for group in profile.groups for word in ("--group", group)]
    if EVERY_GROUP not in {*(identity.groups or ()), *profile.groups}:
        groups = []
    secret = [] if found.name == profile.secret else ["--secret", found.name]
    place = [*secret, "-n", found.namespace]
    command = command_line("kubectl", "pxauth", "issue", profile.name, *place, *roles, *groups)
    kept = f"the role {_brief(','.join(identity.roles))}" if identity.roles else "no role"
    yield (
        f"{found.display_name} has {kept}, as the token before it had; the profile {profile.name}"
        f" has {','.join(profile.roles)}: {command}"
    )

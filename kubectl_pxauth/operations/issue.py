"""Issue a token into a Secret: made if it is missing, renewed in place if it is there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import Change, DryRun, until_no_conflict
from kubectl_pxauth.cluster.secrets import Secret, create_secret, find_secret, update_secret
from kubectl_pxauth.errors import IdentityError, PxauthError
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.signing import KeySource, find_signer
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN, token_secret_content
from kubectl_pxauth.token.identity import OWNER_CLAIMS, Identity, PartialIdentity
from kubectl_pxauth.token.minting import MintedToken, Signer, TokenRequest, identity_for, mint

if TYPE_CHECKING:
    from kubectl_pxauth.token.verdict import Verdict


@dataclass(frozen=True)
class IssueRequest:
    """A token, and how it is to be written.

    due_within is how near its end a valid token is replaced; None replaces it whenever its end is.
    """

    token: TokenRequest
    key: str
    change_identity: bool
    allow_shared_subject: bool
    due_within: timedelta | None
    dry_run: DryRun


@dataclass(frozen=True)
class IssueResult:
    """What was written, or with a dry run would be; manifest is the Secret as an object."""

    namespace: str
    secret: str
    change: Change
    manifest: dict[str, Any] = field(repr=False)
    identity: PartialIdentity
    issuer: str
    expires_at: datetime | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class IssueFailure:
    """A Secret that has no new token, and why."""

    namespace: str
    secret: str
    error: PxauthError


@dataclass(frozen=True)
class Target:
    """The namespaces to issue into: those named, or those with labels that match a selector."""

    namespaces: tuple[str, ...] = ()
    selector: str | None = None


@dataclass(frozen=True)
class Issues:
    """What is under way in how many namespaces; the outcomes come as they are reached."""

    total: int
    outcomes: Iterator[IssueResult | IssueFailure]


def issue(request: IssueRequest, source: KeySource, connect: Callable[[], Cluster]) -> IssueResult:
    """Sign a token and put it into its Secret.

    A client-side dry run with a key at hand calls nobody. Raises PxauthErrors, and then has
    changed nothing.
    """
    namespace, name = request.token.namespace, request.token.secret
    local = source.local_signer()
    if local and request.dry_run is DryRun.CLIENT:
        return _put(request, local, None, None)
    cluster = connect()
    finding = Background(lambda: find_secret(cluster, namespace, name))
    checking = Background(lambda: _check_subject(cluster, request, (namespace,)))
    signer = find_signer(cluster, source)
    secret = finding.result()
    checking.result()
    return _issue_one(request, signer, cluster, secret)


def issue_into_many(
    request: IssueRequest,
    target: Target,
    source: KeySource,
    connect: Callable[[], Cluster],
    *,
    concurrency: int,
    stop: Event,
) -> Issues:
    """Do the same in many namespaces, each with a user of its own; one's failure is no other's.

    Raises PxauthErrors where nothing can be done anywhere, and then has changed nothing.
    """
    from kubectl_pxauth.parallel import run_concurrently

    local = source.local_signer()
    if local and request.dry_run is DryRun.CLIENT and target.selector is None:
        names = target.namespaces
        previews = (_put(_in(request, name), local, None, None) for name in names)
        return Issues(len(names), previews)
    cluster = connect()
    finding = Background(lambda: find_signer(cluster, source))
    namespaces = target.namespaces
    if target.selector is not None:
        from kubectl_pxauth.cluster.namespaces import find_namespaces

        namespaces = find_namespaces(cluster, target.selector)
    _check_subject(cluster, request, namespaces)
    signer = finding.result()

    def work(place: _Place) -> IssueResult | IssueFailure:
        here = _in(request, place.namespace)
        try:
            secret = place.secret or (
                None if place.known else find_secret(cluster, place.namespace, here.token.secret)
            )
            return _issue_one(here, signer, cluster, secret)
        except PxauthError as error:
            return IssueFailure(place.namespace, here.token.secret, error)

    places = (
        _places(cluster, request, namespaces)
        if target.selector is not None
        else (_Place(name) for name in namespaces)
    )
    return Issues(len(namespaces), run_concurrently(work, places, concurrency, stop))


@dataclass(frozen=True)
class _Place:
    """A namespace, and its Secret where a list has shown it; known where no Secret is news too."""

    namespace: str
    secret: Secret | None = None
    known: bool = False


def _places(
    cluster: Cluster, request: IssueRequest, namespaces: tuple[str, ...]
) -> Iterator[_Place]:
    """The namespaces with their Secrets, by one list instead of a request for each."""
    from kubectl_pxauth.cluster.secrets import list_secrets
    from kubectl_pxauth.errors import ForbiddenError

    missing = dict.fromkeys(namespaces)
    known = True
    try:
        for secret in list_secrets(cluster, None, name=request.token.secret):
            if secret.namespace in missing:
                del missing[secret.namespace]
                yield _Place(secret.namespace, secret)
    except ForbiddenError:
        known = False
    for namespace in missing:
        yield _Place(namespace, known=known)


def _in(request: IssueRequest, namespace: str) -> IssueRequest:
    return replace(request, token=replace(request.token, namespace=namespace))


def _check_subject(cluster: Cluster, request: IssueRequest, namespaces: tuple[str, ...]) -> None:
    """Refuse a sub that the user names and another token has; a default sub is the Secret's own."""
    user = request.token.user or request.token.named
    if user.sub is None or request.allow_shared_subject:
        return
    hint = "volumes belong to a sub: leave it out, or share it with --allow-shared-subject"
    if len(namespaces) > 1:
        raise IdentityError(
            f'{len(namespaces)} namespaces would share the sub "{user.sub}"', hint=hint
        )
    for namespace in namespaces:
        from kubectl_pxauth.portworx.token_secrets import find_subject

        beside = (namespace, request.token.secret)
        keys = {AUTH_TOKEN, request.key}
        taken = find_subject(cluster, user.sub, beside, keys=keys, now=request.token.now)
        if taken:
            raise IdentityError(f'the sub "{user.sub}" is that of {taken} already', hint=hint)


def _issue_one(
    request: IssueRequest, signer: Signer, cluster: Cluster, secret: Secret | None
) -> IssueResult:
    namespace, name = request.token.namespace, request.token.secret

    def read() -> Secret | None:
        """What another's write has left; raises IdentityError if that is of another key."""
        found = find_secret(cluster, namespace, name)
        verdict = _judge(request, signer, found)
        if verdict and verdict.is_jwt and not verdict.signed:
            raise IdentityError(
                f"Secret {namespace}/{name} was meanwhile given a token of another key",
                hint="if the shared secret was rotated, run the command again",
            )
        return found

    return until_no_conflict(
        secret, write=lambda found: _put(request, signer, cluster, found), read=read
    )


def _put(
    request: IssueRequest, signer: Signer, cluster: Cluster | None, found: Secret | None
) -> IssueResult:
    """Write the token over what was found; a client-side dry run writes nothing."""
    namespace, name = request.token.namespace, request.token.secret
    verdict = _judge(request, signer, found)
    due = verdict is None or verdict.is_due(request.due_within, request.token.now)
    if found and due and (problem := found.unwritable()):
        raise problem
    identity = _identity(request, signer, verdict)
    if found and verdict and not due:
        return IssueResult(
            namespace, name, Change.UNCHANGED, found.manifest, verdict.user,
            signer.issuer, verdict.expires_at, signer.warnings,
        )  # fmt: skip
    minted = mint(request.token, signer, identity)
    new = token_secret_content(request.key, minted, found)
    dry_run = request.dry_run is DryRun.SERVER
    if cluster is None or request.dry_run is DryRun.CLIENT:
        manifest = new.manifest(namespace, name)
    elif found:
        manifest = update_secret(cluster, found, new, dry_run=dry_run).manifest
    else:
        manifest = create_secret(cluster, namespace, name, new, dry_run=dry_run).manifest
    change = Change.CONFIGURED if found else Change.CREATED
    return _result(request, change, manifest, minted)


def _result(
    request: IssueRequest, change: Change, manifest: dict[str, Any], minted: MintedToken
) -> IssueResult:
    claims = minted.claims
    user = PartialIdentity(**vars(claims.identity))
    return IssueResult(
        request.token.namespace, request.token.secret, change, manifest, user,
        claims.issuer, claims.expires_at, minted.warnings,
    )  # fmt: skip


def _judge(request: IssueRequest, signer: Signer, secret: Secret | None) -> "Verdict | None":
    token = secret.data.get(request.key) if secret else None
    if not token:
        return None
    from kubectl_pxauth.token.verdict import judge

    return judge(token.strip(), signer.trust, request.token.now)


def _identity(request: IssueRequest, signer: Signer, found: "Verdict | None") -> Identity:
    """Who the token is for, with the owner of the volumes made with the last one kept.

    A token that our key did not sign may be anybody's work, so what it alone says is not signed
    unless the user says the same.
    """
    wanted = identity_for(request.token, signer.issuer)
    if found is None or request.change_identity:
        return wanted
    if found.signed:
        wanted = identity_for(request.token, signer.issuer, kept=found.user.owner)
    if not (changes := _changes(found.user, wanted)):
        return wanted
    where = f"Secret {request.token.namespace}/{request.token.secret}"
    if not found.signed:
        raise IdentityError(
            f"the token in {where} is another user's ({changes}), and the present key did"
            " not sign it: it may be forged, or older than the key",
            hint="if it is yours, keep its user with --sub, --name and --email;"
            " else replace it with --change-identity",
        )
    raise IdentityError(
        f"the token in {where} is another user's ({changes}); volumes belong to the user that made"
        " them, and a token for another one can't reach them",
        hint="leave out the user to keep the old one, or change it with --change-identity",
    )


def _changes(found: PartialIdentity, wanted: Identity) -> str:
    return ", ".join(
        f'{claim} "{old}", not "{new}"'
        for claim in OWNER_CLAIMS
        if (old := getattr(found, claim)) is not None and old != (new := getattr(wanted, claim))
    )

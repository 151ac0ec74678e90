"""Issue a token into a Secret: made if it is missing, renewed in place if it is there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import Change, DryRun
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretFailure,
    create_secret,
    find_secret,
    secret_of,
    update_secret,
    write_secret,
)
from kubectl_pxauth.errors import IdentityError, PxauthError
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.owners import why_unwritable
from kubectl_pxauth.portworx.signing import KeySource, find_signer
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN, token_secret_content
from kubectl_pxauth.token.identity import OWNER_CLAIMS, Identity, PartialIdentity
from kubectl_pxauth.token.minting import MintedToken, Signer, TokenRequest, identity_for, mint
from kubectl_pxauth.token.profile import PROFILES

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
    """What was written, or with a dry run would be; manifest is the Secret as an object.

    note is what may surprise, though nothing is wrong.
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


@dataclass(frozen=True)
class Namespaces:
    """The namespaces to issue into: those named, or those with labels that match a selector."""

    names: tuple[str, ...] = ()
    selector: str | None = None


@dataclass(frozen=True)
class BulkIssue:
    """What is under way in how many namespaces; the outcomes come as they are reached."""

    total: int
    outcomes: Iterator[IssueResult | SecretFailure]


def issue(
    request: IssueRequest, namespace: str, source: KeySource, connect: Callable[[], Cluster]
) -> IssueResult:
    """Sign a token and put it into its Secret.

    A client-side dry run with a key at hand calls nobody. Raises PxauthErrors, and then has
    changed nothing.
    """
    local = source.local_signer()
    if local and request.dry_run is DryRun.CLIENT:
        return _preview(request, namespace, local)
    cluster = connect()
    finding = Background(lambda: find_secret(cluster, namespace, request.token.secret))
    checking = Background(lambda: _check_subject(request, (namespace,), cluster))
    signer = find_signer(cluster, source)
    secret = finding.result()
    checking.result()
    result = _issue_one(request, namespace, signer, cluster, secret)
    return replace(result, note=_note(result, signer))


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

    local, names = source.local_signer(), namespaces.names
    if local and request.dry_run is DryRun.CLIENT and namespaces.selector is None:
        return BulkIssue(len(names), (_preview(request, name, local) for name in names))
    cluster = connect()
    finding = Background(lambda: find_signer(cluster, source))
    if namespaces.selector is not None:
        from kubectl_pxauth.cluster.namespaces import find_namespaces

        names = find_namespaces(cluster, namespaces.selector)
    _check_subject(request, names, cluster)
    signer = finding.result()

    def work(found: _FoundSecret) -> IssueResult | SecretFailure:
        namespace = found.namespace
        try:
            secret = found.secret
            if secret is None and not found.known:
                secret = find_secret(cluster, namespace, request.token.secret)
            return _issue_one(request, namespace, signer, cluster, secret)
        except PxauthError as error:
            return SecretFailure(namespace, request.token.secret, error)

    secrets = (
        (_FoundSecret(name) for name in names)
        if namespaces.selector is None
        else _find_secrets(request, names, cluster)
    )
    return BulkIssue(len(names), run_concurrently(work, secrets, concurrency, stop))


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


def _check_subject(request: IssueRequest, namespaces: tuple[str, ...], cluster: Cluster) -> None:
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
    request: IssueRequest, namespace: str, signer: Signer, cluster: Cluster, secret: Secret | None
) -> IssueResult:
    def write(found: Secret | None) -> IssueResult:
        verdict = _judge(request, signer, found)
        # Another's write came in between, and what signs may have changed with it.
        if found is not secret and verdict and verdict.is_jwt and not verdict.signed:
            raise IdentityError(
                f"Secret {namespace}/{request.token.secret} was meanwhile given a token of another"
                " key",
                hint="if the shared secret was rotated, run the command again",
            )
        return _write(request, namespace, signer, cluster, found=found, verdict=verdict)

    return write_secret(cluster, namespace, request.token.secret, secret, write)


def _write(
    request: IssueRequest,
    namespace: str,
    signer: Signer,
    cluster: Cluster,
    *,
    found: Secret | None,
    verdict: "Verdict | None",
) -> IssueResult:
    """Write the token over what was found, if it is due."""
    due = verdict is None or verdict.is_due(request.due_within, request.token.now)
    if found and due and (problem := why_unwritable(found)):
        raise problem
    identity = _identity(request, namespace, signer, verdict)
    if found and verdict and not due:
        return IssueResult(
            namespace=namespace,
            secret=found.name,
            change=Change.UNCHANGED,
            manifest=found.manifest,
            identity=verdict.user,
            issuer=signer.issuer,
            expires_at=verdict.expires_at,
            warnings=signer.warnings,
        )
    minted = mint(request.token, signer, identity)
    content = token_secret_content(request.key, minted, found)
    if found:
        written = update_secret(cluster, found, content, request.dry_run)
        return _result(Change.CONFIGURED, written, minted)
    name = request.token.secret
    written = create_secret(cluster, namespace, name, content, request.dry_run)
    return _result(Change.CREATED, written, minted)


def _preview(request: IssueRequest, namespace: str, signer: Signer) -> IssueResult:
    """What would be sent where there is no Secret yet; nobody is asked whether that is so."""
    minted = mint(request.token, signer, _identity(request, namespace, signer, None))
    content = token_secret_content(request.key, minted, None)
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
    )


def _judge(request: IssueRequest, signer: Signer, secret: Secret | None) -> "Verdict | None":
    token = secret.data.get(request.key) if secret else None
    if not token:
        return None
    from kubectl_pxauth.token.verdict import judge

    return judge(token.strip(), signer.trust, request.token.now)


def _identity(
    request: IssueRequest, namespace: str, signer: Signer, found: "Verdict | None"
) -> Identity:
    """Who the token is for, with the owner of the volumes made with the last one kept.

    A token that our key did not sign may be anybody's work, so what it alone says is not signed
    unless the user says the same.
    """
    wanted = identity_for(request.token, namespace, signer.issuer)
    if found is None or request.change_identity:
        return wanted
    if found.signed:
        wanted = identity_for(request.token, namespace, signer.issuer, kept=found.user.owner)
    if not (changes := _changes(found.user, wanted)):
        return wanted
    where = f"Secret {namespace}/{request.token.secret}"
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

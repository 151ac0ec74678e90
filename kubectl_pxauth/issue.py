"""Issue a token into a Secret: made if it is missing, renewed in place if it is there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubectl_pxauth.authority import Authority, AuthoritySource, find_authority, local_authority
from kubectl_pxauth.cluster.connection import Cluster, side_by_side
from kubectl_pxauth.cluster.objects import MANAGED_BY, DryRun, until_no_conflict
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    create_secret,
    find_secret,
    update_secret,
)
from kubectl_pxauth.errors import IdentityError
from kubectl_pxauth.mint import MintedToken, TokenRequest, identity_for, mint
from kubectl_pxauth.token.claims import Claims
from kubectl_pxauth.token.identity import OWNER_CLAIMS, Identity, PartialIdentity
from kubectl_pxauth.token.verdict import Verdict, judge

SKIP_BACKUP = "stork.libopenstorage.org/skip-resource"
EXPIRES = "kubectl-pxauth/expires"
ISSUER = "kubectl-pxauth/issuer"


@dataclass(frozen=True)
class IssueRequest:
    """A token, and how it is to be written."""

    token: TokenRequest
    key: str
    change_identity: bool
    dry_run: DryRun


@dataclass(frozen=True)
class IssueResult:
    """What was written, or with a dry run would be; manifest is the Secret as an object."""

    namespace: str
    secret: str
    created: bool
    manifest: dict[str, Any] = field(repr=False)
    claims: Claims
    warnings: tuple[str, ...]


def issue(
    request: IssueRequest, source: AuthoritySource, connect: Callable[[], Cluster]
) -> IssueResult:
    """Sign a token and put it into its Secret.

    A client-side dry run with a shared secret at hand calls nobody. Raises PxauthErrors, and
    then has changed nothing.
    """
    namespace, name = request.token.namespace, request.token.secret
    known = local_authority(source)
    if known and request.dry_run is DryRun.CLIENT:
        return _preview(request, known, found=None)
    cluster = connect()
    authority, secret = side_by_side(
        lambda: find_authority(cluster, source), lambda: find_secret(cluster, namespace, name)
    )
    if request.dry_run is DryRun.CLIENT:
        return _preview(request, authority, secret)
    return until_no_conflict(
        secret,
        write=lambda found: _write(request, authority, cluster, found),
        read=lambda: find_secret(cluster, namespace, name),
    )


def _preview(request: IssueRequest, authority: Authority, found: Secret | None) -> IssueResult:
    minted = _mint(request, authority, found)
    content = _content(request.key, minted, found)
    manifest = content.manifest(request.token.namespace, request.token.secret)
    return _result(request, manifest, minted, created=found is None)


def _write(
    request: IssueRequest, authority: Authority, cluster: Cluster, found: Secret | None
) -> IssueResult:
    minted = _mint(request, authority, found)
    content = _content(request.key, minted, found)
    dry_run = request.dry_run is DryRun.SERVER
    if found:
        written = update_secret(cluster, found, content, dry_run=dry_run)
    else:
        namespace, name = request.token.namespace, request.token.secret
        written = create_secret(cluster, namespace, name, content, dry_run=dry_run)
    return _result(request, written.manifest, minted, created=found is None)


def _mint(request: IssueRequest, authority: Authority, secret: Secret | None) -> MintedToken:
    if secret and (problem := secret.unwritable()):
        raise problem
    token = secret.data.get(request.key) if secret else None
    found = judge(token.strip(), authority.trust, request.token.now) if token else None
    identity = _identity(request, authority, found)
    return mint(request.token, authority, identity)


def _identity(request: IssueRequest, authority: Authority, found: Verdict | None) -> Identity:
    """Who the token is for, with the owner of the volumes made with the last one kept.

    A token that our key did not sign may be anybody's work, so what it alone says is not signed
    unless the user says the same.
    """
    wanted = identity_for(request.token, authority.issuer)
    if found is None or request.change_identity:
        return wanted
    if found.signed:
        wanted = identity_for(request.token, authority.issuer, kept=found.user.owner)
    if not (changes := _changes(found.user, wanted)):
        return wanted
    where = f"Secret {request.token.namespace}/{request.token.secret}"
    if not found.signed:
        raise IdentityError(
            f"the token in {where} is another user's ({changes}), and the present shared secret did"
            " not sign it: it may be forged, or older than the shared secret",
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


def _content(key: str, minted: MintedToken, found: Secret | None) -> SecretContent:
    metadata = found.manifest["metadata"] if found else {}
    annotations = {
        EXPIRES: minted.claims.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ISSUER: minted.claims.issuer,
    }
    labels = {}
    # Who said otherwise about backups or the manager of a Secret is not overruled.
    if SKIP_BACKUP not in (metadata.get("annotations") or {}):
        annotations[SKIP_BACKUP] = "true"
    if MANAGED_BY not in (metadata.get("labels") or {}):
        labels[MANAGED_BY] = "kubectl-pxauth"
    return SecretContent({key: minted.token.encode()}, labels, annotations)


def _result(
    request: IssueRequest,
    manifest: dict[str, Any],
    minted: MintedToken,
    *,
    created: bool,
) -> IssueResult:
    return IssueResult(
        namespace=request.token.namespace,
        secret=request.token.secret,
        created=created,
        manifest=manifest,
        claims=minted.claims,
        warnings=minted.warnings,
    )

"""Make one token, for standard output or for a Secret."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from kubectl_pxauth.authority import (
    Authority,
    AuthoritySource,
    find_authority,
    local_authority,
)
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.token.claims import Claims
from kubectl_pxauth.token.identity import NOBODY, Identity, PartialIdentity, default_identity
from kubectl_pxauth.token.jwt import sign
from kubectl_pxauth.token.profile import Profile


@dataclass(frozen=True)
class TokenRequest:
    """A token that somebody asks for; secret and namespace are where it is meant to be kept.

    user is a user file's, already with the flags applied; named is what the flags say.
    """

    profile: Profile | None
    user: Identity | None
    named: PartialIdentity
    secret: str
    namespace: str
    now: datetime
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class MintedToken:
    """A signed token, what it says, and what is odd or guessed about what signed it."""

    token: str = field(repr=False)
    claims: Claims
    warnings: tuple[str, ...]


def identity_for(request: TokenRequest, issuer: str, kept: PartialIdentity = NOBODY) -> Identity:
    """Who the token is for: the user file's, or the flags over what is kept over the default.

    Raises UsageError where neither a profile nor a user file is named.
    """
    if request.user:
        return request.user
    if request.profile is None:
        raise UsageError(
            "there is no user to make a token for",
            hint="name a profile (kubernetes or admin), or a user file with -f",
        )
    default = default_identity(
        request.secret,
        request.namespace,
        issuer,
        request.profile.roles,
        request.profile.groups,
    )
    return request.named.over(kept.over(default))


def mint(request: TokenRequest, authority: Authority, identity: Identity) -> MintedToken:
    """A token for the identity, signed by the authority."""
    claims = Claims(authority.issuer, identity, request.issued_at, request.expires_at)
    return mint_claims(claims, authority)


def mint_claims(claims: Claims, authority: Authority) -> MintedToken:
    """A token that says just this, signed by the authority."""
    return MintedToken(sign(claims, authority.key), claims, authority.warnings())


def make_token(
    request: TokenRequest, source: AuthoritySource, connect: Callable[[], Cluster]
) -> MintedToken:
    """A token that is stored nowhere; the cluster is asked only for a key not given."""
    authority = local_authority(source) or find_authority(connect(), source)
    return mint(request, authority, identity_for(request, authority.issuer))

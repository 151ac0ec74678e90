"""Make one token: who it is for, what it says, and what signs it."""

from collections.abc import Callable, Iterator
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kubectl_pxauth.errors import IdentityError, UsageError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.claims import LONGEST, Claims, lifetime
from kubectl_pxauth.token.identity import (
    NOBODY,
    Identity,
    PartialIdentity,
    default_identity,
    default_secret,
    placeholders,
)
from kubectl_pxauth.token.jwt import SigningKey, sign
from kubectl_pxauth.token.profile import Profile
from kubectl_pxauth.token.roles import ADMIN, meant_role
from kubectl_pxauth.token.shared_secret import SharedSecret

if TYPE_CHECKING:
    from kubectl_pxauth.token.verdict import Trust, UsernameClaim


DEFAULT_DURATION = timedelta(days=365)
"""How long a token lives where nothing says otherwise: the year of the Portworx docs."""


@dataclass(frozen=True)
class Signer:
    """What makes a token one of a cluster's: its issuer, and the key that signs.

    warnings say what is only guessed of them, what is odd about the key, and where what was given
    is not what the cluster has. operators_namespace is the one in which the Portworx operator
    keeps tokens of its own, if it does. namespaces are where Portworx, or the Secret with its key,
    was found to be. username_claim is what Portworx takes for the user. read_again reads the key
    where the cluster keeps it; None for a key that the user gave. without_key is how to have the
    cluster's key taken, where the one that the user gave is known to be another; else empty.
    """

    issuer: str
    key: SigningKey
    warnings: tuple[str, ...] = ()
    operators_namespace: str | None = None
    namespaces: frozenset[str] = frozenset()
    username_claim: "UsernameClaim" = "sub"
    read_again: Callable[[], SharedSecret] | None = field(default=None, repr=False, compare=False)
    without_key: str = ""

    def latest(self) -> "Signer":
        """The same signer, or one with the key as it is now, if that was changed meanwhile.

        Raises SharedSecretError and ClusterErrors where it can't be read again.
        """
        if self.read_again is None:
            return self
        key = self.read_again()
        known = isinstance(self.key, SharedSecret) and key.value == self.key.value
        return self if known else replace(self, key=key)

    @property
    def trust(self) -> "Trust":
        """What a cluster trusts that takes this signer's tokens."""
        from kubectl_pxauth.token.verdict import Trust

        if isinstance(self.key, SharedSecret):
            return Trust(self.issuer, shared_secret=self.key.value)
        if self.key.algorithm == "RS256":
            return Trust(self.issuer, rsa_public_pem=self.key.public_pem)
        return Trust(self.issuer, ecdsa_public_pem=self.key.public_pem)


@dataclass(frozen=True)
class TokenRequest:
    """A token that somebody asks for; secret is the name of the Secret that is to hold it.

    user is a user file's, already with the flags applied; named is what the flags say. duration is
    None where the user does not say how long the token is to live.
    """

    profile: Profile | None
    user: Identity | None
    named: PartialIdentity
    secret: str
    now: datetime
    duration: timedelta | None


@dataclass(frozen=True)
class MintedToken:
    """A signed token, what it says, what is odd about it, and what signed it."""

    token: str = field(repr=False)
    claims: Claims
    warnings: tuple[str, ...]
    signer: Signer

    def latest(self) -> "MintedToken":
        """The same token, or one that says the same, if its key was changed meanwhile.

        Raises as Signer.latest does.
        """
        signer = self.signer.latest()
        if signer is self.signer:
            return self
        return replace(self, token=sign(self.claims, signer.key), signer=signer)


def identity_for(
    request: TokenRequest, namespace: str, issuer: str, kept: PartialIdentity = NOBODY
) -> Identity:
    """Who the token is for: the user file's, or the flags over what is kept over the default.

    The default is the user of the Secret in that namespace, with what the profile lets it do; who
    is kept may do what it could before, and no more.

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
        namespace,
        issuer,
        request.profile.roles,
        request.profile.groups,
    )
    base = default if kept == NOBODY else replace(default, roles=(), groups=None)
    return request.named.over(kept.over(base))


def mint(
    request: TokenRequest,
    signer: Signer,
    identity: Identity,
    *,
    kept_duration: timedelta | None = None,
    namespace: str | None = None,
) -> MintedToken:
    """A token for the identity, to live as long as asked, or as kept, or by default.

    namespace is that of the Secret that it is for, None for a token that is in none. Raises
    SharedSecretError where the key can't sign, UsageError where the end is past any date, and
    IdentityError as mint_claims does.
    """
    duration = request.duration or kept_duration or DEFAULT_DURATION
    issued_at, expires_at = lifetime(request.now, duration)
    place = (namespace, request.secret) if namespace else None
    minted = mint_claims(signer, identity, issued_at, expires_at, place)
    return replace(minted, warnings=(*minted.warnings, *_doubts(request, identity)))


def _doubts(request: TokenRequest, identity: Identity) -> Iterator[str]:
    """What is probably not meant, though it may be."""
    for role in identity.roles:
        if meant := meant_role(role):
            yield f'the role "{role}" is none of the system\'s: is "{meant}" meant?'
    profile = request.profile
    by_file = request.user and not request.named.roles  # what a flag says is said on purpose
    if by_file and profile and ADMIN in identity.roles and ADMIN not in profile.roles:
        yield (
            f"the user file gives {ADMIN} to the token of the profile {profile.name}, which serves"
            " whoever claims a volume of a StorageClass that names it"
        )
    # User files and flags with placeholders are refused, so it is an older token's.
    for blank in placeholders(identity):
        yield f"an unfilled placeholder is kept from the token that is there: {blank}"


def mint_claims(
    signer: Signer,
    identity: Identity,
    issued_at: datetime,
    expires_at: datetime,
    place: tuple[str, str] | None,
) -> MintedToken:
    """A token for the identity between these times, and for the Secret in that place, if any.

    place is a namespace and a name. A claim names the Secret, unless the user does. Raises
    SharedSecretError where the key can't sign, and IdentityError where the user is too long for a
    token that Portworx could be sent.
    """
    secret = "/".join(place) if place else None
    if secret == default_secret(identity, signer.issuer):
        secret = None
    claims = Claims(signer.issuer, identity, issued_at, expires_at, secret)
    token = sign(claims, signer.key)
    if len(token) > LONGEST:
        raise IdentityError(
            f"the token has {len(token)} bytes; gRPC carries no token of more than {LONGEST}",
            hint="give its user shorter names, or fewer roles and groups",
        )
    return MintedToken(token, claims, signer.warnings, signer)

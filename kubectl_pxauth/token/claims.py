"""What a token says."""

from datetime import UTC, datetime, timedelta

from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.identity import Identity

CLOCK_SKEW = timedelta(minutes=10)
"""How far iat is set back: a verifier whose clock is behind refuses an iat in its future.

The Portworx operator does the same by the same amount; the SDK's generator does not.
"""

LONGEST = 16 * 1024
"""How many bytes a token has at most; what is longer is refused before it is looked at.

A token travels in a gRPC header. gRPC's core takes 16 KiB of headers unless it is told otherwise
(GRPC_ARG_ABSOLUTE_MAX_METADATA_SIZE in include/grpc/impl/channel_arg_names.h of grpc/grpc). grpc-go
alone takes 16 MiB so far, and is to take 8 KiB (internal/transport/defaults.go of grpc/grpc-go).
"""

SECRET_CLAIM = "kubectl-pxauth/secret"  # noqa: S105 - a claim's name
"""The private claim with the Secret that a token is for, as NAMESPACE/NAME.

OpenStorage's verifier takes tokens with claims that it does not know: it wants its required ones,
and reads the others into a struct that has no field for them (pkg/auth/selfsigned.go and
pkg/auth/token.go of libopenstorage/openstorage).
"""


@dataclass(frozen=True)
class Claims:
    """The claims that the OpenStorage verifier reads; times are in UTC and whole seconds.

    secret is the Secret that the token is for, as NAMESPACE/NAME, where the claims have to say so.
    """

    issuer: str
    identity: Identity
    issued_at: datetime
    expires_at: datetime
    secret: str | None = None

    def as_json(self) -> dict[str, object]:
        """The JSON object that is signed; groups is absent where the user file has none."""
        identity = self.identity
        claims: dict[str, object] = {
            "iss": self.issuer,
            "sub": identity.sub,
            "name": identity.name,
            "email": identity.email,
            "roles": list(identity.roles),
            "iat": int(self.issued_at.timestamp()),
            "exp": int(self.expires_at.timestamp()),
        }
        if identity.groups is not None:
            claims["groups"] = list(identity.groups)
        if self.secret is not None:
            claims[SECRET_CLAIM] = self.secret
        return claims


def rfc3339(moment: datetime) -> str:
    """A moment of UTC as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def lifetime(now: datetime, duration: timedelta) -> tuple[datetime, datetime]:
    """Iat and exp of a token that is made now and lives this long from now.

    Raises UsageError where the end is past the last date there is.
    """
    moment = now.astimezone(UTC).replace(microsecond=0)
    try:
        return moment - CLOCK_SKEW, moment + duration
    except OverflowError:
        raise UsageError(
            f"a token that lives {duration.days} days would end after the year 9999"
        ) from None


def life(issued_at: datetime, expires_at: datetime) -> timedelta:
    """How long a token lives from when it is made, which iat may be set back from."""
    return max(expires_at - issued_at - CLOCK_SKEW, timedelta())


def renewal_window(
    within: timedelta, issued_at: datetime | None, expires_at: datetime
) -> timedelta:
    """How near its end a token is about to end, and due: so near, or in the last third of its life.

    The shorter of both counts: else one that lives for less than that would be due from the start.
    """
    return within if issued_at is None else min(within, life(issued_at, expires_at) / 3)


def check_issuer(issuer: str) -> str:
    """Pass on an issuer that a self-signed token may carry; raises UsageError for others."""
    if not issuer:
        raise UsageError("the issuer is empty")
    try:
        issuer.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the issuer has letters that this locale's encoding does not know"
        ) from None
    if issuer.startswith("https://"):
        raise UsageError(
            f'the issuer "{issuer}" begins with https://',
            hint="Portworx takes such an issuer for an OpenID Connect provider's;"
            " name the cluster's own JWT issuer, such as portworx.com",
        )
    return issuer

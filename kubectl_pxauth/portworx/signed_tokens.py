"""Which tokens in a Secret a key has signed, whatever they are called and whatever they say."""

from collections.abc import Iterator
from dataclasses import field
from datetime import UTC, datetime

from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.identity import PartialIdentity
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import Trust, judge

_DOTS = 2  # of a token


@dataclass(frozen=True)
class SignedToken:
    """A token under a key of a Secret's data, the user that it names, and whether it has ended."""

    key: str
    token: bytes = field(repr=False)
    user: PartialIdentity
    has_ended: bool


def tokens_signed_with(shared_secret: SharedSecret, secret: Secret) -> Iterator[SignedToken]:
    """The tokens in the Secret's data whose signature that key made."""
    trust = Trust(issuer=None, shared_secret=shared_secret.value)
    for key, value in secret.data.items():
        token = value.strip()
        if token.count(b".") == _DOTS:
            now = datetime.now(UTC)
            verdict = judge(token, trust, now)
            if verdict.signed:
                ended = verdict.expires_at is not None and verdict.expires_at <= now
                yield SignedToken(key, token, verdict.user, ended)

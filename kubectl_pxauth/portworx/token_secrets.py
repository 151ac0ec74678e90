"""The tokens in Secrets: how they are found, and what state each is in."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import Secret, list_secrets
from kubectl_pxauth.errors import ForbiddenError
from kubectl_pxauth.portworx.signing import BY_OTHER_KEY, TrustedKeys
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN
from kubectl_pxauth.token.identity import PartialIdentity
from kubectl_pxauth.token.verdict import Trust, Verdict, judge


class Status(StrEnum):
    """What is to be said of a token, the worst first.

    A foreign one names another issuer and was signed by another key: it is another product's. One
    of the other key was signed by the key that a rotation under way has next to the cluster's.
    """

    FOREIGN = "foreign"
    BAD_SIGNATURE = "bad signature"
    OTHER_KEY = "other key"
    WRONG_ISSUER = "wrong issuer"
    EXPIRED = "expired"
    INVALID = "invalid"
    DUPLICATE_SUBJECT = "duplicate subject"
    EXPIRING = "expiring"
    VALID = "valid"


UNSIGNED = (Status.FOREIGN, Status.BAD_SIGNATURE)
"""What is said of tokens that no key of the cluster's made."""


@dataclass(frozen=True)
class Scope:
    """Where to look: one namespace, or all; only Secrets with these labels, if any are given."""

    namespace: str | None
    selector: str | None = None


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token in a Secret; problems says why Portworx would refuse it, if it would."""

    namespace: str
    secret: str
    user: PartialIdentity
    issuer: str
    issued_at: datetime | None
    expires_at: datetime | None
    status: Status
    problems: tuple[str, ...]


def read_tokens(
    cluster: Cluster, scope: Scope, trusted: TrustedKeys, now: datetime, key: str = AUTH_TOKEN
) -> Iterator[tuple[Secret, Verdict]]:
    """The Secrets that hold a JWT under that key, whoever made it, with the verdict on it."""
    for secret in list_secrets(cluster, scope.namespace, selector=scope.selector):
        verdict = trusted.judge(secret.data.get(key, b"").strip(), now)
        if verdict.is_jwt:
            yield secret, verdict


def unusable(secret: Secret, trusted: TrustedKeys, now: datetime) -> str | None:
    """Why Portworx would not take what that Secret holds, in words that go behind its name."""
    token = secret.data.get(AUTH_TOKEN)
    if token is None:
        keys = ", ".join(sorted(secret.data)) or "none"
        return f'has no token: it has no key "{AUTH_TOKEN}"; its keys: {keys}'
    if problems := trusted.problems(trusted.judge(token, now)):
        return f"holds no valid token: {'; '.join(problems)}"
    return None


def find_user(
    cluster: Cluster,
    claim: str,
    user: str,
    other_than: tuple[str, str],
    *,
    keys: set[str],
    now: datetime,
) -> list[tuple[str, bytes]]:
    """The tokens with this claim, whoever signed them, each behind the display name of its Secret.

    Not that of the Secret with that namespace and name. All namespaces are searched, or this one
    alone where that is forbidden.
    """
    nobody = Trust(issuer=None)

    def found(secret: Secret) -> Iterator[tuple[str, bytes]]:
        for token in {secret.data.get(key, b"").strip() for key in keys}:
            if getattr(judge(token, nobody, now).user, claim) == user:
                yield secret.display_name, token

    for namespace in (None, other_than[0]):
        with suppress(ForbiddenError):
            return [
                one
                for secret in list_secrets(cluster, namespace)
                if (secret.namespace, secret.name) != other_than
                for one in found(secret)
            ]
    return []


def status_of(
    verdict: Verdict, now: datetime, within: timedelta, *, key_known: bool = True
) -> Status:
    """The worst that is to be said of one token by itself."""
    problems = {found.check: found.message for found in verdict.problems()}
    if not key_known:
        problems.pop("signature", None)
    if {"signature", "issuer"} <= problems.keys():
        return Status.FOREIGN
    if problems.get("signature") == BY_OTHER_KEY:
        return Status.OTHER_KEY
    for check, status in (
        ("signature", Status.BAD_SIGNATURE),
        ("issuer", Status.WRONG_ISSUER),
        ("expiry", Status.EXPIRED),
    ):
        if check in problems:
            return status
    if problems:
        return Status.INVALID
    return Status.EXPIRING if verdict.is_ending(within, now) else Status.VALID


def stored(
    secret: Secret, verdict: Verdict, trusted: TrustedKeys, now: datetime, within: timedelta
) -> StoredToken:
    """What is kept of a token that was read; one that ends within that time is expiring."""
    return StoredToken(
        namespace=secret.namespace,
        secret=secret.name,
        user=verdict.user,
        issuer=verdict.issuer,
        issued_at=verdict.issued_at,
        expires_at=verdict.expires_at,
        status=status_of(verdict, now, within, key_known=trusted.no_key is None),
        problems=trusted.problems(verdict),
    )


def mark_duplicates(tokens: list[StoredToken], claim: str) -> Iterator[StoredToken]:
    """The tokens, with those that Portworx takes for one user told from those that are valid.

    claim is the one that it takes for the user.
    """
    users: dict[str | None, int] = {}
    for token in tokens:
        # Whoever has no key could claim to be anybody.
        if token.status not in UNSIGNED:
            user = getattr(token.user, claim)
            users[user] = users.get(user, 0) + 1
    for token in tokens:
        fine = token.status in (Status.VALID, Status.EXPIRING)
        user = getattr(token.user, claim)
        if fine and user and users[user] > 1:
            yield replace(token, status=Status.DUPLICATE_SUBJECT)
        else:
            yield token

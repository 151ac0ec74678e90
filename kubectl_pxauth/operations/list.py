"""List the tokens that lie in Secrets, and what state each is in."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.portworx.signing import TrustedKeys
from kubectl_pxauth.portworx.token_secrets import (
    UNSIGNED,
    Scope,
    Status,
    StoredToken,
    read_tokens,
    stored,
)


def list_tokens(
    scope: Scope, trusted: TrustedKeys, cluster: Cluster, now: datetime, within: timedelta
) -> list[StoredToken]:
    """The tokens in the scope, in the order of namespaces and names; raises ClusterErrors.

    One that ends within that time is expiring.
    """
    found = [
        stored(secret, verdict, trusted, now, within)
        for secret, verdict in read_tokens(cluster, scope, trusted, now)
    ]
    return list(_mark_duplicates(found))


def _mark_duplicates(tokens: list[StoredToken]) -> Iterator[StoredToken]:
    subjects: dict[str | None, int] = {}
    for token in tokens:
        # Whoever has no key could claim to be anybody.
        if token.status not in UNSIGNED:
            subjects[token.user.sub] = subjects.get(token.user.sub, 0) + 1
    for token in tokens:
        fine = token.status in (Status.VALID, Status.EXPIRING)
        if fine and token.user.sub and subjects[token.user.sub] > 1:
            yield replace(token, status=Status.DUPLICATE_SUBJECT)
        else:
            yield token

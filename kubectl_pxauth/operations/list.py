"""List the tokens in Secrets, and what state each is in."""

from datetime import datetime, timedelta

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.portworx.signing import TrustedKeys
from kubectl_pxauth.portworx.token_secrets import (
    Scope,
    StoredToken,
    mark_duplicates,
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
    return list(mark_duplicates(found, trusted.trust.username_claim))

"""The operation behind `doctor`: look at all that a token needs, and write nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from kubectl_pxauth.cluster.access import server_version
from kubectl_pxauth.cluster.connection import Ahead, Cluster
from kubectl_pxauth.cluster.portworx import USUAL_NAMESPACES
from kubectl_pxauth.doctor.finding import Finding, of_error, ok, reported
from kubectl_pxauth.doctor.rights import check_rights
from kubectl_pxauth.doctor.storage import check_storage, find_claims, find_classes
from kubectl_pxauth.doctor.tokens import (
    check_subjects,
    check_tokens,
    read_kept_tokens,
    trouble_with,
)
from kubectl_pxauth.doctor.trust import find_ground
from kubectl_pxauth.errors import ClusterError, ForbiddenError
from kubectl_pxauth.trust import TrustSource


def diagnose(
    cluster: Cluster, source: TrustSource, namespace: str, now: datetime, within: timedelta
) -> Iterator[Finding]:
    """What is found, check by check; a server that can't be reached is one finding, and the only.

    namespace is the one that commands take by default; a token that ends within that time is
    worth a warning. Only reads, and asks what the user may do. Errors are findings.
    """
    try:
        yield ok("server", f"{server_version(cluster)} at {cluster.server}")
    except ClusterError as error:
        yield of_error("server", error)
        if not isinstance(error, ForbiddenError):
            return
    rights = Ahead(lambda: list(check_rights(cluster, namespace)))
    classes = Ahead(lambda: find_classes(cluster))
    claims = Ahead(lambda: find_claims(cluster, classes.result()))
    ground = find_ground(cluster, source)
    trusted = ground.trusted
    yield from reported("rights", rights.result)
    yield from ground.findings
    usual = sorted({namespace, *USUAL_NAMESPACES})
    kept = read_kept_tokens(cluster, trusted, usual, now, within)
    yield from check_tokens(kept, trusted, now)
    yield from check_subjects(kept, trusted.trust.username_claim)
    look = partial(trouble_with, cluster=cluster, kept=kept, trusted=trusted, now=now)
    yield from reported(
        "classes", lambda: check_storage(classes, claims, look, secured=ground.secured)
    )

"""How a token lies in a Secret, whichever command puts it there."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from kubectl_pxauth.cluster.secrets import Secret, SecretContent
from kubectl_pxauth.errors import ConflictError
from kubectl_pxauth.mint import MintedToken

MANAGED_BY = "app.kubernetes.io/managed-by"
SKIP_BACKUP = "stork.libopenstorage.org/skip-resource"
EXPIRES = "kubectl-pxauth/expires"
ISSUER = "kubectl-pxauth/issuer"

_ATTEMPTS = 10  # writes that lost a race are read and tried again

Result = TypeVar("Result")


class DryRun(StrEnum):
    """kubectl's --dry-run: write, show what would be sent, or let the server check it."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


def rfc3339(moment: datetime) -> str:
    """A moment of UTC as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def content(key: str, minted: MintedToken, found: Secret | None) -> SecretContent:
    """What is to be written so that the Secret holds this token under that key."""
    metadata = found.manifest["metadata"] if found else {}
    annotations = {
        EXPIRES: rfc3339(minted.claims.expires_at),
        ISSUER: minted.claims.issuer,
    }
    labels = {}
    # Who said otherwise about backups or the manager of a Secret is not overruled.
    if SKIP_BACKUP not in (metadata.get("annotations") or {}):
        annotations[SKIP_BACKUP] = "true"
    if MANAGED_BY not in (metadata.get("labels") or {}):
        labels[MANAGED_BY] = "kubectl-pxauth"
    return SecretContent({key: minted.token.encode()}, labels, annotations)


def write_unless_changed(
    write: Callable[[Secret | None], Result],
    read: Callable[[], Secret | None],
    found: Secret | None,
) -> Result:
    """Write over what was found; where that has changed since, read and write again.

    Raises ConflictError where that goes on and on, and what write and read raise.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return write(found)
        except ConflictError:
            found = read()
    return write(found)

"""What every kind of object shares: how it is written, and how a refusal reads."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from kubectl_pxauth.errors import ConflictError, ForbiddenError

FIELD_MANAGER = "kubectl-pxauth"
MANAGED_BY = "app.kubernetes.io/managed-by"

_ATTEMPTS = 10  # writes that lost a race are read and tried again
_RBAC_REFUSAL = r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource'

Found = TypeVar("Found")
Again = TypeVar("Again")
Result = TypeVar("Result")


class DryRun(StrEnum):
    """kubectl's --dry-run: write, show what would be sent, or let the server check it."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


class Change(StrEnum):
    """What became of an object, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


def write_query(dry_run: DryRun) -> dict[str, str]:
    """The query of a write: whose it is, and whether it is only to be checked."""
    return {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run is DryRun.SERVER else {})


def until_no_conflict(
    found: Found, write: Callable[[Found | Again], Result], read: Callable[[], Again]
) -> Result:
    """Write over what was found; where another's write came in between, read and write anew.

    Raises the last attempt's ConflictError.
    """
    latest: Found | Again = found
    for _ in range(_ATTEMPTS - 1):
        try:
            return write(latest)
        except ConflictError:
            latest = read()
    return write(latest)


def explain_forbidden(
    error: ForbiddenError, verb: str, what: str, *, resource: str, name: str, namespace: str | None
) -> ForbiddenError:
    """RBAC's refusal, shortened; an admission's or a quota's as it is.

    what is the object in words; name is empty where it is all of the resource, and namespace is
    empty where the resource has none, and None where it is all of them.
    """
    found = re.search(_RBAC_REFUSAL, str(error))
    if found is None:
        return ForbiddenError(f"{what}: {error}")
    where = f' in namespace "{namespace}"' if namespace else ""
    flag = f" -n {namespace}" if namespace else ""
    if namespace is None:
        where, flag = " in all namespaces", " -A"
    return ForbiddenError(
        f'user "{found["user"]}" may not {verb} {what}:'
        f' verb "{verb}" on resource "{resource}"{where} is forbidden',
        hint=f"kubectl auth can-i {verb} {resource}{f'/{name}' if name else ''}{flag}",
    )

"""What every kind of object shares: how it is written, and how a refusal reads."""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from kubectl_pxauth.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    InterruptedWriteError,
    NotFoundError,
    UnansweredError,
)
from kubectl_pxauth.frozen import dataclass

if TYPE_CHECKING:
    from kubectl_pxauth.cluster.connection import Cluster

FIELD_MANAGER = "kubectl-pxauth"
MANAGED_BY = "app.kubernetes.io/managed-by"

_ATTEMPTS = 10  # writes that lost a race are read and tried again
_RBAC_REFUSAL = r'is forbidden: User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource'
_NO_REASON = r'\S+ "[^"]*" is forbidden:?\s*'

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


@dataclass(frozen=True)
class Metadata:
    """Labels and annotations that are asked for on an object, in addition to those that it has."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def is_on(self, manifest: "Manifest") -> bool:
        """Whether an object has them all."""
        wanted = {"labels": dict(self.labels), "annotations": dict(self.annotations)}
        return holds(manifest["metadata"], wanted)


def write_query(dry_run: DryRun, manager: str = FIELD_MANAGER) -> dict[str, str]:
    """The query of a write: whose it is, and whether it is only to be checked."""
    return {"fieldManager": manager} | ({"dryRun": "All"} if dry_run is DryRun.SERVER else {})


def until_no_conflict(
    found: Found, write: Callable[[Found | Again], Result], read: Callable[[], Again]
) -> Result:
    """Write over what was found; where another's write came in between, read and write again.

    Raises the last attempt's ConflictError.
    """
    latest: Found | Again = found
    for _ in range(_ATTEMPTS - 1):
        try:
            return write(latest)
        except ConflictError:
            latest = read()
    return write(latest)


Manifest = dict[str, Any]


def write_for_sure(
    cluster: "Cluster",
    what: str,
    path: tuple[str, ...],
    send: Callable[[], Manifest],
    *,
    dry_run: DryRun,
    done: Callable[[Manifest | None], bool],
    free: Callable[[Manifest | None], bool] = lambda _: True,
) -> Manifest:
    """Write an object, and where the answer is lost look at it: what is said is what was done.

    what names the object for errors, and path is where to read it; done tells from what is there
    whether the write was done, and free whether it still can be: a write that finds another one's
    before it has to be void. dry_run says whether send only lets the server check the write, of
    which an interrupt then tells nothing. Returns the answer, or what is there in its place, which
    may be nothing. Raises ConflictError where somebody else's write came first, and other
    ClusterErrors, after which nothing was written but where they say that this is not known.
    """
    rehearses = dry_run is DryRun.SERVER
    lost: UnansweredError | None = None
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = send()
            cluster.written += [] if rehearses else [what]
        except KeyboardInterrupt:
            if rehearses:
                raise
            raise InterruptedWriteError(what) from None
        except UnansweredError as error:
            lost = error
        except (ConflictError, NotFoundError):
            # It may be the write before this one that is in the way.
            if lost is None or not done(_there(cluster, path, what, lost)):
                raise
        else:
            return answer
        found = _there(cluster, path, what, lost)
        if done(found):
            cluster.written += [] if rehearses else [what]
            return found or {}
        if not free(found):
            raise ConflictError(f"{what} was changed meanwhile")
        if lost.again is None or attempt == _ATTEMPTS:
            break
        cluster.pause(max(lost.again, 1), f"{lost}; {what} is written again")
    raise ClusterError(f"{what} is not written: {lost}") from None


def holds(there: object, wanted: object) -> bool:
    """Whether an object has all that is wanted of it; None is wanted for what is to be gone."""
    if isinstance(wanted, dict):
        mine = there if isinstance(there, dict) else {}
        return all(holds(mine.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(there, list) and len(there) == len(wanted) and all(map(holds, there, wanted))
        )
    return there == wanted


def _there(
    cluster: "Cluster", path: tuple[str, ...], what: str, lost: UnansweredError
) -> Manifest | None:
    try:
        return cluster.get(*path)
    except NotFoundError:
        return None
    except ClusterError as error:
        raise ClusterError(
            f"{what} may be written or not: {lost}; it can't be looked at: {error}"
        ) from None


@dataclass(frozen=True)
class MissingRight:
    """A verb that somebody has no right to; the user in words for a person."""

    user: str
    verb: str


def missing_right(error: ForbiddenError) -> MissingRight | None:
    """The right that RBAC says is missing; None where a quota or a policy refused.

    Applying an object takes several rights, and this is the first that is missing. The API server
    gives no reason where "get" is allowed and "create" is not: for a command in a pod, and on
    Kubernetes 1.30.14 for an object that is applied and would be created.
    """
    found = re.search(_RBAC_REFUSAL, str(error))
    if found:
        return MissingRight(f'user "{found["user"]}"', found["verb"])
    return MissingRight("you", "create") if re.fullmatch(_NO_REASON, str(error)) else None


def explain_forbidden(
    error: ForbiddenError, what: str, *, resource: str, name: str, namespace: str | None
) -> ForbiddenError:
    """RBAC's refusal, shortened; an admission's or a quota's as it is.

    what is the object in words; name is empty where it is all of the resource, and namespace is
    empty where the resource has none, and None where it is all of them.
    """
    missing = missing_right(error)
    if missing is None:
        return ForbiddenError(f"{what}: {error}")
    user, verb = missing.user, missing.verb
    where = f' in namespace "{namespace}"' if namespace else ""
    flag = f" -n {namespace}" if namespace else ""
    if namespace is None:
        where, flag = " in all namespaces", " -A"
    return ForbiddenError(
        f'{user} may not {verb} {what}: verb "{verb}" on resource "{resource}"{where} is forbidden',
        hint=f"kubectl auth can-i {verb} {resource}{f'/{name}' if name else ''}{flag}",
    )

"""The objects of a renewal job, wherever they are, also those that release 0.1.0 made."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from kubectl_pxauth.cluster.applied import Applied, Kind, list_applied
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.names import is_namespace_name
from kubectl_pxauth.errors import ForbiddenError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.renewal_job import (
    BINDINGS,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CRON_JOB,
    JOB_LABEL,
    KINDS,
    OLD_OBJECTS,
    RENEWING,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    job_name,
    named_scope,
    read_job,
)
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.portworx.stated_values import FoundKey


@dataclass(frozen=True)
class JobObjects:
    """What was found, the job first; and a warning where not all could be looked for."""

    objects: tuple[Applied, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class FoundJobs:
    """The objects of all jobs, those of 0.1.0 among them; homes are the namespaces with a job.

    trusted are the namespaces in which no tenant makes anything.
    """

    objects: tuple[Applied, ...]
    homes: frozenset[str | None] = frozenset()
    trusted: frozenset[str | None] = frozenset()

    @property
    def cron_jobs(self) -> list[Applied]:
        """The jobs themselves."""
        return [found for found in self._cron_jobs if self._is_job(found)]

    @property
    def strangers(self) -> list[Applied]:
        """What has the labels of a job, and may be anybody's."""
        return [found for found in self._cron_jobs if not self._is_job(found)]

    def _is_job(self, found: Applied) -> bool:
        job = read_job(found)
        return found.namespace in self.homes or (job is not None and job.is_confined)

    @property
    def _cron_jobs(self) -> list[Applied]:
        return [found for found in self.objects if found.kind is CRON_JOB]

    def of_key(self, key: FoundKey | None) -> "FoundJobs":
        """The same where a job may be in the namespace of that key."""
        namespace = key.reference.namespace if key and key.reference else None
        trusted = frozenset({USUAL_NAMESPACES[0], namespace})
        return replace(self, homes=homes_of_jobs(self.objects, trusted), trusted=trusted)


def find_jobs(cluster: Cluster) -> FoundJobs:
    """What jobs there are; raises ForbiddenError and other ClusterErrors."""
    ours, _ = list_objects(cluster, JOB_LABEL, ())
    old, _ = list_objects(cluster, OLD_OBJECTS, ())
    return FoundJobs((*ours, *old))


def find_job_objects(
    cluster: Cluster, scope: str | None, places: tuple[str, ...], *, living_there: bool = False
) -> JobObjects:
    """The objects of the job for that namespace, or for all for None; raises ClusterErrors.

    Where all namespaces can't be looked in, those places are. living_there also takes a job of
    0.1.0 that runs in that namespace and renews the tokens of all.
    """
    selector = f"{JOB_LABEL}={job_name(scope)}"
    ours, refused = list_objects(cluster, selector, places)
    old, _ = list_objects(cluster, OLD_OBJECTS, places)
    kept = [found for found in old if _is_of(found, old, scope, living_there=living_there)]
    objects = sorted([*ours, *kept], key=lambda found: KINDS.index(found.kind))
    return JobObjects(tuple(objects), _not_looked_for(refused, selector) if refused else ())


def list_objects(
    cluster: Cluster, selector: str, places: tuple[str, ...]
) -> tuple[list[Applied], list[Kind]]:
    """The objects with these labels, and the kinds that all namespaces can't be searched for.

    Raises ForbiddenError where the first of the places can't be searched either, and other
    ClusterErrors.
    """
    asked = [(kind, Background(partial(_listed, cluster, kind, None, selector))) for kind in KINDS]
    found: list[Applied] = []
    refused: list[Kind] = []
    for kind, answer in asked:
        try:
            found += answer.result()
        except ForbiddenError:
            refused.append(kind)
            if kind.namespaced and not places:
                raise
            for place in places if kind.namespaced else ():
                try:
                    found += _listed(cluster, kind, place, selector)
                except ForbiddenError:
                    if place == places[0]:
                        raise
    return found, refused


def _listed(cluster: Cluster, kind: Kind, namespace: str | None, selector: str) -> list[Applied]:
    return list(list_applied(cluster, kind, namespace, selector))


def _is_of(found: Applied, old: list[Applied], scope: str | None, *, living_there: bool) -> bool:
    home = old_home(found, old)
    if home is None:  # a ClusterRole that nobody is bound to
        return scope is None
    if renews_everything(home, old):
        return scope is None or (living_there and scope == home)
    return scope == home


def old_home(found: Applied, old: list[Applied]) -> str | None:
    """The namespace in which 0.1.0 had the job that an object belongs to.

    It follows from names, as others may have changed its label for that.
    """
    if found.kind in BINDINGS:
        return bound_namespace(found)
    if found.kind in (ROLE, CLUSTER_ROLE):
        for binding in old:
            same = (binding.namespace, binding.name) == (found.namespace, found.name)
            if same and binding.kind in BINDINGS:
                return bound_namespace(binding)
        if found.name != RENEWING:
            return found.name.removeprefix(f"{RENEWING}-")
    return found.namespace


def homes_of_jobs(
    objects: Iterable[Applied], trusted_namespaces: Iterable[str | None]
) -> frozenset[str | None]:
    """The namespaces in which an administrator has put a job that has some of these objects.

    Whoever may make CronJobs in one namespace can give one our labels, with an image of theirs. It
    is a job's where it is in one of the trusted namespaces, or its account has rights there or in
    all namespaces.
    """
    trusted = {*trusted_namespaces}
    homes = {
        bound_namespace(found)
        for found in objects
        if found.kind is CLUSTER_ROLE_BINDING
        or (found.kind is ROLE_BINDING and found.namespace in trusted)
    }
    return frozenset(trusted | homes)


def bound_namespace(binding: Applied) -> str | None:
    """The namespace of the account that has the rights; None where there can be no such account.

    Kubernetes takes any words there, and in a namespace of theirs a tenant chooses them.
    """
    subject = (binding.manifest.get("subjects") or [{}])[0]
    namespace = str(subject.get("namespace"))
    is_account = subject.get("kind") == SERVICE_ACCOUNT.name and is_namespace_name(namespace)
    return namespace if is_account else None


def scope_of(cron_job: Applied, objects: Iterable[Applied]) -> str | None:
    """Whose tokens a job renews by its name, None for all; empty where the name does not tell.

    objects are all that jobs have.
    """
    name = cron_job.labels.get(JOB_LABEL)
    if name is None:
        home = str(cron_job.namespace)
        old = [found for found in objects if JOB_LABEL not in found.labels]
        return None if renews_everything(home, old) else home
    return named_scope(name)


def is_suspended(cron_job: Applied) -> bool:
    """Whether somebody has told Kubernetes not to run it."""
    return bool(cron_job.manifest["spec"].get("suspend"))


def renews_everything(home: str, old: list[Applied]) -> bool:
    """Whether 0.1.0's job in that namespace renews the tokens of all."""
    for found in old:
        if found.kind is CLUSTER_ROLE_BINDING and bound_namespace(found) == home:
            return True
        if found.kind is CRON_JOB and found.namespace == home:
            return "--all-namespaces" in _arguments(found)
    return False


def _arguments(cron_job: Applied) -> Iterator[str]:
    pod = cron_job.manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for container in pod["containers"]:
        yield from container.get("args") or ()


def _not_looked_for(kinds: list[Kind], selector: str) -> tuple[str, ...]:
    plurals = [kind.plural for kind in kinds]
    return (
        f"you may not list {', '.join(plurals)} of all namespaces; what an earlier schedule left"
        " there stays, until somebody who has the right deletes it:"
        f" kubectl delete {','.join(plurals)} -A -l {selector}",
    )

"""Let the cluster renew tokens by itself, as a CronJob with the rights for that and no more."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kubectl_pxauth.cluster.applied import (
    Applied,
    Kind,
    apply,
    delete,
    find_applied,
    list_applied,
)
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import MANAGED_BY, Change, DryRun
from kubectl_pxauth.cluster.secrets import list_secrets
from kubectl_pxauth.errors import ClusterError, ConflictError, DiscoveryError, ForbiddenError
from kubectl_pxauth.operations.schedule.job import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CRON_JOB,
    INSTANCE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    RenewalJob,
    RenewalPlan,
    job_labels,
)
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.signing import KeySearch, KeySource, find_signer

# The job first, so that it never runs without rights.
_KINDS = (CRON_JOB, CLUSTER_ROLE_BINDING, CLUSTER_ROLE, ROLE_BINDING, ROLE, SERVICE_ACCOUNT)
_BINDINGS = (ROLE_BINDING, CLUSTER_ROLE_BINDING)


@dataclass(frozen=True)
class ObjectChange:
    """What became of one object, or with a dry run would; kubectl_name is what kubectl calls it."""

    kubectl_name: str
    change: Change
    manifest: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class ObjectChanges:
    """What is to be done; each step is taken when it is asked for."""

    warnings: tuple[str, ...]
    changes: Iterator[ObjectChange]


def schedule(
    plan: RenewalPlan, source: KeySource, connect: Callable[[], Cluster], dry_run: DryRun
) -> ObjectChanges:
    """Make the job and its rights, or bring them up to date; what is needed no more is deleted.

    A client-side dry run with issuer and Secret given calls nobody. Raises PxauthErrors where
    nothing can be done; the steps may raise ClusterErrors, and those before them are done then.
    """
    if dry_run is DryRun.CLIENT and source.issuer and source.shared_secret_from:
        return _preview(RenewalJob(plan, source.issuer, source.shared_secret_from), ())
    cluster = connect()
    job, guessed = _resolve_key(cluster, plan, source)
    if dry_run is DryRun.CLIENT:
        return _preview(job, guessed)
    if plan.selector:
        _check_selector(cluster, plan)
    asked = [(new, Background(partial(find_applied, cluster, new))) for new in job.objects()]
    objects = [(new, answer.result()) for new, answer in asked]
    for _, found in objects:
        _check_ours(found, plan.namespace)
    places = {new.identity for new, _ in objects}
    ours, warnings = _find_ours(cluster, plan.namespace)
    stale = [found for found in ours if found.identity not in places]
    if dry_run is DryRun.NONE:
        for new, found in objects:
            # A binding is refused before its role is there.
            if new.kind not in _BINDINGS:
                _apply(cluster, new, found, DryRun.SERVER)
    steps = _apply_all(cluster, objects, stale, dry_run)
    return ObjectChanges((*guessed, *warnings), steps)


def unschedule(namespace: str, cluster: Cluster, dry_run: DryRun) -> ObjectChanges:
    """Delete the job in that namespace and its rights, wherever they are; raises ClusterErrors."""
    ours, warnings = _find_ours(cluster, namespace)
    return ObjectChanges(warnings, _apply_all(cluster, [], ours, dry_run))


def _resolve_key(
    cluster: Cluster, plan: RenewalPlan, source: KeySource
) -> tuple[RenewalJob, tuple[str, ...]]:
    """The job with issuer and key, so that it needs no rights to look for them; and warnings."""
    if source.signing_key is not None:
        raise _key_not_in_a_secret("the key that is given")
    if source.issuer and (reference := source.shared_secret_from):
        find_signer(cluster, source)  # the Secret must be there and hold a key
        return RenewalJob(plan, source.issuer, reference), ()
    search = KeySearch(cluster, source)
    search.discovery()
    key = search.key()
    settings = search.settings(key, source.issuer)
    if key is None or key.reference is None:
        raise _key_not_in_a_secret(f"the shared secret of {key.stated_by if key else 'the user'}")
    return RenewalJob(plan, settings.issuer.value, key.reference), settings.warnings


def _key_not_in_a_secret(what: str) -> DiscoveryError:
    return DiscoveryError(
        f"{what} is in no Secret, and a scheduled job needs it in one",
        hint="name the Secret that holds it: --shared-secret-from NAMESPACE/NAME:KEY",
    )


def _preview(job: RenewalJob, warnings: tuple[str, ...]) -> ObjectChanges:
    steps = (ObjectChange(new.kubectl_name, Change.CREATED, new.manifest) for new in job.objects())
    return ObjectChanges(warnings, steps)


def _check_selector(cluster: Cluster, plan: RenewalPlan) -> None:
    """Let the server read the selector now rather than the job every night."""
    namespace = None if plan.everywhere else plan.namespace
    try:
        next(list_secrets(cluster, namespace, selector=plan.selector), None)
    except ForbiddenError:
        raise
    except ClusterError as error:
        raise ClusterError(f'Secrets with the labels "{plan.selector}": {error}') from None


def _check_ours(found: Applied | None, namespace: str) -> None:
    if found is None:
        return
    ours = job_labels(namespace)
    if found.labels.get(MANAGED_BY) != ours[MANAGED_BY]:
        raise ClusterError(
            f"{found.display_name} exists, and is not one of ours:"
            f" it has no label {MANAGED_BY}={ours[MANAGED_BY]}"
        )
    other = found.labels.get(INSTANCE)
    if other != namespace:
        raise ClusterError(
            f"{found.display_name} is of the job in namespace {other}, which renews the tokens of"
            " all namespaces",
            hint=f"one such job is enough; to have it elsewhere: kubectl pxauth unschedule"
            f" -n {other}",
        )


def _find_ours(cluster: Cluster, namespace: str) -> tuple[list[Applied], tuple[str, ...]]:
    """The objects of the job in that namespace, and a warning where not all could be looked for."""
    found: list[Applied] = []
    not_read: list[Kind] = []
    for kind in _KINDS:
        # Only rights may be in other namespaces.
        scope = namespace if kind in (CRON_JOB, SERVICE_ACCOUNT) else None
        try:
            found += list_applied(cluster, kind, scope, job_labels(namespace))
        except ForbiddenError:
            if scope:
                raise
            not_read.append(kind)
            if kind.namespaced:
                found += list_applied(cluster, kind, namespace, job_labels(namespace))
    return found, _not_looked_for(not_read, namespace) if not_read else ()


def _not_looked_for(kinds: list[Kind], namespace: str) -> tuple[str, ...]:
    labels = ",".join(f"{key}={value}" for key, value in job_labels(namespace).items())
    return (
        f"you may not list {', '.join(kind.plural for kind in kinds)} of all namespaces; what an"
        " earlier schedule left there stays, until somebody who may deletes it:"
        f" kubectl delete {','.join(kind.plural for kind in kinds)} -A -l {labels}",
    )


def _apply_all(
    cluster: Cluster,
    objects: list[tuple[Applied, Applied | None]],
    stale: list[Applied],
    dry_run: DryRun,
) -> Iterator[ObjectChange]:
    for new, found in objects:
        change, written = _apply(cluster, new, found, dry_run)
        yield ObjectChange(new.kubectl_name, change, written.manifest)
    for old in stale:
        delete(cluster, old, dry_run)
        yield ObjectChange(old.kubectl_name, Change.DELETED, old.manifest)


def _apply(
    cluster: Cluster, new: Applied, found: Applied | None, dry_run: DryRun
) -> tuple[Change, Applied]:
    try:
        return apply(cluster, new, found, dry_run)
    except ConflictError as error:
        raise ConflictError(
            str(error),
            hint="take that back, or make all of it anew: kubectl pxauth unschedule"
            f" -n {new.labels[INSTANCE]}, then this command again",
        ) from None

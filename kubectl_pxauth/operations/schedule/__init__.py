"""Let the cluster renew tokens by itself, as a CronJob with the rights for that and no more."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from typing import Any

from kubectl_pxauth.cluster.access import Right, has_right
from kubectl_pxauth.cluster.applied import (
    Applied,
    apply,
    delete,
    find_applied,
    owned_by_namespace,
)
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.namespaces import Namespace
from kubectl_pxauth.cluster.objects import Change, DryRun
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import (
    ClusterError,
    ConflictError,
    DiscoveryError,
    ForbiddenError,
    NotFoundError,
)
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.schedule.checks import (
    check_namespaces,
    check_pod,
    check_selectors,
    lapse_warnings,
)
from kubectl_pxauth.operations.schedule.settings import JobChanges
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.believed import PortworxSpecs
from kubectl_pxauth.portworx.job_objects import find_job_objects, homes_of_jobs
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.renewal_job import (
    BINDINGS,
    CRON_JOB,
    RenewalJob,
    is_job_object,
    job_name,
    read_job,
)
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.portworx.signing import KeySearch, TrustedKeys, trusted_keys
from kubectl_pxauth.portworx.stated_values import NAME_IT, FoundKey

# kubernetes/kubernetes, plugin/pkg/admission/namespace/lifecycle: nobody deletes these.
_IMMORTAL = ("default", "kube-system", "kube-public")
_ROUNDS = 10  # of looking whether all is there, or gone, while somebody else does the opposite


@dataclass(frozen=True)
class ScheduleRequest:
    """Whose tokens the job renews (None for all namespaces'), and what is said of it.

    job_namespace is where it is to run; None leaves it in the namespace of the key.
    """

    scope: str | None
    changes: JobChanges
    job_namespace: str | None
    dry_run: DryRun
    now: datetime


@dataclass(frozen=True)
class ObjectChange:
    """What became of one object, or with a dry run would; kubectl_name is what kubectl calls it."""

    kubectl_name: str
    change: Change
    manifest: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class ObjectChanges:
    """What is to be done; each step is taken when it is asked for.

    job is the job as it is to be, and cron_job as it was found, both None where it is deleted.
    """

    warnings: tuple[str, ...]
    changes: Iterator[ObjectChange]
    job: RenewalJob | None = None
    cron_job: Applied | None = None


def schedule(
    request: ScheduleRequest, source: KeySource, connect: Callable[[], Cluster]
) -> ObjectChanges:
    """Make the job and its rights, or change what is named, and delete what is no longer needed.

    A client-side dry run with issuer and Secret given calls nobody. Raises PxauthErrors where
    nothing can be done; the steps may raise ClusterErrors, and those before them are done then.
    """
    if request.dry_run is DryRun.CLIENT and source.issuer and source.shared_secret_from:
        job = _job(request, source, None, source.issuer, source.shared_secret_from)
        return _preview(job, ())
    cluster = connect()
    ours = find_job_objects(cluster, request.scope, _likely_places(request, source))
    there, not_ours = _job_that_is_there(cluster, request, source, ours.objects)
    present = read_job(there) if there else None
    source = _with_given(source, present)
    issuer, key, trusted, guessed = _resolve_key(cluster, source, request.job_namespace)
    job = _job(request, source, present, issuer, key)
    warnings = [*guessed, *ours.warnings, *not_ours, *_gives_away(job)]
    if request.dry_run is DryRun.CLIENT:
        return _preview(job, tuple(warnings))
    namespaces = check_namespaces(cluster, job)
    check_selectors(cluster, job)
    new_objects = _owned(job.objects(), job, namespaces)
    asked = [(new, Background(partial(find_applied, cluster, new))) for new in new_objects]
    objects = [(new, answer.result()) for new, answer in asked]
    for _, found in objects:
        _check_ours(found)
    warnings += check_pod(cluster, job, account_exists=objects[0][1] is not None)
    warnings += lapse_warnings(cluster, job, trusted, request.now)
    if not request.changes.image and (there is None or not _has_succeeded(there)):
        warnings += _image_warning(request, job)
    places = {new.identity for new in new_objects}
    stale = [found for found in ours.objects if found.identity not in places]
    if request.dry_run is DryRun.NONE:
        _rehearse(cluster, job, objects, stale)
    steps = _apply_all(cluster, job, objects, stale, request.dry_run)
    return ObjectChanges(tuple(warnings), steps, job, there)


def unschedule(scope: str | None, cluster: Cluster, dry_run: DryRun) -> ObjectChanges:
    """Delete that job and its rights, wherever they are; raises ClusterErrors."""
    places = (scope,) if scope else ()
    ours = find_job_objects(cluster, scope, places, living_there=True)
    if dry_run is DryRun.NONE:
        _rehearse_deletion(cluster, ours.objects)

    def steps() -> Iterator[ObjectChange]:
        found = ours.objects
        for _ in range(_ROUNDS):
            for old in found:
                try:
                    delete(cluster, old, dry_run)
                except ConflictError:  # made again by a schedule at the same time
                    continue
                yield ObjectChange(old.kubectl_name, Change.DELETED, old.manifest)
            if not found or dry_run is not DryRun.NONE:
                return
            found = find_job_objects(cluster, scope, places, living_there=True).objects
        raise ConflictError(
            f"{found[0].display_name} is made again and again by somebody else",
            hint="run the command again",
        )

    return ObjectChanges(ours.warnings, steps())


def _likely_places(request: ScheduleRequest, source: KeySource) -> tuple[str, ...]:
    """Where to look for what is ours if all namespaces can't be looked in."""
    key = source.shared_secret_from
    named = (request.scope, request.job_namespace, key.namespace if key else None)
    return tuple(dict.fromkeys(place for place in named if place))


def _job_that_is_there(
    cluster: Cluster, request: ScheduleRequest, source: KeySource, ours: tuple[Applied, ...]
) -> tuple[Applied | None, list[str]]:
    """The job's CronJob, of this release's rather than of 0.1.0's; warnings of those of others.

    What they say would be run with the job's rights. Raises DiscoveryError where one of others, or
    one that can't be told from those, says that the user named its key.
    """
    reference = source.shared_secret_from
    named = (request.job_namespace, reference.namespace if reference else None)
    trusted = {USUAL_NAMESPACES[0], *named}
    jobs = [found for found in ours if found.kind is CRON_JOB]
    homes = homes_of_jobs(ours, trusted)
    if not reference and any(found.namespace not in homes for found in jobs):
        key = attempt(KeySearch(cluster, source).key)
        if isinstance(key, FoundKey) and key.reference:
            homes = homes_of_jobs(ours, {*trusted, key.reference.namespace})
    believed = []
    warnings = []
    for found in jobs:
        said = read_job(found)
        names_key = not reference and said is not None and "shared-secret-from" in said.given
        # With its own key it stays where it is, and who can change it gains nothing.
        stays = said is not None and said.is_confined and not request.job_namespace
        if found.namespace in homes or (names_key and stays):
            believed.append(found)
            continue
        if said and names_key:
            raise DiscoveryError(
                f"{found.display_name} may be anybody's, and takes the key {said.key}",
                hint="name the key that the job is to take: --shared-secret-from"
                " NAMESPACE/NAME:KEY",
            )
        warnings.append(f"{found.display_name} may be anybody's, so none of its settings is kept")
    job = min(believed, key=lambda found: found.name != job_name(request.scope), default=None)
    return job, warnings


def _with_given(source: KeySource, present: RenewalJob | None) -> KeySource:
    """What is not said now, and was said of the job that is there, counts on."""
    if present is None or source.has_key:
        return source
    if source.issuer is None and "issuer" in present.given:
        source = replace(source, issuer=present.issuer)
    if source.shared_secret_from is None and "shared-secret-from" in present.given:
        source = replace(source, shared_secret_from=present.key)
    if "allow-weak-key" in present.given:
        source = replace(source, allow_weak_key=True)
    return source


def _job(
    request: ScheduleRequest,
    source: KeySource,
    present: RenewalJob | None,
    issuer: str,
    key: SecretKeyReference,
) -> RenewalJob:
    given = {
        "issuer": source.issuer,
        "shared-secret-from": source.shared_secret_from,
        "allow-weak-key": source.allow_weak_key,
    }
    return RenewalJob(
        scope=request.scope,
        namespace=request.job_namespace or key.namespace,
        settings=request.changes.over(present.settings if present else None),
        issuer=issuer,
        key=key,
        given=tuple(flag for flag, value in given.items() if value),
    )


def _resolve_key(
    cluster: Cluster, source: KeySource, job_namespace: str | None
) -> tuple[str, SecretKeyReference, TrustedKeys, tuple[str, ...]]:
    """Issuer and key, so that the job needs no rights to look for them; and warnings."""
    if source.signing_key is not None:
        raise _key_not_in_a_secret("the key that is given")
    search = KeySearch(cluster, source)
    search.discovery()
    key = search.key()  # the Secret must be there and hold a key
    if key is None or key.reference is None:
        raise _key_not_in_a_secret(f"the shared secret of {key.stated_by if key else 'the user'}")
    if not (source.shared_secret_from or job_namespace):
        _check_home(key, key.reference, search.discovery().specs())
    source.check_strength(key.shared_secret)
    warnings = (*search.contradictions(key), *key.shared_secret.reference_warnings())
    if source.issuer and source.shared_secret_from:
        return source.issuer, key.reference, trusted_keys(source, key, None), warnings
    settings = search.settings(key, source.issuer)
    trusted = trusted_keys(source, key, settings)
    return settings.issuer.value, key.reference, trusted, (*settings.warnings, *warnings)


def _check_home(key: FoundKey, reference: SecretKeyReference, specs: PortworxSpecs) -> None:
    """Raise DiscoveryError where the job would run in what may be a tenant's namespace.

    Whoever may make pods there has the job's rights.
    """
    if reference.namespace in {*USUAL_NAMESPACES, *specs.taken_up_in}:
        return
    raise DiscoveryError(
        f"the job would run in namespace {reference.namespace}, where the key is by the word of"
        f" {key.stated_by} alone, which anybody there may have made",
        hint=f"if Portworx runs there: --shared-secret-from {reference}",
    )


def _key_not_in_a_secret(what: str) -> DiscoveryError:
    return DiscoveryError(
        f"{what} is in no Secret, and a scheduled job needs it in one",
        hint=NAME_IT,
    )


def _gives_away(job: RenewalJob) -> list[str]:
    """What a job outside the key's namespace lets others do."""
    if job.namespace == job.key.namespace:
        return []
    all_secrets = ", and all Secrets of the cluster" if job.scope is None else ""
    return [
        f"whoever can create pods, or tokens of service accounts, in namespace {job.namespace} can"
        f" read the signing key ({job.key.secret}){all_secrets} through the job; without"
        f" --job-namespace it runs in the namespace of the key, {job.key.namespace}"
    ]


def _has_succeeded(cron_job: Applied) -> bool:
    return bool((cron_job.manifest.get("status") or {}).get("lastSuccessfulTime"))


def _image_warning(request: ScheduleRequest, job: RenewalJob) -> list[str]:
    if job.settings.image != request.changes.default_image:
        return []
    return [
        f"image {job.settings.image} may not be there: nothing is published before a release;"
        " until then build it from Containerfile, push it to a registry of yours, and name it with"
        " --image"
    ]


def _preview(job: RenewalJob, warnings: tuple[str, ...]) -> ObjectChanges:
    steps = (ObjectChange(new.kubectl_name, Change.CREATED, new.manifest) for new in job.objects())
    return ObjectChanges(warnings, steps, job)


def _owned(
    objects: list[Applied], job: RenewalJob, namespaces: Mapping[str, Namespace]
) -> list[Applied]:
    """Let the objects go with a namespace without which they are of no use, or a danger.

    What is outside the job's namespace goes with it, or whoever makes it again has the rights. The
    job goes with the namespace that it serves. A namespace that may not be read is left out.
    """

    def owned(new: Applied) -> Applied:
        owner = job.scope if new.namespace == job.namespace else job.namespace
        if owner in (None, new.namespace, *_IMMORTAL) or owner not in namespaces:
            return new
        return owned_by_namespace(new, owner, namespaces[owner].uid)

    return [owned(new) for new in objects]


def _check_ours(found: Applied | None) -> None:
    if found and not is_job_object(found):
        raise ClusterError(f"{found.display_name} exists, and kubectl pxauth did not make it")


def _rehearse(
    cluster: Cluster,
    job: RenewalJob,
    objects: list[tuple[Applied, Applied | None]],
    stale: list[Applied],
) -> None:
    """Let the server refuse what it will before anything is made; raises ClusterErrors."""
    for new, found in objects:
        try:
            _apply(cluster, job, new, found, DryRun.SERVER)
        except NotFoundError:
            if new.kind not in BINDINGS:
                raise
            # Its role is not there yet, which the server says before it looks at the right.
            right = Right("create", new.kind.resource, new.namespace or "")
            if not has_right(cluster, right):
                raise ForbiddenError(
                    f'you may not create {new.display_name}: verb "create" on resource'
                    f' "{new.kind.resource}" is forbidden',
                    hint=right.question,
                ) from None
    _rehearse_deletion(cluster, stale)


def _rehearse_deletion(cluster: Cluster, objects: Iterable[Applied]) -> None:
    """The same before anything is deleted; it does not matter what is made again meanwhile."""
    for old in objects:
        with suppress(ConflictError):
            delete(cluster, old, DryRun.SERVER)


def _apply_all(
    cluster: Cluster,
    job: RenewalJob,
    objects: list[tuple[Applied, Applied | None]],
    stale: list[Applied],
    dry_run: DryRun,
) -> Iterator[ObjectChange]:
    for new, found in objects:
        change, written = _apply(cluster, job, new, found, dry_run)
        yield ObjectChange(new.kubectl_name, change, written.manifest)
    for old in stale:
        delete(cluster, old, dry_run)
        yield ObjectChange(old.kubectl_name, Change.DELETED, old.manifest)
    if dry_run is DryRun.NONE:
        yield from _make_whole(cluster, job, [new for new, _ in objects])


def _make_whole(
    cluster: Cluster, job: RenewalJob, objects: list[Applied]
) -> Iterator[ObjectChange]:
    """Make again what an unschedule at the same time deleted, so that no job lacks its rights.

    It looks until all is there, and unschedule until nothing is: the one that looks last wins.
    """
    for _ in range(_ROUNDS):
        asked = [(new, Background(partial(find_applied, cluster, new))) for new in objects]
        missing = [new for new, answer in asked if answer.result() is None]
        if not missing:
            return
        for new in missing:
            change, written = _apply(cluster, job, new, None, DryRun.NONE)
            yield ObjectChange(new.kubectl_name, change, written.manifest)
    raise ConflictError(
        f"{missing[0].display_name} is deleted again and again by somebody else",
        hint="run the command again",
    )


def _apply(
    cluster: Cluster, job: RenewalJob, new: Applied, found: Applied | None, dry_run: DryRun
) -> tuple[Change, Applied]:
    try:
        return apply(cluster, new, found, dry_run)
    except ConflictError as error:
        again = f"-n {job.scope}" if job.scope else "-A"
        raise ConflictError(
            str(error),
            hint=f"undo that, or create all of it again: kubectl pxauth unschedule {again}, then"
            " this command with every setting that it had, --image too",
        ) from None

"""Whether the jobs that renew tokens do so, for which tokens, and what jobs left behind."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from kubectl_pxauth.cluster.applied import Applied, Kind, list_applied
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.cron import next_run
from kubectl_pxauth.cluster.namespaces import find_namespace
from kubectl_pxauth.cluster.secrets import list_secrets
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, few, ok, problem, warning
from kubectl_pxauth.operations.doctor.tokens import Kept, KeptTokens, Place
from kubectl_pxauth.parallel import attempt
from kubectl_pxauth.portworx.job_objects import FoundJobs, bound_namespace, is_suspended, scope_of
from kubectl_pxauth.portworx.lapses import TokenTimes, find_lapses, is_overdue, renewed_in_time
from kubectl_pxauth.portworx.renewal_job import (
    BINDINGS,
    CLUSTER_ROLE,
    JOB_LABEL,
    NAME_LABEL,
    RENEWING,
    ROLE,
    ROLE_BINDING,
    RenewalJob,
    read_job,
)
from kubectl_pxauth.portworx.token_secrets import Status
from kubectl_pxauth.text import command_line
from kubectl_pxauth.token.verdict import Severity

_JOB = Kind("Job", "jobs", "batch")
_POD = Kind("Pod", "pods")
# The kubelet's words for a container that can't start: kubernetes/kubernetes, pkg/kubelet/images
# and pkg/kubelet/kuberuntime.
_NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_NO_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_OUT_OF_MEMORY = "OOMKilled"


@dataclass(frozen=True)
class JobRuns:
    """A job, whose tokens it renews (None for all), and when it ran and runs next.

    issues_in selects the namespaces that it issues tokens in, if it does.
    """

    display_name: str
    scope: str | None
    schedule: str
    time_zone: str | None
    suspended: bool
    last_success: datetime | None
    next_run: datetime | None
    issues_in: str | None


def read_runs(jobs: FoundJobs, now: datetime) -> Iterator[JobRuns]:
    """How each job runs; one that can't be read is left out."""
    for cron_job in jobs.cron_jobs:
        if job := read_job(cron_job):
            settings = job.settings
            suspended = is_suspended(cron_job)
            run = next_run(settings.schedule, settings.time_zone, now)
            yield JobRuns(
                display_name=cron_job.display_name,
                scope=job.scope,
                schedule=settings.schedule,
                time_zone=settings.time_zone,
                suspended=suspended,
                last_success=_status(cron_job, "lastSuccessfulTime"),
                next_run=None if suspended else run,
                issues_in=settings.issuing.namespace_selector if settings.issuing else None,
            )


def check_jobs(
    cluster: Cluster, jobs: FoundJobs, kept: KeptTokens, now: datetime
) -> Iterator[Diagnosis]:
    """Each job, the tokens that none comes for, and rights without a job; raises ClusterErrors."""
    covered: set[Place] = set()
    in_time: set[TokenTimes] = set()
    readable, checked = [], []
    for cron_job in jobs.cron_jobs:
        job = read_job(cron_job)
        if job is None:
            changed = f"{cron_job.display_name} was changed so that it can't be read"
            yield warning("job", changed, _anew(cron_job, jobs))
            continue
        readable.append(job)
        served = attempt(lambda job=job: _served(cluster, job, kept))  # type: ignore[misc]
        if isinstance(served, PxauthError):
            yield warning("job", f"{cron_job.display_name}: {served}")
            continue
        times = _times(served.values())
        covered |= served.keys()
        if not is_suspended(cron_job):
            in_time |= renewed_in_time(times, job.settings, now)
        checked.append((cron_job, job, times))
    for cron_job, job, times in checked:
        # What another job renews in time does not lapse because this one comes late.
        left = [one for one in times if one not in in_time]
        found = [*_check_job(cluster, cron_job, job, left, now), *_check_rights(job, jobs)]
        # What renews in its own namespace alone may be a tenant's, who would break every check.
        yield from found if cron_job.namespace in jobs.homes else map(_at_most_a_warning, found)
    if readable:
        yield from _check_coverage(kept, covered)
    elif not jobs.cron_jobs:
        yield ok("job", "no job renews tokens, so you have to: kubectl pxauth renew -A")
    if strangers := jobs.strangers:
        names = few([found.display_name for found in strangers])
        yield warning("job", f"ignored: {names}, with the labels of a job and without its rights")
    yield from _check_left_overs(cluster, jobs)


def _at_most_a_warning(found: Diagnosis) -> Diagnosis:
    is_problem = found.severity is Severity.PROBLEM
    return replace(found, severity=Severity.WARNING) if is_problem else found


def _served(cluster: Cluster, job: RenewalJob, kept: KeptTokens) -> dict[Place, Kept]:
    """The tokens that the job looks at."""
    places = None
    if job.settings.selector:
        places = {
            (secret.namespace, secret.name)
            for secret in list_secrets(cluster, job.scope, selector=job.settings.selector)
        }
    return {
        place: one
        for place, one in kept.found.items()
        if job.scope in (None, place[0]) and (places is None or place in places)
    }


def _times(served: Iterable[Kept]) -> list[TokenTimes]:
    """When those end that a job is to renew."""
    return [
        TokenTimes(one.display_name, one.token.namespace, one.token.issued_at, one.token.expires_at)
        for one in served
        if one.token.issued_at
        and one.token.expires_at
        and one.token.status not in (Status.BAD_SIGNATURE, Status.OTHER_KEY, Status.INVALID)
        and not one.doubtful
        and not one.is_others
    ]


def _check_job(
    cluster: Cluster, cron_job: Applied, job: RenewalJob, left: list[TokenTimes], now: datetime
) -> Iterator[Diagnosis]:
    name = cron_job.display_name
    whose = f"namespace {job.scope}" if job.scope else "all namespaces"
    if job.scope and find_namespace(cluster, job.scope) is None:
        yield warning(
            "job",
            f"{name} renews the tokens of namespace {job.scope}, which does not exist",
            f"kubectl pxauth unschedule -n {job.scope}",
        )
        return
    if job.namespace != job.key.namespace:
        yield warning(
            "job",
            f"{name} reads the key in namespace {job.key.namespace}: whoever can create pods in"
            f" namespace {job.namespace} can read it as well",
            _again(job),
        )
    if is_suspended(cron_job):
        yield warning("job", f"{name} is suspended: it renews nothing", _resume(cron_job))
        return
    wrong = list(_check_runs(cluster, cron_job, job, now))
    yield from wrong
    for lapse in find_lapses(left, job.settings, now):
        hint = (
            lapse.remedy if lapse.remedy.startswith("kubectl") else f"{_again(job)} {lapse.remedy}"
        )
        yield warning("job", f"{name}: {lapse.message}", hint)
    if not wrong:
        last = _status(cron_job, "lastSuccessfulTime")
        run = next_run(job.settings.schedule, job.settings.time_zone, now)
        says = f"{name} renews the tokens of {whose}; last success {_moment(last, 'none yet')}"
        yield ok("job", f"{says}, next run {_moment(run, 'not known')}")


def _check_runs(
    cluster: Cluster, cron_job: Applied, job: RenewalJob, now: datetime
) -> Iterator[Diagnosis]:
    """Pods that can't start, runs that failed, and runs that there should have been."""
    name, namespace = cron_job.display_name, cron_job.namespace
    # Its own label: the server does not check what stands in the template.
    label = cron_job.labels.get(JOB_LABEL)
    own = f"{JOB_LABEL}={label}" if label else f"{NAME_LABEL}={RENEWING}"
    last_success = _status(cron_job, "lastSuccessfulTime")
    said = False
    for pod in list_applied(cluster, _POD, namespace, own):
        if last_success and _made(pod) <= last_success:  # a later run went well
            continue
        if found := _trouble_of(pod, name, job):
            yield found
            said = True
            break
    runs = sorted(list_applied(cluster, _JOB, namespace, own), key=_made)
    ended = [run for run in runs if _condition(run, "Failed") or _condition(run, "Complete")]
    failed = _condition(ended[-1], "Failed") if ended else None
    if not said and failed and (last_success is None or _made(ended[-1]) > last_success):
        yield problem(
            "job",
            f"{name}: its last run failed: {failed.get('message') or failed.get('reason')};"
            f" last success {_moment(last_success, 'none yet')}",
            f"kubectl logs job/{ended[-1].name} -n {namespace}",
        )
        said = True
    since = max(last_success or _made(cron_job), _made(cron_job))
    if not said and is_overdue(job.settings, since, now):
        yield warning(
            "job",
            f"{name} has had no success since {since:%Y-%m-%d %H:%M %Z}",
            f"kubectl describe cronjob {cron_job.name} -n {namespace}",
        )


def _trouble_of(pod: Applied, name: str, job: RenewalJob) -> Diagnosis | None:
    statuses = (pod.manifest.get("status") or {}).get("containerStatuses") or []
    until_then = f"the next run waits for this one's end: {_end_of_run(pod)}"
    for container in statuses:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason") in _NO_IMAGE:
            return problem(
                "job",
                f"{name}: image {container.get('image')} can't be pulled: {waiting['reason']}",
                f"{_again(job)} --image IMAGE, or --image-pull-secret NAME; {until_then}",
            )
        if waiting.get("reason") in _NO_CONTAINER:
            why = f"{waiting['reason']}: {waiting.get('message', 'no reason is given')}"
            # It may also lack a Secret or a ConfigMap that something else has put into the pod.
            look = command_line("kubectl", "describe", "pod", pod.name, "-n", pod.namespace or "")
            remedy = f"{_again(job)} --image IMAGE" if "image" in why else look
            return problem(
                "job", f"{name}: its container can't start: {why}", f"{remedy}; {until_then}"
            )
        if ended.get("reason") == _OUT_OF_MEMORY:
            return problem(
                "job",
                f"{name}: its pod was ended for lack of memory",
                f"{_again(job)} --limits memory=512Mi",
            )
    return None


def _end_of_run(pod: Applied) -> str:
    """The command that ends the run that a pod is of; without a Job the pod is all there is."""
    owners = pod.manifest["metadata"].get("ownerReferences") or []
    jobs = [f"job/{owner['name']}" for owner in owners if owner["kind"] == _JOB.name]
    run = jobs[0] if jobs else f"pod/{pod.name}"
    return command_line("kubectl", "delete", run, "-n", pod.namespace or "")


def _check_rights(job: RenewalJob, jobs: FoundJobs) -> Iterator[Diagnosis]:
    """Whether all that a job of this release needs is there."""
    there = {found.identity for found in jobs.objects}
    names = {found.labels.get(JOB_LABEL) for found in jobs.cron_jobs}
    missing = [new.display_name for new in job.objects() if new.identity not in there]
    if job.name in names and missing:
        yield problem("job", f"the job lacks {', '.join(missing)}", _again(job))


def _check_coverage(kept: KeptTokens, covered: set[Place]) -> Iterator[Diagnosis]:
    left = [
        place for place, one in kept.found.items() if place not in covered and not one.is_others
    ]
    if not left:
        return
    namespaces = sorted({namespace for namespace, _ in left})
    tokens = "1 token is" if len(left) == 1 else f"{len(left)} tokens are"
    yield warning(
        "job",
        f"{tokens} covered by no job, in namespaces {few(namespaces)}",
        "kubectl pxauth schedule -A",
    )


def _check_left_overs(cluster: Cluster, jobs: FoundJobs) -> Iterator[Diagnosis]:
    """Rights of accounts whose job is gone: whoever makes such an account has them.

    In a namespace of theirs tenants make what looks like that, with the words that they choose. It
    gives nothing beyond that namespace, and is worth no more than a warning.
    """
    running = {(found.namespace, found.labels.get(JOB_LABEL)) for found in jobs.cron_jobs}
    for binding in jobs.objects:
        home, name = bound_namespace(binding), binding.labels.get(JOB_LABEL)
        if binding.kind not in BINDINGS or home is None or (home, name) in running:
            continue
        if home == binding.namespace:  # who can use it there can give the same rights
            continue
        gone = find_namespace(cluster, home) is None
        whoever = f"makes namespace {home} again" if gone else f"can create pods in {home}"
        trusted = binding.namespace is None or binding.namespace in jobs.trusted
        yield (problem if trusted else warning)(
            "job",
            f"{binding.display_name} is left of a job that is gone: whoever {whoever} has its"
            " rights",
            _without(binding, *_role_of(binding, jobs)),
        )


def _role_of(binding: Applied, jobs: FoundJobs) -> Iterator[Applied]:
    """The role that was made with a binding, if it is there; not one that another job has too."""
    kind = ROLE if binding.kind is ROLE_BINDING else CLUSTER_ROLE
    for found in jobs.objects:
        same = found.identity == (kind, binding.namespace, binding.name)
        if same and found.labels.get(JOB_LABEL) == binding.labels.get(JOB_LABEL):
            yield found


def _without(*objects: Applied) -> str:
    """The command that deletes these objects of one place, and nothing else."""
    names = (found.kubectl_name for found in objects)
    namespace = objects[0].namespace
    return command_line("kubectl", "delete", *names, *(("-n", namespace) if namespace else ()))


def _again(job: RenewalJob) -> str:
    return f"kubectl pxauth schedule {f'-n {job.scope}' if job.scope else '-A'}"


def _anew(cron_job: Applied, jobs: FoundJobs) -> str:
    """What makes a job again that can't be read; whoever changed it may have changed its label."""
    scope = scope_of(cron_job, jobs.objects)
    whose = {None: "-A", "": "-n NAMESPACE"}.get(scope, f"-n {scope}")
    again = f"kubectl pxauth schedule {whose} with every setting that it had, --image too"
    return f"{_without(cron_job)}, then {again}"


def _resume(cron_job: Applied) -> str:
    patch = '{"spec":{"suspend":false}}'
    return f"kubectl patch cronjob {cron_job.name} -n {cron_job.namespace} -p '{patch}'"


def _condition(run: Applied, kind: str) -> dict[str, str] | None:
    conditions = (run.manifest.get("status") or {}).get("conditions") or []
    return next(
        (one for one in conditions if one["type"] == kind and one["status"] == "True"), None
    )


def _made(found: Applied) -> datetime:
    return datetime.fromisoformat(found.manifest["metadata"]["creationTimestamp"])


def _status(cron_job: Applied, field: str) -> datetime | None:
    moment = (cron_job.manifest.get("status") or {}).get(field)
    return datetime.fromisoformat(moment) if moment else None


def _moment(moment: datetime | None, otherwise: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}" if moment else otherwise

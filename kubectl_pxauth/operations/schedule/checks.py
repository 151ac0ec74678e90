"""Looking before the leap: what would keep the job from its work is said before it is made."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TypeVar

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.namespaces import Namespace, find_namespace, find_namespaces
from kubectl_pxauth.cluster.objects import missing_right
from kubectl_pxauth.cluster.pods import try_pod
from kubectl_pxauth.cluster.secrets import Secret, list_secrets
from kubectl_pxauth.errors import ClusterError, ForbiddenError, NotFoundError, PxauthError
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.job_objects import find_jobs, is_suspended
from kubectl_pxauth.portworx.lapses import TokenTimes, find_lapses, renewed_in_time
from kubectl_pxauth.portworx.owners import keeper_of, storage_cluster_of
from kubectl_pxauth.portworx.renewal_job import RenewalJob, read_job
from kubectl_pxauth.portworx.resigning import GRACE, Holders, why_left_out
from kubectl_pxauth.portworx.signing import TrustedKeys, made_elsewhere
from kubectl_pxauth.portworx.token_secrets import Scope, read_tokens
from kubectl_pxauth.token.verdict import Verdict

Read = TypeVar("Read")


def check_namespaces(cluster: Cluster, job: RenewalJob) -> dict[str, Namespace]:
    """The namespaces of the job, its key and the tokens, by name; without what may not be read.

    Raises NotFoundError and ClusterError where one that it needs is not there, or is on its way
    out.
    """
    named = (job.scope, job.namespace, job.key.namespace)
    names = dict.fromkeys(name for name in named if name)
    asked = {name: Background(partial(find_namespace, cluster, name)) for name in names}
    found = {}
    for name, answer in asked.items():
        try:
            namespace = answer.result()
        except ForbiddenError:
            continue
        if namespace is None:
            raise NotFoundError(
                f'namespace "{name}" not found', hint=f"kubectl create namespace {name}"
            )
        if namespace.terminating:
            raise ClusterError(f'namespace "{name}" is being deleted')
        found[name] = namespace
    return found


def check_selectors(cluster: Cluster, job: RenewalJob) -> None:
    """Let the server read the selectors now rather than the job every night."""
    if selector := job.settings.selector:
        secrets = list_secrets(cluster, job.scope, selector=selector)
        _readable(f'Secrets with the labels "{selector}"', lambda: next(secrets, None))
    if issuing := job.settings.issuing:
        selector = issuing.namespace_selector
        _readable(
            f'namespaces with the labels "{selector}"', lambda: find_namespaces(cluster, selector)
        )


def _readable(what: str, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except ForbiddenError:
        raise
    except ClusterError as error:
        raise ClusterError(f"{what}: {error}") from None


def check_pod(cluster: Cluster, job: RenewalJob, *, account_exists: bool) -> list[str]:
    """Raise ClusterError where the pod would not be let in; a warning where that can't be told."""
    template = job.pod_template()
    if not account_exists:
        # The server would ask for it; every namespace has one of this name.
        template["spec"] = template["spec"] | {"serviceAccountName": "default"}
    try:
        try_pod(cluster, job.namespace, job.name, template)
    except ClusterError as error:
        says = str(error)
        if isinstance(error, ForbiddenError) and missing_right(error):
            return [f"you may not make pods in namespace {job.namespace}: {_NOT_TRIED}"]
        if "error looking up service account" in says:
            return []
        if "does not support dry run" in says or "status unknown for quota" in says:
            return [f"{_NOT_TRIED}: {says}"]
        raise ClusterError(
            f"the job's pod would not be let into namespace {job.namespace}: {says}",
            hint="these flags change the pod: --requests, --limits, --label, --annotation,"
            " --priority-class",
        ) from None
    return []


_NOT_TRIED = "whether the job's pod would be let in was not tried"


def lapse_warnings(
    cluster: Cluster, job: RenewalJob, trusted: TrustedKeys, now: datetime
) -> Iterator[str]:
    """A warning for each way in which a token would end before the job comes."""
    trusted_namespaces = [job.key.namespace]
    holders = Holders(cluster, [trusted.trust], job.scope, now, trusted_namespaces)

    def is_the_jobs(secret: Secret, verdict: Verdict) -> bool:
        """Whether `renew` signs it, when it is due."""
        keeper = keeper_of(secret)
        return not (
            storage_cluster_of(secret)
            or (keeper and keeper.is_copy)
            or made_elsewhere(verdict.issuer)
            or why_left_out(
                verdict,
                secret,
                now,
                grace=GRACE,
                trusted_namespaces=trusted_namespaces,
                other_holder=holders.other,
            )
        )

    try:
        tokens = [
            TokenTimes(secret.display_name, secret.namespace, verdict.issued_at, verdict.expires_at)
            for secret, verdict in read_tokens(
                cluster, Scope(job.scope, job.settings.selector), trusted, now
            )
            # What the job would not renew is not its to keep alive.
            if verdict.signed
            and verdict.issued_at
            and verdict.expires_at
            and is_the_jobs(secret, verdict)
        ]
    except ForbiddenError:
        return
    lapses = [*find_lapses(tokens, job.settings, now)]
    if lapses and tokens:
        in_time = _renewed_by_others(cluster, job, tokens, trusted, now)
        left = [one for one in tokens if one not in in_time]
        lapses = [*find_lapses(left, job.settings, now)]
    for lapse in lapses:
        yield f"{lapse.message}; {lapse.remedy} would do"


def _renewed_by_others(
    cluster: Cluster, job: RenewalJob, tokens: list[TokenTimes], trusted: TrustedKeys, now: datetime
) -> set[TokenTimes]:
    """Those of the tokens that another job renews before they end, as far as that can be read."""
    found = attempt(lambda: find_jobs(cluster).of_key(trusted.key).cron_jobs)
    in_time: set[TokenTimes] = set()
    for cron_job in () if isinstance(found, PxauthError) else found:
        other = read_job(cron_job)
        if other is None or other.name == job.name or is_suspended(cron_job):
            continue
        # One with labels of its own is left out: it would take another list of Secrets.
        if not other.settings.selector:
            served = [one for one in tokens if other.scope in (None, one.namespace)]
            in_time |= renewed_in_time(served, other.settings, now)
    return in_time

"""The operation behind `status`: how key, tokens, job and tenants are, judged as by the doctor."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kubectl_pxauth.cluster.access import server_version
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.namespaces import find_namespaces
from kubectl_pxauth.errors import ForbiddenError, PxauthError
from kubectl_pxauth.operations.doctor.diagnosis import (
    Diagnosis,
    errors_as_diagnoses,
    few,
    from_error,
    warning,
)
from kubectl_pxauth.operations.doctor.job import JobRuns, check_jobs, read_runs
from kubectl_pxauth.operations.doctor.signing import SigningCheck, check_signing
from kubectl_pxauth.operations.doctor.tokens import (
    KeptTokens,
    check_subjects,
    check_tokens,
    once_there_is_a_key,
    read_kept_tokens,
)
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.discovery import VerifierSettings
from kubectl_pxauth.portworx.job_objects import find_jobs
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.key_status import KeyStatus, read_key_status
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.portworx.signing import TrustedKeys
from kubectl_pxauth.portworx.stated_values import FoundKey, FoundText
from kubectl_pxauth.portworx.token_secrets import Status, StoredToken, mark_duplicates
from kubectl_pxauth.text import command_line
from kubectl_pxauth.token.verdict import Severity


class Health(StrEnum):
    """What a cluster's status comes to.

    Unknown is a cluster that could not be asked for all that the answer depends on, and where
    nothing that it did tell is broken.
    """

    WELL = "well"
    WORTH_A_LOOK = "worth-a-look"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class StatusRequest:
    """Tenants are the namespaces with these labels; a token that ends within that time is expiring.

    Not so one that has more than a third of its life before it: some live for a day, and are
    renewed in time. namespace is the one that commands take by default.
    """

    namespace: str
    namespace_selector: str | None
    within: timedelta
    now: datetime


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token in a Secret, and whether the Portworx operator makes it again by itself."""

    stored: StoredToken
    is_operators: bool

    @property
    def status(self) -> Status:
        """What is to be said of it; the operator's are renewed in their last minute."""
        fine = self.is_operators and self.stored.status is Status.EXPIRING
        return Status.VALID if fine else self.stored.status


@dataclass(frozen=True)
class Tenants:
    """The namespaces with these labels, and those of them that have no token."""

    selector: str
    namespaces: tuple[str, ...]
    without_token: tuple[str, ...]


@dataclass(frozen=True)
class ClusterStatus:
    """How a cluster is; findings are what keeps it from being well, the worst first.

    asks_for_tokens is None where that is not known. key_status is there where the key is in a
    Secret that could be read, and tenants where somebody said which namespaces are.
    """

    server: str
    now: datetime
    asks_for_tokens: bool | None
    key: FoundKey | None
    key_status: KeyStatus | None
    issuer: FoundText | None
    jobs: tuple[JobRuns, ...]
    tokens: tuple[KnownToken, ...]
    tenants: Tenants | None
    findings: tuple[Diagnosis, ...]

    @property
    def health(self) -> Health:
        """The worst of the findings; what is broken counts more than what could not be asked."""
        if any(one.severity is Severity.PROBLEM and not one.unchecked for one in self.findings):
            return Health.BROKEN
        if any(one.unchecked for one in self.findings):
            return Health.UNKNOWN
        return Health.WORTH_A_LOOK if self.findings else Health.WELL

    @property
    def tokens_are_known(self) -> bool:
        """Whether there are tokens, or it could be looked whether there are."""
        unread = any(one.check == "tokens" and one.unchecked for one in self.findings)
        return bool(self.tokens) or not unread

    @property
    def ending(self) -> tuple[StoredToken, ...]:
        """The tokens that have not ended and that nobody makes again by himself, by their end."""
        tokens = [one.stored for one in self.tokens if not one.is_operators]
        ends = [
            (one.expires_at, one.namespace, one.secret, one)
            for one in tokens
            if one.expires_at and one.expires_at > self.now and one.status is not Status.FOREIGN
        ]
        return tuple(one for *_, one in sorted(ends, key=lambda end: end[:3]))

    def count(self, status: Status) -> int:
        """How many tokens have that status."""
        return sum(one.status is status for one in self.tokens)


def find_status(request: StatusRequest, source: KeySource, cluster: Cluster) -> ClusterStatus:
    """Look at all of it, and write nothing.

    Raises ClusterError where the server can't be asked at all; later errors are findings.
    """
    version = attempt(lambda: server_version(cluster))
    if isinstance(version, PxauthError) and not isinstance(version, ForbiddenError):
        raise version
    jobs = Background(lambda: find_jobs(cluster))
    signing = check_signing(cluster, source)
    status = _status_without_tokens(request, cluster, signing)
    if signing.asks is False:
        return status
    usual = sorted({request.namespace, *USUAL_NAMESPACES})
    trusted, now = signing.trusted, request.now
    kept = read_kept_tokens(cluster, trusted, usual, now, request.within)
    found = attempt(lambda: jobs.result().of_key(trusted.key))
    runs = () if isinstance(found, PxauthError) else tuple(read_runs(found, now))
    tenants = attempt(lambda: _find_tenants(request, runs, kept, cluster))
    # Another product's token is no matter of Portworx', and nobody has to look at it again.
    ours = {
        place: one for place, one in kept.found.items() if one.token.status is not Status.FOREIGN
    }
    findings = [
        *status.findings,
        *check_tokens(KeptTokens(ours, kept.refusal), trusted, now),
        *check_subjects(kept, trusted.trust.username_claim),
        *errors_as_diagnoses(
            "job", lambda: check_jobs(cluster, jobs.result().of_key(trusted.key), kept, now)
        ),
        *_check_tenants(tenants, trusted),
    ]
    claim = trusted.trust.username_claim
    tokens = mark_duplicates([one.token for one in kept.found.values()], claim)
    return replace(
        status,
        jobs=runs,
        tokens=tuple(
            KnownToken(token, is_operators=one.storage_cluster is not None)
            for token, one in zip(tokens, kept.found.values(), strict=True)
        ),
        tenants=None if isinstance(tenants, PxauthError) else tenants,
        findings=_worst_first(findings),
    )


def _status_without_tokens(
    request: StatusRequest, cluster: Cluster, signing: SigningCheck
) -> ClusterStatus:
    """The key, the issuer and the pods; what can't be read of the key is a finding already."""
    trusted, key = signing.trusted, signing.trusted.key
    key_status = None
    findings = [*signing.diagnoses]
    if key and key.reference:
        place, stated_by = key.reference, key.stated_by
        found = attempt(lambda: read_key_status(cluster, signing.search, place, stated_by))
        key_status = found if isinstance(found, KeyStatus) else None
        if key_status and isinstance(key_status.running, PxauthError):
            findings.append(from_error("portworx", key_status.running))
    settings = trusted.settings
    return ClusterStatus(
        server=cluster.server,
        now=request.now,
        asks_for_tokens=signing.asks,
        key=key,
        key_status=key_status,
        issuer=settings.issuer if key and isinstance(settings, VerifierSettings) else None,
        jobs=(),
        tokens=(),
        tenants=None,
        findings=_worst_first(findings),
    )


def _find_tenants(
    request: StatusRequest, runs: Iterable[JobRuns], kept: KeptTokens, cluster: Cluster
) -> Tenants | None:
    """The tenants that are asked for, or else those that a job issues tokens for."""
    jobs = (run.issues_in for run in runs if run.issues_in)
    selector = request.namespace_selector or next(jobs, None)
    if selector is None:
        return None
    namespaces = find_namespaces(cluster, selector)
    holding = {
        namespace
        for (namespace, _), one in kept.found.items()
        if one.token.status is not Status.FOREIGN
    }
    without = tuple(name for name in namespaces if name not in holding)
    return Tenants(selector, namespaces, without)


def _check_tenants(
    tenants: Tenants | PxauthError | None, trusted: TrustedKeys
) -> Iterable[Diagnosis]:
    if isinstance(tenants, PxauthError):
        yield from_error("tenants", tenants)
    elif tenants and tenants.without_token:
        count, total = len(tenants.without_token), len(tenants.namespaces)
        selector = ("--namespace-selector", tenants.selector)
        issue = ("kubectl", "pxauth", "issue", "kubernetes", *selector, "--if-needed")
        yield warning(
            "tenants",
            f"{count} of {total} namespaces have no token: {few(tenants.without_token)}",
            once_there_is_a_key(trusted, command_line(*issue)),
        )


def _worst_first(findings: Iterable[Diagnosis]) -> tuple[Diagnosis, ...]:
    """What is not well, each thing once."""
    bad = [one for one in dict.fromkeys(findings) if one.severity is not Severity.OK]
    return tuple(sorted(bad, key=lambda one: one.severity is not Severity.PROBLEM))

"""Statuses as metrics: OpenMetrics text, which parsers of Prometheus' own text read as well."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.doctor.status import ClusterStatus, Health
from kubectl_pxauth.portworx.token_secrets import Status


@dataclass(frozen=True)
class _Sample:
    """A value of the metric with that name; all of a name have the same labels."""

    name: str
    meaning: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def print_metrics(statuses: Mapping[str, ClusterStatus | None]) -> None:
    """Print the metrics of the clusters that these contexts name; None could not be asked.

    A single one may have the name "": then no label names it.
    """
    registry = CollectorRegistry()
    registry.register(_Statuses(statuses))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    print(text.decode(), end="")


class _Statuses(Collector):
    def __init__(self, statuses: Mapping[str, ClusterStatus | None]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The metrics, each with the samples of all clusters; the registry asks for them."""
        families: dict[str, GaugeMetricFamily] = {}
        for context, status in self._statuses.items():
            for sample in _samples(status):
                labels = {**({"context": context} if context else {}), **sample.labels}
                family = families.setdefault(
                    sample.name,
                    GaugeMetricFamily(sample.name, sample.meaning, labels=[*labels]),
                )
                family.add_metric([*labels.values()], sample.value)
        return families.values()


def _samples(status: ClusterStatus | None) -> Iterator[_Sample]:
    health = status.health if status else Health.UNKNOWN
    for one in Health:
        yield _Sample(
            "pxauth_status", "1 for the status that it has.", one is health, {"status": str(one)}
        )
    if status is None:
        return
    yield _moment("pxauth_checked", "When it was looked at.", status.now)
    yield from _key_samples(status)
    for run in status.jobs:
        if run.last_success:
            job = {"job_name": run.display_name.partition(" ")[2]}
            meaning = "When a job that renews tokens last succeeded."
            yield _moment("pxauth_job_last_success", meaning, run.last_success, job)
    for state in reversed(Status):
        yield _Sample(
            "pxauth_tokens",
            "How many tokens have that status.",
            status.count(state),
            {"status": str(state)},
        )
    yield from _token_samples(status)
    if tenants := status.tenants:
        yield _Sample(
            "pxauth_tenants_without_token",
            "How many of the namespaces that are to have a token have none.",
            len(tenants.without_token),
        )


def _key_samples(status: ClusterStatus) -> Iterator[_Sample]:
    key = status.key_status
    if key is None:
        return
    if key.changed_at:
        meaning = "When the shared secret was last written."
        yield _moment("pxauth_shared_secret_changed", meaning, key.changed_at)
    yield _Sample(
        "pxauth_rotation_under_way",
        "1 while the shared secret is being rotated.",
        key.state.rotation is not None,
    )
    if key.started_before is not None:
        yield _Sample(
            "pxauth_pods_with_old_key",
            "How many Portworx pods were started before the shared secret was changed.",
            len(key.started_before),
        )


def _token_samples(status: ClusterStatus) -> Iterator[_Sample]:
    for token in status.tokens:
        stored = token.stored
        place = {"namespace": stored.namespace, "secret": stored.secret}
        yield _Sample(
            "pxauth_token_status",
            "1 for the status that a token has.",
            1,
            {**place, "status": str(token.status)},
        )
        if token.status is Status.FOREIGN:
            continue
        # The operator makes its own again in their last minute.
        whose = {**place, "operator": str(token.is_operators).lower()}
        if stored.expires_at:
            meaning = "When a token ends."
            yield _moment("pxauth_token_expires", meaning, stored.expires_at, whose)
        if stored.issued_at:
            meaning = "When a token was issued, or last renewed."
            yield _moment("pxauth_token_issued", meaning, stored.issued_at, whose)


def _moment(
    name: str, meaning: str, moment: datetime, labels: Mapping[str, str] | None = None
) -> _Sample:
    return _Sample(f"{name}_timestamp_seconds", meaning, moment.timestamp(), labels or {})

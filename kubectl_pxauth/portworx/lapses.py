"""Tokens that end before the job that renews them comes."""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from kubectl_pxauth.cluster.cron import longest_gap, never_runs, next_run
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.renewal_job import JobSettings
from kubectl_pxauth.token.claims import life
from kubectl_pxauth.token.duration import parse_duration

# Schedules with the time between their runs, the rarest first.
_OFTEN = (
    ("0 3 * * *", timedelta(days=1)),
    ("0 */6 * * *", timedelta(hours=6)),
    ("0 * * * *", timedelta(hours=1)),
    ("*/15 * * * *", timedelta(minutes=15)),
    ("*/5 * * * *", timedelta(minutes=5)),
    ("* * * * *", timedelta(minutes=1)),
)
_RUN = timedelta(minutes=10)  # how long a run may take until a token is written
_LATE = timedelta(hours=1)  # a run may begin and end that much after its time


@dataclass(frozen=True)
class TokenTimes:
    """A token in a Secret of that namespace, from when until when it lives."""

    display_name: str
    namespace: str
    issued_at: datetime
    expires_at: datetime

    @property
    def span(self) -> timedelta:
        """How long it lives from when it is made."""
        return life(self.issued_at, self.expires_at)


@dataclass(frozen=True)
class Lapse:
    """What goes wrong, and what to do."""

    message: str
    remedy: str


def find_lapses(
    tokens: Iterable[TokenTimes], settings: JobSettings, now: datetime
) -> Iterator[Lapse]:
    """Where the schedule is too rare for what is to be renewed; nothing where it can't be read."""
    gap = longest_gap(settings.schedule, settings.time_zone, now)
    run = next_run(settings.schedule, settings.time_zone, now)
    if run is None and never_runs(settings.schedule, now):
        yield Lapse(
            f'no date meets the schedule "{settings.schedule}": the job never runs',
            f'--schedule "{_OFTEN[0][0]}"',
        )
    if gap is None or run is None:
        return
    after = next_run(settings.schedule, settings.time_zone, run)
    is_even = after is not None and _span(after - run) == _span(gap)
    comes = f"runs every {_span(gap)}" if is_even else f"pauses for up to {_span(gap)}"
    if parse_duration(settings.within) < _needed(gap):
        yield Lapse(
            f"the job {comes} and renews what ends within {settings.within}: a"
            " token can end in between",
            f"--within {math.ceil(2 * gap / timedelta(days=1))}d",
        )
    tokens = list(tokens)
    short = sorted((one for one in tokens if one.span / 3 < _needed(gap)), key=lambda one: one.span)
    if short:
        yield Lapse(
            f"the job {comes}, and the token in {short[0].display_name}"
            f"{_others(short)} lives {_span(short[0].span)} and is renewed in the last third of"
            " that: it can end before the job runs again",
            f'--schedule "{_often_enough(short[0].span)}"',
        )
    ending = sorted(
        (one for one in tokens if one.span / 3 >= _needed(gap) and now < one.expires_at < run),
        key=lambda one: one.expires_at,
    )
    if ending:
        first, namespaces = ending[0], {one.namespace for one in ending}
        where = "-A" if len(namespaces) > 1 else f"-n {first.namespace}"
        days = math.ceil((ending[-1].expires_at - now) / timedelta(days=1))
        yield Lapse(
            f"the token in {first.display_name}{_others(ending)} ends at"
            f" {first.expires_at:%Y-%m-%d %H:%M %Z}, before the job runs at"
            f" {run:%Y-%m-%d %H:%M %Z}",
            f"kubectl pxauth renew {where} --within {days}d",
        )


def renewed_in_time(
    tokens: Iterable[TokenTimes], settings: JobSettings, now: datetime
) -> set[TokenTimes]:
    """Those of the tokens that a job with these settings renews before they end."""
    gap = longest_gap(settings.schedule, settings.time_zone, now)
    run = next_run(settings.schedule, settings.time_zone, now)
    if gap is None or run is None or parse_duration(settings.within) < _needed(gap):
        return set()
    return {
        one for one in tokens if one.span / 3 >= _needed(gap) and not now < one.expires_at < run
    }


def is_overdue(settings: JobSettings, since: datetime, now: datetime) -> bool:
    """Whether a job that has had no success since then has missed more than one run."""
    gap = longest_gap(settings.schedule, settings.time_zone, now)
    return gap is not None and now - since > 2 * gap + _LATE


def _needed(gap: timedelta) -> timedelta:
    """How long before its end a token has to be due, so that one of two runs renews it in time."""
    return gap + min(gap, _RUN)


def _others(tokens: list[TokenTimes]) -> str:
    return f" (and {len(tokens) - 1} more)" if len(tokens) > 1 else ""


def _often_enough(span: timedelta) -> str:
    """The rarest schedule that comes in the last third of a token's life."""
    return next((schedule for schedule, gap in _OFTEN if _needed(gap) <= span / 3), _OFTEN[-1][0])


def _span(span: timedelta) -> str:
    """Whole units as `--duration` has them, the largest that leaves no rest worth telling."""
    for unit, size in (("d", timedelta(days=1)), ("h", timedelta(hours=1))):
        if span >= 2 * size or (not span % size and span >= size):
            return f"{round(span / size)}{unit}"
    return f"{max(1, round(span / timedelta(minutes=1)))}m"

"""When a CronJob runs, by its schedule.

Which spellings Kubernetes takes: robfig/cron's ParseStandard, which kubernetes/kubernetes calls in
pkg/apis/batch/validation.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = r"@every (?=\d)((?P<hours>\d+)h)?((?P<minutes>\d+)m)?((?P<seconds>\d+)s)?"
_LOOKED_AT = 400  # runs: more than a year of daily ones


def next_run(schedule: str, time_zone: str | None, now: datetime) -> datetime | None:
    """The first run after now; None where the schedule is one that we can't read."""
    return next(_runs(schedule, time_zone, now), None)


def longest_gap(schedule: str, time_zone: str | None, now: datetime) -> timedelta | None:
    """The longest time between two runs; None where the schedule is one that we can't read."""
    runs = islice(_runs(schedule, time_zone, now), _LOOKED_AT)
    return max((later - earlier for earlier, later in pairwise(runs)), default=None)


def _runs(schedule: str, time_zone: str | None, now: datetime) -> Iterator[datetime]:
    """The runs after now, in UTC: an unset time zone is the control plane's, most often that."""
    if every := re.fullmatch(_EVERY, schedule):
        step = timedelta(**{unit: int(count or 0) for unit, count in every.groupdict().items()})
        while step:
            now += step
            yield now
        return
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from cronsim import CronSim, CronSimError

    # robfig/cron takes a question mark for a star.
    fields = _WORDS.get(schedule, schedule).replace("?", "*")
    try:
        zone = ZoneInfo(time_zone) if time_zone else UTC
        for run in CronSim(fields, now.astimezone(zone)):
            yield run.astimezone(UTC)
    except (CronSimError, ZoneInfoNotFoundError, ValueError):
        return

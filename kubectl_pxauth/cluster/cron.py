"""When a CronJob runs, by its schedule.

Which spellings Kubernetes takes: robfig/cron's ParseStandard, which kubernetes/kubernetes calls in
pkg/apis/batch/validation.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile

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
_FIELDS = 5
_DAYS = {2: "1-31", 4: "0-6"}  # of the month and of the week, by the place of their field
_LOOKED_AT = 400  # days with a run: more than a year of them


def next_run(schedule: str, time_zone: str | None, now: datetime) -> datetime | None:
    """The first run after now; None where the schedule is one that we can't read."""
    return next(_runs(schedule, time_zone, now), None)


@cache  # most jobs of a cluster have the same schedule
def longest_gap(schedule: str, time_zone: str | None, now: datetime) -> timedelta | None:
    """The longest time between two runs; None where the schedule is one that we can't read."""
    every = _every(schedule)
    if every or next_run(schedule, time_zone, now) is None:
        return every
    minute, hour, *days = _fields(schedule)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    until = midnight + timedelta(days=1)
    before = midnight - timedelta(seconds=1)
    day = [*takewhile(lambda run: run < until, _runs(f"{minute} {hour} * * *", None, before))]
    # Nights and weekends are what counts, and a day can have more than a thousand runs.
    first, last = (f"{run:%M %H} {' '.join(days)}" for run in (day[0], day[-1]))
    evenings = [*islice(_runs(last, time_zone, now), _LOOKED_AT)]
    mornings = _runs(first, time_zone, evenings[0])
    pairs = (*pairwise(day), *zip(evenings, mornings, strict=False))
    return max((later - earlier for earlier, later in pairs), default=None)


def never_runs(schedule: str, now: datetime) -> bool:
    """Whether a schedule that we can read has no run, as that of 31 February has none."""
    fields = _fields(schedule)
    if len(fields) != _FIELDS or next_run(schedule, None, now):
        return False
    minute, hour, day, month, weekday = fields
    apart = f"{minute} {hour} {day} * {weekday}", f"{minute} {hour} * {month} {weekday}"
    return all(next_run(one, None, now) for one in apart)


def _fields(schedule: str) -> list[str]:
    """The fields of a schedule that has five, as cronsim reads them.

    robfig/cron takes a question mark for a star, and a star with a step for a range: of a day of
    the month and one of the week either is enough then.
    """
    fields = _WORDS.get(schedule, schedule).replace("?", "*").split()
    if len(fields) == _FIELDS:
        for index, whole in _DAYS.items():
            fields[index] = re.sub(r"\*/(?!1\b)", f"{whole}/", fields[index])
    return fields


def _every(schedule: str) -> timedelta | None:
    """The step of an @every; None where it is nothing, and for all other schedules."""
    every = re.fullmatch(_EVERY, schedule)
    if every is None:
        return None
    units = {unit: int(count or 0) for unit, count in every.groupdict().items()}
    try:
        return timedelta(**units) or None
    except OverflowError:
        return None


def _runs(schedule: str, time_zone: str | None, now: datetime) -> Iterator[datetime]:
    """The runs after now, in UTC: an unset time zone is the control plane's, most often that."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from cronsim import CronSim, CronSimError

    try:
        while step := _every(schedule):
            now += step
            yield now
        zone = ZoneInfo(time_zone) if time_zone else UTC
        for run in CronSim(" ".join(_fields(schedule)), now.astimezone(zone)):
            yield run.astimezone(UTC)
    # A date beyond the last year, and a folder of the time zones' database, are errors of theirs.
    except (CronSimError, ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return

"""When a token would end before the job that renews it comes."""

from datetime import UTC, datetime, timedelta

import pytest

from kubectl_pxauth.cluster.cron import longest_gap, next_run
from kubectl_pxauth.portworx.lapses import Lapse, TokenTimes, find_lapses, is_overdue
from kubectl_pxauth.portworx.renewal_job import JobSettings

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SKEW = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("schedule", "zone", "run", "gap"),
    [
        ("0 3 * * *", None, "2026-11-26T03:00:00+00:00", timedelta(days=1)),
        ("@daily", None, "2026-11-26T00:00:00+00:00", timedelta(days=1)),
        ("@weekly", None, "2026-11-29T00:00:00+00:00", timedelta(days=7)),
        ("@every 1h30m", None, "2026-11-25T13:30:00+00:00", timedelta(minutes=90)),
        ("0 3 ? * SUN", None, "2026-11-29T03:00:00+00:00", timedelta(days=7)),
        ("0 3 * * MON-FRI", None, "2026-11-26T03:00:00+00:00", timedelta(days=3)),
        ("0 3 1 * *", None, "2026-12-01T03:00:00+00:00", timedelta(days=31)),
        # So many runs in a day that a year of them is not looked at one by one.
        ("* * * * 0", None, "2026-11-29T00:00:00+00:00", timedelta(days=6, minutes=1)),
        (
            *("*/5 9-17 * * 1-5", None, "2026-11-25T12:05:00+00:00"),
            timedelta(days=2, hours=15, minutes=5),
        ),
        ("0 3,4 * * *", None, "2026-11-26T03:00:00+00:00", timedelta(hours=23)),
        ("0 3 29 2 *", None, "2028-02-29T03:00:00+00:00", timedelta(days=8 * 365 + 1)),
        ("0 3 31 2 *", None, None, None),
        # For Kubernetes a star with a step is none: the day of the month or of the week is enough.
        ("0 3 29 2 */7", None, "2027-02-07T03:00:00+00:00", timedelta(days=350)),
        ("0 3 */2 * MON", None, "2026-11-27T03:00:00+00:00", timedelta(days=2)),
        ("0 3 */1 * MON", None, "2026-11-30T03:00:00+00:00", timedelta(days=7)),
        ("@every 99999999999h", None, None, None),
        ("@every 70000000h", None, None, timedelta(hours=70000000)),
        ("0 3 * * *", "Europe", None, None),
        # An hour is lost or won twice a year.
        ("0 3 * * *", "Europe/Berlin", "2026-11-26T02:00:00+00:00", timedelta(hours=25)),
        ("0 3 * * *", "Mars/Base", None, None),
        ("@never", None, None, None),
        ("@every 0s", None, None, None),
    ],
)
def test_when_a_job_runs(
    schedule: str, zone: str | None, run: str | None, gap: timedelta | None
) -> None:
    found = next_run(schedule, zone, NOW)
    assert (found and found.isoformat()) == run
    assert longest_gap(schedule, zone, NOW) == gap


def lapses(settings: JobSettings, *tokens: tuple[timedelta, timedelta]) -> list[Lapse]:
    """What goes wrong with tokens for so long that were made so long ago."""
    times = [
        TokenTimes(f"Secret a/{index}", "a", NOW - age - SKEW, NOW - age + span)
        for index, (span, age) in enumerate(tokens)
    ]
    return list(find_lapses(times, settings, NOW))


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEW = timedelta()


@pytest.mark.parametrize(
    ("schedule", "within", "tokens", "expected"),
    [
        ("0 3 * * *", "30d", [], []),
        ("0 3 * * *", "30d", [(365 * DAY, NEW), (30 * DAY, NEW), (73 * HOUR, NEW)], []),
        # Due only when the next run begins, it would end in that.
        ("0 3 * * *", "30d", [(3 * DAY, NEW)], ['--schedule "0 */6 * * *"']),
        ("0 3 * * *", "1d", [], ["--within 2d"]),
        ("0 */6 * * *", "30d", [(18 * HOUR, NEW)], ['--schedule "0 * * * *"']),
        ("* * * * *", "30d", [(6 * MINUTE, NEW)], []),
        ("0 3 * * *", "30d", [(2 * DAY, NEW)], ['--schedule "0 */6 * * *"']),
        ("0 3 * * *", "30d", [(DAY, NEW)], ['--schedule "0 */6 * * *"']),
        ("0 3 * * *", "30d", [(12 * HOUR, NEW)], ['--schedule "0 * * * *"']),
        ("0 3 * * *", "30d", [(3 * HOUR, NEW), (12 * HOUR, NEW)], ['--schedule "*/15 * * * *"']),
        ("0 3 * * *", "30d", [(timedelta(minutes=1), NEW)], ['--schedule "* * * * *"']),
        ("0 */6 * * *", "30d", [(DAY, NEW), (19 * HOUR, NEW)], []),
        # What is short, and has ended already, is short all the same.
        ("0 3 * * *", "30d", [(19 * HOUR, DAY)], ['--schedule "0 */6 * * *"']),
        # Made long ago, by nobody who came again.
        (
            "0 3 * * *",
            "30d",
            [(365 * DAY, 365 * DAY - HOUR)],
            ["kubectl pxauth renew -n a --within 1d"],
        ),
        ("0 3 * * *", "30d", [(365 * DAY, 365 * DAY - 16 * HOUR)], []),
        ("0 3 * * *", "30d", [(365 * DAY, 366 * DAY)], []),
        ("@weekly", "3d", [], ["--within 14d"]),
        ("0 3 1 * *", "30d", [], ["--within 62d"]),
        ("@weekly", "8d", [(365 * DAY, NEW)], []),
        ("@never", "1s", [(HOUR, NEW)], []),
        # From Friday evening to Monday morning.
        ("*/5 9-17 * * 1-5", "30d", [(4 * DAY, NEW)], ['--schedule "0 3 * * *"']),
        ("*/5 9-17 * * 1-5", "30d", [(8 * DAY, NEW)], []),
        ("0 3 31 2 *", "30d", [(HOUR, NEW)], ['--schedule "0 3 * * *"']),
        # Kubernetes takes them, and we can't read them.
        ("1,,2 3 * * *", "30d", [(HOUR, NEW)], []),
        ("+5 3 * * *", "30d", [(HOUR, NEW)], []),
    ],
)
def test_what_would_lapse(
    schedule: str, within: str, tokens: list[tuple[timedelta, timedelta]], expected: list[str]
) -> None:
    settings = JobSettings(image="i", schedule=schedule, within=within)
    assert [lapse.remedy for lapse in lapses(settings, *tokens)] == expected


@pytest.mark.parametrize(
    ("schedule", "zone", "within", "tokens", "says"),
    [
        (
            "@weekly",
            None,
            "3d",
            [],
            "the job runs every 7d and renews what ends within 3d: a token can end in between",
        ),
        (
            "@daily",
            None,
            "30d",
            [(12 * HOUR, NEW), (90 * MINUTE, NEW), (365 * DAY, NEW)],
            "the job runs every 1d, and the token in Secret a/1 (and 1 more) lives 90m and is"
            " renewed in the last third of that: it can end before the job runs again",
        ),
        (
            "@every 90m",
            None,
            "30d",
            [(3 * HOUR, NEW)],
            "the job runs every 90m, and the token in Secret a/0 lives 3h and is renewed in the"
            " last third of that: it can end before the job runs again",
        ),
        (
            "*/5 9-17 * * 1-5",
            None,
            "2d",
            [],
            "the job pauses for up to 3d and renews what ends within 2d: a token can end in"
            " between",
        ),
        (
            "0 3 * * *",
            "Asia/Tokyo",
            "30d",
            [(365 * DAY, 365 * DAY - HOUR)],
            "the token in Secret a/0 ends at 2026-11-25 13:00 UTC, before the job runs at"
            " 2026-11-25 18:00 UTC",
        ),
    ],
)
def test_what_is_said(
    schedule: str,
    zone: str | None,
    within: str,
    tokens: list[tuple[timedelta, timedelta]],
    says: str,
) -> None:
    settings = JobSettings(image="i", schedule=schedule, time_zone=zone, within=within)
    assert [lapse.message for lapse in lapses(settings, *tokens)] == [says]


@pytest.mark.parametrize(
    ("schedule", "hours", "overdue"),
    [
        ("0 3 * * *", 49, False),
        ("0 3 * * *", 50, True),
        ("0 * * * *", 4, True),
        ("@x", 999, False),
        ("*/5 9-17 * * 1-5", 65, False),  # a weekend
    ],
)
def test_a_job_that_does_not_come(schedule: str, hours: int, overdue: bool) -> None:
    settings = JobSettings(image="i", schedule=schedule)
    assert is_overdue(settings, NOW - hours * HOUR, NOW) is overdue

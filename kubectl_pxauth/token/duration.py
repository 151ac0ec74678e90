"""How long a token lives, in the generators' notation."""

import re
from datetime import timedelta

from kubectl_pxauth.errors import UsageError

_DURATION = r"([0-9]+)([smhdy])"
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "y": timedelta(days=365),
}
_EXAMPLES = "use a whole number and a unit: 30m, 12h, 90d or 1y"


def parse_duration(text: str) -> timedelta:
    """Read a duration such as 90d; a day has 24 hours and a year 365 days.

    Raises UsageError for any other notation, for zero, and beyond what a date can hold.
    Source: pkg/auth/duration.go of libopenstorage/openstorage.
    """
    match = re.fullmatch(_DURATION, text)
    if match is None:
        raise UsageError(f'"{text}" is not a duration for a token', hint=_EXAMPLES)
    try:
        duration = int(match[1]) * _UNITS[match[2]]
    except (OverflowError, ValueError):
        raise UsageError("the duration is too long for any date", hint=_EXAMPLES) from None
    if not duration:
        raise UsageError(f'"{text}" is not a duration for a token: it is zero', hint=_EXAMPLES)
    return duration


def format_duration(duration: timedelta) -> str:
    """A duration as parse_duration reads it, in the largest unit that it is whole in."""
    for name, unit in reversed(_UNITS.items()):
        if duration >= unit and not duration % unit:
            return f"{duration // unit}{name}"
    return f"{duration // _UNITS['s']}s"

"""Moments in tables and reports, in UTC as all that scripts may read."""

from datetime import datetime, timedelta

from kubectl_pxauth.token.claims import rfc3339


def day(moment: datetime | None) -> str:
    """The day, as 2027-11-25; nothing where there is none."""
    return f"{moment:%Y-%m-%d}" if moment else ""


def timestamp(moment: datetime | None) -> str:
    """The moment as Kubernetes writes it; nothing where there is none."""
    return rfc3339(moment) if moment else ""


def whole_days(moment: datetime | None, now: datetime) -> int | None:
    """The whole days from now to a moment, below 0 where it is past; None where there is none."""
    return None if moment is None else (moment - now) // timedelta(days=1)

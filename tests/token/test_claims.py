from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.token.claims import check_issuer, lifetime

MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)


@given(MOMENTS, st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=36500)))
def test_a_token_lives_that_long_from_now_and_was_issued_ten_minutes_ago(
    now: datetime, duration: timedelta
) -> None:
    issued_at, expires_at = lifetime(now, duration)
    second = timedelta(seconds=1)
    assert timedelta() <= now - issued_at - timedelta(minutes=10) < second
    assert -second < expires_at - now - duration <= timedelta()


def test_no_token_outlives_the_calendar() -> None:
    with pytest.raises(UsageError, match="9999"):
        lifetime(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=365 * 9000))


@pytest.mark.parametrize("issuer", ["", "https://portworx.com"])
def test_an_issuer_that_portworx_would_misread_is_refused(issuer: str) -> None:
    with pytest.raises(UsageError):
        check_issuer(issuer)

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.token.claims import Claims, check_issuer, lifetime, rfc3339
from kubectl_pxauth.token.identity import Identity

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
    with pytest.raises(UsageError) as caught:
        lifetime(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=365 * 9000))
    assert str(caught.value) == ("a token that lives 3285000 days would end after the year 9999")


def test_times_are_of_utc_and_whole_seconds() -> None:
    tokyo = timezone(timedelta(hours=9))
    now = datetime(2026, 11, 25, 9, 30, 15, 999_999, tokyo)
    times = lifetime(now, timedelta(hours=1))
    assert [rfc3339(moment) for moment in times] == ["2026-11-25T00:20:15Z", "2026-11-25T01:30:15Z"]
    assert all(moment.tzinfo is UTC for moment in times)
    assert {moment.microsecond for moment in times} == {0}


@pytest.mark.parametrize(
    ("issuer", "says", "hint"),
    [
        ("", "the issuer is empty", None),
        ("\udcff", "the issuer has letters that this locale's encoding does not know", None),
        (
            "https://portworx.com",
            'the issuer "https://portworx.com" begins with https://',
            "Portworx takes such an issuer for an OpenID Connect provider's; name the cluster's own"
            " JWT issuer, such as portworx.com",
        ),
    ],
)
def test_an_issuer_that_portworx_would_misread_is_refused(
    issuer: str, says: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        check_issuer(issuer)
    assert (str(caught.value), caught.value.hint) == (says, hint)


@pytest.mark.parametrize("issuer", ["portworx.com", "http://px", "HTTPS://px", " https://px"])
def test_any_other_issuer_is_passed_on(issuer: str) -> None:
    assert check_issuer(issuer) == issuer


def test_what_is_signed() -> None:
    user = Identity("s", "n", "e", roles=("r", "q"), groups=None)
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    says = {"iss": "i", "sub": "s", "name": "n", "email": "e", "roles": ["r", "q"]}
    times = {"iat": 1767225600, "exp": 1798761600}
    assert Claims("i", user, begin, end).as_json() == says | times
    grouped = Identity("s", "n", "e", roles=("r", "q"), groups=())
    assert Claims("i", grouped, begin, end).as_json() == says | times | {"groups": []}

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.token.duration import parse_duration

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
HINT = "use a whole number and a unit: 30m, 12h, 90d or 1y"


@given(st.integers(min_value=1, max_value=9999), st.sampled_from(sorted(SECONDS)))
def test_every_number_and_unit_counts_seconds(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == timedelta(seconds=number * SECONDS[unit])


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_duration(text)
    assert caught.value.hint == HINT
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["1w", "-1d", "1", "", "1 d", "1d ", "1d\n", "1D", "1.5h", "1h30m", "٣d"]
)
def test_other_notations_are_refused(text: str) -> None:
    assert refusal(text) == f'"{text}" is not a duration for a token'


def test_no_time_at_all_is_refused() -> None:
    assert refusal("0d") == '"0d" is not a duration for a token: it is zero'


@pytest.mark.parametrize("text", ["9999999999y", "9" * 5000 + "s"])
def test_no_date_is_that_far(text: str) -> None:
    assert refusal(text) == "the duration is too long for any date"

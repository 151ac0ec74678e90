from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.token.duration import parse_duration

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}


@given(st.integers(min_value=1, max_value=9999), st.sampled_from(sorted(SECONDS)))
def test_every_number_and_unit_counts_seconds(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == timedelta(seconds=number * SECONDS[unit])


@pytest.mark.parametrize(
    "text", ["1w", "0d", "-1d", "1", "", "1 d", "1d ", "1d\n", "1D", "1.5h", "1h30m", "٣d"]
)
def test_other_notations_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9999999999y", "9" * 5000 + "s"])
def test_no_date_is_that_far(text: str) -> None:
    with pytest.raises(UsageError, match="too long"):
        parse_duration(text)

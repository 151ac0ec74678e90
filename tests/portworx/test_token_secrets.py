"""The state of a token, decided without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubectl_pxauth.portworx.token_secrets import Status, status_of
from kubectl_pxauth.token.verdict import Trust, judge
from tests.conftest import claims_of, forge

OURS, OTHERS = b"o" * 40, b"x" * 40
TRUST = Trust("portworx.com", OURS)
ENDED = {"days": 10, "age_days": 11}


@pytest.mark.parametrize(
    ("claims", "key", "status"),
    [
        (claims_of("s"), OURS, Status.VALID),
        (claims_of("s", days=31), OURS, Status.VALID),
        (claims_of("s", days=29), OURS, Status.VALID),
        (claims_of("s", days=29, age_days=20), OURS, Status.EXPIRING),
        (claims_of("s", days=365, age_days=336), OURS, Status.EXPIRING),
        (claims_of("s", **ENDED), OURS, Status.EXPIRED),
        (claims_of("s", iss="other"), OURS, Status.WRONG_ISSUER),
        (claims_of("s", email=7), OURS, Status.INVALID),
        (claims_of("s", exp=0), OURS, Status.VALID),
        (claims_of("s"), OTHERS, Status.BAD_SIGNATURE),
        (claims_of("s", **ENDED, email=7), OTHERS, Status.BAD_SIGNATURE),
        (claims_of("s", **ENDED, iss="other", email=7), OTHERS, Status.FOREIGN),
        (claims_of("s", **ENDED, iss="other", email=7), OURS, Status.WRONG_ISSUER),
        (claims_of("s", **ENDED, email=7), OURS, Status.EXPIRED),
    ],
    ids=range(14),
)
def test_the_worst_is_said(claims: dict[str, Any], key: bytes, status: Status) -> None:
    now = datetime.now(UTC)
    verdict = judge(forge(claims, key).encode(), TRUST, now)
    assert status_of(verdict, now, timedelta(days=30)) is status


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        (claims_of("s"), Status.VALID),
        (claims_of("s", days=29, age_days=20), Status.EXPIRING),
        (claims_of("s", **ENDED), Status.EXPIRED),
        (claims_of("s", iss="other"), Status.WRONG_ISSUER),
        (claims_of("s", email=7), Status.INVALID),
    ],
)
def test_a_signature_that_can_not_be_checked_is_no_bad_one(
    claims: dict[str, Any], status: Status
) -> None:
    now = datetime.now(UTC)
    verdict = judge(forge(claims, OTHERS).encode(), TRUST, now)
    assert status_of(verdict, now, timedelta(days=30), key_known=False) is status

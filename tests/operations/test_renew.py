"""What `renew` signs again and for how long, decided without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.errors import IdentityError
from kubectl_pxauth.operations.renew import RenewRequest, _duration, _sign_again
from kubectl_pxauth.portworx.token_secrets import Scope
from kubectl_pxauth.token.identity import Identity
from kubectl_pxauth.token.minting import Signer
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import judge
from tests.conftest import claims_of, forge

OURS, OTHERS = b"o" * 40, b"x" * 40
SIGNER = Signer("px.example", SharedSecret(OURS, "here"), ("a guess",))
ISSUED = datetime(2026, 11, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
REQUEST = RenewRequest(
    names=(),
    scope=Scope(None),
    key="auth-token",
    due_within=None,
    resign=False,
    duration=None,
    dry_run=DryRun.NONE,
    now=NOW,
)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def secret(annotations: dict[str, str] | None = None) -> Secret:
    return Secret("red", "t", {}, {"metadata": {"annotations": annotations}})


def times(span: timedelta) -> dict[str, int]:
    return {"iat": int(ISSUED.timestamp()), "exp": int((ISSUED + span).timestamp())}


OUR_OWN = {"kubectl-pxauth/expires": "2026-11-30T00:00:00Z"}


@pytest.mark.parametrize(
    ("annotations", "span", "duration"),
    [
        (None, 10 * DAY, 10 * DAY),
        ({}, 10 * DAY, 10 * DAY),
        (OUR_OWN, 10 * DAY, 10 * DAY - 10 * MINUTE),
        ({"kubectl-pxauth/expires": "2026-11-29T23:59:59Z"}, 10 * DAY, 10 * DAY),
        (None, timedelta(seconds=1), timedelta(seconds=1)),
    ],
)
def test_for_how_long(
    annotations: dict[str, str] | None, span: timedelta, duration: timedelta
) -> None:
    verdict = judge(forge(times(span)).encode(), SIGNER.trust, NOW)
    assert _duration(secret(annotations), verdict) == duration


BACKWARDS = "Secret red/t: the token ends before it begins"
ENDLESS = "Secret red/t: the token does not say how long it was to live"


@pytest.mark.parametrize(
    ("annotations", "claims", "says"),
    [
        (None, times(timedelta(0)), BACKWARDS),
        (None, times(-DAY), BACKWARDS),
        ({"kubectl-pxauth/expires": "2026-11-20T00:10:00Z"}, times(10 * MINUTE), BACKWARDS),
        (None, {"exp": 1}, ENDLESS),
        (None, {"iat": 1}, ENDLESS),
        (None, {"iat": 0, "exp": 1}, ENDLESS),
        (None, {"iat": 1, "exp": 1e18}, ENDLESS),
    ],
)
def test_no_length_to_go_by(
    annotations: dict[str, str] | None, claims: dict[str, Any], says: str
) -> None:
    verdict = judge(forge(claims).encode(), SIGNER.trust, NOW)
    with pytest.raises(IdentityError) as caught:
        _duration(secret(annotations), verdict)
    assert (str(caught.value), caught.value.hint) == (says, "say it with --duration")


@pytest.mark.parametrize(
    ("key", "changes", "others", "user", "span"),
    [
        (OURS, {}, {}, ("alice", ("system.user",), None), 10 * DAY),
        (OURS, {"duration": DAY}, {}, ("alice", ("system.user",), None), DAY),
        (OURS, {}, {"roles": None, "groups": []}, ("alice", (), ()), 10 * DAY),
        (OURS, {}, {"iss": "old"}, ("alice", ("system.user",), None), 10 * DAY),
        (OTHERS, {"resign": True}, {}, ("alice", ("system.user",), None), 10 * DAY),
    ],
)
def test_what_is_signed_again(
    key: bytes, changes: dict[str, Any], others: dict[str, Any], user: Any, span: timedelta
) -> None:
    claims = claims_of("alice", **times(10 * DAY)) | others
    verdict = judge(forge(claims, key).encode(), SIGNER.trust, NOW)
    minted = _sign_again(replace(REQUEST, **changes), SIGNER, secret(), verdict)
    sub, roles, groups = user
    expected = Identity(sub, "name of alice", "alice@example.com", roles, groups)
    assert minted.claims.identity == expected
    assert minted.claims.issuer == "px.example"
    assert minted.claims.issued_at == NOW - 10 * MINUTE
    assert minted.claims.expires_at == NOW + span
    assert minted.warnings == ("a guess",)
    assert judge(minted.token.encode(), SIGNER.trust, NOW).accepted


@pytest.mark.parametrize(
    ("key", "claims", "says", "hint"),
    [
        (
            OTHERS,
            claims_of("alice"),
            "the present key did not sign the token: it may be forged, or older than the key",
            "if you know that it is genuine, sign it again with --resign",
        ),
        (
            OURS,
            {"name": "n"},
            "the token names no sub and no email",
            "issue it anew: kubectl pxauth issue",
        ),
    ],
)
def test_what_is_not_signed_again(key: bytes, claims: dict[str, Any], says: str, hint: str) -> None:
    verdict = judge(forge(claims, key).encode(), SIGNER.trust, NOW)
    with pytest.raises(IdentityError) as caught:
        _sign_again(REQUEST, SIGNER, secret(), verdict)
    assert (str(caught.value), caught.value.hint) == (f"Secret red/t: {says}", hint)

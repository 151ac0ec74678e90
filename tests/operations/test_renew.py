"""What `renew` signs again and for how long, decided without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.errors import IdentityError, LeftOutError
from kubectl_pxauth.operations.renew import (
    RenewRequest,
    _check_signature,
    _duration,
    _identity,
)
from kubectl_pxauth.portworx.token_secrets import Scope
from kubectl_pxauth.token.identity import Identity
from kubectl_pxauth.token.minting import Signer
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import Verdict, judge
from tests.conftest import claims_of, forge

OURS, OTHERS = b"o" * 40, b"x" * 40
SIGNER = Signer("px.example", SharedSecret(OURS, "here"), ("a guess",))
ISSUED = datetime(2026, 11, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
REQUEST = RenewRequest(
    names=((None, "t"),),
    scope=Scope(None),
    key="auth-token",
    due_within=None,
    resign=False,
    grace=timedelta(days=7),
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
    assert _duration(REQUEST, secret(annotations), verdict) == duration


ENDLESS = "Secret red/t: the token does not say how long it was to live"


@pytest.mark.parametrize(
    ("annotations", "claims", "says"),
    [
        (None, times(timedelta(0)), ENDLESS),
        (None, times(-DAY), ENDLESS),
        ({"kubectl-pxauth/expires": "2026-11-20T00:10:00Z"}, times(10 * MINUTE), ENDLESS),
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
        _duration(REQUEST, secret(annotations), verdict)
    assert (str(caught.value), caught.value.hint) == (says, "name it: --duration")


def signed_again(request: RenewRequest, verdict: Verdict) -> Identity:
    """The user that the token is signed again for."""
    _check_signature(request, SIGNER, secret(), verdict)
    return _identity(secret(), verdict)


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
    request = replace(REQUEST, **changes)
    sub, roles, groups = user
    expected = Identity(sub, "name of alice", "alice@example.com", roles, groups)
    assert signed_again(request, verdict) == expected
    assert _duration(request, secret(), verdict) == span


@pytest.mark.parametrize(
    ("key", "claims", "says", "hint"),
    [
        (
            OTHERS,
            claims_of("alice", iss="px.example"),
            "the present key did not sign the token: it may be forged, or older than the key",
            "if you know that it is genuine, sign it again with --resign",
        ),
        (
            OTHERS,
            claims_of("alice", iss="old"),
            'the present key did not sign the token, and its issuer is "old": it is probably'
            " another product's",
            "if you know that it is genuine, sign it again with --resign",
        ),
        (
            OURS,
            {"name": "n"},
            "the token names no sub and no email",
            "issue another one: kubectl pxauth issue kubernetes --secret t -n red",
        ),
    ],
)
def test_what_is_not_signed_again(key: bytes, claims: dict[str, Any], says: str, hint: str) -> None:
    verdict = judge(forge(claims, key).encode(), SIGNER.trust, NOW)
    with pytest.raises(IdentityError) as caught:
        signed_again(REQUEST, verdict)
    assert (str(caught.value), caught.value.hint) == (f"Secret red/t: {says}", hint)


def test_what_is_not_signed_again_unasked() -> None:
    verdict = judge(forge(claims_of("alice", iss="px.example"), OTHERS).encode(), SIGNER.trust, NOW)
    with pytest.raises(LeftOutError) as caught:
        signed_again(replace(REQUEST, names=()), verdict)
    assert str(caught.value) == (
        "Secret red/t is left out: the present key did not sign the token: it may be forged, or"
        " older than the key"
    )
    assert caught.value.hint == (
        "if the token is meant to be there: kubectl pxauth renew t -n red --resign"
    )

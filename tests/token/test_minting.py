"""Who a token is for, and what signs it, judged by our verifier and by OpenStorage's."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubectl_pxauth.errors import SharedSecretError, UsageError
from kubectl_pxauth.token.claims import Claims
from kubectl_pxauth.token.identity import NOBODY, Identity, PartialIdentity
from kubectl_pxauth.token.jwt import SigningKey, sign, sign_again
from kubectl_pxauth.token.minting import Signer, TokenRequest, identity_for, mint, mint_claims
from kubectl_pxauth.token.private_key import read_ecdsa_private_key, read_rsa_private_key
from kubectl_pxauth.token.profile import find_profile
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import Trust, judge
from tests.token.odd_tokens import KEY, NOW, Case, ask_go, ec_key, make, pem, private, rsa_key

ISSUED, EXPIRES = datetime(2026, 11, 23, 11, 50, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
REQUEST = TokenRequest(
    profile=find_profile("kubernetes"),
    user=None,
    named=NOBODY,
    secret="px-k8s-user",
    now=NOW,
    duration=EXPIRES - NOW.replace(microsecond=0),
)
OWN = Identity(
    "px-k8s-user.red@px.example",
    "px-k8s-user.red",
    "px-k8s-user.red@px.example",
    ("system.user",),
    ("kubernetes",),
)
NO_MORE = replace(OWN, roles=(), groups=None)  # who is kept gains nothing
ALICE = Identity("alice", "Alice", "alice@example.com", roles=("system.view",), groups=None)
SHARED = SharedSecret(KEY, "here")
SIGNERS: dict[str, tuple[SigningKey, Trust]] = {
    "HS256": (SHARED, Trust("px.example", shared_secret=KEY)),
    "RS256": (
        read_rsa_private_key(private(rsa_key()), "here"),
        Trust("px.example", rsa_public_pem=pem(rsa_key())),
    ),
    "ES256": (
        read_ecdsa_private_key(private(ec_key()), "here"),
        Trust("px.example", ecdsa_public_pem=pem(ec_key())),
    ),
}


@pytest.mark.parametrize(
    ("changes", "kept", "user"),
    [
        ({}, NOBODY, OWN),
        ({"named": PartialIdentity(sub="x")}, NOBODY, replace(OWN, sub="x")),
        ({}, PartialIdentity(sub="x"), replace(NO_MORE, sub="x")),
        ({"named": PartialIdentity(sub="y")}, PartialIdentity("x"), replace(NO_MORE, sub="y")),
        ({"user": ALICE}, NOBODY, ALICE),
        ({"user": ALICE, "named": PartialIdentity(sub="y")}, PartialIdentity("x"), ALICE),
        ({"user": ALICE, "profile": None}, NOBODY, ALICE),
    ],
    ids=range(7),
)
def test_who_a_token_is_for(changes: dict[str, Any], kept: PartialIdentity, user: Identity) -> None:
    assert identity_for(replace(REQUEST, **changes), "red", "px.example", kept) == user


def test_somebody_has_to_be_named() -> None:
    with pytest.raises(UsageError) as caught:
        identity_for(replace(REQUEST, profile=None), "red", "px.example")
    assert str(caught.value) == "there is no user to make a token for"
    assert caught.value.hint == "name a profile (kubernetes or admin), or a user file with -f"


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_each_key_signs_what_its_cluster_takes(algorithm: str) -> None:
    key, trust = SIGNERS[algorithm]
    signer = Signer("px.example", key, ("a guess",))
    assert signer.trust == trust
    minted = mint(REQUEST, signer, OWN)
    assert minted.claims == Claims("px.example", OWN, ISSUED, EXPIRES)
    assert minted.warnings == ("a guess",)
    token = minted.token.encode()
    verdict = judge(token, trust, NOW)
    assert verdict.accepted
    assert verdict.header == {"alg": algorithm, "typ": "JWT"}
    assert verdict.claims == minted.claims.as_json()
    assert ask_go([Case(token, trust)])[0]["accepted"]
    assert "eyJ" not in repr(minted)


ADMIN = replace(ALICE, roles=("system.admin",))
SERVES_ALL = (
    "the user file gives system.admin to the token of the profile kubernetes, which serves whoever"
    " claims a volume of a StorageClass that names it"
)


@pytest.mark.parametrize(
    ("changes", "user", "says"),
    [
        ({}, OWN, ()),
        ({"user": ADMIN}, ADMIN, (SERVES_ALL,)),
        ({"user": ADMIN, "named": PartialIdentity(roles=ADMIN.roles)}, ADMIN, ()),
        ({"user": ADMIN, "profile": find_profile("admin")}, ADMIN, ()),
        ({"user": ADMIN, "profile": None}, ADMIN, ()),
        ({}, ADMIN, ()),
        ({"user": ALICE}, ALICE, ()),
        (
            {},
            replace(OWN, sub="${uuid}", roles=("system.usr",)),
            (
                'the role "system.usr" is none of the system\'s: is "system.user" meant?',
                'an unfilled placeholder is kept from the token that is there: sub "${uuid}"',
            ),
        ),
    ],
    ids=range(8),
)
def test_what_is_probably_not_meant(
    changes: dict[str, Any], user: Identity, says: tuple[str, ...]
) -> None:
    signer = Signer("px.example", SHARED, ("a guess",))
    assert mint(replace(REQUEST, **changes), signer, user).warnings == ("a guess", *says)


def test_just_what_is_said_is_signed() -> None:
    minted = mint_claims(Signer("i", SHARED, ("w",)), ALICE, ISSUED, EXPIRES, None)
    assert minted.claims == Claims("i", ALICE, ISSUED, EXPIRES)
    assert minted.warnings == ("w",)
    assert judge(minted.token.encode(), Trust("i", KEY), NOW).accepted


@pytest.mark.parametrize(
    ("user", "place", "secret"),
    [(ALICE, ("red", "t"), "red/t"), (ALICE, None, None), (OWN, ("red", "px-k8s-user"), None)],
    ids=range(3),
)
def test_a_token_names_the_secret_that_its_user_does_not(
    user: Identity, place: tuple[str, str] | None, secret: str | None
) -> None:
    signer = Signer("px.example", SHARED)
    assert mint_claims(signer, user, ISSUED, EXPIRES, place).claims.secret == secret


def test_the_very_claims_are_signed_again() -> None:
    odd = make('{ "iss":"portworx.com",  "sub":"\\u0073","exp":4e9, "x":[1] ,"sub":"t"}', key=b"x")
    wrapped = odd[:20] + b"\r\n" + odd[20:]
    for token in (odd, wrapped):
        again = sign_again(token, SHARED).encode()
        assert again.split(b".")[1] == odd.split(b".")[1]
        assert judge(again, Trust("portworx.com", KEY), NOW).signed


@pytest.mark.parametrize("again", [False, True])
def test_a_pem_key_is_no_shared_secret(again: bool) -> None:
    key = SharedSecret(private(rsa_key()), "here")
    with pytest.raises(SharedSecretError) as caught:
        sign_again(make(), key) if again else sign(Claims("i", ALICE, ISSUED, EXPIRES), key)
    assert str(caught.value) == "the shared secret in here is a PEM or SSH key, not a shared secret"
    assert caught.value.__suppress_context__


def test_a_signature_holds_for_that_token_alone() -> None:
    claims = Claims("portworx.com", ALICE, ISSUED, EXPIRES)
    head, _, tail = sign(claims, SHARED).split(".")
    later = replace(claims, expires_at=EXPIRES + timedelta(days=1))
    changed = ".".join([head, sign(later, SHARED).split(".")[1], tail])
    assert not judge(changed.encode(), Trust("portworx.com", KEY), NOW).signed
    assert json.loads(json.dumps(later.as_json()))["exp"] == claims.as_json()["exp"] + 86400  # type: ignore[operator]

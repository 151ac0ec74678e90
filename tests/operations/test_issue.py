"""Whom `issue` signs a token for, decided without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.errors import IdentityError
from kubectl_pxauth.operations.issue import IssueRequest, _identity
from kubectl_pxauth.token.identity import NOBODY, Identity, PartialIdentity, default_identity
from kubectl_pxauth.token.minting import Signer, TokenRequest, identity_for
from kubectl_pxauth.token.profile import find_profile
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import judge
from tests.conftest import claims_of, forge

OURS, OTHERS = b"o" * 40, b"x" * 40
SIGNER = Signer("px.example", SharedSecret(OURS, "here"))
NOW = datetime.now(UTC)
REQUEST = IssueRequest(
    token=TokenRequest(
        profile=find_profile("kubernetes"),
        user=None,
        named=NOBODY,
        secret="px-k8s-user",
        now=NOW,
        duration=timedelta(days=1),
    ),
    key="auth-token",
    change_identity=False,
    allow_shared_subject=False,
    due_within=None,
    dry_run=DryRun.NONE,
)
OWN = default_identity("px-k8s-user", "red", "px.example", ("system.user",), ("kubernetes",))
ALICE = PartialIdentity("alice", "name of alice", "alice@example.com")
ALICES = Identity("alice", "name of alice", "alice@example.com", OWN.roles, OWN.groups)
KEPT = replace(ALICES, groups=None)  # what a token of alice says, and no more
FILE = Identity("file", "File", "file@example.com", roles=("mine",), groups=None)
OWN_CLAIMS = {"sub": OWN.sub, "name": OWN.name, "email": OWN.email}


def decide(
    claims: dict[str, Any] | None, key: bytes, changes: dict[str, Any], *, change: bool = False
) -> Identity:
    """The user of the new token, where a token with these claims is found, or none."""
    request = replace(REQUEST, token=replace(REQUEST.token, **changes), change_identity=change)
    if claims is None:
        return identity_for(request.token, "red", SIGNER.issuer)
    verdict = judge(forge(claims, key).encode(), SIGNER.trust, NOW)
    found = Secret("red", "px-k8s-user", {}, {"metadata": {}})
    return _identity(request, SIGNER, found, verdict, unasked=False)


@pytest.mark.parametrize(
    ("claims", "key", "changes", "user"),
    [
        (None, OURS, {}, OWN),
        (None, OURS, {"named": ALICE}, ALICES),
        (None, OURS, {"user": FILE}, FILE),
        (claims_of("alice"), OURS, {}, KEPT),
        (
            claims_of("alice", roles=["system.admin"], groups=["*"]),
            OURS,
            {},
            replace(KEPT, roles=("system.admin",), groups=("*",)),
        ),
        (claims_of("alice", days=1, age_days=2, iss="old.example"), OURS, {}, KEPT),
        (claims_of("alice"), OURS, {"named": PartialIdentity(sub="alice")}, KEPT),
        (
            claims_of("alice"),
            OURS,
            {"named": PartialIdentity(roles=("system.view",), groups=("a",))},
            replace(KEPT, roles=("system.view",), groups=("a",)),
        ),
        ({"sub": "alice"}, OURS, {}, replace(OWN, sub="alice", roles=(), groups=None)),
        ({}, OURS, {}, OWN),
        ({}, OTHERS, {}, OWN),
        (OWN_CLAIMS, OTHERS, {}, OWN),
        (claims_of("alice"), OTHERS, {"named": ALICE}, ALICES),
        (claims_of("file", name="File", email="file@example.com"), OTHERS, {"user": FILE}, FILE),
    ],
    ids=range(14),
)
def test_whom_it_is_for(
    claims: dict[str, Any] | None, key: bytes, changes: dict[str, Any], user: Identity
) -> None:
    assert decide(claims, key, changes) == user


ANOTHERS = (
    'the token in Secret red/px-k8s-user is another user\'s (sub "alice", not "{}"{}); volumes'
    " belong to the user that made them, and a token for another one can't reach them"
)
FORGED = (
    'the token in Secret red/px-k8s-user is another user\'s (sub "alice", not "{}"{}), and the'
    " present key did not sign it: it may be forged, or older than the key"
)
REST = f', name "name of alice", not "{OWN.name}", email "alice@example.com", not "{OWN.email}"'
KEEP_OR_CHANGE = "leave out the user to keep the old one, or change it with --change-identity"
YOURS = (
    "if it is yours, keep its user with --sub, --name and --email; else replace it with"
    " --change-identity"
)


@pytest.mark.parametrize(
    ("claims", "key", "changes", "says", "hint"),
    [
        (
            claims_of("alice"),
            OURS,
            {"named": PartialIdentity(sub="bob")},
            ANOTHERS.format("bob", ""),
            KEEP_OR_CHANGE,
        ),
        (
            {"sub": "alice", "name": "File", "email": "file@example.com"},
            OURS,
            {"user": FILE},
            ANOTHERS.format("file", ""),
            KEEP_OR_CHANGE,
        ),
        (claims_of("alice"), OTHERS, {}, FORGED.format(OWN.sub, REST), YOURS),
        ({"sub": "alice"}, OTHERS, {}, FORGED.format(OWN.sub, ""), YOURS),
        (
            claims_of("alice"),
            OTHERS,
            {"named": PartialIdentity(sub="bob", name="name of alice", email="alice@example.com")},
            FORGED.format("bob", ""),
            YOURS,
        ),
    ],
    ids=range(5),
)
def test_whom_it_is_not_for(
    claims: dict[str, Any], key: bytes, changes: dict[str, Any], says: str, hint: str
) -> None:
    with pytest.raises(IdentityError) as caught:
        decide(claims, key, changes)
    assert (str(caught.value), caught.value.hint) == (says, hint)
    wanted = decide(None, key, changes)
    assert decide(claims, key, changes, change=True) == wanted

"""Whether a token may be signed again for the Secret that holds it, without a server."""

import json
from datetime import timedelta
from typing import Any

import pytest

from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.portworx.resigning import (
    GRACE,
    KnownHolders,
    issued_for,
    renew_on_purpose,
    why_left_out,
)
from kubectl_pxauth.token.verdict import Verdict, judge
from tests.token.odd_tokens import NOW, SECOND, make, trust

DAY = 86400
HERE = "red/px-k8s-user"
DEFAULT = "px-k8s-user.red"


def secret(place: str) -> Secret:
    namespace, name = place.split("/")
    metadata = {"namespace": namespace, "name": name}
    return Secret(namespace, name, data={}, manifest={"metadata": metadata})


def verdict(key: bytes | None = None, **claims: Any) -> Verdict:
    """A token of the cluster's key, for a year from a day ago."""
    texts = {name: json.dumps(value) for name, value in claims.items()}
    token = make(key=key, **{"exp": str(SECOND + 365 * DAY)} | texts)
    return judge(token, trust(), NOW)


def default_user(account: str, issuer: str = "portworx.com") -> dict[str, Any]:
    address = f"{account}@{issuer}"
    return {"sub": address, "name": account, "email": address}


def bound(place: object) -> dict[str, Any]:
    return {"kubectl-pxauth/secret": place}


ADMIN = {"roles": ["system.admin"]}
TABLE: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "its default user": (HERE, default_user(DEFAULT), None),
    "bound to it": (HERE, bound(HERE), None),
    "default user of another Secret": (
        HERE, default_user("px-k8s-user.blue"), "issued for Secret blue/px-k8s-user",
    ),
    "default user of another name": (
        HERE, default_user("px-admin-token.red"), "issued for Secret red/px-admin-token",
    ),
    "a Secret whose name has dots": (
        "red/a.b", default_user("a.b.red"), None,
    ),
    "bound to another": (HERE, bound("blue/px-k8s-user"), "issued for Secret blue/px-k8s-user"),
    "the claim goes before the user": (
        HERE, default_user(DEFAULT) | bound("a/b"), "issued for Secret a/b",
    ),
    "bound to it, whoever its user": (HERE, default_user("px-k8s-user.blue") | bound(HERE), None),
    "a claim that is no text": (HERE, bound(["a"]), "no Secret that can be told"),
    "pxctl's, alone": (HERE, {}, None),
    "a person's address": (HERE, default_user("first.last", "example.com"), None),
    "the default user of an older issuer, alone": (HERE, default_user(DEFAULT, "older"), None),
    "ended yesterday": (HERE, default_user(DEFAULT) | {"exp": SECOND - DAY}, None),
    "ended within the grace": (HERE, {"exp": SECOND - 7 * DAY + 60}, None),
    "ended before the grace": (HERE, {"exp": SECOND - 7 * DAY - 60}, "longer ago than 7d"),
    "its own, ended long ago": (
        HERE, default_user(DEFAULT) | {"exp": SECOND - 40 * DAY}, "ended on 2026-10-14",
    ),
    "never ends": (HERE, {"exp": 0}, None),
    "an administrator's": (HERE, bound(HERE) | ADMIN, "the role system.admin"),
    "an administrator's among others": (
        HERE, {"roles": ["mine", "system.admin"]}, "the role system.admin",
    ),
    "an administrator's where Portworx is": ("px/admin", ADMIN, None),
    "an administrator's in portworx": ("portworx/a", ADMIN, "the role system.admin"),
    "an administrator's that was issued for its Secret in portworx": (
        "portworx/a", ADMIN | bound("portworx/a"), None,
    ),
    "the default administrator's in portworx": (
        "portworx/px-admin-token", ADMIN | default_user("px-admin-token.portworx"), None,
    ),
    "an administrator's in kube-system": ("kube-system/a", ADMIN, None),
    "an administrator's copy in portworx": (
        "portworx/a", ADMIN | bound("portworx/b"), "issued for Secret portworx/b",
    ),
    "a viewer of everything": (HERE, {"roles": ["system.view"], "groups": ["*"]}, None),
    "a user of everything": (HERE, {"groups": ["*"]}, 'the group "*"'),
    "a user of everything, bound to it": (HERE, bound(HERE) | {"groups": ["*"]}, None),
    "a user of everything where Portworx is": ("px/a", {"groups": ["*"]}, None),
    "a custom role": (HERE, {"roles": ["mine"]}, None),
    "no role": (HERE, {"roles": None}, None),
    "of another issuer": (HERE, {"iss": "older.example"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("place", "claims", "reason"), TABLE.values(), ids=TABLE)
def test_what_is_signed_again_unasked(
    place: str, claims: dict[str, Any], reason: str | None
) -> None:
    found = why_left_out(
        verdict(**claims),
        secret(place),
        NOW,
        grace=GRACE,
        trusted_namespaces={"px"},
        other_holder=lambda _sub, _secret: None,
    )
    assert (found is None) == (reason is None), found
    assert (reason or "") in (found or "")


def test_of_two_with_one_user_neither_is_signed_again_unless_it_says_whose_it_is() -> None:
    name = HERE.rpartition("/")[2]

    def reason(**claims: Any) -> str | None:
        return why_left_out(
            verdict(**claims),
            secret(HERE),
            NOW,
            grace=timedelta(days=1),
            trusted_namespaces=(),
            other_holder=lambda sub, one: "blue/theirs" if (sub, one.name) == ("s", name) else None,
        )

    assert reason(sub="other") is None
    assert "Secret blue/theirs holds a token of the same user" in (reason(sub="s") or "")
    assert reason(sub="s", **bound(HERE)) is None


def test_a_secret_that_is_read_twice_is_one_holder() -> None:
    known = KnownHolders(trusted_namespaces=())
    for place in (HERE, HERE, "blue/theirs"):
        known.add("s", secret(place))
    assert known.other("s", "red", "px-k8s-user") == "blue/theirs"
    assert known.other("s", "blue", "theirs") == HERE
    assert known.other("other", "blue", "theirs") is None


def test_a_long_name_in_a_claim_does_not_flood() -> None:
    said = why_left_out(
        verdict(**bound("\x1b[2J" + "x" * 9_000)),
        secret(HERE),
        NOW,
        grace=GRACE,
        trusted_namespaces=(),
        other_holder=lambda _sub, _secret: None,
    )
    assert said
    assert said.isprintable()
    assert len(said) < 500


def test_the_command_that_signs_it_all_the_same() -> None:
    command = "kubectl pxauth renew px-k8s-user -n red"
    assert renew_on_purpose(secret(HERE), verdict()) == command
    assert renew_on_purpose(secret(HERE), verdict(**bound("a/b"))) == f"{command} --resign"
    assert renew_on_purpose(secret(HERE), verdict(key=b"other")) == f"{command} --resign"


def test_what_a_token_was_issued_for() -> None:
    assert issued_for(verdict(**default_user(DEFAULT))) == HERE
    assert issued_for(verdict(**default_user("nodots"))) is None
    assert issued_for(verdict(sub="", name="", email="")) is None

"""The default user, what goes before what, and values that are blanks or slips."""

import pytest

from kubectl_pxauth.token.identity import (
    NOBODY,
    Identity,
    PartialIdentity,
    default_identity,
    is_placeholder,
    placeholders,
)
from kubectl_pxauth.token.roles import meant_role


@pytest.mark.parametrize(
    "value",
    [
        "${uuid}",
        "${uuid} or email of the storage admin",
        "the email of the kubernetes admin",
        "<groups>",
        "<groups the tenant participate if any",
        " <sub> ",
        "<",
        "<XYZ>",
        "<tenant>@example.com",
        "tenant-<name>",
        "<a><b>",
        "<<a>",
        "$HOME",
        "$(uuidgen)",
        "{{ tenant }}",
        "of system users, if any>",
        "${uuid} costs ${",
        "<" + "a" * 1_000_000,
    ],
)
def test_blanks(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "*",
        "shop@example.com",
        "a < b",
        "Shop <shop@example.com>",
        "a -> b",
        "a>",
        "$",
        "${",
        "$(",
        "{{",
        "{uuid}",
    ],
)
def test_what_is_written_on_purpose(value: str) -> None:
    assert not is_placeholder(value)


def test_the_longest_value_takes_one_pass() -> None:
    assert not is_placeholder("${" * 500_000)
    assert not is_placeholder("<" + " " * 1_000_000 + "<")
    assert not is_placeholder("a " * 500_000)
    assert not is_placeholder("$" * 1_000_000)


@pytest.mark.parametrize(
    ("role", "meant"),
    [
        ("system.usr", "system.user"),
        ("system.users", "system.user"),
        ("sytem.view", "system.view"),
        ("SYSTEM.ADMIN", "system.admin"),
        ("system-user", "system.user"),
        ("system.guests", "system.guest"),
        ("system.user", None),
        ("system.guest", None),
        ("backup.operator", None),
        ("system.backup", None),
        ("tenant", None),
        ("user", None),
    ],
)
def test_slips_of_the_systems_roles(role: str, meant: str | None) -> None:
    assert meant_role(role) == meant


BASE = Identity("s", "n", "e", roles=("r",), groups=("g",))


def test_the_default_user_is_the_secrets_own() -> None:
    assert default_identity("token", "red", "px.example", ("r",), ("g",)) == Identity(
        sub="token.red@px.example",
        name="token.red",
        email="token.red@px.example",
        roles=("r",),
        groups=("g",),
    )


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        (NOBODY, BASE),
        (PartialIdentity(sub="x"), Identity("x", "n", "e", ("r",), ("g",))),
        (PartialIdentity(name="x"), Identity("s", "x", "e", ("r",), ("g",))),
        (PartialIdentity(email="x"), Identity("s", "n", "x", ("r",), ("g",))),
        (PartialIdentity(roles=()), Identity("s", "n", "e", (), ("g",))),
        (PartialIdentity(groups=()), Identity("s", "n", "e", ("r",), ())),
    ],
)
def test_what_is_said_goes_before_what_was_there(said: PartialIdentity, whole: Identity) -> None:
    assert said.over(BASE) == whole


def test_an_owner_has_no_rights() -> None:
    said = PartialIdentity("s", "n", "e", ("r",), ("g",))
    assert said.owner == PartialIdentity("s", "n", "e")


def test_each_blank_is_named() -> None:
    user = Identity("<sub>", "n", "the email of the admin", ("r", "${role}"), ("<group>",))
    assert placeholders(user) == (
        'sub "<sub>"',
        'email "the email of the admin"',
        'role "${role}"',
        'group "<group>"',
    )
    assert placeholders(NOBODY) == ()

"""Who a token speaks for."""

import base64
import re
from dataclasses import replace

from kubectl_pxauth.frozen import dataclass

_DOCS_BLANKS = ("the email of the", "or email of the")


@dataclass(frozen=True)
class Identity:
    """A user as a token describes one; groups is None where its user file has none.

    A cluster tells the owners of volumes by sub, or with -username_claim by name or email.
    """

    sub: str
    name: str
    email: str
    roles: tuple[str, ...]
    groups: tuple[str, ...] | None


OWNER_CLAIMS = ("sub", "name", "email")


@dataclass(frozen=True)
class PartialIdentity:
    """What flags, or a token that was found, say of a user; None where they say nothing."""

    sub: str | None = None
    name: str | None = None
    email: str | None = None
    roles: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    def over(self, base: Identity) -> Identity:
        """The base with what is said here in its place."""
        return replace(base, **{k: value for k, value in vars(self).items() if value is not None})

    @property
    def owner(self) -> "PartialIdentity":
        """What volumes may be owned by, without what it may do."""
        return PartialIdentity(self.sub, self.name, self.email)


NOBODY = PartialIdentity()


def default_identity(
    secret: str, namespace: str, issuer: str, roles: tuple[str, ...], groups: tuple[str, ...]
) -> Identity:
    """The user for a Secret where nobody names one: its own, and the same at every repeat."""
    account = f"{secret}.{namespace}"
    address = f"{account}@{issuer}"
    return Identity(sub=address, name=account, email=address, roles=roles, groups=groups)


def default_secret(user: PartialIdentity | Identity, issuer: str) -> str | None:
    """The Secret whose default user this is, as NAMESPACE/NAME; None for every other user.

    A token of that issuer for such a user says by itself which Secret it is for.
    """
    account, at, of = (user.sub or "").partition("@")
    secret, dot, namespace = account.rpartition(".")
    is_default = user.name == account and user.email == user.sub and of == issuer
    return f"{namespace}/{secret}" if at and dot and is_default else None


def generated_sub(name: str, email: str) -> str:
    """The sub that the generators make for a user file without one.

    Source: cmd/openstorage-sdk-auth/main.go of libopenstorage/openstorage-sdk-auth.
    """
    return base64.b64encode(f"openstorage.io/{name}/{email}".encode()).decode()


def is_placeholder(value: str) -> bool:
    """Whether a value still has the blank that somebody was to fill in: <this>, <this or ${this}.

    So do $this, $(this), {{ this }}, and the end of a blank of several words, which a list has cut.
    Takes time in proportion to the value's length: it may be anybody's.
    """
    for opens, closes in (("${", "}"), ("$(", ")"), ("{{", "}}")):
        _, opened, rest = value.partition(opens)
        if opened and closes in rest:
            return True
    # An address in brackets is none: "Alice <alice@example.com>".
    if re.search(r"<[^<>@]+>", value) or re.fullmatch(r"\$\w+", value):
        return True
    bracketed = value.strip()
    if " " in bracketed and bracketed.endswith(">") and not set("<>") & set(bracketed[:-1]):
        return True
    if bracketed.startswith("<") and not set("<>") & set(bracketed[1:].removesuffix(">")):
        return True
    words = " ".join(value.split())
    return any(blank in words for blank in _DOCS_BLANKS)


def placeholders(identity: "Identity | PartialIdentity") -> tuple[str, ...]:
    """The claims that still are blanks, each with its value."""
    texts = [(claim, getattr(identity, claim)) for claim in OWNER_CLAIMS]
    texts += [("role", role) for role in identity.roles or ()]
    texts += [("group", group) for group in identity.groups or ()]
    return tuple(f'{claim} "{text}"' for claim, text in texts if text and is_placeholder(text))

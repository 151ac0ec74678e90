"""What no shared secret can be, what is odd about one, and what is told of it unseen."""

import base64
import secrets

import pytest

from kubectl_pxauth.errors import SharedSecretError
from kubectl_pxauth.token.shared_secret import SharedSecret


def test_random_keys_are_no_references() -> None:
    for _ in range(2000):
        raw = secrets.token_bytes(48)
        for key in (base64.b64encode(raw), base64.urlsafe_b64encode(raw), raw.hex().encode()):
            assert not SharedSecret(key, "a test").is_reference


@pytest.mark.parametrize(
    "key",
    [
        "correct horse battery staple, and then some words",
        "key: with a colon in the middle of the passphrase",
        "Vault-of-the-storage-team-0123456789abcdef0123456",
        "ab${c}d0123456789abcdef0123456789abcdef0123456789",
        "a<b>c0123456789abcdef0123456789abcdef01234567890x",
        "file0123456789abcdef0123456789abcdef0123456789abc",
    ],
)
def test_nor_are_passphrases(key: str) -> None:
    assert SharedSecret(key.encode(), "a test").warnings() == ()


def test_a_fingerprint_is_of_the_bytes() -> None:
    key = b"0123456789abcdef0123456789abcdef"
    first = SharedSecret(key, "one place").fingerprint
    assert first
    assert len(first) == 8
    assert SharedSecret(key, "another").fingerprint == first
    assert SharedSecret(key + b"\n", "one place").fingerprint != first
    assert SharedSecret(key[1:], "one place").fingerprint is None


GOOD = b"k" * 32
NOT_TEXT = (
    "the shared secret in here is not text: Portworx takes it through an environment variable,"
    " which can't hold those bytes"
)
REFERENCE = (
    "the shared secret in here reads like a reference to a key, not like a key: if a tool puts the"
    " real one in its place when Portworx starts, tokens that are signed with the reference are"
    " refused"
)
NEWLINE = (
    "the shared secret in here ends in a newline; Portworx counts it as part of the key, and so"
    " does this token"
)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"", "the shared secret in here is empty"),
        (GOOD + b"\0", NOT_TEXT),
        (b"\xff" + GOOD, NOT_TEXT),
    ],
)
def test_what_no_portworx_could_be_given(value: bytes, says: str) -> None:
    with pytest.raises(SharedSecretError) as caught:
        SharedSecret(value, "here")
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (GOOD, ()),
        ("ключ".encode() * 4, ()),
        (GOOD + b"\n", (NEWLINE,)),
        (GOOD + b"\r", (NEWLINE,)),
        (b"\n" + GOOD, ()),
        (b"vault:secret/data/portworx#shared-secret", (REFERENCE,)),
        (
            b"k" * 31,
            (
                "the shared secret in here has 31 bytes; HS256 wants 32 or more"
                " (RFC 7518, section 3.2)",
            ),
        ),
    ],
)
def test_what_is_odd_about_a_key(value: bytes, says: tuple[str, ...]) -> None:
    assert SharedSecret(value, "here").warnings() == says


def test_it_is_never_shown() -> None:
    assert GOOD.decode() not in repr(SharedSecret(GOOD, "here"))

"""What is told of a shared secret without showing it."""

import base64
import secrets

import pytest

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

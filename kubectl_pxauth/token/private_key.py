"""Private keys that sign tokens where Portworx verifies with a public key."""

from dataclasses import field
from typing import Literal

from kubectl_pxauth.errors import KeyFileError
from kubectl_pxauth.frozen import dataclass

LEAST_RSA_BITS, GOOD_RSA_BITS = 1024, 2048
"""What the verifier takes, and what RFC 7518 (section 3.3) asks for."""


@dataclass(frozen=True)
class PrivateKey:
    """A private key, the algorithm that the generators use it with, and where it was found."""

    pem: bytes = field(repr=False)
    public_pem: bytes
    algorithm: Literal["RS256", "ES256"]
    bits: int
    source: str

    @property
    def weakness(self) -> str | None:
        """Why it is not to sign, though Portworx takes it as it is; None if nothing speaks so."""
        if self.algorithm == "RS256" and self.bits < GOOD_RSA_BITS:
            return (
                f"the RSA key in {self.source} has {self.bits} bits; RS256 wants {GOOD_RSA_BITS}"
                " or more (RFC 7518, section 3.3)"
            )
        return None

    def warnings(self) -> tuple[str, ...]:
        """What is odd about the key."""
        return (self.weakness,) if self.weakness else ()


def read_rsa_private_key(pem: bytes, source: str) -> PrivateKey:
    """The RSA key of a PEM file, PKCS #1 or #8; raises KeyFileError for all else."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key = _load(pem, source)
    if not isinstance(key, RSAPrivateKey):
        raise KeyFileError(
            f"{source} holds no RSA key", hint="--ecdsa-private-keyfile takes an ECDSA key"
        )
    if key.key_size < LEAST_RSA_BITS:
        raise KeyFileError(
            f"the RSA key in {source} has {key.key_size} bits; the verifier takes them from"
            f" {LEAST_RSA_BITS}"
        )
    return PrivateKey(pem, _public_pem(key), "RS256", key.key_size, source)


def read_ecdsa_private_key(pem: bytes, source: str) -> PrivateKey:
    """The P-256 key of a PEM file, SEC 1 or PKCS #8; raises KeyFileError for all else.

    The generators write ES256, and RFC 7518 (section 3.4) has that for P-256 alone.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey

    key = _load(pem, source)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise KeyFileError(
            f"{source} holds no ECDSA key", hint="--rsa-private-keyfile takes an RSA key"
        )
    if not isinstance(key.curve, SECP256R1):
        raise KeyFileError(
            f"the ECDSA key in {source} is on the curve {key.curve.name}; ES256 is for P-256 alone",
            hint="openssl ecparam -name prime256v1 -genkey -noout makes such a key",
        )
    return PrivateKey(pem, _public_pem(key), "ES256", key.key_size, source)


def _load(pem: bytes, source: str) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    # The library's own words are for programmers, and could repeat what the file holds.
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        raise KeyFileError(
            f"the private key in {source} is encrypted",
            hint="give it decrypted: openssl pkey writes it so, to standard input for `-`",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        kinds = {b"PUBLIC KEY": "a public key", b"CERTIFICATE": "a certificate"}
        found = next((kind for mark, kind in kinds.items() if mark + b"-----" in pem), None)
        held = f"{found}, not a private key" if found else "no private key in PEM form"
        raise KeyFileError(f"{source} holds {held}") from None


def _public_pem(key: object) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey)  # noqa: S101 - for mypy
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

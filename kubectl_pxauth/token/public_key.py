"""Public keys from PEM files as golang-jwt reads them."""

import base64
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from kubectl_pxauth.errors import KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificatePublicKeyTypes,
        PublicKeyTypes,
    )

_BLOCK = re.compile(
    rb"^-----BEGIN ([^\n]*)-----[ \t]*\r?\n((?:(?!-----BEGIN ).*\n)*?)"
    rb"-----END \1-----[ \t]*(?:\r?\n|\Z)",
    re.MULTILINE,
)
_HEADER_LINES = re.compile(rb"\A(?:.*:.*\n)+")
_GO_CURVES = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")


def read_rsa_key(pem: bytes) -> "RSAPublicKey":
    """The RSA key of the first PEM block: a PKIX public key or a certificate, whatever its label.

    Raises KeyFileError for all else, PKCS #1 keys ("RSA PUBLIC KEY") among it.
    Source: ParseRSAPublicKeyFromPEM of golang-jwt v4, with Go's encoding/pem and crypto/x509.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = _read(pem, "RSA")
    if not isinstance(key, RSAPublicKey):
        raise KeyFileError("the RSA public key is a key of another kind")
    return key


def read_ecdsa_key(pem: bytes) -> "EllipticCurvePublicKey":
    """The ECDSA key of the first PEM block, read as an RSA key is; raises KeyFileError.

    Source: ParseECPublicKeyFromPEM of golang-jwt v4; the curves are those of crypto/x509.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    key = _read(pem, "ECDSA")
    if not isinstance(key, EllipticCurvePublicKey):
        raise KeyFileError("the ECDSA public key is a key of another kind")
    if key.curve.name not in _GO_CURVES:
        raise KeyFileError(f"the ECDSA public key is on the curve {key.curve.name}; use P-256")
    return key


def _read(pem: bytes, family: str) -> "PublicKeyTypes | CertificatePublicKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from cryptography.x509 import load_der_x509_certificate

    der = _first_block(pem, family)
    try:
        key = load_der_public_key(der)
        if _is_pkix(der, key):
            return key
    except (ValueError, UnsupportedAlgorithm):
        pass
    try:
        return load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(
            f"the {family} public key is neither a public key nor a certificate",
            hint="openssl pkey -pubout writes the form that Portworx reads",
        ) from None


def _first_block(pem: bytes, family: str) -> bytes:
    for block in _BLOCK.finditer(pem):
        body = _HEADER_LINES.sub(b"", block[2]).translate(None, b" \t\r\n")
        with suppress(ValueError):
            return base64.b64decode(body, validate=True)
    raise KeyFileError(f"the {family} public key is not PEM: it has no whole BEGIN and END")


def _is_pkix(der: bytes, key: "PublicKeyTypes") -> bool:
    # cryptography also reads PKCS #1, RSA-PSS and compressed points, which Go does not.
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == der

"""Signing and reading JSON Web Tokens, with python-jose."""

import base64
from typing import Any

from kubectl_pxauth.errors import SharedSecretError
from kubectl_pxauth.imports import register_without_init
from kubectl_pxauth.token.claims import Claims
from kubectl_pxauth.token.private_key import PrivateKey
from kubectl_pxauth.token.shared_secret import SharedSecret

SigningKey = SharedSecret | PrivateKey


def sign(claims: Claims, key: SigningKey) -> str:
    """The token, signed as the generators do: HS256, RS256 or ES256; raises SharedSecretError."""
    if isinstance(key, PrivateKey):
        jws = _jws()
        _take_private_keys()
        signed: str = jws.sign(claims.as_json(), key.pem, algorithm=key.algorithm)
        return signed
    return _sign_hs256(claims.as_json(), key)


def sign_again(token: bytes, key: SharedSecret) -> str:
    """A token with the very bytes of this one's claims, signed with HS256; as sign raises."""
    payload = token.translate(None, b"\r\n").split(b".")[1]  # the verifier skips newlines
    return _sign_hs256(base64.urlsafe_b64decode(payload + b"=="), key)


def _sign_hs256(payload: dict[str, object] | bytes, key: SharedSecret) -> str:
    jws = _jws()
    from jose.exceptions import JWSError

    try:
        token: str = jws.sign(payload, key.value, algorithm="HS256")
    except JWSError:
        # python-jose takes no PEM or SSH key for HMAC; its words could quote the key.
        raise SharedSecretError(
            f"the shared secret in {key.source} is a PEM or SSH key, not a shared secret"
        ) from None
    return token


def _jws() -> Any:
    """jose.jws with the HMAC key alone: its backends package imports all of cryptography."""
    import jose

    register_without_init("jose.backends")
    import jose.backends
    from jose.backends.native import HMACKey

    jose.backends.HMACKey = HMACKey
    import jose.jws

    return jose.jws


def _take_private_keys() -> None:
    import jose.backends
    from jose.backends.native import get_random_bytes

    jose.backends.get_random_bytes = get_random_bytes  # which the next import looks for there
    from jose.backends.cryptography_backend import CryptographyECKey, CryptographyRSAKey

    jose.backends.RSAKey = CryptographyRSAKey
    jose.backends.ECKey = CryptographyECKey

"""Signing and reading JSON Web Tokens, with python-jose."""

import binascii
import json
from dataclasses import dataclass
from typing import Any

from kubectl_pxauth.errors import SharedSecretError
from kubectl_pxauth.lean import skip_init
from kubectl_pxauth.token.claims import Claims
from kubectl_pxauth.token.identity import OWNER_CLAIMS, PartialIdentity
from kubectl_pxauth.token.shared_secret import SharedSecret

ALGORITHM = "HS256"


def sign(claims: Claims, secret: SharedSecret) -> str:
    """The token, signed with HS256 as the generators do; raises SharedSecretError."""
    jws = _jws()
    from jose.exceptions import JWSError

    try:
        token: str = jws.sign(claims.as_json(), secret.value, algorithm=ALGORITHM)
    except JWSError:
        # python-jose takes no PEM or SSH key for HMAC; its words could quote the key.
        raise SharedSecretError(
            f"the shared secret in {secret.source} is a PEM or SSH key, not a shared secret"
        ) from None
    return token


@dataclass(frozen=True)
class FoundToken:
    """A token that was found somewhere: whom it speaks for, and whether our key signed it."""

    owner: PartialIdentity
    signed_by_us: bool


def read_token(token: bytes, secret: SharedSecret) -> FoundToken | None:
    """Read a token that may be anything; None where it is no JWT or names nobody."""
    try:
        text = token.decode("ascii").strip()
        payload = json.loads(_decode_segment(text.split(".")[1]))
        claims = {claim: payload.get(claim) for claim in OWNER_CLAIMS}
    except (ValueError, LookupError, AttributeError, RecursionError):
        return None
    owner = {claim: value for claim, value in claims.items() if value and isinstance(value, str)}
    if not owner:
        return None
    who = PartialIdentity(owner.get("sub"), owner.get("name"), owner.get("email"))
    return FoundToken(who, signed_by_us=_is_signed(text, secret))


def _is_signed(token: str, secret: SharedSecret) -> bool:
    jws = _jws()
    from jose.exceptions import JOSEError

    try:
        jws.verify(token, secret.value, algorithms=["HS256", "HS384", "HS512"])
    except (JOSEError, ValueError):
        return False
    return True


def _decode_segment(segment: str) -> bytes:
    padded = segment + "=" * (-len(segment) % 4)
    return binascii.a2b_base64(padded.translate({ord("-"): "+", ord("_"): "/"}))


def _jws() -> Any:
    """jose.jws with the HMAC key alone: its backends package imports all of cryptography."""
    skip_init("jose.backends")
    import jose.backends
    from jose.backends.native import HMACKey

    jose.backends.HMACKey = HMACKey
    import jose.jws

    return jose.jws

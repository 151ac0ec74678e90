"""The key that signs: its bytes, and nothing that could print them."""

import hmac
import re
from dataclasses import field

from kubectl_pxauth.errors import SharedSecretError
from kubectl_pxauth.frozen import dataclass

_HS256_BYTES = 32
_LEAST_BYTES = 16  # half the hash's output, for which FIPS 198 (2002), section 3, asks
_FINGERPRINT_OF = b"kubectl-pxauth: fingerprint of a shared secret"
_FINGERPRINT_BYTES = 4
# What a webhook or a tool replaces by the real key: a template or a placeholder as a whole, an
# address, a scheme of a secrets manager, an encrypted value of sops. Base64 has none of : $ < { [.
_REFERENCE = r"""(?xs)
      \$\{.*\} | \$\(.*\) | \{\{.*\}\} | <.*>
    | \w[\w.+-]*://\S+
    | (?:>>)?(?:vault|openbao|bao|gcp|gcpsm|aws|awssm|awsssm|azure|azurekv|azkv|akv|keyvault
        |secretref|secretsmanager|ssm|sm|conjur|doppler|infisical|bitwarden|env|file):\S.*
    | arn:aws[\w-]*:\S+
    | projects/[^/\s]+/secrets/[^/\s]+(?:/versions/[^/\s]+)?
    | @Microsoft\.KeyVault\(.*\)
    | ENC\[.*\]
"""
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n")


@dataclass(frozen=True)
class SharedSecret:
    """The shared secret as Portworx gets it: byte for byte, and where it was found.

    rotation says how a rotation of it stands that is under way, if one is; other is then the key
    next to it, whose tokens the rotation signs again.
    """

    value: bytes = field(repr=False)
    source: str
    rotation: str = field(default="", compare=False)
    other: bytes = field(default=b"", repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.value:
            raise SharedSecretError(f"the shared secret in {self.source} is empty")
        if b"\0" in self.value or not _is_utf8(self.value):
            raise SharedSecretError(
                f"the shared secret in {self.source} is not text: Portworx takes it through an"
                " environment variable, which can't hold those bytes",
            )

    @property
    def fingerprint(self) -> str | None:
        """Eight hex digits to compare keys by; None for a key that is too short to show any.

        It is an HMAC of a fixed text, so it is no easier to guess a key from than a token of that
        key is. Of a short key, which can be guessed, not even that is shown.
        """
        if len(self.value) < _HS256_BYTES:
            return None
        return hmac.digest(self.value, _FINGERPRINT_OF, "sha256")[:_FINGERPRINT_BYTES].hex()

    @property
    def weakness(self) -> str | None:
        """Why it can be guessed by whoever has a token that it signed; None if it can't."""
        if len(self.value) >= _LEAST_BYTES:
            return None
        return (
            f"the shared secret in {self.source} has {len(self.value)} bytes: whoever has a token"
            f" can guess it; {_LEAST_BYTES} is the least"
        )

    @property
    def label(self) -> str:
        """Where it was found, and its fingerprint if it has one."""
        return (
            f"{self.source} (fingerprint {self.fingerprint})" if self.fingerprint else self.source
        )

    @property
    def is_reference(self) -> bool:
        """Whether it reads like the place of a key, which a tool is to put the real key into."""
        text = self.value.decode().strip()
        if _BASE64.issuperset(self.value) and not text.startswith("projects/"):
            return False  # as most keys are; the pattern takes a millisecond to compile
        return re.fullmatch(_REFERENCE, text) is not None

    def reference_warnings(self) -> tuple[str, ...]:
        """That it may not be the key that Portworx has, where it reads like the place of one."""
        if not self.is_reference:
            return ()
        return (
            f"the shared secret in {self.source} reads like a reference to a key, not like a"
            " key: if a tool puts the real one in its place when Portworx starts, tokens that"
            " are signed with the reference are refused",
        )

    def warnings(self) -> tuple[str, ...]:
        """What is odd about the key, though Portworx takes it as it is."""
        found = [*self.reference_warnings()]
        if self.value.endswith((b"\n", b"\r")):
            found.append(
                f"the shared secret in {self.source} ends in a newline; Portworx counts it as part"
                " of the key, and so does this token"
            )
        if len(self.value) < _HS256_BYTES:
            found.append(
                f"the shared secret in {self.source} has {len(self.value)} bytes; HS256 wants"
                f" {_HS256_BYTES} or more (RFC 7518, section 3.2)"
            )
        return tuple(found)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True

"""The key that signs: its bytes, and nothing that could print them."""

from dataclasses import dataclass, field

from kubectl_pxauth.errors import SharedSecretError

_HS256_BYTES = 32


@dataclass(frozen=True)
class SharedSecret:
    """The shared secret as Portworx gets it: byte for byte, and where it was found."""

    value: bytes = field(repr=False)
    source: str

    def __post_init__(self) -> None:
        if not self.value:
            raise SharedSecretError(f"the shared secret in {self.source} is empty")
        if b"\0" in self.value or not _is_utf8(self.value):
            raise SharedSecretError(
                f"the shared secret in {self.source} is not text: Portworx takes it through an"
                " environment variable, which can't hold those bytes",
            )

    def warnings(self) -> tuple[str, ...]:
        """What is odd about the key, though Portworx takes it as it is."""
        found = []
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

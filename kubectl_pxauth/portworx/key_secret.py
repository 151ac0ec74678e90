"""The Secret that Portworx takes its keys from: which keys it has, also while one is rotated.

Its name and its keys: Portworx docs, security, the shared-secret model's step before "Generate
tokens".
"""

import base64
import secrets

from kubectl_pxauth.portworx.settings import SHARED_SECRET_KEY

SYSTEM_KEYS = ("system-secret", "stork-secret", SHARED_SECRET_KEY)
ROTATION = "kubectl-pxauth/rotation"
"""The annotation of a rotation under way; it names the key with the other shared secret."""

_BYTES = 64


def new_key() -> bytes:
    """A key from the system's randomness, as text: Portworx takes it from its environment."""
    return base64.b64encode(secrets.token_bytes(_BYTES))

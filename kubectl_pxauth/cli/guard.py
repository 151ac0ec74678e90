"""Tokens on the command line, where the shell's history keeps them and other users see them."""

import base64
import json
import re
from collections.abc import Iterable
from typing import Any

from kubectl_pxauth.errors import UsageError

_JWT = r"eyJ[\w-]*\.[\w-]*\.[\w-]*"
_HINT = (
    "write the token to a file and name that with --token-file, or pipe it in with --token-file -;"
    " this one is in the shell's history now"
)


def without_tokens(text: str) -> str:
    """The text with each token in it left out."""
    return re.sub(_JWT, "<token>", text)


def refuse_token(argument: str) -> None:
    """Raise UsageError for a token in the place of a name."""
    if re.fullmatch(_JWT, argument.strip()):
        raise UsageError("a token is given in the place of a Secret's name", hint=_HINT)


def refuse_token_for_pxctl(arguments: Iterable[str]) -> None:
    """Raise UsageError for a token in what pxctl is to be run with: an audit log would keep it."""
    if any(re.search(_JWT, argument) for argument in arguments):
        raise UsageError(
            "a token is given as an argument of pxctl",
            hint="put the token into a Secret, and make a context of that: kubectl pxauth context"
            " create NAME --from-secret NAMESPACE/SECRET; this one is in the shell's history now",
        )


def refuse_portworx_token(credential: str) -> None:
    """Raise UsageError for a Portworx token in the place of the API server's credential.

    The API server's own JWTs say whom they are for: a service account's has claims of
    kubernetes.io, an identity provider's an audience. Source: Kubernetes docs,
    reference/access-authn-authz/authentication. Portworx tokens have neither.
    """
    if not re.fullmatch(_JWT, credential.strip()):
        return
    claims = _claims(credential)
    if "aud" not in claims and not any(name.startswith("kubernetes.io") for name in claims):
        raise UsageError("--token is for the API server, and this is a Portworx token", _HINT)


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}

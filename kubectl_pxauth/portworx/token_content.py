"""What is written to a token's Secret: data key, labels, annotations."""

from datetime import timedelta
from typing import TYPE_CHECKING

from kubectl_pxauth.cluster.objects import MANAGED_BY, Metadata
from kubectl_pxauth.cluster.secrets import Secret, SecretContent
from kubectl_pxauth.token.claims import CLOCK_SKEW, rfc3339
from kubectl_pxauth.token.minting import MintedToken

if TYPE_CHECKING:
    from kubectl_pxauth.token.verdict import Verdict

AUTH_TOKEN = "auth-token"  # noqa: S105 - a key's name; Portworx looks under no other
SKIP_BACKUP = "stork.libopenstorage.org/skip-resource"
EXPIRES = "kubectl-pxauth/expires"
ISSUER = "kubectl-pxauth/issuer"


def token_secret_content(
    key: str, minted: MintedToken, found: Secret | None, asked: Metadata | None = None
) -> SecretContent:
    """What is to be written so that the Secret holds this token under that key.

    asked are labels and annotations that the user wants on it; others that it has stay.
    """
    asked = asked or Metadata()
    metadata = found.manifest["metadata"] if found else {}
    annotations: dict[str, str | None] = {
        **asked.annotations,
        EXPIRES: rfc3339(minted.claims.expires_at),
        ISSUER: minted.claims.issuer,
    }
    labels = dict(asked.labels)
    # Who said otherwise about backups or the manager of a Secret is not overruled.
    if SKIP_BACKUP not in {**(metadata.get("annotations") or {}), **asked.annotations}:
        annotations[SKIP_BACKUP] = "true"
    if MANAGED_BY not in {**(metadata.get("labels") or {}), **asked.labels}:
        labels[MANAGED_BY] = "kubectl-pxauth"
    return SecretContent({key: minted.token.encode()}, labels, annotations)


def duration_of(secret: Secret, verdict: "Verdict") -> timedelta | None:
    """How long the token in that Secret was made to live from then on; None if it does not say."""
    if verdict.issued_at is None or verdict.expires_at is None:
        return None
    span = verdict.expires_at - verdict.issued_at
    # Our own are set back by this, and would live longer each time they are signed again. Those of
    # `token` have no annotation, but hours that are whole without it.
    ours = span - CLOCK_SKEW
    is_annotated = secret.annotations.get(EXPIRES) == rfc3339(verdict.expires_at)
    if is_annotated or (ours > timedelta() and not ours % timedelta(hours=1)):
        span = ours
    return span if span > timedelta() else None

"""Whether the Secret that a class is to name holds a token that Portworx takes."""

from collections.abc import Iterator
from datetime import datetime

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import find_secret
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.signing import find_trusted_keys
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN
from kubectl_pxauth.portworx.token_secrets import unusable


def secret_problems(
    namespace: str, name: str, source: KeySource, cluster: Cluster, now: datetime, *, needed: str
) -> Iterator[str]:
    """What is wrong with the Secret, as warnings; needed is what can't be done without it."""
    where = f"Secret {namespace}/{name}"
    try:
        secret = find_secret(cluster, namespace, name)
    except ClusterError as error:
        yield f"{where} was not checked for a valid token: {error}"
        return
    if secret is None:
        yield (
            f"{where} does not exist, and without its token {needed}:"
            f" kubectl pxauth issue kubernetes --secret {name} -n {namespace}"
        )
        return
    trusted = find_trusted_keys(cluster, source)
    if trusted.no_key and AUTH_TOKEN in secret.data:
        yield f"the signature of the token in {where} was not checked: {trusted.no_key}"
    if not trusted.no_key:
        yield from trusted.warnings
    if problem := unusable(secret, trusted, now):
        yield f"{where} {problem}"

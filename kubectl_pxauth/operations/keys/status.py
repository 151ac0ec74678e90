"""The operation behind `keys status`: how the key stands, and which tokens it has signed."""

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference, list_secrets
from kubectl_pxauth.errors import DiscoveryError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import attempt
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.key_secret import KeyState
from kubectl_pxauth.portworx.key_status import KeyStatus, read_key_status
from kubectl_pxauth.portworx.signed_tokens import tokens_signed_with


@dataclass(frozen=True)
class TokenCounts:
    """How many Secrets have a token of which key."""

    current: int
    other: int


def find_key_status(
    shared_secret_from: SecretKeyReference | None, portworx_namespace: str | None, cluster: Cluster
) -> tuple[KeyStatus, TokenCounts | PxauthError]:
    """Read the key, the tokens and the pods, and write nothing.

    In place of the counts is the error that says why the tokens can't be listed, if so. Raises
    DiscoveryError where the key is in no Secret, SharedSecretError where it can't be used, and
    ClusterErrors.
    """
    search = Search(cluster, portworx_namespace, near=shared_secret_from)
    reference, stated_by = shared_secret_from, "as given"
    if reference is None:
        key = search.key()
        reference, stated_by = key.reference, key.stated_by
        if reference is None:
            raise DiscoveryError(f"the shared secret of {key.stated_by} is in no Secret")
    status = read_key_status(cluster, search, reference, stated_by)
    return status, attempt(lambda: _count_tokens(cluster, status.state))


def _count_tokens(cluster: Cluster, state: KeyState) -> TokenCounts:
    current = other = 0
    for secret in list_secrets(cluster, None):
        current += any(tokens_signed_with(state.current, secret))
        if state.rotation:
            other += any(tokens_signed_with(state.rotation.other, secret))
    return TokenCounts(current, other)

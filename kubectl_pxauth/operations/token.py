"""Make a token that is stored nowhere in the cluster."""

from collections.abc import Callable

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.token.minting import MintedToken, TokenRequest, identity_for, mint


def make_token(
    request: TokenRequest, namespace: str, source: KeySource, connect: Callable[[], Cluster]
) -> MintedToken:
    """A token that is stored nowhere; the cluster is asked only for a key that is not given.

    A key of the environment alone is compared with the cluster's. Raises as find_signer and
    identity_for do.
    """
    signer = source.local_signer()
    if signer is None:
        from kubectl_pxauth.portworx.signing import signer_for_one_token

        signer = signer_for_one_token(source, connect)
    return mint(request, signer, identity_for(request, namespace, signer.issuer)).latest()

"""Where tokens get their authority from: the key that signs them, and the cluster's JWT issuer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubectl_pxauth.cluster.connection import Ahead, Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.discovery import (
    DEFAULT_ISSUER,
    Names,
    discover,
    find_names,
    read_shared_secret,
)
from kubectl_pxauth.token.jwt import SigningKey
from kubectl_pxauth.token.shared_secret import SharedSecret

if TYPE_CHECKING:
    from kubectl_pxauth.token.verdict import Trust


@dataclass(frozen=True)
class Authority:
    """What makes a token one of this cluster's."""

    issuer: str
    key: SigningKey
    doubts: tuple[str, ...] = ()
    """What is only guessed of it."""

    def warnings(self) -> tuple[str, ...]:
        """What is guessed of it, and what is odd about its key."""
        return (*self.doubts, *self.key.warnings())

    @property
    def trust(self) -> "Trust":
        """What a cluster trusts that takes this authority's tokens."""
        from kubectl_pxauth.token.verdict import Trust

        if isinstance(self.key, SharedSecret):
            return Trust(self.issuer, shared_secret=self.key.value)
        if self.key.algorithm == "RS256":
            return Trust(self.issuer, rsa_public_pem=self.key.public_pem)
        return Trust(self.issuer, ecdsa_public_pem=self.key.public_pem)


@dataclass(frozen=True)
class AuthoritySource:
    """Where the user says that issuer and key are; None where nothing is said.

    portworx_namespace narrows the search for what is not said.
    """

    issuer: str | None = None
    key: SigningKey | None = None
    shared_secret_from: SecretKeyReference | None = None
    portworx_namespace: str | None = None


def local_authority(source: AuthoritySource) -> Authority | None:
    """The authority, if the user gave its key; None where the cluster has to be asked."""
    if source.key is None:
        return None
    return Authority(source.issuer or DEFAULT_ISSUER, source.key)


def find_authority(cluster: Cluster, source: AuthoritySource) -> Authority:
    """The authority, with what the user does not give found in the cluster.

    Raises DiscoveryError where it can't be found, SharedSecretError where it can't be used, and
    ClusterErrors.
    """
    namespace = source.portworx_namespace
    if source.key:
        if source.issuer:
            return Authority(source.issuer, source.key)
        return _authority(find_names(cluster, namespace, None), source.key)
    if reference := source.shared_secret_from:
        if source.issuer:
            return Authority(source.issuer, read_shared_secret(cluster, reference))
        reading = Ahead(lambda: read_shared_secret(cluster, reference))
        names = find_names(cluster, namespace, None, reference)
        return _authority(names, reading.result())
    found = discover(cluster, namespace, source.issuer)
    return _authority(found.names, found.key.shared_secret)


def _authority(names: Names, key: SigningKey) -> Authority:
    return Authority(names.issuer.value, key, names.warnings())

"""Show where the cluster keeps its shared secret, and what its verifier accepts."""

from dataclasses import dataclass

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.portworx.discovery import FoundKey, Search, VerifierSettings, default_issuer


@dataclass(frozen=True)
class Discovery:
    """What the cluster says; not_read names what this user was not allowed to look at."""

    key: FoundKey
    settings: VerifierSettings
    not_read: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is only guessed, and what is odd about the key."""
        return (*self.settings.warnings, *self.key.shared_secret.warnings())


def discover(namespace: str | None, cluster: Cluster) -> Discovery:
    """What the Portworx in that namespace uses, or the only one in the cluster.

    Raises as the methods of Search do.
    """
    search = Search(cluster, namespace)
    key = search.key()
    settings = search.settings(None, default_issuer(key.reference))
    return Discovery(key, settings, (*settings.not_read, *search.secrets_not_read()))

"""Show where the cluster keeps its shared secret, and what its verifier accepts."""

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import NoSharedSecretError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import attempt
from kubectl_pxauth.portworx.discovery import BY_DEFAULT, Search, VerifierSettings, default_issuer
from kubectl_pxauth.portworx.stated_values import FoundKey, FoundText


@dataclass(frozen=True)
class Discovery:
    """What the cluster says.

    Without a key, keyless says why Portworx has none. not_read names what this user was not
    allowed to look at, left_over the shared secrets that nothing gives to Portworx, and not_used
    what is stated and is not so.
    """

    key: FoundKey | None
    keyless: str
    settings: VerifierSettings
    left_over: tuple[SecretKeyReference, ...]
    not_used: tuple[str, ...]
    not_read: tuple[str, ...]

    @property
    def issuer(self) -> FoundText | None:
        """The issuer of self-signed tokens; None where none are taken and nothing names it."""
        issuer = self.settings.issuer
        return issuer if self.key or issuer.stated_by != BY_DEFAULT else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is only guessed, what is not so, and what is odd about the key."""
        if self.key is None:
            return (*self.settings.ignored, *self.not_used)
        key = self.key.shared_secret
        under_way = (key.rotation,) if key.rotation else ()
        return (*under_way, *self.settings.warnings, *self.not_used, *key.warnings())


def discover(namespace: str | None, cluster: Cluster) -> Discovery:
    """What the Portworx in that namespace uses, or the only one in the cluster.

    That authorization is off, or a provider's alone, is a result. Raises as the methods of Search
    do for the rest.
    """
    search = Search(cluster, namespace)
    found = attempt(search.key, (NoSharedSecretError,))
    key = found if isinstance(found, FoundKey) else None
    settings = search.settings(None, default_issuer(key.reference if key else None))
    return Discovery(
        key=key,
        keyless="" if key else str(found),
        settings=settings,
        left_over=() if key else search.left_over(),
        not_used=search.not_used(),
        not_read=(*settings.not_read, *search.secrets_not_read()),
    )

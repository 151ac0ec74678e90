"""What a cluster trusts, so that tokens can be held against it."""

from dataclasses import dataclass

from kubectl_pxauth.cluster.connection import Ahead, Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.discovery import Names, discover, find_names, read_shared_secret
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import Trust, UsernameClaim


@dataclass(frozen=True)
class TrustSource:
    """What the user says that the cluster trusts; None where nothing is said.

    portworx_namespace narrows the search for what is not said.
    """

    issuer: str | None = None
    shared_secret: SharedSecret | None = None
    shared_secret_from: SecretKeyReference | None = None
    rsa_public_pem: bytes | None = None
    ecdsa_public_pem: bytes | None = None
    username_claim: UsernameClaim | None = None
    portworx_namespace: str | None = None

    @property
    def has_key(self) -> bool:
        """Whether a key is at hand, so that none is looked for."""
        return bool(self.shared_secret or self.rsa_public_pem or self.ecdsa_public_pem)

    def trust(
        self, issuer: str | None, shared_secret: SharedSecret | None, claim: str = "sub"
    ) -> Trust:
        """What is trusted, with this beside what the user says."""
        # Portworx takes any other word for sub.
        found: UsernameClaim = "email" if claim == "email" else "name" if claim == "name" else "sub"
        return Trust(
            issuer=issuer,
            shared_secret=shared_secret.value if shared_secret else None,
            rsa_public_pem=self.rsa_public_pem,
            ecdsa_public_pem=self.ecdsa_public_pem,
            username_claim=self.username_claim or found,
        )


def find_trust(cluster: Cluster, source: TrustSource) -> tuple[Trust, Names]:
    """What the cluster trusts, and what it says of it; raises as discover does."""
    namespace, shared_secret = source.portworx_namespace, source.shared_secret
    if source.has_key:
        names = find_names(cluster, namespace, source.issuer)
    elif reference := source.shared_secret_from:
        reading = Ahead(lambda: read_shared_secret(cluster, reference))
        names = find_names(cluster, namespace, source.issuer, reference)
        shared_secret = reading.result()
    else:
        found = discover(cluster, namespace, source.issuer)
        names, shared_secret = found.names, found.key.shared_secret
    trust = source.trust(names.issuer.value, shared_secret, names.username_claim.value)
    return trust, names

"""Where tokens get their authority from: the cluster's shared secret and its JWT issuer.

This is the one place that knows where a cluster keeps them.
"""

from dataclasses import dataclass

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.names import check_data_key, check_namespace, check_secret_name
from kubectl_pxauth.cluster.secrets import find_secret
from kubectl_pxauth.errors import SharedSecretError
from kubectl_pxauth.token.shared_secret import SharedSecret

DEFAULT_ISSUER = "portworx.com"


@dataclass(frozen=True)
class SecretKeyReference:
    """One key of one Secret's data."""

    namespace: str = "kube-system"
    name: str = "pxkeys"
    key: str = "shared-secret"

    @classmethod
    def parse(cls, text: str) -> "SecretKeyReference":
        """Read [NAMESPACE/]NAME[:KEY]; what is left out is kube-system and shared-secret."""
        path, colon, key = text.partition(":")
        namespace, slash, name = path.rpartition("/")
        return cls(
            namespace=check_namespace(namespace) if slash else cls.namespace,
            name=check_secret_name(name),
            key=check_data_key(key) if colon else cls.key,
        )


@dataclass(frozen=True)
class Authority:
    """What makes a token one of this cluster's."""

    issuer: str
    shared_secret: SharedSecret


@dataclass(frozen=True)
class AuthoritySource:
    """Where the user says that issuer and shared secret are; None where nothing is said."""

    issuer: str | None = None
    shared_secret: SharedSecret | None = None
    shared_secret_from: SecretKeyReference | None = None


def local_authority(source: AuthoritySource) -> Authority | None:
    """The authority, if the user gave all of it; None where the cluster has to be asked."""
    if source.shared_secret is None:
        return None
    return Authority(source.issuer or DEFAULT_ISSUER, source.shared_secret)


def find_authority(cluster: Cluster, source: AuthoritySource) -> Authority:
    """The authority, with what the user does not give read from the cluster.

    Raises SharedSecretError where the Secret or its key is missing, and ClusterErrors.
    """
    if local := local_authority(source):
        return local
    reference = source.shared_secret_from or SecretKeyReference()
    return Authority(source.issuer or DEFAULT_ISSUER, _read_shared_secret(cluster, reference))


def _read_shared_secret(cluster: Cluster, reference: SecretKeyReference) -> SharedSecret:
    where = f"Secret {reference.namespace}/{reference.name}"
    secret = find_secret(cluster, reference.namespace, reference.name)
    if secret is None:
        raise SharedSecretError(
            f"{where} not found; the shared secret was to be in it",
            hint="name the Secret that holds it: --shared-secret-from NAMESPACE/NAME:KEY",
        )
    if reference.key not in secret.data:
        keys = ", ".join(sorted(secret.data)) or "none"
        raise SharedSecretError(
            f'{where} has no key "{reference.key}"; its keys: {keys}',
            hint=f"--shared-secret-from {reference.namespace}/{reference.name}:KEY",
        )
    return SharedSecret(secret.data[reference.key], f'{where} key "{reference.key}"')

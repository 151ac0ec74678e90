"""Secrets, read and written."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.names import check_data_key, check_namespace, check_secret_name
from kubectl_pxauth.cluster.objects import refusal, write_query
from kubectl_pxauth.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError

_HELM_RELEASE = "helm.sh/release.v1"
_SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name


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

    def __str__(self) -> str:
        """As parse reads it."""
        return f"{self.namespace}/{self.name}:{self.key}"


@dataclass(frozen=True)
class Secret:
    """A Secret as the API server has it; manifest is the whole object, for printing."""

    namespace: str
    name: str
    data: Mapping[str, bytes] = field(repr=False)
    manifest: dict[str, Any] = field(repr=False)

    @property
    def where(self) -> str:
        """What errors call it."""
        return f"Secret {self.namespace}/{self.name}"

    @property
    def resource_version(self) -> str:
        """The precondition of a write that follows this read."""
        return str(self.manifest["metadata"]["resourceVersion"])

    def operator(self) -> str | None:
        """The StorageCluster whose operator keeps this Secret, if one does."""
        for owner in self.manifest["metadata"].get("ownerReferences") or []:
            group = owner.get("apiVersion", "").partition("/")[0]
            if owner.get("kind") == "StorageCluster" and group == "core.libopenstorage.org":
                return str(owner["name"])
        return None

    def unwritable(self) -> ClusterError | None:
        """Why a token must not be written here, if it must not."""
        who = self.where
        if self.manifest.get("immutable"):
            return ClusterError(
                f"{who} is immutable",
                hint=f"choose another with --secret, or make room for it:"
                f" kubectl delete secret {self.name} -n {self.namespace}",
            )
        if self.manifest.get("type") == _SERVICE_ACCOUNT_TOKEN:
            return ClusterError(
                f"{who} holds a service account's token ({_SERVICE_ACCOUNT_TOKEN})",
                hint="choose another with --secret",
            )
        if storage_cluster := self.operator():
            return ClusterError(
                f"{who} is kept by the Portworx operator (StorageCluster {storage_cluster}),"
                " which would undo the change",
                hint="choose another with --secret",
            )
        return None


@dataclass(frozen=True)
class SecretContent:
    """What this plugin writes into a Secret, and nothing else in it; None removes what is there."""

    data: Mapping[str, bytes | None] = field(repr=False)
    labels: Mapping[str, str]
    annotations: Mapping[str, str | None]

    def manifest(self, namespace: str, name: str) -> dict[str, Any]:
        """A Secret of just this content, as `kubectl apply -f -` takes it."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, **self._metadata()},
            "type": "Opaque",
            "data": self._data(),
        }

    def patch(self, resource_version: str) -> dict[str, Any]:
        """The change to an existing Secret, as a merge patch that is void if it has changed."""
        return {
            "metadata": {"resourceVersion": resource_version, **self._metadata()},
            "data": self._data(),
        }

    def _metadata(self) -> dict[str, Any]:
        return {"labels": dict(self.labels), "annotations": dict(self.annotations)}

    def _data(self) -> dict[str, str | None]:
        return {
            key: None if value is None else base64.b64encode(value).decode()
            for key, value in self.data.items()
        }


def find_secret(cluster: Cluster, namespace: str, name: str) -> Secret | None:
    """The Secret, or None where there is none; raises ForbiddenError and other ClusterErrors."""
    try:
        return _secret(cluster.get(*_path(namespace), name))
    except NotFoundError:
        return None
    except ForbiddenError as error:
        raise _forbidden(error, "get", f"Secret {namespace}/{name}", namespace, name) from None


def list_secrets(
    cluster: Cluster, namespace: str | None, *, name: str | None = None, selector: str | None = None
) -> Iterator[Secret]:
    """Secrets of one namespace or of all, page by page, with this name and these labels if given.

    Helm's releases are left out: they are large, and no tokens. Raises ForbiddenError and other
    ClusterErrors.
    """
    path = _path(namespace) if namespace else ("api", "v1", "secrets")
    query = {"fieldSelector": f"metadata.name={name}" if name else f"type!={_HELM_RELEASE}"}
    if selector:
        query["labelSelector"] = selector
    try:
        for page in cluster.pages(*path, **query):
            yield from map(_secret, page["items"])
    except ForbiddenError as error:
        where = f'namespace "{namespace}"' if namespace else "all namespaces"
        raise _forbidden(error, "list", f"Secrets in {where}", namespace) from None


def create_secret(
    cluster: Cluster, namespace: str, name: str, content: SecretContent, *, dry_run: bool = False
) -> Secret:
    """Make the Secret; raises NotFoundError without its namespace, ConflictError if it exists."""
    try:
        answer = cluster.post(
            *_path(namespace),
            body=content.manifest(namespace, name),
            **write_query(dry_run=dry_run),
        )
    except NotFoundError:
        raise NotFoundError(
            f'namespace "{namespace}" not found', hint=f"kubectl create namespace {namespace}"
        ) from None
    except ForbiddenError as error:
        raise _forbidden(error, "create", f"Secret {namespace}/{name}", namespace, name) from None
    return _secret(answer)


def update_secret(
    cluster: Cluster, secret: Secret, content: SecretContent, *, dry_run: bool = False
) -> Secret:
    """Lay the content over the Secret as it was read; raises ConflictError if it has changed."""
    try:
        answer = cluster.merge_patch(
            *_path(secret.namespace),
            secret.name,
            body=content.patch(secret.resource_version),
            **write_query(dry_run=dry_run),
        )
    except NotFoundError as error:
        raise ConflictError(f"{secret.where}: {error}") from None
    except ForbiddenError as error:
        raise _forbidden(error, "patch", secret.where, secret.namespace, secret.name) from None
    return _secret(answer)


def _path(namespace: str) -> tuple[str, ...]:
    return "api", "v1", "namespaces", namespace, "secrets"


def _secret(manifest: dict[str, Any]) -> Secret:
    metadata = manifest["metadata"]
    metadata.pop("managedFields", None)  # kubectl leaves them out as well
    data = manifest.get("data") or {}
    return Secret(
        namespace=metadata["namespace"],
        name=metadata["name"],
        data={key: base64.b64decode(value) for key, value in data.items()},
        manifest=manifest,
    )


def _forbidden(
    error: ForbiddenError, verb: str, what: str, namespace: str | None, name: str = ""
) -> ForbiddenError:
    return refusal(error, verb, what, resource="secrets", name=name, namespace=namespace)

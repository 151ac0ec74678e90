"""Secrets, read and written."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any, TypeVar

from kubectl_pxauth.cluster.connection import WHOLE, Cluster
from kubectl_pxauth.cluster.names import check_data_key, check_namespace, check_secret_name
from kubectl_pxauth.cluster.objects import (
    FIELD_MANAGER,
    DryRun,
    explain_forbidden,
    holds,
    until_no_conflict,
    write_for_sure,
    write_query,
)
from kubectl_pxauth.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    OutOfOrderError,
    PxauthError,
)
from kubectl_pxauth.frozen import dataclass

_HELM_RELEASE = "helm.sh/release.v1"

Result = TypeVar("Result")


@dataclass(frozen=True)
class SecretKeyReference:
    """One key of one Secret's data."""

    namespace: str
    name: str
    key: str

    @classmethod
    def parse(cls, text: str, default: "SecretKeyReference") -> "SecretKeyReference":
        """Read [NAMESPACE/]NAME[:KEY]; what is left out is the default's. Raises UsageError."""
        path, colon, key = text.partition(":")
        namespace, slash, name = path.rpartition("/")
        return cls(
            namespace=check_namespace(namespace) if slash else default.namespace,
            name=check_secret_name(name),
            key=check_data_key(key) if colon else default.key,
        )

    def __str__(self) -> str:
        """As parse reads it."""
        return f"{self.namespace}/{self.name}:{self.key}"

    @property
    def secret(self) -> str:
        """What errors call the Secret."""
        return f"Secret {self.namespace}/{self.name}"

    @property
    def display_name(self) -> str:
        """What errors call the key."""
        return f'{self.secret} key "{self.key}"'

    def value_in(self, secret: "Secret | None") -> bytes:
        """The value in the Secret that was read; raises NotFoundError where it is not there."""
        if secret is None:
            raise NotFoundError(f"{self.secret} not found")
        if self.key not in secret.data:
            keys = ", ".join(sorted(secret.data)) or "none"
            raise NotFoundError(f'{self.secret} has no key "{self.key}"; its keys: {keys}')
        return secret.data[self.key]


@dataclass(frozen=True)
class Secret:
    """A Secret as the API server has it; manifest is the whole object, for printing.

    managers are the field managers that wrote something of it, and managed_fields says what and
    when, of a Secret that was read by its name.
    """

    namespace: str
    name: str
    data: Mapping[str, bytes] = field(repr=False)
    manifest: dict[str, Any] = field(repr=False)
    managed_fields: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    managers: tuple[str, ...] = ()

    @property
    def display_name(self) -> str:
        """What errors call it."""
        return f"Secret {self.namespace}/{self.name}"

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""
        return self.manifest["metadata"].get("annotations") or {}

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.manifest["metadata"].get("labels") or {}

    @property
    def resource_version(self) -> str:
        """The precondition of a write that follows this read."""
        return str(self.manifest["metadata"]["resourceVersion"])

    def with_only(self, key: str) -> "Secret":
        """The same without its other data, which may be large: where many are kept at a time."""
        manifest = {name: part for name, part in self.manifest.items() if name != "data"}
        return replace(self, data={key: self.data[key]}, manifest=manifest)


@dataclass(frozen=True)
class SecretFailure:
    """A Secret that could not be written, and why."""

    namespace: str
    secret: str
    error: PxauthError


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

    def is_in(self, manifest: dict[str, Any] | None) -> bool:
        """Whether a Secret has all of this content."""
        return manifest is not None and holds(
            manifest, {"metadata": self._metadata(), "data": self._data()}
        )

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
        manifest = cluster.get(*_path(namespace), name)
        fields = tuple(manifest["metadata"].get("managedFields") or ())
        return replace(secret_of(manifest), managed_fields=fields)
    except NotFoundError:
        return None
    except ForbiddenError as error:
        raise _forbidden(error, f"Secret {namespace}/{name}", namespace, name) from None


def list_secrets(
    cluster: Cluster, namespace: str | None, *, name: str | None = None, selector: str | None = None
) -> Iterator[Secret]:
    """Secrets of one namespace or of all, page by page, with this name and these labels if given.

    What Helm keeps of its releases is left out: it is large, and no token. What has that type and
    is not labelled as Helm's (helm/helm, pkg/storage/driver/secrets.go) is not. Raises
    ForbiddenError and other ClusterErrors.
    """
    path = _path(namespace) if namespace else ("api", "v1", "secrets")
    query = {"fieldSelector": f"metadata.name={name}" if name else f"type!={_HELM_RELEASE}"}
    if selector:
        query["labelSelector"] = selector
    try:
        yield from map(secret_of, cluster.items(*path, **query))
        if not name:
            labels = ",".join(filter(None, (selector, "owner!=helm")))
            query = {"fieldSelector": f"type={_HELM_RELEASE}", "labelSelector": labels}
            yield from map(secret_of, cluster.items(*path, **query))
    except OutOfOrderError:
        if selector:
            raise
        # One Secret that the server can't decrypt puts its cache out of order. A list without
        # selectors it reads from etcd, which is well in every other namespace.
        for secret in map(secret_of, cluster.items(*path)):
            if name in (None, secret.name) and not _is_helms(secret):
                yield secret
    except ForbiddenError as error:
        where = f'namespace "{namespace}"' if namespace else "all namespaces"
        raise _forbidden(error, f"Secrets in {where}", namespace) from None


def _is_helms(secret: Secret) -> bool:
    return secret.manifest.get("type") == _HELM_RELEASE and secret.labels.get("owner") == "helm"


def create_secret(
    cluster: Cluster, namespace: str, name: str, content: SecretContent, dry_run: DryRun
) -> Secret:
    """Make the Secret; a client-side dry run returns what would be sent.

    Raises NotFoundError where its namespace does not exist, ConflictError where the Secret does,
    and other ClusterErrors.
    """
    manifest = content.manifest(namespace, name)
    if dry_run is DryRun.CLIENT:
        return secret_of(manifest)
    try:
        query = write_query(dry_run)
        answer = write_for_sure(
            cluster,
            f"Secret {namespace}/{name}",
            (*_path(namespace), name),
            lambda: cluster.post(*_path(namespace), body=manifest, **query),
            dry_run=dry_run,
            done=content.is_in,
            free=lambda there: there is None,
        )
    except NotFoundError:
        raise NotFoundError(
            f'namespace "{namespace}" not found', hint=f"kubectl create namespace {namespace}"
        ) from None
    except ForbiddenError as error:
        raise _forbidden(error, f"Secret {namespace}/{name}", namespace, name) from None
    return secret_of(answer)


def update_secret(
    cluster: Cluster,
    secret: Secret,
    content: SecretContent,
    dry_run: DryRun,
    manager: str = FIELD_MANAGER,
    *,
    answer: str = WHOLE,
) -> Secret:
    """Lay the content over the Secret as it was read; a client-side dry run returns the content.

    manager is the field manager that the API server notes. With METADATA for an answer the Secret
    that is returned has no data.

    Raises ConflictError where the Secret has changed since, and other ClusterErrors.
    """
    if dry_run is DryRun.CLIENT:
        return secret_of(content.manifest(secret.namespace, secret.name))
    try:
        path, query = (*_path(secret.namespace), secret.name), write_query(dry_run, manager)
        body = content.patch(secret.resource_version)
        written = write_for_sure(
            cluster,
            secret.display_name,
            path,
            lambda: cluster.merge_patch(*path, body=body, answer=answer, **query),
            dry_run=dry_run,
            done=content.is_in,
            free=lambda there: holds(
                there, {"metadata": {"resourceVersion": secret.resource_version}}
            ),
        )
    except NotFoundError as error:
        raise ConflictError(f"{secret.display_name}: {error}") from None
    except ForbiddenError as error:
        raise _forbidden(error, secret.display_name, secret.namespace, secret.name) from None
    return secret_of(written)


def write_secret(
    cluster: Cluster,
    namespace: str,
    name: str,
    found: Secret | None,
    write: Callable[[Secret | None], Result],
) -> Result:
    """Write over the Secret as it was found; after a conflict it is read and written again.

    write takes the Secret, or None where there is none, and raises ConflictError where that is
    no longer so. Raises the last attempt's ConflictError.
    """
    return until_no_conflict(found, write, read=lambda: find_secret(cluster, namespace, name))


def _path(namespace: str) -> tuple[str, ...]:
    return "api", "v1", "namespaces", namespace, "secrets"


def secret_of(manifest: dict[str, Any]) -> Secret:
    """The Secret that is this object."""
    metadata = manifest["metadata"]
    fields = metadata.pop("managedFields", None) or ()  # kubectl leaves them out as well
    managers = tuple(one.get("manager", "") for one in fields)
    namespace, name = metadata["namespace"], metadata["name"]
    try:
        data = {key: base64.b64decode(value) for key, value in (manifest.get("data") or {}).items()}
    except (ValueError, TypeError, AttributeError):
        raise ClusterError(f"Secret {namespace}/{name}: its data is not base64") from None
    return Secret(namespace, name, data, manifest, managers=managers)


def _forbidden(
    error: ForbiddenError, what: str, namespace: str | None, name: str = ""
) -> ForbiddenError:
    return explain_forbidden(error, what, resource="secrets", name=name, namespace=namespace)

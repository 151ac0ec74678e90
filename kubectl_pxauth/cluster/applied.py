"""Objects of any kind that are applied whole, by server-side apply, and told by their labels."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import (
    Change,
    DryRun,
    explain_forbidden,
    holds,
    write_for_sure,
    write_query,
)
from kubectl_pxauth.errors import ConflictError, ForbiddenError, NotFoundError
from kubectl_pxauth.frozen import dataclass

_ATTEMPTS = 5
# What the API server says where another manager has a field. Source: kubernetes/apimachinery,
# pkg/util/managedfields/internal/conflict.go.
_FIELD_CONFLICT = "Apply failed with"
_SERVERS_OWN = ("managedFields", "resourceVersion")  # of an object's metadata


@dataclass(frozen=True)
class Kind:
    """A kind of object, and where the API server keeps it."""

    name: str
    plural: str
    group: str = ""
    namespaced: bool = True
    version: str = "v1"

    @property
    def api_version(self) -> str:
        """What a manifest has to say."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """What RBAC and kubectl call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None) -> tuple[str, ...]:
        """Where its objects are, of one namespace or of all."""
        root = ("apis", self.group) if self.group else ("api",)
        scope = ("namespaces", namespace) if namespace else ()
        return (*root, self.version, *scope, self.plural)


@dataclass(frozen=True)
class Applied:
    """An object of a kind; manifest is the whole of it, as it is or as it is wanted."""

    kind: Kind
    manifest: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """Its name in its namespace, or in the cluster."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """Its namespace; None where its kind has none."""
        namespace: str | None = self.manifest["metadata"].get("namespace")
        return namespace

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.manifest["metadata"].get("labels") or {}

    @property
    def identity(self) -> tuple[Kind, str | None, str]:
        """What tells it from every other object."""
        return self.kind, self.namespace, self.name

    @property
    def display_name(self) -> str:
        """What errors call it."""
        return f"{self.kind.name} {f'{self.namespace}/' if self.namespace else ''}{self.name}"

    @property
    def kubectl_name(self) -> str:
        """What kubectl calls it."""
        kind = self.kind.name.lower()
        return f"{kind}.{self.kind.group}/{self.name}" if self.kind.group else f"{kind}/{self.name}"


def manifest_of(
    kind: Kind,
    namespace: str | None,
    name: str,
    content: Mapping[str, object],
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> Applied:
    """An object to apply: what is to stand in it besides its name, labels and annotations."""
    metadata: dict[str, object] = {"name": name}
    metadata |= {"namespace": namespace} if namespace else {}
    metadata |= {"labels": dict(labels)}
    metadata |= {"annotations": dict(annotations)} if annotations else {}
    manifest = {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": metadata,
        **content,
    }
    return Applied(kind, manifest)


def owned_by_namespace(new: Applied, namespace: str, uid: str) -> Applied:
    """The same object, which Kubernetes' garbage collector deletes when that namespace is gone.

    A namespace is no object of a namespace, and so may own objects in any.
    Source: kubernetes/website, concepts/architecture/garbage-collection.
    """
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid}
    metadata = new.manifest["metadata"] | {"ownerReferences": [owner]}
    return Applied(new.kind, new.manifest | {"metadata": metadata})


def find_applied(cluster: Cluster, like: Applied) -> Applied | None:
    """The object of that kind, namespace and name, or None; raises ClusterErrors."""
    try:
        return Applied(like.kind, cluster.get(*like.kind.path(like.namespace), like.name))
    except NotFoundError:
        return None
    except ForbiddenError as error:
        raise _forbidden(error, like) from None


def list_applied(
    cluster: Cluster, kind: Kind, namespace: str | None, selector: str
) -> Iterator[Applied]:
    """The objects with these labels, of one namespace or of all; raises ClusterErrors."""
    try:
        for item in cluster.items(*kind.path(namespace), labelSelector=selector):
            # In a list they go without saying.
            yield Applied(kind, {"apiVersion": kind.api_version, "kind": kind.name} | item)
    except ForbiddenError as error:
        raise explain_forbidden(
            error,
            f"{kind.name}s",
            resource=kind.resource,
            name="",
            namespace=namespace if kind.namespaced else "",
        ) from None


def apply(
    cluster: Cluster, new: Applied, found: Applied | None, dry_run: DryRun
) -> tuple[Change, Applied]:
    """Make the object, or change what was found to what is wanted; what others set stays.

    A client-side dry run returns what would be sent.

    Raises ConflictError where somebody else set one of the wanted fields otherwise, and
    ForbiddenError, NotFoundError and other ClusterErrors.
    """
    if dry_run is DryRun.CLIENT:
        return Change.CONFIGURED if found else Change.CREATED, new
    try:
        path = (*new.kind.path(new.namespace), new.name)
        query = write_query(dry_run)
        answer = write_for_sure(
            cluster,
            new.display_name,
            path,
            lambda: _send(cluster, path, new.manifest, query),
            dry_run=dry_run,
            done=lambda there: holds(there, new.manifest),
        )
    except NotFoundError:
        raise NotFoundError(
            f'namespace "{new.namespace}" not found',
            hint=f"kubectl create namespace {new.namespace}",
        ) from None
    except ForbiddenError as error:
        raise _forbidden(error, new) from None
    except ConflictError as error:
        raise ConflictError(f"{new.display_name} was changed by somebody else: {error}") from None
    if found is None:
        change = Change.CREATED
    else:
        same = _content(found.manifest) == _content(answer)
        change = Change.UNCHANGED if same else Change.CONFIGURED
    answer["metadata"].pop("managedFields", None)  # kubectl leaves them out as well
    return change, Applied(new.kind, answer)


def _send(
    cluster: Cluster, path: tuple[str, ...], manifest: dict[str, Any], query: dict[str, str]
) -> dict[str, Any]:
    """Apply it, and again where somebody deletes it in that moment: that is a conflict, too.

    Source: kubernetes/apiserver, pkg/storage/errors/storage.go (InterpretUpdateError).
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return cluster.apply(*path, body=manifest, **query)
        except ConflictError as error:
            if _FIELD_CONFLICT in str(error):
                raise
    return cluster.apply(*path, body=manifest, **query)


def delete(cluster: Cluster, found: Applied, dry_run: DryRun) -> None:
    """Delete the very object that was read, and then what it owns; gone already is no error.

    Raises ConflictError where another has taken its name, ForbiddenError and other ClusterErrors.
    """
    if dry_run is DryRun.CLIENT:
        return
    # The server reads no query where there is a body.
    options: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": found.manifest["metadata"]["uid"]},
        "propagationPolicy": "Background",
        "dryRun": ["All"] if dry_run is DryRun.SERVER else [],
    }
    try:
        path = (*found.kind.path(found.namespace), found.name)
        write_for_sure(
            cluster,
            found.display_name,
            path,
            lambda: cluster.delete(*path, body=options),
            dry_run=dry_run,
            done=lambda there: _is_gone(there, found),
        )
    except NotFoundError:
        return
    except ForbiddenError as error:
        raise _forbidden(error, found) from None


def _is_gone(there: dict[str, Any] | None, found: Applied) -> bool:
    """Whether an object is deleted, or on its way out."""
    metadata = (there or {}).get("metadata", {})
    return metadata.get("uid") != found.manifest["metadata"]["uid"] or (
        "deletionTimestamp" in metadata
    )


def _content(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        key: value for key, value in manifest["metadata"].items() if key not in _SERVERS_OWN
    }
    return manifest | {"metadata": metadata}


def _forbidden(error: ForbiddenError, refused: Applied) -> ForbiddenError:
    return explain_forbidden(
        error,
        refused.display_name,
        resource=refused.kind.resource,
        name=refused.name,
        namespace=refused.namespace or "",
    )

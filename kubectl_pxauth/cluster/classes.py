"""What StorageClasses and VolumeSnapshotClasses share: how they are read and written."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, ClassVar, Protocol, TypeVar

from kubectl_pxauth.cluster.applied import Kind
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import (
    MANAGED_BY,
    Change,
    DryRun,
    Metadata,
    explain_forbidden,
    holds,
    until_no_conflict,
    write_for_sure,
    write_query,
)
from kubectl_pxauth.errors import ConflictError, ForbiddenError, NotFoundError
from kubectl_pxauth.frozen import dataclass


@dataclass(frozen=True)
class AnyClass:
    """A class as the API server has it; manifest is the whole object, for printing."""

    manifest: dict[str, Any] = field(repr=False)

    KIND: ClassVar[Kind]
    DEFAULTS: ClassVar[tuple[str, ...]]
    """The annotations that make it the default; we write the first one."""

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        return str(self.manifest["metadata"]["name"])

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""
        return self.manifest["metadata"].get("annotations") or {}

    @property
    def is_default(self) -> bool:
        """Whether Kubernetes takes it where no class is named."""
        return any(self.annotations.get(key) == "true" for key in self.DEFAULTS)

    @property
    def parameters(self) -> Mapping[str, str]:
        """What its driver is told."""
        return self.manifest.get("parameters") or {}


Class = TypeVar("Class", bound=AnyClass)
Compared_contra = TypeVar("Compared_contra", bound=AnyClass, contravariant=True)


class ClassContent(Protocol[Compared_contra]):
    """What this plugin writes into a class."""

    def manifest(self, name: str) -> dict[str, Any]:
        """A class of just this content, as `kubectl apply -f -` takes it."""

    def change(self, found: Compared_contra) -> dict[str, Any]:
        """The fields to change, as a merge patch; empty where there are none.

        Raises ClusterError where what would have to change can't.
        """


def class_manifest(
    kind: type[AnyClass],
    name: str,
    content: Mapping[str, object],
    *,
    default: bool | None,
    asked: Metadata,
) -> dict[str, Any]:
    """A class to make; a default of None leaves it to others whether it is the default."""
    annotations = dict(asked.annotations)
    if default is not None:
        annotations[kind.DEFAULTS[0]] = _text(default)
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {MANAGED_BY: "kubectl-pxauth", **asked.labels},
    }
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": kind.KIND.api_version,
        "kind": kind.KIND.name,
        "metadata": metadata,
        **content,
    }


def metadata_change(found: AnyClass, *, default: bool | None, asked: Metadata) -> dict[str, Any]:
    """The labels and annotations to change, as a merge patch of the class's metadata."""
    change: dict[str, Any] = {}
    if not asked.is_on(found.manifest):
        change = {"labels": dict(asked.labels), "annotations": dict(asked.annotations)}
    if default is not None and default != found.is_default:
        present = [key for key in found.DEFAULTS if key in found.annotations]
        keys = found.DEFAULTS[:1] if default else present
        change["annotations"] = change.get("annotations", {}) | dict.fromkeys(keys, _text(default))
    return change


def make_class(
    cluster: Cluster, kind: type[Class], name: str, content: ClassContent[Class], dry_run: DryRun
) -> tuple[Change, Class]:
    """Make the class, or change what differs and may change; raises ClusterErrors."""

    def write(found: Class | None) -> tuple[Change, Class]:
        if found is None:
            return Change.CREATED, _create(cluster, kind(content.manifest(name)), dry_run)
        if change := content.change(found):
            return Change.CONFIGURED, _update(cluster, found, change, dry_run)
        return Change.UNCHANGED, found

    def read() -> Class | None:
        return find_class(cluster, kind, name)

    return until_no_conflict(read(), write, read)


def find_class(cluster: Cluster, kind: type[Class], name: str) -> Class | None:
    """The class, or None where there is none; raises ForbiddenError and other ClusterErrors."""
    try:
        return _without_managed_fields(kind(cluster.get(*kind.KIND.path(None), name)))
    except NotFoundError:
        return None
    except ForbiddenError as error:
        raise _forbidden(error, kind.KIND, name) from None


def list_classes(cluster: Cluster, kind: type[Class]) -> Iterator[Class]:
    """All classes of a kind.

    Raises NotFoundError where the API server has no such kind, ForbiddenError and other
    ClusterErrors.
    """
    try:
        for item in cluster.items(*kind.KIND.path(None)):
            yield _without_managed_fields(kind(item))
    except ForbiddenError as error:
        raise _forbidden(error, kind.KIND) from None


def _create(cluster: Cluster, new: Class, dry_run: DryRun) -> Class:
    kind, path = new.KIND, new.KIND.path(None)
    try:
        answer = write_for_sure(
            cluster,
            f"{kind.name} {new.name}",
            (*path, new.name),
            lambda: cluster.post(*path, body=new.manifest, **write_query(dry_run)),
            dry_run=dry_run,
            done=lambda there: holds(there, new.manifest),
            free=lambda there: there is None,
        )
    except ForbiddenError as error:
        raise _forbidden(error, kind, new.name) from None
    return _without_managed_fields(type(new)(answer))


def _update(cluster: Cluster, found: Class, change: dict[str, Any], dry_run: DryRun) -> Class:
    """Lay the change over the class as it was read; raises ConflictError if it changed."""
    kind, path = found.KIND, (*found.KIND.path(None), found.name)
    precondition = {"resourceVersion": found.manifest["metadata"]["resourceVersion"]}
    body = change | {"metadata": precondition | change.get("metadata", {})}
    try:
        answer = write_for_sure(
            cluster,
            f"{kind.name} {found.name}",
            path,
            lambda: cluster.merge_patch(*path, body=body, **write_query(dry_run)),
            dry_run=dry_run,
            done=lambda there: holds(there, change),
            free=lambda there: holds(there, {"metadata": precondition}),
        )
    except NotFoundError as error:
        raise ConflictError(f"{kind.name} {found.name}: {error}") from None
    except ForbiddenError as error:
        raise _forbidden(error, kind, found.name) from None
    return _without_managed_fields(type(found)(answer))


def _without_managed_fields(found: Class) -> Class:
    found.manifest["metadata"].pop("managedFields", None)  # kubectl leaves them out as well
    return found


def _text(value: bool) -> str:
    return "true" if value else "false"


def _forbidden(error: ForbiddenError, kind: Kind, name: str = "") -> ForbiddenError:
    what = f"{kind.name} {name}" if name else f"{kind.name}es"
    return explain_forbidden(error, what, resource=kind.resource, name=name, namespace="")

"""Make the VolumeSnapshotClass that asks for snapshots with a Secret's token, or change it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun, Metadata
from kubectl_pxauth.cluster.secret_templates import is_template
from kubectl_pxauth.cluster.snapshot_classes import (
    SnapshotClass,
    SnapshotClassContent,
    list_snapshot_classes,
)
from kubectl_pxauth.cluster.storage_classes import ReclaimPolicy
from kubectl_pxauth.errors import ClusterError, NotFoundError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.classes import ClassResult, make_class_and_check, secret_problems
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.volumes import Provisioner, snapshot_parameters


@dataclass(frozen=True)
class SnapshotClassRequest:
    """A VolumeSnapshotClass, the Secret with its token, and how it is to be written.

    secret and namespace may have templates. parameters are those for Portworx. None for the policy
    or the default leaves it as it is.
    """

    name: str
    secret: str
    namespace: str
    parameters: Mapping[str, str]
    deletion_policy: ReclaimPolicy | None
    default: bool | None
    dry_run: DryRun
    metadata: Metadata = field(default_factory=Metadata)

    def content(self) -> SnapshotClassContent:
        """What is to stand in the VolumeSnapshotClass."""
        listed = not is_template(self.namespace + self.secret)
        return SnapshotClassContent(
            driver=str(Provisioner.CSI),
            parameters={
                **self.parameters,
                **snapshot_parameters(self.secret, self.namespace, listed=listed),
            },
            deletion_policy=self.deletion_policy,
            default=self.default,
            asked=self.metadata,
        )


def make_snapshot_class(
    request: SnapshotClassRequest, source: KeySource, connect: Callable[[], Cluster]
) -> ClassResult:
    """Make the VolumeSnapshotClass, or change what differs; its Secret is looked at as well.

    A client-side dry run calls nobody. Raises PxauthErrors, and then has changed nothing.
    """
    try:
        return make_class_and_check(
            SnapshotClass,
            request.name,
            request.content(),
            request.dry_run,
            connect=connect,
            find_warnings=lambda cluster: _warnings(request, source, cluster),
        )
    except NotFoundError:
        raise NotFoundError(
            "this cluster knows no VolumeSnapshotClasses",
            hint="its CRDs come with the snapshot controller: kubectl get crd"
            f" {SnapshotClass.KIND.resource}",
        ) from None


def _warnings(request: SnapshotClassRequest, source: KeySource, cluster: Cluster) -> Iterator[str]:
    """What will keep the class from working as its user means it; it is made all the same."""
    if request.default:
        yield from _other_defaults(request.name, cluster)
    needed = "no snapshot of the class can be made"
    yield from secret_problems(request.namespace, request.secret, source, cluster, needed=needed)


def _other_defaults(name: str, cluster: Cluster) -> Iterator[str]:
    """Two defaults of one driver make all snapshots fail that name none.

    Source: kubernetes-csi/external-snapshotter, pkg/common-controller/snapshot_controller.go
    (SetDefaultSnapshotClass).
    """
    try:
        classes = list_snapshot_classes(cluster) or []
    except ClusterError as error:
        yield f"whether another VolumeSnapshotClass is the default could not be read: {error}"
        return
    others = [
        other.name
        for other in classes
        if other.is_default and other.driver == Provisioner.CSI and other.name != name
    ]
    if others:
        yield (
            f"there are other default VolumeSnapshotClasses of {Provisioner.CSI}:"
            f" {', '.join(others)}; snapshots that name no class fail until one is left"
        )

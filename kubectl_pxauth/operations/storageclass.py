"""Make the StorageClass that asks for volumes with a Secret's token, or bring it up to date."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from kubectl_pxauth.cluster.access import server_version
from kubectl_pxauth.cluster.classes import list_classes
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun, Metadata
from kubectl_pxauth.cluster.storage_classes import (
    ReclaimPolicy,
    StorageClass,
    StorageClassContent,
)
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.classes import ClassResult, make_class_and_check, secret_problems
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.volumes import Provisioner, in_tree_doubt, storage_parameters


@dataclass(frozen=True)
class StorageClassRequest:
    """A StorageClass, the Secret with its token, and how it is to be written.

    secret and namespace may have templates. direct_access is whether its volumes are of a
    FlashArray or a FlashBlade by themselves. parameters are all of the class but those that name
    the Secret. None for the expansion or the default leaves it as it is.
    """

    name: str
    secret: str
    namespace: str
    provisioner: Provisioner
    direct_access: bool
    parameters: Mapping[str, str]
    reclaim_policy: ReclaimPolicy
    allow_volume_expansion: bool | None
    default: bool | None
    dry_run: DryRun
    metadata: Metadata = field(default_factory=Metadata)

    def content(self) -> StorageClassContent:
        """What is to stand in the StorageClass."""
        secret = storage_parameters(
            self.provisioner, self.secret, self.namespace, direct_access=self.direct_access
        )
        return StorageClassContent(
            provisioner=str(self.provisioner),
            parameters={**self.parameters, **secret},
            reclaim_policy=self.reclaim_policy,
            allow_volume_expansion=self.allow_volume_expansion,
            default=self.default,
            asked=self.metadata,
        )


def make_storage_class(
    request: StorageClassRequest, source: KeySource, connect: Callable[[], Cluster]
) -> ClassResult:
    """Make the StorageClass, or change what may change of it; its Secret is looked at as well.

    A client-side dry run calls nobody. Raises PxauthErrors, and then has changed nothing.
    """
    return make_class_and_check(
        StorageClass,
        request.name,
        request.content(),
        request.dry_run,
        connect=connect,
        find_warnings=lambda cluster: _warnings(request, source, cluster),
    )


def _warnings(request: StorageClassRequest, source: KeySource, cluster: Cluster) -> Iterator[str]:
    """What will keep the class from working as its user means it; it is made all the same."""
    if request.default:
        yield from _other_defaults(request.name, cluster)
    if request.provisioner is Provisioner.IN_TREE:
        yield from _in_tree_problems(request, cluster)
    needed = "no volume of the class can be made"
    yield from secret_problems(request.namespace, request.secret, source, cluster, needed=needed)


def _in_tree_problems(request: StorageClassRequest, cluster: Cluster) -> Iterator[str]:
    try:
        version = server_version(cluster)
    except ClusterError as error:
        yield f"what Kubernetes makes of {request.provisioner} could not be told: {error}"
        return
    if doubt := in_tree_doubt(request.namespace, request.secret, version):
        yield f"{doubt}; without --in-tree this is no concern"


def _other_defaults(name: str, cluster: Cluster) -> Iterator[str]:
    try:
        classes = list(list_classes(cluster, StorageClass))
    except ClusterError as error:
        yield f"whether another StorageClass is the default could not be read: {error}"
        return
    others = ", ".join(other.name for other in classes if other.is_default and other.name != name)
    if others:
        yield (
            f"there are other default StorageClasses: {others}; Kubernetes takes the one that was"
            " made last"
        )

"""How classes name the Secrets with the tokens that Portworx is asked with, and what each is for.

Sources: which pairs of parameters there are, and that csi.storage.k8s.io/secret-… stands for those
that are not there: kubernetes-csi/external-provisioner, pkg/controller/controller.go
(getSecretReference). Which calls take their token from a Secret: libopenstorage/openstorage, csi/
(setupContext). What Kubernetes makes of the old provisioner's pair: kubernetes/csi-translation-lib,
plugins/portworx.go (TranslateInTreeStorageClassToCSI). Which ones Direct Access volumes want, and
which a VolumeSnapshotClass: Portworx docs. Those of groups of snapshots: kubernetes-csi/
external-snapshotter, pkg/utils/util.go.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from kubectl_pxauth.portworx.settings import OPERATORS_TOKENS

CLAIMS_NAMESPACE = "${pvc.namespace}"  # which the CSI provisioner fills in
SNAPSHOTS_NAMESPACE = "${volumesnapshot.namespace}"  # which the CSI snapshotter fills in
CLAIMS_SECRET = "openstorage.io/auth-secret"  # noqa: S105 - what annotations begin with
"""What the annotations of a claim or a volume begin with that name its Secret, as well as the
parameters of the old provisioner, before -name and -namespace."""

_CSI_TAKES_OVER = (1, 31)
_VERSION = re.compile(r"v(\d+)\.(\d+)")


class Provisioner(StrEnum):
    """What makes Portworx' volumes; the first is the driver of their snapshots as well."""

    CSI = "pxd.portworx.com"
    IN_TREE = "kubernetes.io/portworx-volume"


class Purpose(StrEnum):
    """What a Secret's token is needed for; each names a pair of a StorageClass's parameters."""

    MAKE = "provisioner"
    MOUNT = "node-publish"
    GROW = "controller-expand"
    STAGE = "node-stage"
    ATTACH = "controller-publish"
    GROW_ON_NODE = "node-expand"
    MODIFY = "controller-modify"

    @property
    def pair(self) -> str:
        """What the two parameters begin with, before -name and -namespace."""
        return f"csi.storage.k8s.io/{self}-secret"


_OLD_NAMES = {
    f"{purpose.pair}-{part.lower()}": f"csi{old}Secret{part}"
    for purpose, old in (
        (Purpose.MAKE, "Provisioner"),
        (Purpose.MOUNT, "NodePublish"),
        (Purpose.STAGE, "NodeStage"),
        (Purpose.ATTACH, "ControllerPublish"),
    )
    for part in ("Name", "Namespace")
}


def with_new_names(parameters: Mapping[str, str]) -> dict[str, str]:
    """A StorageClass's parameters, with the names of today for those that name a Secret.

    The CSI provisioner still takes the old ones: kubernetes-csi/external-provisioner,
    pkg/controller/controller.go (verifyAndGetSecretNameAndNamespaceTemplate).
    """
    old = {new: parameters[old] for new, old in _OLD_NAMES.items() if old in parameters}
    return old | dict(parameters)


def secret_of_pair(parameters: Mapping[str, str], pair: str) -> tuple[str, str] | None:
    """The namespace and name that a class has for a pair, templates as they stand.

    None where it has neither parameter. One that is empty or missing is empty here: that fails.
    """
    keys = f"{pair}-namespace", f"{pair}-name"
    if not any(key in parameters for key in keys):
        return None
    return parameters.get(keys[0], ""), parameters.get(keys[1], "")


def missing_parameter(pair: str, secret: tuple[str, str]) -> str | None:
    """The parameter that a pair lacks, where there is the other one alone."""
    namespace, name = secret
    if bool(namespace) == bool(name):
        return None
    return f"{pair}-name" if namespace else f"{pair}-namespace"


DEFAULT_PAIR = "csi.storage.k8s.io/secret"
"""The pair that stands for every other one that a StorageClass does not have."""

_USUAL = (Purpose.MAKE, Purpose.MOUNT, Purpose.GROW)
_DIRECT_ACCESS = (Purpose.STAGE, Purpose.ATTACH)
_SNAPSHOTTER = "csi.storage.k8s.io/snapshotter-secret"
_SNAPSHOT_LIST = "csi.storage.k8s.io/snapshotter-list-secret"
SNAPSHOT_PAIRS = (_SNAPSHOTTER, _SNAPSHOT_LIST)
"""Those of a VolumeSnapshotClass: to make and delete snapshots, and to look at those that were not
made through Kubernetes."""
GROUP_SNAPSHOT_PAIRS = (
    "csi.storage.k8s.io/group-snapshotter-secret",
    "csi.storage.k8s.io/group-snapshotter-get-secret",
)
"""Those of a VolumeGroupSnapshotClass, in the same order."""

WITHOUT = {
    Purpose.MAKE: "volumes are made and deleted without a token",
    Purpose.MOUNT: "volumes are mounted without a token",
    Purpose.GROW: "volumes grow without a token",
    Purpose.STAGE: "Direct Access volumes are attached on their node without a token",
    Purpose.ATTACH: "Direct Access volumes are attached and detached without a token",
}
"""What happens where a StorageClass does not have the pair."""

SECRET_PARAMETERS = frozenset(
    f"{pair}-{part}"
    for pair in (*(one.pair for one in Purpose), DEFAULT_PAIR, CLAIMS_SECRET, *SNAPSHOT_PAIRS)
    for part in ("name", "namespace")
) | frozenset(map(str.lower, _OLD_NAMES.values()))
"""The names of all parameters that name a Secret, of each kind of class, in lower case."""


def is_direct_access(parameters: Mapping[str, str]) -> bool:
    """Whether a StorageClass's volumes are of a FlashArray or a FlashBlade by themselves.

    Source: Portworx docs, PX-CSI, reference/storage-class (parameters.backend).
    """
    return parameters.get("backend") in ("pure_block", "pure_file", "pure_fa_file")


def purposes(*, expands: bool, direct_access: bool) -> tuple[Purpose, ...]:
    """What such a StorageClass needs a token for."""
    every = _USUAL + (_DIRECT_ACCESS if direct_access else ())
    return tuple(one for one in every if expands or one is not Purpose.GROW)


def in_tree_doubt(namespace: str, name: str, version: str) -> str | None:
    """Why volumes of the old provisioner may not be mounted with that Secret, None if they are.

    version is the API server's, as v1.37.2. From 1.31 on Kubernetes hands such volumes to CSI, with
    the Secret that their annotations name, as it stands there: TranslateInTreePVToCSI of
    kubernetes/csi-translation-lib, plugins/portworx.go. A kubelet can read the Secrets that a pod
    of its node mounts, which the operator's DaemonSet portworx-api does with two: Portworx operator
    release notes, 24.2.3.
    """
    found = _VERSION.match(version)
    handed_over = found is None or (int(found[1]), int(found[2])) >= _CSI_TAKES_OVER
    template = "$" in namespace + name
    if handed_over and (template or name not in OPERATORS_TOKENS):
        return (
            f"Secret {namespace}/{name} may not be read when a volume is mounted: Kubernetes"
            f" {version} mounts those of {Provisioner.IN_TREE} by CSI, and a kubelet reads only"
            f" {' and '.join(OPERATORS_TOKENS)} of Portworx' namespace then, or what a DaemonSet"
            " of your own mounts"
        )
    if template:
        return (
            f"Secret {namespace}/{name}: Kubernetes {version} leaves it to Portworx whether"
            " anything is filled in there"
        )
    return None


def storage_parameters(
    provisioner: Provisioner, name: str, namespace: str, *, direct_access: bool
) -> dict[str, str]:
    """The StorageClass's parameters that name the token's Secret."""
    if provisioner is Provisioner.IN_TREE:
        return _parameters((CLAIMS_SECRET,), name, namespace)
    needed = purposes(expands=True, direct_access=direct_access)
    return _parameters(tuple(purpose.pair for purpose in needed), name, namespace)


def snapshot_parameters(name: str, namespace: str, *, listed: bool) -> dict[str, str]:
    """The VolumeSnapshotClass's parameters that name the token's Secret.

    listed is whether the token looks at snapshots as well; no VolumeSnapshot is known there, so
    that the Secret can't be one of its namespace.
    """
    return _parameters(SNAPSHOT_PAIRS if listed else (_SNAPSHOTTER,), name, namespace)


def _parameters(pairs: tuple[str, ...], name: str, namespace: str) -> dict[str, str]:
    values = {"name": name, "namespace": namespace}
    return {f"{pair}-{part}": value for pair in pairs for part, value in values.items()}

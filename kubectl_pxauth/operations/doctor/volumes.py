"""Whether volumes still come to the token that they were made to be used with.

Which Secret that is is fixed when a volume is made: to mount it and to let it grow in its spec,
which can't be changed, and to delete it in annotations. Sources: kubernetes-csi/
external-provisioner, pkg/controller/controller.go (Provision, handleSecretsForDeletion, which goes
on without what it can't read); external-resizer, pkg/modifier/csi_modifier.go; for volumes of the
old provisioner kubernetes/csi-translation-lib, plugins/portworx.go (TranslateInTreePVToCSI).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Event

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.volumes import Volume, list_volumes, secret_in_annotations
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, few, limited, ok, problem, warning
from kubectl_pxauth.operations.doctor.tokens import NOTHING, Place
from kubectl_pxauth.parallel import Background, run_concurrently
from kubectl_pxauth.portworx.volumes import CLAIMS_SECRET, Provisioner, in_tree_doubt

_AT_ONCE = 16
_MOUNTED, _GROWN, _MODIFIED, _DELETED = "mounted", "grown", "modified", "deleted"
_STEPS = {
    "controllerPublish": _MOUNTED,
    "nodeStage": _MOUNTED,
    "nodePublish": _MOUNTED,
    "controllerExpand": _GROWN,
    "nodeExpand": _GROWN,
}
_OF_THE_OLD_PROVISIONER = "portworxVolume"  # a field of a volume's spec


@dataclass
class VolumesOfSecret:
    """The volumes that need one Secret, and what for."""

    volumes: list[Volume] = field(default_factory=list)
    uses: dict[str, None] = field(default_factory=dict)

    @property
    def in_tree(self) -> list[Volume]:
        """Those of the old provisioner."""
        return [one for one in self.volumes if _OF_THE_OLD_PROVISIONER in one.sources]


def _names(volumes: list[Volume]) -> str:
    """Which volumes they are, each of the first ones with its claim."""
    names = [f"{one.name} (claim {one.claim})" if one.claim else one.name for one in volumes]
    return f"PersistentVolume {few(names)}"


def _cant_be(of_secret: VolumesOfSecret, uses: list[str]) -> str:
    """Which volumes they are, and what can't be done with them."""
    return f"{_names(of_secret.volumes)} can't be {' or '.join(uses)}"


def find_volumes(cluster: Cluster) -> dict[Place, VolumesOfSecret]:
    """Portworx' volumes by the Secrets that they need; raises ClusterErrors.

    Those that are mounted without one are under NOTHING.
    """
    found: dict[Place, VolumesOfSecret] = {}
    for volume in list_volumes(cluster):
        needed: dict[Place, list[str]] = {}
        for place, use in _needs(volume):
            needed.setdefault(place, []).append(use)
        for place, uses in needed.items():
            of_secret = found.setdefault(place, VolumesOfSecret())
            of_secret.volumes.append(volume)
            of_secret.uses |= dict.fromkeys(uses)
    return found


def _needs(volume: Volume) -> Iterator[tuple[Place, str]]:
    """The Secrets that a volume of Portworx's needs, and what for; once released to go alone."""
    if volume.driver == Provisioner.CSI:
        if volume.deletion and volume.deleted_with_claim:
            yield volume.deletion, _DELETED
        if volume.released:
            return
        if "nodePublish" not in volume.secrets:
            yield NOTHING, _MOUNTED
        for step, place in volume.secrets.items():
            if step in _STEPS:
                yield place, _STEPS[step]
        if volume.modification:
            yield volume.modification, _MODIFIED
    elif _OF_THE_OLD_PROVISIONER in volume.sources and not volume.released:
        named = secret_in_annotations(volume.annotations, CLAIMS_SECRET)
        yield named or NOTHING, _MOUNTED
        if named:
            yield named, _GROWN


def check_volumes(
    reading: Background[dict[Place, VolumesOfSecret]],
    look: Callable[[Place], Diagnosis | None],
    version: str | None,
    *,
    secured: bool,
    guests: bool | None,
    assumed: bool,
    annotated: Callable[[], Collection[str]],
) -> Iterator[Diagnosis]:
    """Which volumes come to no good token; many that need one Secret are one diagnosis.

    secured is whether Portworx wants tokens: a volume whose Secret is gone is deleted without one,
    but not mounted. Those without a Secret are mounted unless guests are turned away, and of
    interest before that where security is only assumed; annotated tells the claims that name their
    Secret themselves. version is the API server's. It and guests are None where that is not known.
    Raises ClusterErrors where the volumes can't be read.
    """
    volumes = dict(reading.result())
    bare = volumes.pop(NOTHING, VolumesOfSecret()).volumes
    if bare and secured and (assumed or guests is False):
        own = annotated()
        if bare := [one for one in bare if one.claim not in own]:
            yield _check_bare(bare, turned_away=guests is False)
    looked = run_concurrently(lambda place: (place, look(place)), volumes, _AT_ONCE, Event())
    troubles = {place: trouble for place, trouble in looked if trouble}
    found = []
    for place in sorted(troubles):
        trouble, of_secret = troubles[place], volumes[place]
        if uses := [use for use in of_secret.uses if secured or use != _DELETED]:
            message = f"{_cant_be(of_secret, uses)}: {trouble.message}"
            hint = trouble.hint
            if not secured:
                hint = "a volume keeps the Secret that it was made with: make one of that name"
            elif hint:
                hint = f"a volume keeps the Secret, and the user, that it was made with: {hint}"
            found.append(replace(trouble, check="volumes", message=message, hint=hint))
    if secured and version:
        found += _check_in_tree(volumes, troubles, version)
    yield from limited(found, "kubectl get pv -o yaml")
    if volumes and not found:
        yield ok("volumes", f"they need {_count(len(volumes), 'Secret')}, and have what they need")


def _check_in_tree(
    volumes: Mapping[Place, VolumesOfSecret], troubles: Mapping[Place, Diagnosis], version: str
) -> Iterator[Diagnosis]:
    """Volumes of the old provisioner whose Secret is well, and which a kubelet may not read."""
    for place in sorted(volumes.keys() - troubles.keys()):
        in_tree = volumes[place].in_tree
        if in_tree and (doubt := in_tree_doubt(*place, version)):
            hint = (
                "mount that Secret by a DaemonSet of your own, or copy the data into CSI's volumes"
            )
            yield warning("volumes", f"{_names(in_tree)}: {doubt}", hint)


def _check_bare(bare: list[Volume], *, turned_away: bool) -> Diagnosis:
    """Volumes that name no Secret, where guests are turned away, or before they may be."""
    hint = "a volume keeps what it was made with: copy its data into one of a class with a token"
    if turned_away:
        return problem("volumes", f"{_names(bare)} can't be mounted: no Secret is named", hint)
    says = "no Secret is named, so that only guest access lets them be mounted"
    return warning("volumes", f"{_names(bare)}: {says}", hint)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"

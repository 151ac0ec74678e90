"""Whether stork's objects come to a token that Portworx takes.

stork asks Portworx with the token of the Secret that an object's annotations name, and with none
where they name none. A schedule hands its annotations on to what it makes. stork reads none of a
ClusterPair or a SchedulePolicy, and does a Migration once.
Source: libopenstorage/stork, drivers/volume/portworx/portworx.go (getUserVolDriver),
pkg/snapshot/controllers/snapshotschedule.go and pkg/migration/controllers/migrationschedule.go.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

from kubectl_pxauth.cluster.applied import Kind
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.errors import ForbiddenError, NotFoundError
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, few, limited, warning
from kubectl_pxauth.operations.doctor.tokens import NOTHING, Place
from kubectl_pxauth.parallel import Background, run_concurrently
from kubectl_pxauth.portworx.volumes import CLAIMS_SECRET
from kubectl_pxauth.token.verdict import Severity

_AT_ONCE = 16
_STORKS = partial(Kind, group="stork.libopenstorage.org", version="v1alpha1")
_SCHEDULES = (
    _STORKS("VolumeSnapshotSchedule", "volumesnapshotschedules"),
    _STORKS("MigrationSchedule", "migrationschedules"),
)
_KINDS = (
    *_SCHEDULES,
    _STORKS("GroupVolumeSnapshot", "groupvolumesnapshots"),
    _STORKS("VolumeSnapshotRestore", "volumesnapshotrestores"),
    Kind("VolumeSnapshot", "volumesnapshots", "volumesnapshot.external-storage.k8s.io"),
)

_NAME, _NAMESPACE = f"{CLAIMS_SECRET}-name", f"{CLAIMS_SECRET}-namespace"

StorkObjects = Mapping[Place, list[str]]
"""Stork's objects, as kind and name, by the namespace and name of the Secret that they name.

Both are empty for the schedules that name none.
"""


def find_stork_objects(cluster: Cluster) -> StorkObjects:
    """Those that the user may list; raises ClusterErrors."""
    found: dict[Place, list[str]] = {}
    for kind in _kinds_there(cluster):
        for metadata in _listed(cluster, kind):
            annotations = metadata.get("annotations") or {}
            name = annotations.get(_NAME, "")
            if name or kind in _SCHEDULES:
                place = (annotations.get(_NAMESPACE, ""), name) if name else NOTHING
                who = f"{kind.name} {metadata['namespace']}/{metadata['name']}"
                found.setdefault(place, []).append(who)
    return found


def check_stork_objects(
    reading: Background[StorkObjects],
    look: Callable[[Place], Diagnosis | None],
    *,
    guests: bool | None,
) -> Iterator[Diagnosis]:
    """A warning for each Secret that can't be used, where Portworx wants tokens.

    guests is whether Portworx lets in those without one, None where that is not known. Raises
    ClusterErrors where the objects can't be read.
    """
    objects = reading.result()
    places = [place for place in objects if all(place)]
    troubles = dict(run_concurrently(lambda one: (one, look(one)), places, _AT_ONCE, Event()))
    found = [
        replace(
            trouble,
            severity=Severity.WARNING,
            check="stork",
            message=f"{few(objects[place])}, by annotations: {trouble.message}",
        )
        for place, trouble in troubles.items()
        if trouble
    ]
    yield from limited(found, f"kubectl get {','.join(kind.plural for kind in _KINDS[:3])} -A")
    remedy = f"give it the annotations {_NAME} and {_NAMESPACE}"
    half = [
        who
        for (namespace, name), named in objects.items()
        if name and not namespace
        for who in named
    ]
    if half:
        yield warning("stork", f"{few(half)}: the annotation {_NAMESPACE} is missing", remedy)
    if guests is False and (without := objects.get(NOTHING)):
        says = "no annotations name a Secret, and guests are turned away"
        yield warning("stork", f"{few(without)}: {says}", remedy)


def _kinds_there(cluster: Cluster) -> Iterator[Kind]:
    for api in dict.fromkeys((kind.group, kind.version) for kind in _KINDS):
        try:
            known = cluster.get("apis", *api).get("resources") or ()
        except NotFoundError:
            continue
        plurals = {resource.get("name") for resource in known}
        yield from (
            kind for kind in _KINDS if (kind.group, kind.version) == api and kind.plural in plurals
        )


def _listed(cluster: Cluster, kind: Kind) -> Iterator[Mapping[str, Any]]:
    try:
        yield from cluster.metadata(*kind.path(None))
    except (ForbiddenError, NotFoundError):  # doctor does not need it
        return

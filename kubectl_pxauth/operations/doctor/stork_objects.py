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
from kubectl_pxauth.cluster.volumes import secret_in_annotations
from kubectl_pxauth.errors import ForbiddenError, NotFoundError
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, few, limited, warning
from kubectl_pxauth.operations.doctor.tokens import Place
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

StorkObjects = Mapping[Place | None, list[str]]
"""Stork's objects by the Secret that they name, as kind and name; of None only the schedules."""


def find_stork_objects(cluster: Cluster) -> StorkObjects:
    """Those that the user may list; raises ClusterErrors."""
    found: dict[Place | None, list[str]] = {}
    for kind in _kinds_there(cluster):
        for metadata in _listed(cluster, kind):
            named = secret_in_annotations(metadata.get("annotations") or {}, CLAIMS_SECRET)
            if named or kind in _SCHEDULES:
                who = f"{kind.name} {metadata['namespace']}/{metadata['name']}"
                found.setdefault(named, []).append(who)
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
    places = [place for place in objects if place]
    troubles = dict(run_concurrently(lambda one: (one, look(one)), places, _AT_ONCE, Event()))
    found = [
        replace(
            trouble,
            severity=Severity.WARNING,
            check="stork",
            message=f"{few(objects[place])} by annotation: {trouble.message}",
        )
        for place, trouble in troubles.items()
        if trouble
    ]
    yield from limited(found, "kubectl pxauth list -A")
    if guests is False and (without := objects.get(None)):
        says = "no annotations name a Secret, and guests are turned away"
        remedy = f"annotate it with {CLAIMS_SECRET}-name and {CLAIMS_SECRET}-namespace"
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

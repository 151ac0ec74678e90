"""Whether VolumeSnapshotClasses come to a token that Portworx takes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from kubectl_pxauth.cluster.secret_templates import SNAPSHOT_CLASS, SNAPSHOT_LIST, is_template
from kubectl_pxauth.cluster.snapshot_classes import SnapshotClass
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, ok, problem, warning
from kubectl_pxauth.operations.doctor.tokens import Place
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.volumes import SNAPSHOT_PAIRS, Provisioner

# Which the operator makes. Source: Portworx operator release notes, 25.3.0.
_OPERATORS = "px-csi-snapclass"
_TEMPLATES = dict(zip(SNAPSHOT_PAIRS, (SNAPSHOT_CLASS, SNAPSHOT_LIST), strict=True))


def check_snapshot_classes(
    reading: Background[list[SnapshotClass] | None],
    look: Callable[[Place], Diagnosis | None],
    *,
    secured: bool,
) -> Iterator[Diagnosis]:
    """Whether those of Portworx' driver name a Secret with a good token.

    secured is whether Portworx wants tokens. Raises ClusterErrors where they can't be read.
    """
    for one in reading.result() or ():
        if one.driver == Provisioner.CSI:
            yield from _check(one, look, secured=secured)


def _check(
    one: SnapshotClass, look: Callable[[Place], Diagnosis | None], *, secured: bool
) -> Iterator[Diagnosis]:
    who = f"VolumeSnapshotClass {one.name}"
    command = f"kubectl pxauth snapshotclass {one.name} -n NAMESPACE"
    bad = partial(problem, "classes", hint=command)
    named: dict[Place, None] = {}
    found = []
    for pair in SNAPSHOT_PAIRS:
        keys = (f"{pair}-namespace", f"{pair}-name")
        place = tuple(one.parameters.get(key, "") for key in keys)
        lacks = [key for key, value in zip(keys, place, strict=True) if not value]
        if len(lacks) == 1:
            found.append(bad(message=f"{who} has no parameter {lacks[0]}: its snapshots fail"))
        elif not lacks and (wrong := _TEMPLATES[pair].wrong(*place)):
            found.append(bad(message=f"{who} has {wrong} of {pair}, which nothing fills in"))
        elif not lacks:
            named[place[0], place[1]] = None
    for place in named:
        if not is_template("".join(place)) and (trouble := look(place)):
            message = f"{who}: {trouble.message}"
            found.append(replace(trouble, check="classes", message=message))
    if named and not found:
        secrets = ", ".join(f"Secret {'/'.join(place)}" for place in named)
        yield ok("classes", f"{who}: {secrets}")
    yield from found
    if secured and not named and not found:
        message = f"{who} names no Secret: its snapshots are asked for "
        if one.name == _OPERATORS:
            yield warning("classes", f"{message}as a guest", command)
        else:
            yield bad(message=f"{message}without a token")

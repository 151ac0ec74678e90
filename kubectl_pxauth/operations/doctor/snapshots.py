"""Whether VolumeSnapshotClasses, and those of groups, come to a token that Portworx takes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secret_templates import (
    GROUP_SNAPSHOT_CLASS,
    GROUP_SNAPSHOT_GET,
    SNAPSHOT_CLASS,
    SNAPSHOT_LIST,
    SecretTemplates,
    is_template,
)
from kubectl_pxauth.cluster.snapshot_classes import (
    SnapshotClass,
    list_group_snapshot_classes,
    list_snapshot_classes,
)
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, ok, problem, warning
from kubectl_pxauth.operations.doctor.storage import as_guests
from kubectl_pxauth.operations.doctor.tokens import Place
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.volumes import (
    GROUP_SNAPSHOT_PAIRS,
    SNAPSHOT_PAIRS,
    Provisioner,
    missing_parameter,
    secret_of_pair,
)

# Which the operator makes. Source: Portworx operator release notes, 25.3.0.
_OPERATORS = "px-csi-snapclass"


@dataclass(frozen=True)
class _Kind:
    """A kind of class, the pairs of its parameters with what is filled in there, and a remedy."""

    name: str
    templates: Mapping[str, SecretTemplates]
    remedy: str


_SNAPSHOTS = _Kind(
    "VolumeSnapshotClass",
    dict(zip(SNAPSHOT_PAIRS, (SNAPSHOT_CLASS, SNAPSHOT_LIST), strict=True)),
    "kubectl pxauth snapshotclass {name} -n NAMESPACE",
)
_GROUPS = _Kind(
    "VolumeGroupSnapshotClass",
    dict(zip(GROUP_SNAPSHOT_PAIRS, (GROUP_SNAPSHOT_CLASS, GROUP_SNAPSHOT_GET), strict=True)),
    f"give it {GROUP_SNAPSHOT_PAIRS[0]}-name and -namespace:"
    " kubectl edit volumegroupsnapshotclass {name}",
)

SnapshotClasses = list[tuple[_Kind, SnapshotClass]]


def find_snapshot_classes(cluster: Cluster) -> SnapshotClasses:
    """All of both kinds, as far as the cluster knows them; raises ClusterErrors."""
    return [
        (kind, one)
        for kind, read in (
            (_SNAPSHOTS, list_snapshot_classes),
            (_GROUPS, list_group_snapshot_classes),
        )
        for one in read(cluster) or ()
        if one.driver == Provisioner.CSI
    ]


def check_snapshot_classes(
    reading: Background[SnapshotClasses],
    look: Callable[[Place], Diagnosis | None],
    *,
    secured: bool,
    guests: bool | None,
) -> Iterator[Diagnosis]:
    """Whether those of Portworx' driver name a Secret with a good token.

    secured is whether Portworx wants tokens, and guests whether it lets in those without one, None
    where that is not known. Raises ClusterErrors where the classes can't be read.
    """
    for kind, one in reading.result():
        yield from _check(kind, one, look, secured=secured, guests=guests)


def _check(
    kind: _Kind,
    one: SnapshotClass,
    look: Callable[[Place], Diagnosis | None],
    *,
    secured: bool,
    guests: bool | None,
) -> Iterator[Diagnosis]:
    who = f"{kind.name} {one.name}"
    remedy = kind.remedy.format(name=one.name)
    bad = partial(problem, "classes", hint=remedy)
    named: dict[Place, None] = {}
    found, makes = [], False
    for pair, templates in kind.templates.items():
        place = secret_of_pair(one.parameters, pair)
        if place and (wrong := _wrong(pair, place, templates)):
            found.append(bad(message=f"{who} has {wrong}"))
        elif place:
            named[place] = None
            makes = makes or pair == next(iter(kind.templates))
    for place in named:
        if not is_template("".join(place)) and (trouble := look(place)):
            message = f"{who}: {trouble.message}"
            found.append(replace(trouble, check="classes", message=message))
    without = secured and not makes and not found
    if named and not found and not without:
        secrets = ", ".join(f"Secret {'/'.join(place)}" for place in named)
        yield ok("classes", f"{who}: {secrets}")
    yield from found
    if without:
        to_make = " to make them with" if named else ""
        message = f"{who} names no Secret{to_make}: its snapshots are asked for"
        if one.name == _OPERATORS:
            yield as_guests(message, guests, remedy)
        elif guests:
            yield warning("classes", f"{message} as a guest", remedy)
        else:
            yield bad(message=f"{message} without a token")


def _wrong(pair: str, place: Place, templates: SecretTemplates) -> str | None:
    """What a class has for a pair that names no Secret, if so."""
    if not any(place):
        return f"nothing in its parameters {pair}-…: its snapshots fail"
    if lacks := missing_parameter(pair, place):
        return f"no parameter {lacks}: its snapshots fail"
    wrong = templates.wrong(*place)
    return f"{wrong} of {pair}, which nothing fills in" if wrong else None

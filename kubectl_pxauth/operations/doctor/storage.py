"""Whether StorageClasses and claims come to a token that Portworx takes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Event

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.storage_classes import StorageClass, list_storage_classes
from kubectl_pxauth.cluster.volume_claims import VolumeClaim, list_volume_claims
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.operations.doctor.diagnosis import (
    Diagnosis,
    from_error,
    limited,
    ok,
    problem,
    warning,
)
from kubectl_pxauth.operations.doctor.tokens import Place
from kubectl_pxauth.parallel import Background, attempt, run_concurrently
from kubectl_pxauth.portworx.volumes import CLAIMS_NAMESPACE, SECRET_PAIRS
from kubectl_pxauth.text import command_line

_AT_ONCE = 16
_EXPAND = "controller-expand"
_TEMPLATE = "${"
# Which the operator makes, and keeps without a Secret even where security is on.
# Source: drivers/storage/portworx/component/portworx_sc.go of libopenstorage/operator.
_OPERATORS = re.compile(
    r"px-(csi-)?(db|replicated|db-local-snapshot|db-cloud-snapshot)(-encrypted)?"
)

Look = Callable[[Place], Diagnosis | None]
"""Says what is wrong with a Secret that should hold a token."""


@dataclass(frozen=True)
class VolumeClass:
    """A StorageClass of Portworx's; for each pair of parameters the Secret that it names.

    Namespace and name may have templates, and are empty where they are missing.
    """

    name: str
    pairs: Mapping[str, Place]
    expands: bool

    @property
    def provisioner_secret(self) -> Place:
        """The Secret whose token makes volumes."""
        return next(iter(self.pairs.values()))

    @property
    def names_no_secret(self) -> bool:
        """Whether it names no Secret at all."""
        return not any(map(any, self.pairs.values()))

    def named(self) -> list[Place]:
        """The Secrets that it names, each once."""
        return list(dict.fromkeys(place for place in self.pairs.values() if all(place)))


@dataclass(frozen=True)
class VolumeClaims:
    """What the claims of Portworx's classes ask for by a template, and those that are Pending."""

    tenants: Mapping[str, list[Place]]
    pending: tuple[VolumeClaim, ...]


def find_classes(cluster: Cluster) -> dict[str, VolumeClass]:
    """The StorageClasses whose volumes Portworx makes, by name; raises ClusterErrors."""
    return {
        one.name: _volume_class(one)
        for one in list_storage_classes(cluster)
        if one.provisioner in SECRET_PAIRS
    }


def _volume_class(found: StorageClass) -> VolumeClass:
    pairs = {
        pair: (
            found.parameters.get(f"{pair}-namespace", ""),
            found.parameters.get(f"{pair}-name", ""),
        )
        for pair in SECRET_PAIRS[found.provisioner]
    }
    return VolumeClass(found.name, pairs, found.allows_expansion)


def find_volume_claims(cluster: Cluster, classes: Mapping[str, VolumeClass]) -> VolumeClaims:
    """What the claims of these classes need; raises ClusterErrors."""
    tenants: dict[str, dict[Place, None]] = {name: {} for name in classes}
    pending = []
    for claim in list_volume_claims(cluster):
        if volume_class := classes.get(claim.storage_class):
            for place in volume_class.named():
                if _is_template(place) and (asked := _filled_in(place, claim)):
                    tenants[claim.storage_class][asked] = None
            if claim.pending:
                pending.append(claim)
    return VolumeClaims({name: list(places) for name, places in tenants.items()}, tuple(pending))


def check_storage(
    reading_classes: Background[dict[str, VolumeClass]],
    reading_claims: Background[VolumeClaims],
    look: Look,
    *,
    secured: bool,
) -> Iterator[Diagnosis]:
    """Whether classes and claims come to good tokens; secured is whether Portworx wants any.

    Raises ClusterErrors where the classes can't be read.
    """
    classes, answer = reading_classes.result(), attempt(reading_claims.result)
    claims = VolumeClaims({}, ()) if isinstance(answer, PxauthError) else answer
    places = {place for one in classes.values() for place in one.named()}
    places = {place for place in places if not _is_template(place)}.union(*claims.tenants.values())
    found = run_concurrently(lambda place: (place, look(place)), places, _AT_ONCE, Event())
    troubles = {place: trouble for place, trouble in found if trouble}
    yield from _check_classes(classes, claims, troubles, secured=secured)
    if isinstance(answer, PxauthError):
        yield from_error("claims", answer)
    elif classes:
        yield from _check_claims(classes, claims, troubles, secured=secured)


def _check_classes(
    classes: Mapping[str, VolumeClass],
    claims: VolumeClaims,
    troubles: Mapping[Place, Diagnosis],
    *,
    secured: bool,
) -> Iterator[Diagnosis]:
    """Whether each class names Secrets, and such as hold a good token."""
    if not classes:
        yield ok("classes", "no StorageClass is Portworx's")
    for one in classes.values():
        if not one.names_no_secret:
            tenants = claims.tenants.get(one.name, [])
            found = list(_check_class(one, tenants, troubles))
            yield from found or [_well(one, tenants)]
    bare = [one.name for one in classes.values() if one.names_no_secret]
    for name in bare:
        if secured and not _OPERATORS.fullmatch(name):
            yield problem(
                "classes",
                f"StorageClass {name} names no Secret: its volumes are asked for without a token",
                _anew(name),
            )
    operators = [name for name in bare if _OPERATORS.fullmatch(name)]
    if secured and operators:
        yield warning(
            "classes",
            f"the operator's StorageClasses {', '.join(operators)} name no Secret: their volumes"
            " are asked for as a guest",
            "use a class with a token: kubectl pxauth storageclass NAME -n NAMESPACE",
        )
    if bare and not secured:
        yield ok("classes", f"{', '.join(bare)}: no Secret, and no security that would ask for one")


def _check_class(
    one: VolumeClass, tenants: list[Place], troubles: Mapping[Place, Diagnosis]
) -> Iterator[Diagnosis]:
    who = f"StorageClass {one.name}"
    for pair, (namespace, name) in one.pairs.items():
        values = {f"{pair}-name": name, f"{pair}-namespace": namespace}
        if lacks := [parameter for parameter, value in values.items() if not value]:
            # Where claims can't grow, nobody asks for it.
            says = warning if _EXPAND in pair and not one.expands else problem
            yield says(
                "classes", f"{who} has no parameter {' and no '.join(lacks)}", _anew(one.name)
            )
    for place in one.named():
        if trouble := troubles.get(place):
            yield replace(trouble, check="classes", message=f"{who}: {trouble.message}")
    found = [
        replace(trouble, check="classes", message=f"{who}, for a claim: {trouble.message}")
        for trouble in map(troubles.get, tenants)
        if trouble
    ]
    yield from limited(found, "kubectl get pvc -A")


def _well(one: VolumeClass, tenants: list[Place]) -> Diagnosis:
    named = ", ".join(f"Secret {'/'.join(place)}" for place in one.named())
    templates = any(map(_is_template, one.named()))
    asked = f"; claims ask for {len(tenants)} of them" if templates else ""
    return ok("classes", f"StorageClass {one.name}: {named}{asked}")


def _check_claims(
    classes: Mapping[str, VolumeClass],
    claims: VolumeClaims,
    troubles: Mapping[Place, Diagnosis],
    *,
    secured: bool,
) -> Iterator[Diagnosis]:
    """The claims that are Pending, and get no volume because of a token."""
    found = [
        finding
        for claim in claims.pending
        if (finding := _check_claim(claim, classes[claim.storage_class], troubles, secured=secured))
    ]
    yield from limited(found, "kubectl get pvc -A")
    if not found:
        yield ok("claims", "none is Pending for want of a token")


def _check_claim(
    claim: VolumeClaim, of: VolumeClass, troubles: Mapping[Place, Diagnosis], *, secured: bool
) -> Diagnosis | None:
    who = f"PersistentVolumeClaim {claim.namespace}/{claim.name} is Pending: StorageClass {of.name}"
    if not all(of.provisioner_secret):
        says = warning if of.names_no_secret and _OPERATORS.fullmatch(of.name) else problem
        return says("claims", f"{who} names no Secret", _anew(of.name)) if secured else None
    place = _filled_in(of.provisioner_secret, claim)
    trouble = troubles.get(place) if place else None
    if trouble is None:
        return None
    return replace(trouble, check="claims", message=f"{who}: {trouble.message}")


def _anew(name: str) -> str:
    return (
        f"make it anew: {command_line('kubectl', 'delete', 'storageclass', name)} (volumes stay),"
        f" then {command_line('kubectl', 'pxauth', 'storageclass', name)} -n NAMESPACE with its"
        " other parameters"
    )


def _is_template(place: Place) -> bool:
    return any(_TEMPLATE in part for part in place)


def _filled_in(place: Place, claim: VolumeClaim) -> Place | None:
    """The Secret for that claim, as the CSI provisioner fills it in; None if it takes more."""
    values = {CLAIMS_NAMESPACE: claim.namespace, "${pvc.name}": claim.name}
    namespace, name = place
    for template, value in values.items():
        namespace, name = namespace.replace(template, value), name.replace(template, value)
    return None if _is_template((namespace, name)) else (namespace, name)

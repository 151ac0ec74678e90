"""Whether StorageClasses and claims come to a token that Portworx takes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Event

from kubectl_pxauth.cluster.classes import list_classes
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secret_templates import STORAGE_CLASS, fill_in, is_template
from kubectl_pxauth.cluster.storage_classes import StorageClass
from kubectl_pxauth.cluster.volume_claims import VolumeClaim, list_volume_claims
from kubectl_pxauth.cluster.volumes import secret_in_annotations
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.operations.doctor.diagnosis import (
    Diagnosis,
    from_error,
    limited,
    ok,
    problem,
    warning,
)
from kubectl_pxauth.operations.doctor.tokens import NOTHING, Place
from kubectl_pxauth.parallel import Background, attempt, run_concurrently
from kubectl_pxauth.portworx.volumes import (
    CLAIMS_SECRET,
    DEFAULT_PAIR,
    WITHOUT,
    Provisioner,
    Purpose,
    in_tree_doubt,
    is_direct_access,
    missing_parameter,
    purposes,
    secret_of_pair,
    with_new_names,
)
from kubectl_pxauth.text import command_line
from kubectl_pxauth.token.verdict import Severity

_AT_ONCE = 16
# Which the operator makes, and keeps without a Secret even where security is on.
# Source: drivers/storage/portworx/component/portworx_sc.go of libopenstorage/operator.
_OPERATORS = re.compile(
    r"px-(csi-)?(db|replicated|db-local-snapshot|db-cloud-snapshot)(-encrypted)?"
)

_OF_ONES_OWN = "use a class with a token: kubectl pxauth storageclass NAME -n NAMESPACE"

Look = Callable[[Place], Diagnosis | None]
"""Says what is wrong with a Secret that should hold a token."""


@dataclass(frozen=True)
class VolumeClass:
    """A StorageClass of Portworx's; for each pair of parameters that it has the Secret.

    Namespace and name may have templates, and each of them is empty where it is missing.
    is_operators is whether the operator makes it, for guests.
    """

    name: str
    provisioner: Provisioner
    pairs: Mapping[str, Place]
    expands: bool
    direct_access: bool
    is_operators: bool

    @property
    def provisioner_secret(self) -> Place:
        """The Secret whose token makes volumes; empty where there is none."""
        in_tree = self.provisioner is Provisioner.IN_TREE
        return self.pairs.get(CLAIMS_SECRET if in_tree else Purpose.MAKE.pair, NOTHING)

    @property
    def names_no_secret(self) -> bool:
        """Whether it names no Secret at all."""
        return not self.pairs

    def named(self) -> list[Place]:
        """The Secrets that it names, each once."""
        return list(dict.fromkeys(place for place in self.pairs.values() if all(place)))

    def missing(self) -> list[Purpose]:
        """What it has no pair for and should have one for, if it is to have any."""
        if self.provisioner is Provisioner.IN_TREE:
            return []
        needed = purposes(expands=self.expands, direct_access=self.direct_access)
        return [purpose for purpose in needed if purpose.pair not in self.pairs]


@dataclass
class AnnotatedSecret:
    """The claims that name one Secret by their annotations; the first stands for all."""

    first: VolumeClaim
    count: int = 0


@dataclass
class ClaimsOfClass:
    """What the claims of one class ask for: by its templates, and by their annotations."""

    tenants: dict[Place, None] = field(default_factory=dict)
    annotated: dict[Place, AnnotatedSecret] = field(default_factory=dict)
    without_annotation: int = 0


@dataclass(frozen=True)
class VolumeClaims:
    """What the claims of each of Portworx's classes ask for, and those that are Pending.

    annotated are the claims that name their Secret themselves, like shop/data.
    """

    of_class: Mapping[str, ClaimsOfClass]
    pending: tuple[VolumeClaim, ...]
    annotated: frozenset[str] = frozenset()

    def places(self) -> set[Place]:
        """All Secrets that they ask for."""
        return {place for one in self.of_class.values() for place in (*one.tenants, *one.annotated)}


def find_classes(cluster: Cluster) -> dict[str, VolumeClass]:
    """The StorageClasses whose volumes Portworx makes, by name; raises ClusterErrors."""
    return {
        one.name: _volume_class(one)
        for one in list_classes(cluster, StorageClass)
        if one.provisioner in tuple(Provisioner)
    }


def _volume_class(found: StorageClass) -> VolumeClass:
    provisioner = Provisioner(found.provisioner)
    parameters = found.parameters
    if provisioner is Provisioner.IN_TREE:
        # Kubernetes' translation to CSI does not mind their case.
        parameters = {key.lower(): value for key, value in parameters.items()}
        place = secret_of_pair(parameters, CLAIMS_SECRET)
        pairs = {CLAIMS_SECRET: place if place and any(place) else None}
    else:
        parameters = with_new_names(parameters)
        default = secret_of_pair(parameters, DEFAULT_PAIR)
        pairs = {one.pair: secret_of_pair(parameters, one.pair) or default for one in Purpose}
    return VolumeClass(
        found.name,
        provisioner,
        {pair: place for pair, place in pairs.items() if place},
        found.allows_expansion,
        is_direct_access(parameters),
        is_operators=bool(_OPERATORS.fullmatch(found.name)),
    )


def find_volume_claims(cluster: Cluster, classes: Mapping[str, VolumeClass]) -> VolumeClaims:
    """What the claims of these classes need; raises ClusterErrors."""
    of_class = {name: ClaimsOfClass() for name in classes}
    pending, annotated = [], set()
    for claim in list_volume_claims(cluster):
        own = _annotated(claim)
        if own:
            annotated.add(f"{claim.namespace}/{claim.name}")
        if (volume_class := classes.get(claim.storage_class)) is None:
            continue
        asked = of_class[volume_class.name]
        if own:
            asked.annotated.setdefault(own, AnnotatedSecret(claim)).count += 1
        else:
            asked.without_annotation += 1
            for place in volume_class.named():
                if _is_template(place) and (filled := _filled_in(place, claim)):
                    asked.tenants[filled] = None
        if claim.pending:
            pending.append(claim)
    return VolumeClaims(of_class, tuple(pending), frozenset(annotated))


def annotated_claims(reading: Background[VolumeClaims]) -> frozenset[str]:
    """The claims that name their Secret themselves, like shop/data; none if they can't be read."""
    found = attempt(reading.result)
    return frozenset() if isinstance(found, PxauthError) else found.annotated


def check_storage(
    reading_classes: Background[dict[str, VolumeClass]],
    reading_claims: Background[VolumeClaims],
    look: Look,
    version: str | None,
    *,
    secured: bool,
    guests: bool | None,
) -> Iterator[Diagnosis]:
    """Whether classes and claims come to good tokens; secured is whether Portworx wants any.

    version is the API server's. guests is whether Portworx lets in those without a token. Both are
    None where that is not known. Raises ClusterErrors where the classes can't be read.
    """
    classes, answer = reading_classes.result(), attempt(reading_claims.result)
    claims = VolumeClaims({}, ()) if isinstance(answer, PxauthError) else answer
    places = {place for one in classes.values() for place in one.named()}
    places = {place for place in places if not _is_template(place)} | claims.places()
    found = run_concurrently(lambda place: (place, look(place)), places, _AT_ONCE, Event())
    troubles = {place: trouble for place, trouble in found if trouble}
    yield from _check_classes(classes, claims, troubles, version, secured=secured, guests=guests)
    if isinstance(answer, PxauthError):
        yield from_error("claims", answer)
    elif classes:
        yield from _check_claims(classes, claims, troubles, secured=secured, guests=guests)


def as_guests(asked: str, guests: bool | None, remedy: str) -> Diagnosis:
    """What the operator's own class comes to, which names no Secret; asked is what is asked for."""
    if guests:
        return ok("classes", f"{asked} as a guest, and guests are let in")
    refused = ", and spec.security.auth.guestAccess turns guests away" if guests is False else ""
    return warning("classes", f"{asked} as a guest{refused}", remedy)


def _check_classes(
    classes: Mapping[str, VolumeClass],
    claims: VolumeClaims,
    troubles: Mapping[Place, Diagnosis],
    version: str | None,
    *,
    secured: bool,
    guests: bool | None,
) -> Iterator[Diagnosis]:
    """Whether each class names Secrets, and such as hold a good token."""
    if not classes:
        yield ok("classes", "no StorageClass is Portworx's")
    for one in classes.values():
        if not one.names_no_secret:
            asked = claims.of_class.get(one.name, ClaimsOfClass())
            found = list(_check_class(one, asked, troubles, version, secured=secured))
            yield from found or [_well(one, asked)]
    bare = [one.name for one in classes.values() if one.names_no_secret]
    if secured:
        operators = [name for name in bare if classes[name].is_operators]
        for name in bare:
            if name not in operators:
                asked = claims.of_class.get(name, ClaimsOfClass())
                yield _check_bare(name, asked, guests=guests is True)
        if operators:
            named = f"the operator's StorageClasses {', '.join(operators)} name no Secret"
            yield as_guests(f"{named}: their volumes are asked for", guests, _OF_ONES_OWN)
    elif bare:
        yield ok("classes", f"{', '.join(bare)}: no Secret, and no security that would ask for one")


def _check_bare(name: str, asked: ClaimsOfClass, *, guests: bool) -> Diagnosis:
    """A class that names no Secret, where Portworx wants tokens; its claims can name theirs."""
    if asked.annotated and not asked.without_annotation:
        return ok("classes", f"StorageClass {name}: no Secret, as each claim names its own")
    says = f"StorageClass {name} names no Secret: its volumes are asked for"
    if guests:
        return warning("classes", f"{says} as a guest", _anew(name))
    return problem("classes", f"{says} without a token", _anew(name))


def _check_class(
    one: VolumeClass,
    asked: ClaimsOfClass,
    troubles: Mapping[Place, Diagnosis],
    version: str | None,
    *,
    secured: bool,
) -> Iterator[Diagnosis]:
    who = f"StorageClass {one.name}"
    for pair, place in one.pairs.items():
        if not any(place):
            message = f"{who} has parameters {pair}-… with nothing in them: no volume is made"
            yield problem("classes", message, _anew(one.name))
        elif lacks := missing_parameter(pair, place):
            yield problem("classes", f"{who} has no parameter {lacks}", _anew(one.name))
        elif wrong := STORAGE_CLASS.wrong(*place):
            message = f"{who} has {wrong} of {pair}, which nothing fills in: no volume is made"
            yield problem("classes", message, _anew(one.name))
    if secured:
        for purpose in one.missing():
            says = (
                warning
                if one.direct_access and purpose in (Purpose.STAGE, Purpose.ATTACH)
                else problem
            )
            both = f"{purpose.pair}-name and no {purpose.pair}-namespace"
            message = f"{who} has no parameter {both}: {WITHOUT[purpose]}"
            yield says("classes", message, _anew(one.name))
        if one.provisioner is Provisioner.IN_TREE and version:
            for place in one.named():
                if doubt := in_tree_doubt(*place, version):
                    yield warning("classes", f"{who}: {doubt}", "a class without --in-tree")
    for place in one.named():
        if trouble := troubles.get(place):
            yield replace(trouble, check="classes", message=f"{who}: {trouble.message}")
    found = [
        replace(trouble, check="classes", message=f"{who}, for a claim: {trouble.message}")
        for trouble in map(troubles.get, asked.tenants)
        if trouble
    ]
    yield from limited(found, "kubectl get pvc -A")


def _well(one: VolumeClass, asked: ClaimsOfClass) -> Diagnosis:
    named = ", ".join(f"Secret {'/'.join(place)}" for place in one.named())
    templates = any(map(_is_template, one.named()))
    claims = f"; claims use {len(asked.tenants) or 'none'} of these" if templates else ""
    return ok("classes", f"StorageClass {one.name}: {named}{claims}")


def _check_claims(
    classes: Mapping[str, VolumeClass],
    claims: VolumeClaims,
    troubles: Mapping[Place, Diagnosis],
    *,
    secured: bool,
    guests: bool | None,
) -> Iterator[Diagnosis]:
    """The claims that are Pending, and get no volume because of a token."""
    found = [
        finding
        for claim in claims.pending
        if (
            finding := _check_claim(
                claim, classes[claim.storage_class], troubles, secured=secured, guests=guests
            )
        )
    ]
    for name, asked in claims.of_class.items():
        found += _check_annotated(classes[name], asked, troubles)
    yield from limited(found, "kubectl get pvc -A")
    if not found:
        yield ok("claims", "none is Pending because of a token")


def _check_annotated(
    of: VolumeClass, asked: ClaimsOfClass, troubles: Mapping[Place, Diagnosis]
) -> Iterator[Diagnosis]:
    """The Secrets that claims name by annotations.

    Whether these or the class's count depends on Portworx' version, so a bad one is only a warning
    where the class names one as well. Source: Portworx release notes, 2.6.0 (PWX-8385), and docs.
    """
    for place, of_secret in asked.annotated.items():
        if trouble := troubles.get(place):
            claim = of_secret.first
            more = f" and {of_secret.count - 1} more" if of_secret.count > 1 else ""
            message = (
                f"PersistentVolumeClaim {claim.namespace}/{claim.name}{more} by annotation:"
                f" {trouble.message}"
            )
            severity = trouble.severity if of.names_no_secret else Severity.WARNING
            yield replace(trouble, severity=severity, check="claims", message=message)


def _check_claim(
    claim: VolumeClaim,
    of: VolumeClass,
    troubles: Mapping[Place, Diagnosis],
    *,
    secured: bool,
    guests: bool | None,
) -> Diagnosis | None:
    if _annotated(claim):
        return None  # _check_annotated says it
    who = f"PersistentVolumeClaim {claim.namespace}/{claim.name} is Pending: StorageClass {of.name}"
    if not all(of.provisioner_secret):
        if not secured or (of.names_no_secret and guests):
            return None
        for_guests = of.names_no_secret and of.is_operators and guests is None
        says = warning if for_guests else problem
        return says("claims", f"{who} names no Secret", _anew(of.name))
    place = _filled_in(of.provisioner_secret, claim)
    if place is None and not STORAGE_CLASS.wrong(*of.provisioner_secret):
        name = "/".join(of.provisioner_secret)
        return problem("claims", f"{who} takes Secret {name}, and the claim has no such annotation")
    trouble = troubles.get(place) if place else None
    # A guest's volume is made: a Secret without a token is not what the claim waits for.
    if trouble is None or (guests and trouble.severity is Severity.WARNING):
        return None
    return replace(trouble, check="claims", message=f"{who}: {trouble.message}")


def _anew(name: str) -> str:
    return (
        f"create it again: {command_line('kubectl', 'delete', 'storageclass', name)} (its volumes"
        " stay, with the Secret that they were made with), then"
        f" {command_line('kubectl', 'pxauth', 'storageclass', name)} -n NAMESPACE with its"
        " other parameters"
    )


def _is_template(place: Place) -> bool:
    return any(map(is_template, place))


def _annotated(claim: VolumeClaim) -> Place | None:
    """The Secret that the claim names by its annotations, in its own namespace by default.

    Source: Portworx docs, 3.2, operate-kubernetes/authorization/manage.
    """
    named = secret_in_annotations(claim.annotations, CLAIMS_SECRET, claim.namespace)
    return _filled_in(named, claim) if named else None


def _filled_in(place: Place, claim: VolumeClaim) -> Place | None:
    """The Secret for that claim, as the CSI provisioner fills it in; None if it lacks a value."""
    values = claim.template_values()
    namespace, name = (fill_in(part, values) for part in place)
    return (namespace, name) if namespace and name else None

"""Whom to believe about Portworx: anybody with a namespace can make objects that seem to start it.

| Believed | Because |
| --- | --- |
| the StorageCluster that the operator has taken up | the operator starts Portworx by that one alone |
| where it has taken up none, every StorageCluster | the operator may take up any of them |
| DaemonSets in kube-system, in the namespace that the user named, or with the named Secret | there no tenant can make one |
| where none of these asks for tokens: a DaemonSet in the namespace portworx | the name is usual |

Other DaemonSets may be anybody's, and are not even read. Of what is believed only that counts which
says how tokens are verified, if anything does. Two that count and do not agree are an error.

The operator puts its finalizer on the StorageCluster that it takes up, and refuses all others while
one has it (libopenstorage/operator, pkg/controller/storagecluster/storagecluster.go,
validateSingleCluster and setStorageClusterDefaults). Whoever may write a StorageCluster can write the
finalizer too, and then the operator acts by that one as well. So where two have it, or another one
that asks for tokens was there before the only one that has it, none is believed over the other.
"""  # noqa: E501 - a table

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.errors import DiscoveryError, ForbiddenError, NotFoundError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.settings import (
    USUAL_NAMESPACES,
    MalformedError,
    PortworxSpec,
    read_daemon_set,
    read_storage_cluster,
)

_FINALIZER = "operator.libopenstorage.org/delete"

_EVERYWHERE = " in all namespaces"
_MOST_LISTED = 5


@dataclass(frozen=True)
class PortworxObject:
    """An object that may start Portworx, unread: read() is what it says.

    taken_up is whether it has the operator's finalizer. made is when it was made, to be compared:
    a restore makes many in one second, of which none is the first, whatever was written last.
    read raises MalformedError where the object is not of the form that it should have.
    """

    name: str
    namespace: str
    taken_up: bool
    made: str
    read: Callable[[], tuple[PortworxSpec, ...]]


@dataclass(frozen=True)
class PortworxObjects:
    """All that could be listed, and for each place that could not why."""

    objects: tuple[PortworxObject, ...]
    forbidden: tuple[str, ...]


@dataclass(frozen=True)
class PortworxSpecs:
    """What counts; places that could not be listed; objects that are ignored, and why.

    taken_up_in are the namespaces of the StorageClusters that the operator has taken up, whether
    what they say counts or not.
    """

    specs: tuple[PortworxSpec, ...]
    forbidden: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    taken_up_in: tuple[str, ...] = ()

    @property
    def operators_namespace(self) -> str | None:
        """Where the operator keeps tokens of its own, as it does where authorization is on.

        Source: maintainAuthTokenSecret in component/auth.go.
        """
        kept = (spec.namespace for spec in self.specs if spec.secured)
        return next(kept, None)


def storage_clusters(
    cluster: Cluster, namespace: str | None, *, try_usual: bool
) -> PortworxObjects:
    """The StorageClusters of one namespace or of all, or if try_usual of those that are usual."""

    def listed(only: str | None) -> tuple[PortworxObject, ...]:
        path = ("apis", "core.libopenstorage.org", "v1", *_scope(only), "storageclusters")
        try:
            return tuple(_objects("StorageCluster", cluster.items(*path), read_storage_cluster))
        except NotFoundError:  # the CRD does not exist
            return ()

    return _listed("StorageClusters", listed, namespace, try_usual=try_usual)


def daemon_sets(cluster: Cluster, namespace: str | None, *, try_usual: bool) -> PortworxObjects:
    """The DaemonSets named portworx, in the same way."""

    def listed(only: str | None) -> tuple[PortworxObject, ...]:
        path = ("apis", "apps", "v1", *_scope(only), "daemonsets")
        items = cluster.items(*path, fieldSelector="metadata.name=portworx")
        return tuple(_objects("DaemonSet", items, read_daemon_set))

    return _listed("DaemonSets", listed, namespace, try_usual=try_usual)


def believe(
    operators: PortworxObjects, older: PortworxObjects, trusted_namespaces: Iterable[str | None]
) -> PortworxSpecs:
    """What counts of StorageClusters and DaemonSets, by the table above.

    trusted_namespaces are those that the user named: their DaemonSets are believed as those in
    kube-system are. Raises DiscoveryError where it is not clear which StorageCluster counts.
    """
    named = {*trusted_namespaces}
    sure = {USUAL_NAMESPACES[0], *named}
    taken_up = _taken_up(operators.objects, named)
    trusted = [one for one in older.objects if one.namespace in sure]
    specs, malformed = _read([*(taken_up or operators.objects), *trusted])
    if not taken_up and not any(spec.asks_for_tokens for spec in specs):
        usual = [one for one in older.objects if one.namespace in USUAL_NAMESPACES]
        more, odd = _read(one for one in usual if one not in trusted)
        specs, malformed = specs + more, malformed + odd
    return PortworxSpecs(
        _counting(specs),
        (*operators.forbidden, *older.forbidden),
        malformed,
        tuple(dict.fromkeys(one.namespace for one in taken_up)),
    )


def _taken_up(
    objects: tuple[PortworxObject, ...], named: Container[str | None]
) -> list[PortworxObject]:
    """The StorageCluster that the operator has taken up, if it has taken up one."""
    taken_up = [one for one in objects if one.taken_up]
    if not taken_up:
        return []
    first = min(one.made for one in taken_up)
    # A tenant's own would have to be there before Portworx, and the operator would take it up.
    earlier = [one for one in objects if one.made < first and _asks_for_tokens(one)]
    rivals = [*earlier, *taken_up]
    chosen = [one for one in rivals if one.namespace in named] if len(rivals) > 1 else taken_up
    if len(chosen) != 1:
        has = "has" if len(taken_up) == 1 else "have"
        before = f", and {_listed_names(earlier)} was there before" if earlier else ""
        raise DiscoveryError(
            "the operator starts Portworx by one StorageCluster alone, and it is not clear by"
            f" which: {_listed_names(taken_up)} {has} its finalizer{before}",
            hint="choose the Portworx that is meant with --portworx-namespace, and see who made the"
            " other StorageCluster",
        )
    return chosen


def _asks_for_tokens(one: PortworxObject) -> bool:
    return any(spec.asks_for_tokens for spec in _read([one])[0])


def _listed_names(objects: list[PortworxObject]) -> str:
    """Their names; of many, the first few."""
    names = [one.name for one in objects[:_MOST_LISTED]]
    return ", ".join(names if len(objects) <= _MOST_LISTED else [*names, "…"])


def strangers(
    older: PortworxObjects, trusted_namespaces: Iterable[str | None]
) -> tuple[PortworxObject, ...]:
    """The DaemonSets that may be anybody's."""
    known = {*USUAL_NAMESPACES, *trusted_namespaces}
    return tuple(one for one in older.objects if one.namespace not in known)


def read_strangers(objects: Iterable[PortworxObject]) -> tuple[PortworxSpec, ...]:
    """What they say, for where nothing else says anything."""
    return _counting(_read(objects)[0])


def _counting(specs: tuple[PortworxSpec, ...]) -> tuple[PortworxSpec, ...]:
    """What the objects say that say how tokens are verified; where none does, all of it.

    Where an object names a shared secret, StorageClusters that name none are left out. A DaemonSet
    is not: where one is believed, Portworx runs by it. Without any key a StorageCluster's issuer
    means nothing, as nothing is verified.
    """
    stating = {
        spec.owner
        for spec in specs
        if spec.shared_secret or (spec.asks_for_tokens and not spec.is_operators)
    } or {spec.owner for spec in specs if spec.names_a_key or spec.oidc_issuer}
    if stating:
        return tuple(spec for spec in specs if spec.owner in stating)
    return tuple(replace(spec, issuer=None, username_claim=None) for spec in specs)


def _read(objects: Iterable[PortworxObject]) -> tuple[tuple[PortworxSpec, ...], tuple[str, ...]]:
    """What the objects say, and which can't be read and why."""
    specs: list[PortworxSpec] = []
    malformed = []
    for one in objects:
        try:
            read = one.read()
            specs += [replace(spec, made=one.made) if spec.is_operators else spec for spec in read]
        except MalformedError as error:
            malformed.append(f"{one.name} is ignored: {error}")
    return tuple(specs), tuple(malformed)


def _scope(namespace: str | None) -> tuple[str, ...]:
    return ("namespaces", namespace) if namespace else ()


def _listed(
    kind: str,
    listed: Callable[[str | None], tuple[PortworxObject, ...]],
    namespace: str | None,
    *,
    try_usual: bool,
) -> PortworxObjects:
    """Every object; who may not list all namespaces is asked for those that are usual."""
    try:
        return PortworxObjects(listed(namespace), ())
    except ForbiddenError:
        if namespace:
            return PortworxObjects((), (f"{kind} in namespace {namespace}",))
    forbidden = [f"{kind}{_EVERYWHERE}"]
    objects: tuple[PortworxObject, ...] = ()
    usual = USUAL_NAMESPACES if try_usual else ()
    reading = {name: Background(lambda name=name: listed(name)) for name in usual}  # type: ignore[misc]
    for name, one in reading.items():
        try:
            objects += one.result()
        except ForbiddenError:
            forbidden.append(f"{kind} in namespace {name}")
    return PortworxObjects(objects, tuple(forbidden))


def _objects(
    kind: str,
    items: Iterable[dict[str, Any]],
    read: Callable[[dict[str, Any], str, str], tuple[PortworxSpec, ...]],
) -> Iterator[PortworxObject]:
    """The list's objects, with nothing read of them but what the API server vouches for."""
    for item in items:
        metadata = item["metadata"]
        metadata.pop("managedFields", None)
        namespace, where = (
            metadata["namespace"],
            f"{kind} {metadata['namespace']}/{metadata['name']}",
        )

        def unread(
            item: dict[str, Any] = item, namespace: str = namespace, where: str = where
        ) -> tuple[PortworxSpec, ...]:
            return read(item, namespace, where)

        taken_up = _FINALIZER in (metadata.get("finalizers") or ())
        made = str(metadata.get("creationTimestamp"))
        yield PortworxObject(where, namespace, taken_up, made, unread)


def widest(places: Iterable[str]) -> list[str]:
    """Of places that could not be read, those that are in none of the others.

    Where no right to list all namespaces was, single ones were tried: that is not worth a word.
    """
    everywhere = {place.partition(" in ")[0] for place in places if place.endswith(_EVERYWHERE)}
    return [
        place
        for place in places
        if place.endswith(_EVERYWHERE) or place.partition(" in ")[0] not in everywhere
    ]

"""What the objects that start Portworx say of its key and its issuer.

Source: the Portworx operator's StorageCluster (pkg/apis/core/v1, and storage/portworx/auth), and
the DaemonSet that the Portworx docs' spec generator writes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import ForbiddenError, NotFoundError

OPERATOR_ISSUER = "operator.portworx.io"
OPERATOR_SECRET = "px-shared-secret"  # noqa: S105 - a Secret's name
USUAL_NAMESPACES = ("kube-system", "portworx")
SHARED_SECRET_KEY = "shared-secret"  # noqa: S105 - a key's name

_SHARED_SECRET_VARIABLE = "PORTWORX_AUTH_JWT_SHAREDSECRET"  # noqa: S105 - a variable's name
_ISSUER_VARIABLE = "PORTWORX_AUTH_JWT_ISSUER"


@dataclass(frozen=True)
class Stated:
    """A value, or the key of a Secret that holds it, and the field that states it."""

    value: str | SecretKeyReference = field(repr=False)
    where: str


@dataclass(frozen=True)
class PortworxSpec:
    """What one StorageCluster or DaemonSet starts Portworx with; None where it says nothing."""

    issuer: Stated | None
    shared_secret: Stated | None
    username_claim: Stated | None
    public_key_file: Stated | None


@dataclass(frozen=True)
class PortworxSpecs:
    """All that could be read, and for each place that could not why."""

    specs: tuple[PortworxSpec, ...]
    forbidden: tuple[str, ...]


def storage_cluster_specs(cluster: Cluster, namespace: str | None) -> PortworxSpecs:
    """What the StorageClusters say, in one namespace or in all."""

    def listed(only: str | None) -> tuple[PortworxSpec, ...]:
        path = ("apis", "core.libopenstorage.org", "v1", *_scope(only), "storageclusters")
        try:
            answer = cluster.get(*path)
        except NotFoundError:  # the CRD does not exist
            return ()
        return tuple(map(_read_storage_cluster, answer.get("items") or ()))

    return _specs("StorageClusters", listed, namespace)


def daemon_set_specs(cluster: Cluster, namespace: str | None) -> PortworxSpecs:
    """What the DaemonSets named portworx say, in one namespace or in all."""

    def listed(only: str | None) -> tuple[PortworxSpec, ...]:
        path = ("apis", "apps", "v1", *_scope(only), "daemonsets")
        answer = cluster.get(*path, fieldSelector="metadata.name=portworx")
        return tuple(map(_read_daemon_set, answer.get("items") or ()))

    return _specs("DaemonSets", listed, namespace)


def _scope(namespace: str | None) -> tuple[str, ...]:
    return ("namespaces", namespace) if namespace else ()


def _specs(
    kind: str, listed: Callable[[str | None], tuple[PortworxSpec, ...]], namespace: str | None
) -> PortworxSpecs:
    """What every object says; who may not list all namespaces is asked for those that are usual."""
    try:
        return PortworxSpecs(listed(namespace), ())
    except ForbiddenError:
        if namespace:
            return PortworxSpecs((), (f"{kind} in namespace {namespace}",))
    specs: tuple[PortworxSpec, ...] = ()
    forbidden = [f"{kind} in all namespaces"]
    for name in USUAL_NAMESPACES:
        try:
            specs += listed(name)
        except ForbiddenError:
            forbidden.append(f"{kind} in namespace {name}")
    return PortworxSpecs(specs, tuple(forbidden))


def _read_storage_cluster(item: dict[str, Any]) -> PortworxSpec:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    where = f"StorageCluster {namespace}/{name}"
    spec = item.get("spec") or {}
    variables = _variables(spec.get("env"), namespace, f"{where} spec.env")
    issuer, shared_secret = None, None
    security = spec.get("security") or {}
    if security.get("enabled"):
        signed = (security.get("auth") or {}).get("selfSigned") or {}
        path = f"{where} spec.security.auth.selfSigned"
        default = f"{where} spec.security, by default"
        issuer = Stated(
            signed.get("issuer") or OPERATOR_ISSUER,
            f"{path}.issuer" if signed.get("issuer") else default,
        )
        shared_secret = Stated(
            SecretKeyReference(
                namespace, signed.get("sharedSecret") or OPERATOR_SECRET, SHARED_SECRET_KEY
            ),
            f"{path}.sharedSecret" if signed.get("sharedSecret") else default,
        )
    return PortworxSpec(
        issuer=variables.get(_ISSUER_VARIABLE) or issuer,
        shared_secret=variables.get(_SHARED_SECRET_VARIABLE) or shared_secret,
        username_claim=None,
        public_key_file=None,
    )


def _read_daemon_set(item: dict[str, Any]) -> PortworxSpec:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    variables: dict[str, Stated] = {}
    flags: dict[str, Stated] = {}
    for container in item["spec"]["template"]["spec"].get("containers") or ():
        where = f"DaemonSet {namespace}/{name} container {container['name']}"
        variables |= _variables(container.get("env"), namespace, f"{where} env")
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        flags |= {flag: Stated(value, f"{where} -{flag}") for flag, value in _flags(words)}
    return PortworxSpec(
        issuer=flags.get("jwt_issuer") or variables.get(_ISSUER_VARIABLE),
        shared_secret=variables.get(_SHARED_SECRET_VARIABLE),
        username_claim=flags.get("username_claim"),
        public_key_file=flags.get("jwt_rsa_pubkey_file") or flags.get("jwt_ecds_pubkey_file"),
    )


def _variables(items: list[dict[str, Any]] | None, namespace: str, where: str) -> dict[str, Stated]:
    """Environment variables that have a value or a Secret's; the last of a name counts."""
    found = {}
    for item in items or ():
        reference = (item.get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            key = SecretKeyReference(namespace, reference["name"], reference["key"])
            found[item["name"]] = Stated(key, f"{where} {item['name']}")
        elif item.get("value"):
            found[item["name"]] = Stated(item["value"], f"{where} {item['name']}")
    return found


def _flags(words: list[str]) -> Iterator[tuple[str, str]]:
    """Flags with their values, as Go's flag package spells them: -f v, --f v, -f=v and --f=v."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("-"):
            # The Portworx docs write it with dashes and with underscores.
            yield name.lstrip("-").replace("-", "_"), value if equals else following

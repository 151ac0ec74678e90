"""What the objects that start Portworx say of its key and its issuer.

Source: the Portworx operator (its StorageCluster in pkg/apis/core/v1; which argument and which
variable are one setting, in pkg/migration), and the DaemonSet of the Portworx docs' spec generator.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import ForbiddenError, NotFoundError
from kubectl_pxauth.parallel import Background

OPERATOR_ISSUER = "operator.portworx.io"
OPERATOR_SECRET = "px-shared-secret"  # noqa: S105 - a Secret's name
USUAL_NAMESPACES = ("kube-system", "portworx")
SHARED_SECRET_KEY = "shared-secret"  # noqa: S105 - a key's name

_MISC_ARGS = "portworx.io/misc-args"  # an annotation: the operator hands them on to Portworx

_VARIABLES = {
    "PORTWORX_AUTH_JWT_ISSUER": "issuer",
    "PORTWORX_AUTH_JWT_SHAREDSECRET": "shared_secret",
    "PORTWORX_AUTH_JWT_RSA_PUBKEY": "public_key_file",
    "PORTWORX_AUTH_JWT_ECDS_PUBKEY": "public_key_file",
    "PORTWORX_AUTH_USERNAME_CLAIM": "username_claim",
}
_FLAGS = {
    "jwt_issuer": "issuer",
    "jwt_shared_secret": "shared_secret",
    "jwt_rsa_pubkey_file": "public_key_file",
    "jwt_ecds_pubkey_file": "public_key_file",
    "username_claim": "username_claim",
}
_FLAG = r"(?s)--?([a-z][a-z_-]*)(?:=(.*))?"
_COMMAND_LINE = rf"(?:^|\s)--?(?:{'|'.join(_FLAGS).replace('_', '[_-]')})[=\s]"
_VARIABLE = r"\$\((\w+)\)"


@dataclass(frozen=True)
class ConfigMapKeyReference:
    """One key of one ConfigMap's data."""

    namespace: str
    name: str
    key: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.key}"


def pxkeys(namespace: str) -> SecretKeyReference:
    """Where the shared secret is in the older model, which the Portworx docs make by hand."""
    return SecretKeyReference(namespace, "pxkeys", SHARED_SECRET_KEY)


PXKEYS = pxkeys("kube-system")

Value = str | SecretKeyReference | ConfigMapKeyReference


@dataclass(frozen=True)
class Stated:
    """A value, or the key that holds it, and the field that states it."""

    value: Value = field(repr=False)
    stated_by: str


@dataclass(frozen=True)
class PortworxSpec:
    """What one list of variables or of arguments says; None where it says nothing.

    owner is the object that it is in.
    """

    owner: str
    namespace: str
    issuer: Stated | None = None
    shared_secret: Stated | None = None
    username_claim: Stated | None = None
    public_key_file: Stated | None = None


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
        return _all(map(_read_storage_cluster, answer.get("items") or ()))

    return _specs("StorageClusters", listed, namespace)


def read_config_map_key(cluster: Cluster, reference: ConfigMapKeyReference) -> str | None:
    """The text in that key, None where there is none; raises ForbiddenError and ClusterErrors."""
    path = ("api", "v1", "namespaces", reference.namespace, "configmaps", reference.name)
    try:
        value: str | None = (cluster.get(*path).get("data") or {}).get(reference.key)
    except NotFoundError:
        return None
    return value


def daemon_set_specs(cluster: Cluster, namespace: str | None) -> PortworxSpecs:
    """What the DaemonSets named portworx say, in one namespace or in all."""

    def listed(only: str | None) -> tuple[PortworxSpec, ...]:
        path = ("apis", "apps", "v1", *_scope(only), "daemonsets")
        answer = cluster.get(*path, fieldSelector="metadata.name=portworx")
        return _all(map(_read_daemon_set, answer.get("items") or ()))

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
    reading = {name: Background(lambda name=name: listed(name)) for name in USUAL_NAMESPACES}  # type: ignore[misc]
    for name, one in reading.items():
        try:
            specs += one.result()
        except ForbiddenError:
            forbidden.append(f"{kind} in namespace {name}")
    return PortworxSpecs(specs, tuple(forbidden))


def _all(specs: Iterable[tuple[PortworxSpec, ...]]) -> tuple[PortworxSpec, ...]:
    return tuple(spec for found in specs for spec in found)


def _read_storage_cluster(item: dict[str, Any]) -> tuple[PortworxSpec, ...]:
    metadata, spec = item["metadata"], item.get("spec") or {}
    namespace = metadata["namespace"]
    where = f"StorageCluster {namespace}/{metadata['name']}"
    words = _shell_words((metadata.get("annotations") or {}).get(_MISC_ARGS, ""))
    stated = _variables(spec.get("env"), namespace, f"{where} spec.env")
    security = spec.get("security") or {}
    if security.get("enabled"):
        stated = _self_signed(security, namespace, where) | stated
    arguments = _arguments(words, spec.get("env"), namespace, f"{where} annotation {_MISC_ARGS}")
    return tuple(PortworxSpec(where, namespace, **fields) for fields in (stated, arguments))


def _self_signed(security: dict[str, Any], namespace: str, where: str) -> dict[str, Stated]:
    """What the operator starts Portworx with where no variable says otherwise."""
    signed = (security.get("auth") or {}).get("selfSigned") or {}
    path, default = f"{where} spec.security.auth.selfSigned", f"{where} spec.security, by default"
    issuer, secret = signed.get("issuer"), signed.get("sharedSecret")
    reference = SecretKeyReference(namespace, secret or OPERATOR_SECRET, SHARED_SECRET_KEY)
    return {
        "issuer": Stated(issuer or OPERATOR_ISSUER, f"{path}.issuer" if issuer else default),
        "shared_secret": Stated(reference, f"{path}.sharedSecret" if secret else default),
    }


def _read_daemon_set(item: dict[str, Any]) -> tuple[PortworxSpec, ...]:
    namespace = item["metadata"]["namespace"]
    owner = f"DaemonSet {namespace}/{item['metadata']['name']}"
    found = []
    for container in item["spec"]["template"]["spec"].get("containers") or ():
        where = f"{owner} container {container['name']}"
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        environment = container.get("env")
        found += [
            _variables(environment, namespace, f"{where} env"),
            _arguments(words, environment, namespace, where),
        ]
    return tuple(PortworxSpec(owner, namespace, **fields) for fields in found)


def _variables(items: list[dict[str, Any]] | None, namespace: str, where: str) -> dict[str, Stated]:
    """The fields that environment variables state; the last of a name counts."""
    return {
        _VARIABLES[name]: Stated(value, f"{where} {name}")
        for name, value in _environment(items, namespace).items()
        if name in _VARIABLES
    }


def _environment(items: list[dict[str, Any]] | None, namespace: str) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for item in items or ():
        source = item.get("valueFrom") or {}
        secret, config_map = source.get("secretKeyRef"), source.get("configMapKeyRef")
        if secret:
            found[item["name"]] = SecretKeyReference(namespace, secret["name"], secret["key"])
        elif config_map:
            reference = ConfigMapKeyReference(namespace, config_map["name"], config_map["key"])
            found[item["name"]] = reference
        elif item.get("value"):
            found[item["name"]] = item["value"]
    return found


def _arguments(
    words: list[str], environment: list[dict[str, Any]] | None, namespace: str, where: str
) -> dict[str, Stated]:
    """The fields that arguments state, with Kubernetes' $(VARIABLE) replaced; the last counts."""
    variables = _environment(environment, namespace)
    found = {}
    for flag, text in _flags(list(_split(words))):
        variable = re.fullmatch(_VARIABLE, text)
        value = variables.get(variable[1], text) if variable else text
        if flag in _FLAGS and value:
            found[_FLAGS[flag]] = Stated(value, f"{where} -{flag}")
    return found


def _split(words: list[str]) -> Iterator[str]:
    """The words, with a whole command line in one of them taken apart as a shell does."""
    for word in words:
        flag = re.fullmatch(_FLAG, word)
        whole = re.search(_COMMAND_LINE, word) and not (flag and flag[2])
        yield from _shell_words(word) if whole else [word]


def _shell_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote
        return text.split()


def _flags(words: list[str]) -> Iterator[tuple[str, str]]:
    """Flags with their values, as Go's flag package spells them: -f v, --f v, -f=v and --f=v."""
    for word, following in pairwise([*words, ""]):
        if flag := re.fullmatch(_FLAG, word):
            # The Portworx docs write it with dashes and with underscores.
            yield flag[1].replace("-", "_"), following if flag[2] is None else flag[2]

"""What the objects that start Portworx say of its key, its issuer and its OpenID Connect provider.

A DaemonSet of the older manifests hands its variables and arguments to Portworx as they are. What
the operator makes of a StorageCluster (drivers/storage/portworx of libopenstorage/operator, in its
releases 1.4.0 to 24.1.0):
- Authorization is on if spec.security.enabled is true and spec.security.auth.enabled is not false
  (util/util.go AuthEnabled).
- With it on, key and issuer are those of spec.security.auth.selfSigned, or the defaults, and are
  laid over spec.env (deployment.go getEnvList); the other variables of spec.env count.
- selfSigned without an issuer takes the value of the variable for it, if one is there; where
  selfSigned is missing or empty it does not (portworx.go setSecuritySpecDefaults).
- The variable for the key is read in each round, the first of that name, and fills a Secret that
  has no such key. What is there stays. Where the variable names what is gone the round fails, and
  makes neither keys nor tokens (component/auth.go getPrivateKeyOrGenerate and Reconcile,
  pkg/util/k8s CreateOrAppendToSecret).
- With it off the operator adds nothing: spec.env counts, and only that.
- The annotation portworx.io/misc-args goes to Portworx' arguments, and changes no variable
  (deployment.go getArguments). Which one Portworx takes, where both are there, is not public.
- Portworx' own applications sign with apps-secret of the Secret px-system-secrets, as
  apps.portworx.io, and before Portworx 2.6 as stork.openstorage.io (util/util.go
  SetupContextWithToken).

Which argument and which variable are one setting: pkg/migration/generate.go of the same.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import field
from itertools import pairwise
from typing import Any, TypeVar

from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.frozen import dataclass

OPERATOR_ISSUER = "operator.portworx.io"
OPERATOR_SECRET = "px-shared-secret"  # noqa: S105 - a Secret's name
OPERATORS_TOKENS = ("px-user-token", "px-admin-token")
"""The Secrets in Portworx' namespace with the tokens that the operator makes."""
USUAL_NAMESPACES = ("kube-system", "portworx")
SHARED_SECRET_KEY = "shared-secret"  # noqa: S105 - a key's name
APPS_ISSUER, STORK_ISSUER = "apps.portworx.io", "stork.openstorage.io"
APPLICATION_ISSUERS = (APPS_ISSUER, STORK_ISSUER)
"""The issuers of the tokens that Portworx' own applications make for themselves."""

APPLICATIONS_SECRET, APPLICATIONS_KEY = "px-system-secrets", "apps-secret"
_MISC_ARGS = "portworx.io/misc-args"  # an annotation: the operator hands them on to Portworx
_LONGEST = 16_384  # bytes; no setting is longer, and what is longer is not looked at

_ISSUER_VARIABLE = "PORTWORX_AUTH_JWT_ISSUER"
_SECRET_VARIABLE = "PORTWORX_AUTH_JWT_SHAREDSECRET"  # noqa: S105 - a variable's name
USERNAME_CLAIM_VARIABLE = "PORTWORX_AUTH_USERNAME_CLAIM"
_VARIABLES = {
    _ISSUER_VARIABLE: "issuer",
    _SECRET_VARIABLE: "shared_secret",
    "PORTWORX_AUTH_JWT_RSA_PUBKEY": "public_key_file",
    "PORTWORX_AUTH_JWT_ECDS_PUBKEY": "public_key_file",
    USERNAME_CLAIM_VARIABLE: "username_claim",
    "PORTWORX_AUTH_OIDC_ISSUER": "oidc_issuer",
    "PORTWORX_AUTH_SYSTEM_KEY": "system_key",
    "PORTWORX_AUTH_SYSTEM_APPS_KEY": "apps_key",
    "PORTWORX_AUTH_STORK_KEY": "stork_key",
}
_FLAGS = {
    "jwt_issuer": "issuer",
    "jwt_shared_secret": "shared_secret",
    "jwt_rsa_pubkey_file": "public_key_file",
    "jwt_ecds_pubkey_file": "public_key_file",
    "username_claim": "username_claim",
    "oidc_issuer": "oidc_issuer",
    "auth_system_key": "system_key",
}
_BY_SECURITY = ("issuer", "shared_secret", "system_key", "apps_key", "stork_key")
"""What the operator sets by itself where authorization is on."""
_FLAG = r"(?s)--?([a-z][a-z_-]*)(?:=(.*))?"
_COMMAND_LINE = rf"(?:^|\s)--?(?:{'|'.join(_FLAGS).replace('_', '[_-]')})[=\s]"
_VARIABLE = r"\$\(([^()]+)\)"

Form = TypeVar("Form")


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

    owner is the object that it is in, a StorageCluster if it is the operator's. apps_key and
    stork_key are the keys of Portworx' own applications. made is when a StorageCluster was made, to
    be compared, and earlier than any for another object. not_used are a key and an issuer that
    the object states and the operator does not use. unseen is whether Portworx gets variables
    that are not in the object; secured is whether spec.security switches authorization on, and
    guests whether the operator then lets in those who bring no token, None where it leaves that to
    others.
    """

    owner: str
    namespace: str
    issuer: Stated | None = None
    shared_secret: Stated | None = None
    username_claim: Stated | None = None
    public_key_file: Stated | None = None
    oidc_issuer: Stated | None = None
    system_key: Stated | None = None
    apps_key: Stated | None = None
    stork_key: Stated | None = None
    not_used: Mapping[str, Stated] = field(default_factory=dict)
    unseen: bool = False
    secured: bool = False
    guests: bool | None = None
    made: str = ""

    @property
    def is_operators(self) -> bool:
        """Whether the operator starts Portworx by it."""
        return self.owner.startswith("StorageCluster ")

    @property
    def asks_for_tokens(self) -> bool:
        """Whether a Portworx that is started so asks for tokens, or may do so."""
        return bool(self.unseen or self.issuer or self.oidc_issuer or self.names_a_key)

    @property
    def names_a_key(self) -> bool:
        """Whether it gives Portworx any key to verify tokens with."""
        return any((self.public_key_file, *self._keys))

    def takes_from(self, place: SecretKeyReference) -> bool:
        """Whether Portworx gets one of its keys from the Secret of that place."""
        taken = [one.value for one in self._keys if one]
        return any(
            isinstance(value, SecretKeyReference)
            and (value.namespace, value.name) == (place.namespace, place.name)
            for value in taken
        )

    @property
    def _keys(self) -> tuple[Stated | None, ...]:
        return (self.shared_secret, self.system_key, self.apps_key, self.stork_key)


class MalformedError(Exception):
    """An object has not the form that its kind has; str() says in which field."""


def _get(holder: Mapping[str, Any], path: str, name: str, form: type[Form]) -> Form | None:
    """The field of that name, None where it is missing or null; path is what holds it."""
    value = holder.get(name)
    if value is None:
        return None
    if not isinstance(value, form):
        words = {str: "a text", bool: "true or false", list: "a list", dict: "a mapping"}
        raise MalformedError(f"{path} {name} is not {words[form]}")
    if isinstance(value, str) and len(value) > _LONGEST:
        raise MalformedError(f"{path} {name} has {len(value)} characters")
    return value


def read_storage_cluster(
    item: dict[str, Any], namespace: str, where: str
) -> tuple[PortworxSpec, ...]:
    """What it says, and what its arguments say; where is what errors call it.

    Raises MalformedError.
    """
    annotations = _get(item["metadata"], "metadata", "annotations", dict) or {}
    words = _shell_words(_get(annotations, "annotation", _MISC_ARGS, str) or "")
    spec = _get(item, "the object's", "spec", dict) or {}
    environment = _Environment.read(_get(spec, "spec", "env", list), namespace, f"{where} spec.env")
    stated = environment.settings()
    not_used: dict[str, Stated] = {}
    security = _get(spec, "spec", "security", dict) or {}
    auth = _get(security, "spec.security", "auth", dict) or {}
    enabled = _get(security, "spec.security", "enabled", bool)
    secured = bool(enabled) and _get(auth, "spec.security.auth", "enabled", bool) is not False
    if secured:
        not_used = {name: one for name, one in environment.first().items() if name in _BY_SECURITY}
        signed = _get(auth, "spec.security.auth", "selfSigned", dict) or {}
        by_security = _self_signed(signed, not_used.get("issuer"), namespace, where)
        stated = {name: one for name, one in stated.items() if name not in _BY_SECURITY}
        stated |= by_security
        if not_used.get("issuer") == by_security["issuer"]:
            del not_used["issuer"]
    # The operator's defaults: setSecuritySpecDefaults in drivers/storage/portworx/portworx.go.
    access = _get(auth, "spec.security.auth", "guestAccess", str) or "Enabled"
    guests = {"Enabled": True, "Disabled": False}.get(access) if secured else None
    arguments = _arguments(words, environment, f"{where} annotation {_MISC_ARGS}")
    unseen = bool(environment.unseen().difference(_BY_SECURITY if secured else ()))
    by_spec = PortworxSpec(
        where,
        namespace,
        not_used=not_used,
        unseen=unseen,
        secured=secured,
        guests=guests,
        **stated,
    )
    return by_spec, PortworxSpec(where, namespace, **arguments)


def _self_signed(
    signed: dict[str, Any], variable: Stated | None, namespace: str, where: str
) -> dict[str, Stated]:
    """What the operator starts Portworx with where authorization is on."""
    field_path = "spec.security.auth.selfSigned"
    path, default = f"{where} {field_path}", f"{where} spec.security, by default"
    issuer, secret, lifetime = (
        _get(signed, field_path, name, str) for name in ("issuer", "sharedSecret", "tokenLifetime")
    )
    is_empty = (issuer, secret, lifetime) == (None, None, None)
    if issuer:
        stated_issuer = Stated(issuer, f"{path}.issuer")
    elif not is_empty and variable and isinstance(variable.value, str):
        stated_issuer = variable
    else:
        stated_issuer = Stated(OPERATOR_ISSUER, default)
    reference = SecretKeyReference(namespace, secret or OPERATOR_SECRET, SHARED_SECRET_KEY)
    applications = SecretKeyReference(namespace, APPLICATIONS_SECRET, APPLICATIONS_KEY)
    return {
        "issuer": stated_issuer,
        "shared_secret": Stated(reference, f"{path}.sharedSecret" if secret else default),
        "apps_key": Stated(applications, default),
        "stork_key": Stated(applications, default),
    }


def read_daemon_set(item: dict[str, Any], namespace: str, where: str) -> tuple[PortworxSpec, ...]:
    """What its containers say, in the same way; raises MalformedError.

    Where one is called portworx only that counts: a sidecar's variables say nothing of Portworx.
    """
    found = []
    pod = item
    for name in ("spec", "template", "spec"):
        pod = _get(pod, "its pod", name, dict) or {}
    containers = _get(pod, "its pod", "containers", list) or []
    for container in containers:
        if not isinstance(container, dict) or not isinstance(container.get("name"), str):
            raise MalformedError("it has a container without a name")
    for container in [one for one in containers if one["name"] == "portworx"] or containers:
        here = f"{where} container {container['name']}"
        lists = [_get(container, "a container's", name, list) for name in ("command", "args")]
        words = [word for words in lists for word in words or ()]
        if not all(isinstance(word, str) for word in words):
            raise MalformedError("a container's command or args hold what is no text")
        environment = _Environment.read(
            _get(container, "its", "env", list), namespace, f"{here} env"
        )
        from_elsewhere = bool(container.get("envFrom")) and container["name"] == "portworx"
        unseen = from_elsewhere or bool(environment.unseen())
        found += [
            PortworxSpec(where, namespace, unseen=unseen, **environment.settings()),
            PortworxSpec(where, namespace, **_arguments(words, environment, here)),
        ]
    return tuple(found)


@dataclass(frozen=True)
class _Environment:
    """What a list of environment variables says, by their names.

    known is what a container gets: the last of a name, with what it takes from those before it;
    None where that is not in the object. first is what the first of a name says as it stands.
    """

    known: Mapping[str, Value | None]
    raw: Mapping[str, Value | None]
    where: str

    @classmethod
    def read(cls, items: list[Any] | None, namespace: str, where: str) -> "_Environment":
        known: dict[str, Value | None] = {}
        raw: dict[str, Value | None] = {}
        for item in items or ():
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str):
                raise MalformedError("spec.env has an item without a name")
            try:
                value = _value(item, name, namespace)
            except MalformedError:
                if name in _VARIABLES:
                    raise
                value = None
            raw.setdefault(name, value)
            known[name] = _expanded(value, known) if isinstance(value, str) else value
        return cls(known, raw, where)

    def settings(self) -> dict[str, Any]:
        """The fields that variables state; the last of a name counts, as for Kubernetes."""
        return self._stated(self.known)

    def first(self) -> dict[str, Stated]:
        """The same with the first of a name, which is the one that the operator itself reads."""
        return self._stated(self.raw)

    def unseen(self) -> set[str]:
        """The fields of which only Kubernetes knows what the variables say."""
        return {
            setting
            for name, setting in _VARIABLES.items()
            if name in self.known and self.known[name] is None
        }

    def _stated(self, values: Mapping[str, Value | None]) -> dict[str, Stated]:
        return {
            setting: Stated(value, f"{self.where} {name}")
            for name, setting in _VARIABLES.items()
            if (value := values.get(name))
        }


def _value(item: Mapping[str, Any], name: str, namespace: str) -> Value | None:
    """What one variable says as it stands; None where it names what is not known here."""
    source = _get(item, name, "valueFrom", dict) or {}
    if secret := _get(source, name, "secretKeyRef", dict):
        return SecretKeyReference(namespace, *_name_and_key(secret, name))
    if config_map := _get(source, name, "configMapKeyRef", dict):
        return ConfigMapKeyReference(namespace, *_name_and_key(config_map, name))
    return None if source else _get(item, name, "value", str) or ""


def _expanded(text: str, known: Mapping[str, Value | None]) -> Value | None:
    """The text with $(VARIABLE) replaced as Kubernetes does; None where a part is not known.

    A part that is in a Secret or a ConfigMap is known where it is the whole. Source: kubernetes,
    third_party/forked/golang/expansion/expand.go.
    """
    if whole := re.fullmatch(_VARIABLE, text):
        return known.get(whole[1])
    parts, size, end = [], 0, 0
    for found in re.finditer(rf"\$\$|{_VARIABLE}", text):
        value = "$" if found[0] == "$$" else known.get(found[1])
        if not isinstance(value, str) or size > _LONGEST:
            return None
        parts += [text[end : found.start()], value]
        size, end = size + len(value), found.end()
    return "".join((*parts, text[end:]))


def _name_and_key(reference: dict[str, Any], variable: str) -> tuple[str, str]:
    name, key = (_get(reference, variable, part, str) for part in ("name", "key"))
    if not name or not key:
        raise MalformedError(f"{variable} names no object and key")
    return name, key


def _arguments(words: list[str], environment: _Environment, where: str) -> dict[str, Any]:
    """The fields that arguments state, with Kubernetes' $(VARIABLE) replaced; the last counts."""
    found: dict[str, Any] = {}
    for flag, text in _flags(list(_split(words))):
        if flag not in _FLAGS:
            continue
        value = _expanded(text, environment.known)
        if value:
            found[_FLAGS[flag]] = Stated(value, f"{where} -{flag}")
        elif value is None:
            found["unseen"] = True
    return found


def _split(words: list[str]) -> Iterator[str]:
    """The words, with a whole command line in one of them taken apart as a shell does."""
    for word in words:
        if len(word) > _LONGEST:
            continue
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

"""What is stated of the key, the issuer and the like, read from where it is."""

from collections.abc import Iterable

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import Secret, SecretKeyReference, find_secret
from kubectl_pxauth.errors import (
    DiscoveryError,
    ForbiddenError,
    NotFoundError,
    SharedSecretError,
)
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.key_secret import key_flags, with_rotation
from kubectl_pxauth.portworx.settings import (
    PXKEYS,
    ConfigMapKeyReference,
    PortworxSpec,
    Stated,
    Value,
    pxkeys,
)
from kubectl_pxauth.token.shared_secret import SharedSecret

NAME_IT = "name the Secret that holds it: --shared-secret-from NAMESPACE/NAME:KEY"


@dataclass(frozen=True)
class FoundKey:
    """A shared secret, the Secret's key that holds it if one does, and what pointed there.

    copies are the other Secrets that hold the same one, as far as they were looked at.
    """

    shared_secret: SharedSecret
    reference: SecretKeyReference | None
    stated_by: str
    copies: tuple[SecretKeyReference, ...] = ()


@dataclass(frozen=True)
class FoundText:
    """The issuer or the user name claim, and what said so."""

    value: str
    stated_by: str


def read_shared_secret(cluster: Cluster, reference: SecretKeyReference) -> SharedSecret:
    """The shared secret in the key that is given; raises SharedSecretError and ClusterErrors."""
    return StatedValues(cluster).shared_secret(reference, key_flags(reference))


class StatedValues:
    """Values where they are stated: in the object itself, in a Secret, in a ConfigMap.

    Secrets are asked for ahead, each once. The methods raise SharedSecretError where there is
    nothing, or what can't be a key, DiscoveryError where there is no such text, and ClusterErrors.
    """

    def __init__(self, cluster: Cluster) -> None:
        """Ask for nothing yet."""
        self._cluster = cluster
        self._asked: dict[tuple[str, str], Background[Secret | None]] = {}

    def ask(self, values: Iterable[Value]) -> None:
        """Begin to read the Secrets among these."""
        for value in values:
            place = (value.namespace, value.name) if isinstance(value, SecretKeyReference) else None
            if place and place not in self._asked:
                self._asked[place] = Background(
                    lambda place=place: find_secret(self._cluster, *place)  # type: ignore[misc]
                )

    def find(self, reference: SecretKeyReference) -> Secret | None:
        """The Secret of that reference, None where there is none."""
        self.ask([reference])
        return self._asked[reference.namespace, reference.name].result()

    def holds(self, reference: SecretKeyReference) -> bool:
        """Whether there is something in that key, as far as this user may look."""
        secret = attempt(lambda: self.find(reference))
        return isinstance(secret, Secret) and bool(secret.data.get(reference.key))

    def forbidden(self) -> tuple[str, ...]:
        """The Secrets that RBAC kept closed, of those that were asked for so far."""
        outcomes = {place: attempt(asked.result) for place, asked in self._asked.items()}
        return tuple(
            f"Secret {namespace}/{name}"
            for (namespace, name), outcome in outcomes.items()
            if isinstance(outcome, ForbiddenError)
        )

    def shared_secret(self, reference: SecretKeyReference, flags: str = "") -> SharedSecret:
        """The shared secret in that key, with a word on a rotation of it: see with_rotation."""
        found = SharedSecret(self._value(reference), reference.display_name)
        secret = self.find(reference)
        return with_rotation(found, reference, secret, flags) if secret else found

    def key(self, stated: Stated) -> FoundKey:
        """The shared secret that is stated."""
        try:
            if isinstance(stated.value, SecretKeyReference):
                secret = self.shared_secret(stated.value)
                return FoundKey(secret, stated.value, stated.stated_by)
            return FoundKey(
                SharedSecret(self._value(stated.value), stated.stated_by), None, stated.stated_by
            )
        except SharedSecretError as error:
            raise SharedSecretError(f"{stated.stated_by}: {error}", error.hint) from None

    def key_of(self, spec: PortworxSpec) -> FoundKey | None:
        """The shared secret that Portworx gets by what the object states, None for none.

        The operator fills a Secret that has no such key yet from the variable, if one is there.
        """
        stated, variable = spec.shared_secret, spec.not_used.get("shared_secret")
        if stated is None:
            return None
        makes = "the operator makes it when it starts Portworx"
        if variable and isinstance(stated.value, SecretKeyReference):
            secret = self.find(stated.value)
            if secret is None or stated.value.key not in secret.data:
                makes = f"the operator makes {stated.value.secret} of it"
                stated = variable
        try:
            return self.key(stated)
        except SharedSecretError as error:
            if not spec.is_operators:
                raise
            raise SharedSecretError(str(error), f"{makes}; or {error.hint or NAME_IT}") from None

    def one_text(self, what: str, stated: Iterable[Stated], hint: str) -> FoundText | None:
        """The one text that all of these state, None where there are none.

        Raises DiscoveryError where they differ.
        """
        found = [self.text(one) for one in stated]
        if len({one.value for one in found}) > 1:
            both = " and ".join(f'"{one.value}" ({one.stated_by})' for one in found)
            raise DiscoveryError(f"the cluster names different {what}: {both}", hint)
        return found[0] if found else None

    def text(self, stated: Stated) -> FoundText:
        """The text that is stated."""
        try:
            value = self._value(stated.value).decode(errors="replace")
        except SharedSecretError as error:
            raise DiscoveryError(
                f"{stated.stated_by}: {error}", hint="or name it: --issuer"
            ) from None
        if not value:
            raise DiscoveryError(f"{stated.stated_by} is empty", hint="or name it: --issuer")
        return FoundText(value, stated.stated_by)

    def _value(self, value: Value) -> bytes:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, SecretKeyReference):
            secret = self.find(value)
            try:
                return value.value_in(secret)
            except NotFoundError as error:
                raise SharedSecretError(str(error), _hint_without(value, secret)) from None
        text = _read_config_map_key(self._cluster, value)
        if text is None:
            raise SharedSecretError(
                f'ConfigMap {value.namespace}/{value.name} has no key "{value.key}"', hint=NAME_IT
            )
        return text.encode()


def _hint_without(reference: SecretKeyReference, secret: Secret | None) -> str:
    """What to do where that key is missing."""
    if reference == pxkeys(reference.namespace):  # which `keys create` makes
        elsewhere = reference.namespace != PXKEYS.namespace
        flag = f" -n {reference.namespace}" if elsewhere else ""
        return (
            f"make the first keys: kubectl pxauth keys create{flag}; or restore the Secret, if it"
            " was deleted"
        )
    if secret:
        return f"--shared-secret-from {reference.namespace}/{reference.name}:KEY"
    return NAME_IT


def _read_config_map_key(cluster: Cluster, reference: ConfigMapKeyReference) -> str | None:
    """The text in that key, None where there is none; raises ForbiddenError and ClusterErrors."""
    path = ("api", "v1", "namespaces", reference.namespace, "configmaps", reference.name)
    try:
        value: str | None = (cluster.get(*path).get("data") or {}).get(reference.key)
    except NotFoundError:
        return None
    return value

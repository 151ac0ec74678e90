"""The Secret that Portworx takes its keys from: which keys it has, also while one is rotated.

Its name and its keys: Portworx docs, security, the shared-secret model's step before "Generate
tokens".

While the shared secret, under the key K, is rotated, three more keys may be in the Secret's data:

    state       K      K.old   K.new   K.rotation says
    none        old
    laid        old            new     forward: the new one is there, and nobody uses it yet
    forward     new    old             forward: tokens of the old one are signed again
    backward    old            new     backward: tokens of the new one are signed again
    none        new (or old, where it went back)

They are data, as others leave data alone: the Portworx operator replaces labels and annotations of
px-shared-secret in each of its rounds and keeps the data (libopenstorage/operator,
pkg/util/k8s/k8s.go, CreateOrAppendToSecret). It writes what it read, without a resourceVersion, so
it can put an older copy of all of the data in the place of a newer one. Each state therefore holds
all that the state before it holds: an older copy loses no key that has signed anything.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from kubectl_pxauth.cluster.secrets import Secret, SecretContent, SecretKeyReference
from kubectl_pxauth.errors import (
    NotFoundError,
    PxauthError,
    SharedSecretError,
)
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.settings import SHARED_SECRET_KEY
from kubectl_pxauth.token.claims import rfc3339
from kubectl_pxauth.token.shared_secret import SharedSecret

SYSTEM_KEYS = ("system-secret", "stork-secret", SHARED_SECRET_KEY)

ROTATED_BY = "kubectl-pxauth-rotate"
ROLLED_BACK_BY = "kubectl-pxauth-rollback"
"""The field managers of what changes the shared secret, so that the API server notes when."""

_OF_0_1_0 = "kubectl-pxauth/rotation"
"""The annotation by which version 0.1.0 noted a rotation; it names the key with the other one."""

_BYTES = 64


def new_key() -> bytes:
    """A key from the system's randomness, as text: Portworx takes it from its environment."""
    import secrets

    return base64.b64encode(secrets.token_bytes(_BYTES))


def same_values(secret: Secret, key: str) -> tuple[str, ...]:
    """The other keys of a Secret that have the same value as this one."""
    value = secret.data.get(key)
    return tuple(
        sorted(other for other, data in secret.data.items() if other != key and data == value)
        if value
        else ()
    )


def same_value_warnings(secret: Secret, key: str) -> tuple[str, ...]:
    """A warning where other keys of a Secret have the same value as this one."""
    same = same_values(secret, key)
    if not same:
        return ()
    return (
        f"{secret.display_name} has the same value in {key} and {' and '.join(same)}:"
        " whoever has the one key has the other",
    )


class Direction(StrEnum):
    """Which way a rotation goes: to the new key, or back to the old one."""

    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True)
class KeyRotation:
    """A rotation under way; other is the shared secret next to the one that Portworx reads.

    since is when it was begun, empty where that is not known. noted is whether the Secret says that
    it is one, and None of its keys is only taken for one's.
    """

    direction: Direction
    since: str
    other_key: str
    other: SharedSecret
    noted: bool = True

    def next_command(self, flags: str = "") -> str:
        """The command that goes on with it; the flags are those of key_flags."""
        back = " --rollback" if self.direction is Direction.BACKWARD else ""
        return f"kubectl pxauth keys rotate{back}{flags}"


@dataclass(frozen=True)
class KeyState:
    """The shared secret in its Secret, and the rotation that is under way, if one is."""

    reference: SecretKeyReference
    current: SharedSecret
    rotation: KeyRotation | None = None

    @property
    def laid(self) -> bool:
        """Whether a rotation has stored its new key next to the old one, and no more."""
        return (
            self.rotation is not None
            and self.rotation.direction is Direction.FORWARD
            and self.rotation.other_key == _new(self.reference)
        )

    @property
    def data(self) -> Mapping[str, bytes | None]:
        """All that it is in the Secret's data; None for a key that must not be there."""
        data: dict[str, bytes | None] = dict.fromkeys(_side_keys(self.reference))
        data[self.reference.key] = self.current.value
        if rotation := self.rotation:
            data[rotation.other_key] = rotation.other.value
            data[_note(self.reference)] = _written_note(self.reference, rotation)
        return data

    @property
    def content(self) -> SecretContent:
        """What is to be written so that the Secret is in this state, for version 0.1.0 as well."""
        other_key = self.rotation.other_key if self.rotation else None
        return SecretContent(self.data, {}, {_OF_0_1_0: other_key})

    def with_new_key(self, now: datetime) -> "KeyState":
        """With a new key stored next to the one that is there."""
        new = SharedSecret(new_key(), self.current.source)
        rotation = KeyRotation(Direction.FORWARD, rfc3339(now), _new(self.reference), new)
        return replace(self, rotation=rotation)

    def forward(self) -> "KeyState":
        """With the new key in its place, and the old one next to it."""
        return self if self.rotation is None or not self.laid else self._turned("old")

    def backward(self) -> "KeyState":
        """With the old key in its place again, and the new one next to it."""
        assert self.rotation is not None  # noqa: S101 - the way back is one of a rotation
        turned = self if self.rotation.other_key == _new(self.reference) else self._turned("new")
        assert turned.rotation is not None  # noqa: S101
        return replace(turned, rotation=replace(turned.rotation, direction=Direction.BACKWARD))

    def _turned(self, name: str) -> "KeyState":
        """With the two keys in each other's place."""
        assert self.rotation is not None  # noqa: S101
        key = f"{self.reference.key}.{name}"
        rotation = replace(self.rotation, other_key=key, other=self.current)
        return replace(self, current=self.rotation.other, rotation=rotation)

    def alone(self) -> "KeyState":
        """With the key that is in its place, and no other."""
        return replace(self, rotation=None)


def read_key_state(
    reference: SecretKeyReference, secret: Secret | None, *, adopt: bool = False
) -> KeyState:
    """The state that the Secret is in.

    A key K.old or K.new that no note is of is somebody's backup, or is left of a rotation of
    version 0.1.0 whose annotation the operator removed: with adopt it is taken for that.

    Raises SharedSecretError where the shared secret is not there, or the Secret has keys in a
    rotation's way.
    """
    try:
        value = reference.value_in(secret)
    except NotFoundError as error:
        raise SharedSecretError(str(error)) from None
    assert secret is not None  # noqa: S101 - it has a value
    state = KeyState(reference, SharedSecret(value, reference.display_name))
    sides = [key for key in (_old(reference), _new(reference)) if key in secret.data]
    noted = _note(reference) in secret.data or secret.annotations.get(_OF_0_1_0) in sides
    annotated = secret.annotations.get(_OF_0_1_0)
    if annotated in secret.data and annotated not in sides:
        raise SharedSecretError(
            f'{secret.display_name}: a rotation of another of its keys is under way ("{annotated}")'
        )
    if len(sides) > 1 or (sides and not noted and not adopt):
        raise SharedSecretError(
            f'{secret.display_name} has a key "{sides[-1]}" that no rotation has put there',
            hint="that is where a rotation keeps the other shared secret: rename it; or, if version"
            " 0.1.0 began a rotation here: kubectl pxauth keys rotate --phase=tokens",
        )
    if not sides:
        return state
    key = sides[0]
    direction, since = _read_note(secret.data.get(_note(reference)))
    if direction is None or key == _old(reference):
        direction = Direction.FORWARD if key == _old(reference) else Direction.BACKWARD
    other = SharedSecret(secret.data[key], f'{secret.display_name} key "{key}"')
    return replace(state, rotation=KeyRotation(direction, since, key, other, noted))


def key_flags(given: SecretKeyReference | None, portworx_namespace: str | None = None) -> str:
    """The flags that name the same key to another command, to be put behind it; "" for none.

    Without them that command would find the key that Portworx uses, which may be another one.
    """
    flags = f" --shared-secret-from={given}" if given else ""
    return flags + (f" --portworx-namespace={portworx_namespace}" if portworx_namespace else "")


def with_rotation(
    shared_secret: SharedSecret, reference: SecretKeyReference, secret: Secret, flags: str
) -> SharedSecret:
    """The shared secret of that place, and a rotation of it that the Secret says is under way.

    The flags name the place where the user has named it.
    """
    try:
        rotation = read_key_state(reference, secret).rotation
    except PxauthError:
        return shared_secret
    if rotation is None:
        return shared_secret
    since = f", since {rotation.since}" if rotation.since else ""
    back = " back to the old key" if rotation.direction is Direction.BACKWARD else ""
    notice = (
        f"a rotation of {reference}{back} is under way{since}: {rotation.next_command(flags)}"
        f" continues it, and kubectl pxauth keys status{flags} shows how far it is"
    )
    return replace(shared_secret, rotation=notice, other=rotation.other.value)


def data_of_state(reference: SecretKeyReference, secret: Secret) -> Mapping[str, bytes | None]:
    """What of the Secret's data tells its state, as KeyState.data has it."""
    keys = (reference.key, *_side_keys(reference))
    return {key: secret.data.get(key) for key in keys}


def changed_at(reference: SecretKeyReference, secret: Secret) -> tuple[datetime | None, str]:
    """When the shared secret was last changed, and by which field manager; None if nobody says.

    The API server notes the time of a manager's last write that set a field; a write that only
    removes fields leaves it (kubernetes/apimachinery, pkg/util/managedfields/internal,
    managedFieldsUpdater.Update). What a rotation writes after it has changed the key removes fields
    alone, so the time of ROTATED_BY is when the key changed. Other managers' times are later, or
    are of something else that they wrote.
    """
    found: tuple[datetime | None, str] = None, ""
    for entry in secret.managed_fields:
        data = (entry.get("fieldsV1") or {}).get("f:data") or {}
        if f"f:{reference.key}" in data and entry.get("time"):
            time = datetime.fromisoformat(entry["time"]).astimezone(UTC)
            if found[0] is None or time > found[0]:
                found = time, str(entry.get("manager", ""))
    return found


def _old(reference: SecretKeyReference) -> str:
    return f"{reference.key}.old"


def _new(reference: SecretKeyReference) -> str:
    return f"{reference.key}.new"


def _note(reference: SecretKeyReference) -> str:
    return f"{reference.key}.rotation"


def _side_keys(reference: SecretKeyReference) -> tuple[str, str, str]:
    return _old(reference), _new(reference), _note(reference)


def _written_note(reference: SecretKeyReference, rotation: KeyRotation) -> bytes:
    """The note of a rotation, for us and for a person who looks at the Secret."""
    note = {
        "what": f"kubectl pxauth keys rotate is putting a new key in the place of {reference.key}",
        "direction": str(rotation.direction),
        "since": rotation.since,
        "otherKey": rotation.other_key,
        "next": rotation.next_command(),
    }
    return json.dumps(note).encode()


def _read_note(note: bytes | None) -> tuple[Direction | None, str]:
    """The direction and the start that a note names; what this version can't read is not there."""
    try:
        says = json.loads(note or b"")
        return Direction(says["direction"]), str(says.get("since", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None, ""

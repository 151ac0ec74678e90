"""The command `kubectl pxauth keys status`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    DataFormatFlag,
    PortworxNamespaceFlag,
    SharedSecretFromFlag,
)
from kubectl_pxauth.cli.inputs import optional, read_key_reference
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.operations.keys.status import TokenCounts, find_key_status
from kubectl_pxauth.portworx.key_secret import Direction, key_flags
from kubectl_pxauth.portworx.key_status import KeyStatus
from kubectl_pxauth.token.claims import rfc3339

HELP = """Shows which shared secret the cluster has and since when, whether it is being rotated,
how many tokens each key has signed, which Portworx pods started before the key
changed, and what to run next. It shows only the fingerprint of a key."""

EXAMPLES = (
    ("Show how far a rotation is", "kubectl pxauth keys status"),
    ("Print what to run next, for a script", "kubectl pxauth keys status -o json | jq -r .next[]"),
)


@takes_groups
def command(
    *,
    shared_secret_from: SharedSecretFromFlag = None,
    portworx_namespace: PortworxNamespaceFlag = None,
    form: DataFormatFlag = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, look, print."""
    given = optional(shared_secret_from, read_key_reference)
    namespace = optional(portworx_namespace, check_namespace)
    status, tokens = find_key_status(given, namespace, connection_flags.connection().open())
    following = status.next_commands(key_flags(given, namespace))
    commands = [output.for_this_cluster(command) for command in following]
    output.warnings(status.state.current.reference_warnings())
    for unknown in (tokens, status.running):
        if isinstance(unknown, PxauthError):
            output.warning(str(unknown))
    if form:
        output.objects({**_as_json(status, tokens), "next": commands}, form)
    else:
        from kubectl_pxauth.cli.table import print_rows

        nothing = [] if commands else [output.Row("Next", ["nothing"])]
        print_rows([*_rows(status, tokens), *nothing])
        if commands:
            print("Next:")
        for command in commands:  # each on one line, to be copied
            print(f"  {output.printable(command)}")


NO_FINGERPRINT = "not shown, as the key is so short that it could be guessed from it"
"""What is shown where a key has no fingerprint."""


def _as_json(status: KeyStatus, tokens: TokenCounts | PxauthError) -> dict[str, Any]:
    return {
        **key_as_json(status),
        "tokens": None if isinstance(tokens, PxauthError) else vars(tokens),
    }


def key_as_json(status: KeyStatus) -> dict[str, Any]:
    """The key, its rotation and the pods that have it."""
    state, rotation = status.state, status.state.rotation
    running, stale = status.running, status.started_before
    known = not isinstance(running, PxauthError)
    return {
        "sharedSecret": {
            "secret": vars(state.reference),
            "statedBy": status.stated_by,
            "fingerprint": state.current.fingerprint,
            "changedAt": status.changed_at and rfc3339(status.changed_at),
        },
        "rotation": rotation
        and {
            "direction": str(rotation.direction),
            "since": rotation.since or None,
            "newKeyInUse": not state.laid and rotation.direction is Direction.FORWARD,
            "otherKey": rotation.other_key,
            "otherFingerprint": rotation.other.fingerprint,
        },
        "pods": None if isinstance(running, PxauthError) else len(running.pods),
        "startedBefore": None if stale is None or not known else [pod.name for pod in stale],
    }


def _rows(status: KeyStatus, tokens: TokenCounts | PxauthError) -> Iterator[output.Row]:
    rotation = status.state.rotation
    yield from key_rows(status)
    if not isinstance(tokens, PxauthError):
        lines = [f"{tokens.current} signed with this key"]
        if rotation:
            lines.append(f"{tokens.other} signed with {rotation.other_key}")
        yield output.Row("Tokens", lines)
    yield from pod_rows(status)


def key_rows(status: KeyStatus) -> Iterator[output.Row]:
    """The key, since when it is so, and how its rotation stands."""
    from kubectl_pxauth.cli.table import relative

    state, rotation = status.state, status.state.rotation
    key = state.current.fingerprint or NO_FINGERPRINT
    yield output.Row("Shared secret", [state.reference.display_name, status.stated_by])
    yield output.Row("Fingerprint", [key])
    if status.changed_at:
        ago = relative(status.changed_at, datetime.now(UTC))
        yield output.Row("Last written", [f"{rfc3339(status.changed_at)} ({ago})"])
    if rotation is None:
        yield output.Row("Rotation", ["none"])
    else:
        how = {
            Direction.FORWARD: "the new key is stored next to the old one, which is in use"
            if state.laid
            else "the new key is in place",
            Direction.BACKWARD: "going back: the old key is in place again",
        }[rotation.direction]
        since = f", since {rotation.since}" if rotation.since else ""
        other = rotation.other.fingerprint or NO_FINGERPRINT
        lines = [f"{how}{since}", f"{rotation.other_key}: fingerprint {other}"]
        yield output.Row("Rotation", lines)


def pod_rows(status: KeyStatus) -> Iterator[output.Row]:
    """The Portworx pods, and which of them have another key."""
    running, stale = status.running, status.started_before
    if isinstance(running, PxauthError) or not running.pods:
        return
    total = f"{len(running.pods)} in namespace {running.namespace}"
    if stale:
        names = ", ".join(pod.name for pod in stale)
        lines = [total, f"started before the key was changed, and have the old one: {names}"]
    elif stale is not None:
        lines = [total, "all started since the key was last written"]
    elif status.rolled_back:
        lines = [total, "those that were started during the rotation have the other key"]
    else:
        lines = [total, "it is not known whether all of them have this key"]
    yield output.Row("Portworx pods", lines)

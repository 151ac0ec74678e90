"""Run a command in a pod, as `kubectl exec` does.

Source: k8s.io/apimachinery, pkg/util/remotecommand (the channels), and Kubernetes docs,
reference/access-authn-authz/authorization (the rights).
"""

import json
import re
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import missing_right
from kubectl_pxauth.cluster.pods import Pod
from kubectl_pxauth.errors import ClusterError, ForbiddenError, NoAnswerError
from kubectl_pxauth.frozen import dataclass

DEFAULT_TIMEOUT = timedelta(seconds=60)
"""How long a command in a pod may take where no --request-timeout is given."""

# The first is of Kubernetes 1.30 and later, the second of all before. What differs is how they
# end standard input, which nothing here does.
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _STATUS = range(4)
_EXIT_CODE = re.compile(r"exit (?:status|code) (\d+)\s*$")


@dataclass(frozen=True)
class Finished:
    """How a command ended; code is None where it did not run, or nobody says how it ended.

    message is Kubernetes' word on a failure, and empty where there is none.
    """

    code: int | None
    output: str
    errors: str
    message: str


def run_in_pod(
    cluster: Cluster, pod: Pod, container: str, command: Sequence[str], line: str | None = None
) -> Finished:
    """Run a command and wait for its end; line, if given, is what it can read.

    The command is one to read a line, not to wait for the end of its input: not every way to a
    pod brings that end. Raises ForbiddenError, NotFoundError and other ClusterErrors, one of
    them when the time is up; what was started may then still run.
    """
    timeout = cluster.request_timeout or DEFAULT_TIMEOUT
    deadline = time.monotonic() + timeout.total_seconds()
    wanted = {"container": container, "stdout": "true", "stderr": "true"}
    if line is not None:
        wanted["stdin"] = "true"
    try:
        stream = cluster.open_stream(
            *("api", "v1", "namespaces", pod.namespace, "pods", pod.name, "exec"),
            query=[*wanted.items(), *(("command", word) for word in command)],
            protocols=_PROTOCOLS,
            timeout=timeout,
        )
    except ForbiddenError as error:
        raise _forbidden(error, pod) from None
    except NoAnswerError as error:
        raise ClusterError(
            f"pod {pod}: {error} from the kubelet of its node, which the API server asks",
            hint=f"kubectl get node {pod.node}",
        ) from None
    try:
        channels = _talk(stream, line, deadline, pod, timeout)
    finally:
        stream.shutdown()  # type: ignore[no-untyped-call] # close() waits for the other side
    return _finished(channels, pod)


def _forbidden(error: ForbiddenError, pod: Pod) -> ForbiddenError:
    """RBAC's refusal, with both verbs that it takes; an admission's as it is."""
    missing = missing_right(error)
    if missing is None:
        return ForbiddenError(f"pod {pod}: {error}")
    return ForbiddenError(
        f'you may not execute commands in pod {pod}: verb "{missing.verb}" on resource "pods/exec"'
        f' in namespace "{pod.namespace}" is forbidden; it takes "get" and "create"',
        hint=f"kubectl auth can-i {missing.verb} pods --subresource=exec -n {pod.namespace}",
    )


def _talk(
    stream: Any, line: str | None, deadline: float, pod: Pod, timeout: timedelta
) -> dict[int, bytearray]:
    import websocket

    channels = {channel: bytearray() for channel in (_STDOUT, _STDERR, _STATUS)}
    try:
        if line is not None:
            stream.send_binary(bytes([_STDIN]) + f"{line}\n".encode())
        while True:
            stream.settimeout(max(deadline - time.monotonic(), 0.001))
            opcode, data = stream.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return channels
            if data and data[0] in channels:
                channels[data[0]] += data[1:]
    except (websocket.WebSocketTimeoutException, TimeoutError):
        raise ClusterError(
            f"pod {pod}: no end within {timeout.total_seconds():g} s",
            hint="give it more time with --request-timeout",
        ) from None
    except (websocket.WebSocketException, OSError):
        return channels  # whether it broke too early, the status says


def _finished(channels: dict[int, bytearray], pod: Pod) -> Finished:
    try:
        status = json.loads(channels[_STATUS])
        done = status["status"] == "Success"
        message = "" if done else str(status.get("message") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ClusterError(f"pod {pod}: the connection broke before the command ended") from None
    return Finished(
        code=0 if done else _exit_code(status, message),
        output=channels[_STDOUT].decode(errors="replace"),
        errors=channels[_STDERR].decode(errors="replace"),
        message=message,
    )


def _exit_code(status: dict[str, Any], message: str) -> int | None:
    """The command's exit code: a kubelet gives it as a cause, others only in their words."""
    for cause in (status.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    found = _EXIT_CODE.search(message)
    return int(found[1]) if found else None

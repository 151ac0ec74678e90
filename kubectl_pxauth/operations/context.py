"""pxctl's contexts on the nodes: save a token as one, delete one, choose one, list them.

pxctl keeps its contexts on the node where it runs, so every node is asked. What it takes and says
is known from the Portworx docs, reference/cli/authorization and pxctl-reference/context-reference:
`context create` also updates, and `context list` prints YAML.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Any, Generic, TypeVar

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference, find_secret
from kubectl_pxauth.errors import NotFoundError, PxauthError, PxctlError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import run_concurrently
from kubectl_pxauth.portworx.pxctl import PxctlNode
from kubectl_pxauth.text import command_line
from kubectl_pxauth.token.verdict import Trust, judge

_LONGEST_LIST = 1 << 20  # characters of a node's list of contexts
_AT_ONCE = 16
_ROUNDS = 5  # changes of the key that are followed

Value = TypeVar("Value")


@dataclass(frozen=True)
class NodeResult(Generic[Value]):
    """What came of it on one node: a value, or a problem."""

    node: str
    value: Value | None = None
    problem: PxauthError | None = None


@dataclass(frozen=True)
class PxctlContext:
    """A context as pxctl has it; None where nothing is said of it."""

    name: str
    current: bool
    subject: str | None
    expires_at: datetime | None
    endpoint: str | None


@dataclass(frozen=True)
class KeptToken:
    """A token that was read from a Secret, and when it ends."""

    token: str
    expires_at: datetime | None


def read_token(reference: SecretKeyReference, cluster: Cluster, now: datetime) -> KeptToken:
    """The token in a Secret, which is not verified; raises PxauthErrors, also if it has ended."""
    secret = find_secret(cluster, reference.namespace, reference.name)
    token = reference.value_in(secret).strip()
    verdict = judge(token, Trust(issuer=None), now)
    if not verdict.is_jwt:
        raise PxauthError(f"{reference.display_name} holds no token")
    if verdict.expires_at and verdict.expires_at <= now:
        raise PxauthError(
            f"the token in {reference.display_name} has ended: {verdict.expires_at:%Y-%m-%d %H:%M}"
            " UTC",
            hint="renew the token in the Secret, or leave out --from-secret to make one",
        )
    return KeptToken(token.decode(), verdict.expires_at)


def create_context(
    name: str,
    endpoint: str | None,
    token: str,
    nodes: Sequence[PxctlNode],
    stop: Event,
    *,
    latest: Callable[[], str],
) -> Iterator[NodeResult[str]]:
    """Save the token as a context of each node, over one of that name; each result as it comes.

    The value is the node's current context then, empty where it has none, and None where that
    could not be read. latest returns the token as it is to be now: where the key was rotated
    meanwhile it is another, and is saved in its place.
    """
    arguments = ["context", "create", name, *([f"--endpoint={endpoint}"] if endpoint else [])]

    def create(node: PxctlNode) -> str | None:
        node.run(arguments, token)
        try:
            return next((found.name for found in _read_list(node) if found.current), "")
        except PxauthError:
            return None

    yield from run_concurrently(_asking(create), nodes, _AT_ONCE, stop)
    for _ in range(_ROUNDS):
        before, token = token, latest()
        if token == before or stop.is_set():
            return
        again = run_concurrently(_asking(create), nodes, _AT_ONCE, stop)
        yield from (result for result in again if result.problem)


def set_context(name: str, nodes: Sequence[PxctlNode], stop: Event) -> Iterator[NodeResult[None]]:
    """Make the context the current one of each node; each result as it comes."""

    def choose(node: PxctlNode) -> None:
        try:
            node.run(["context", "set", name])
        except PxctlError:
            if _lacks(node, name):
                raise NotFoundError(
                    f'there is no context "{name}"',
                    hint=command_line("kubectl", "pxauth", "context", "create", name),
                ) from None
            raise

    return run_concurrently(_asking(choose), nodes, _AT_ONCE, stop)


def delete_context(
    name: str, nodes: Sequence[PxctlNode], stop: Event
) -> Iterator[NodeResult[bool]]:
    """Delete the context on each node; the value is False where there was none."""

    def delete(node: PxctlNode) -> bool:
        try:
            node.run(["context", "delete", name])
        except PxctlError:
            if not _lacks(node, name):
                raise
            return False
        return True

    return run_concurrently(_asking(delete), nodes, _AT_ONCE, stop)


def list_contexts(
    nodes: Sequence[PxctlNode], stop: Event
) -> Iterator[NodeResult[list[PxctlContext]]]:
    """The contexts of each node; each result as it comes."""
    return run_concurrently(_asking(_read_list), nodes, _AT_ONCE, stop)


def _lacks(node: PxctlNode, name: str) -> bool:
    """Whether a node has no such context; how pxctl says so is not known, but its list tells."""
    try:
        return all(context.name != name for context in _read_list(node))
    except PxauthError:
        return False


def _read_list(node: PxctlNode) -> list[PxctlContext]:
    import yaml

    text = node.run(["context", "list"])
    if len(text) > _LONGEST_LIST:
        raise PxctlError("pxctl's list of contexts is too long to be one")
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader) or {}  # noqa: S506 - all is text
        config = content.get("contextconfig", content) or {}
        return [
            _context(item, config.get("current")) for item in config.get("configurations") or []
        ]
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, RecursionError):
        raise PxctlError("pxctl's list of contexts is not the YAML that it should be") from None


def _context(item: dict[str, Any], current: str | None) -> PxctlContext:
    told = {"subject": (item.get("identity") or {}).get("subject"), "context": item["context"]}
    told |= {"token": item.get("token"), "endpoint": item.get("endpoint")}
    # Whoever is root on a node makes its list: an alias in it could unfold to gigabytes.
    if not all(isinstance(text, str | None) for text in told.values()) or not told["context"]:
        raise TypeError
    token = judge((told["token"] or "").encode(), Trust(issuer=None), datetime.now(UTC))
    return PxctlContext(
        name=told["context"],
        current=told["context"] == current,
        subject=token.user.sub or told["subject"] or None,
        expires_at=token.expires_at,
        endpoint=told["endpoint"] or None,
    )


def _asking(work: Callable[[PxctlNode], Value | None]) -> Callable[[PxctlNode], NodeResult[Value]]:
    """The work as one that tells a node's problem and does not raise it."""

    def ask(node: PxctlNode) -> NodeResult[Value]:
        try:
            return NodeResult(node.name, value=work(node))
        except PxauthError as problem:
            return NodeResult(node.name, problem=problem)

    return ask

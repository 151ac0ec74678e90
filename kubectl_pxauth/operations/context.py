"""pxctl's contexts on the nodes: save a token as one, delete one, list them.

pxctl keeps its contexts on the node where it runs, so every node is asked. What it takes and says
is known from the Portworx docs, reference/cli/authorization and pxctl-reference/context-reference:
`context create` also updates, and `context list` prints YAML.
"""

import platform
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Generic, TypeVar

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.exec import DEFAULT_TIMEOUT, run_in_pod
from kubectl_pxauth.cluster.pods import Pod, find_pods
from kubectl_pxauth.errors import ForbiddenError, NotFoundError, PxauthError, PxctlError
from kubectl_pxauth.parallel import attempt, run_concurrently
from kubectl_pxauth.portworx.discovery import FoundKey, Search
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.token.minting import MintedToken
from kubectl_pxauth.token.verdict import Trust, judge

_AT_ONCE = 16
_NAME_IT = "say which namespace is Portworx' own: --portworx-namespace NAME"
_LONGEST_MESSAGE = 300

# pxctl takes a token as an argument alone. That argument is made in the pod: what a client asks to
# be executed goes into the API server's audit log. Nothing is put into the script's text.
_WITH_TOKEN = 'IFS= read -r token && exec "$0" "$@" --token="$token"'  # noqa: S105 - a script

Value = TypeVar("Value")


@dataclass(frozen=True)
class PodQuery:
    """Which pods run Portworx, and pxctl in them; namespace is None and nodes empty for all."""

    namespace: str | None
    selector: str
    container: str
    nodes: tuple[str, ...]
    pxctl: str


@dataclass(frozen=True)
class PxctlNode:
    """A node, and the way to its pxctl.

    run takes pxctl's arguments and perhaps a token to give it; it returns what pxctl prints, and
    raises PxctlError where pxctl says no, and other PxauthErrors where it can't be asked.
    """

    name: str
    run: Callable[[Sequence[str], str | None], str]


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


def find_nodes(
    query: PodQuery, connect: Callable[[], Cluster], minted: MintedToken | None = None
) -> list[PxctlNode]:
    """The nodes that run Portworx, or those named, whether they do or not; in order.

    A pod that waits for a node stands for the one that it will get. minted is the token that is
    to go there, if one is: anybody can give a pod the label, so it goes only where the user says,
    or where Portworx is known to run. Raises NotFoundError where no pod is Portworx', and
    PxauthError where that is not clear.
    """
    cluster = connect()
    pods = _portworx_pods(cluster, query, minted)
    by_node: dict[str, Pod] = {}
    for pod in sorted(pods, key=lambda pod: (not pod.ready, pod.name)):
        by_node.setdefault(pod.node or f"of pod {pod}", pod)
    return [
        PxctlNode(node, _in_pod(cluster, query, by_node[node]) if node in by_node else _no_pod())
        for node in dict.fromkeys(query.nodes or sorted(by_node))
    ]


def this_machine(pxctl: str, timeout: timedelta | None) -> PxctlNode:
    """The machine that this runs on; there the token is an argument of pxctl's own."""
    seconds = (timeout or DEFAULT_TIMEOUT).total_seconds()

    def run(arguments: Sequence[str], token: str | None) -> str:
        secret = [f"--token={token}"] if token is not None else []
        try:
            done = subprocess.run(  # noqa: S603 - the command is the user's own
                [pxctl, *arguments, *secret],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise PxctlError(f"{pxctl}: no end within {seconds:g} s") from None
        except OSError as error:
            raise PxctlError(f"{pxctl}: {error.strerror}") from None
        output, errors = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
        if done.returncode:
            raise _pxctl_error(pxctl, errors or output, f"exit code {done.returncode}", token)
        return output

    return PxctlNode(platform.node(), run)


def create_context(
    name: str, endpoint: str | None, minted: MintedToken, nodes: Sequence[PxctlNode], stop: Event
) -> Iterator[NodeResult[None]]:
    """Save the token as a context of each node, over one of that name; each result as it comes."""
    arguments = ["context", "create", name, *([f"--endpoint={endpoint}"] if endpoint else [])]

    def create(node: PxctlNode) -> None:
        node.run(arguments, minted.token)

    return run_concurrently(_asking(create), nodes, _AT_ONCE, stop)


def delete_context(
    name: str, nodes: Sequence[PxctlNode], stop: Event
) -> Iterator[NodeResult[bool]]:
    """Delete the context on each node; the value is False where there was none."""

    def delete(node: PxctlNode) -> bool:
        try:
            node.run(["context", "delete", name], None)
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


def _portworx_pods(cluster: Cluster, query: PodQuery, minted: MintedToken | None) -> list[Pod]:
    if query.namespace is not None:
        pods = find_pods(cluster, query.namespace, query.selector)
        asked = f"namespace {query.namespace}"
    else:
        pods, asked = _pods_anywhere(cluster, query.selector, strictly=minted is not None)
    if not pods:
        raise NotFoundError(
            f"no pod with the labels {query.selector} in {asked}",
            hint="say where Portworx runs with --portworx-namespace and --pod-selector, or use"
            " --local on a node",
        )
    if query.namespace is None:
        _check_one_namespace(query, {pod.namespace for pod in pods})
        if minted:
            _check_receiver(cluster, pods[0].namespace, minted)
    return pods


def _check_one_namespace(query: PodQuery, namespaces: set[str]) -> None:
    if len(namespaces) > 1:
        raise PxauthError(
            f"pods with the labels {query.selector} are in {_namespaces(sorted(namespaces))}",
            hint=_NAME_IT,
        )


def _check_receiver(cluster: Cluster, namespace: str, minted: MintedToken) -> None:
    """Raise PxauthError unless the Portworx there may be given the token.

    Whoever owns a namespace can make all objects in it that say that Portworx runs there. What
    they gain by a token is nothing where it is signed with a key of that namespace, which they
    can sign with themselves. Only kube-system is nobody's.
    """
    search = Search(cluster, None)
    specs = search.specs()
    if specs.forbidden:
        raise PxauthError(
            f"whether Portworx runs in namespace {namespace} is not known: you may not list"
            f" {', '.join(specs.forbidden)}",
            hint=_NAME_IT,
        )
    stated = sorted({spec.namespace for spec in specs.specs})
    if len(stated) > 1 or (stated and stated != [namespace]):
        raise PxauthError(
            f"pods that are labelled as Portworx' are in namespace {namespace}, and what starts"
            f" Portworx is in {_namespaces(stated)}:"
            f" {', '.join(dict.fromkeys(spec.owner for spec in specs.specs))}",
            hint=_NAME_IT,
        )
    if namespace == USUAL_NAMESPACES[0]:
        return
    if not stated:
        raise PxauthError(
            f"pods that are labelled as Portworx' are in namespace {namespace}, where nothing says"
            " that Portworx runs",
            hint=_NAME_IT,
        )
    key = attempt(search.key)
    theirs = isinstance(key, FoundKey) and (
        key.reference is None or key.reference.namespace == namespace
    )
    secret = key.shared_secret.value if isinstance(key, FoundKey) and theirs else None
    verdict = judge(minted.token.encode(), Trust(None, shared_secret=secret), datetime.now(UTC))
    if not verdict.signed:
        raise PxauthError(
            f"the Portworx in namespace {namespace} is not known to be started with the key that"
            " signed the token",
            hint=f"if it is yours: --portworx-namespace {namespace}",
        )


def _namespaces(names: list[str]) -> str:
    return f"namespace{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _pods_anywhere(cluster: Cluster, selector: str, *, strictly: bool) -> tuple[list[Pod], str]:
    """The pods of all namespaces, or of those that are usual and may be read, and which it was."""
    try:
        return find_pods(cluster, None, selector), "any namespace"
    except ForbiddenError as error:
        if strictly:
            raise ForbiddenError(str(error), hint=_NAME_IT) from None
        refusal = error
    pods, asked = [], []
    for namespace in USUAL_NAMESPACES:
        try:
            pods += find_pods(cluster, namespace, selector)
            asked.append(namespace)
        except ForbiddenError:
            continue
    if not asked:
        raise refusal
    return pods, f"namespace {' or '.join(asked)}, and pods of other namespaces may not be listed"


def _in_pod(
    cluster: Cluster, query: PodQuery, pod: Pod
) -> Callable[[Sequence[str], str | None], str]:
    def run(arguments: Sequence[str], token: str | None) -> str:
        if not pod.ready:
            raise PxctlError(f"pod {pod} is not ready")
        command = [query.pxctl, *arguments]
        if token is not None:
            command = ["sh", "-c", _WITH_TOKEN, *command]
        done = run_in_pod(cluster, pod, query.container, command, token)
        if done.code != 0:
            how = done.message if done.code is None else f"exit code {done.code}"
            raise _pxctl_error(query.pxctl, done.errors or done.output, how, token)
        return done.output

    return run


def _no_pod() -> Callable[[Sequence[str], str | None], str]:
    def run(*_: object) -> str:
        raise NotFoundError("no Portworx pod is there")

    return run


def _pxctl_error(pxctl: str, said: str, how: str, token: str | None) -> PxctlError:
    """What pxctl said when it failed, or how it failed, without any token that it repeats."""
    message = " ".join(_without_tokens(said.strip() or f"{pxctl} failed: {how}", token).split())
    if len(message) > _LONGEST_MESSAGE:
        message = message[:_LONGEST_MESSAGE] + "…"
    return PxctlError(message)


def _without_tokens(text: str, token: str | None) -> str:
    """The text with each token, and each piece of ours, taken out."""
    if token:
        for piece in (token, *token.split(".")):
            text = text.replace(piece, "[token]")
        text = re.sub(r"[\w-]{12,}", lambda word: "…" if word[0] in token else word[0], text)
    return re.sub(r"eyJ[\w.-]*", "[token]", text)


def _lacks(node: PxctlNode, name: str) -> bool:
    """Whether a node has no such context; how pxctl says so is not known, but its list tells."""
    try:
        return all(context.name != name for context in _read_list(node))
    except PxauthError:
        return False


def _read_list(node: PxctlNode) -> list[PxctlContext]:
    import yaml

    text = node.run(["context", "list"], None)
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader) or {}  # noqa: S506 - all is text
        config = content.get("contextconfig", content) or {}
        return [
            _context(item, config.get("current")) for item in config.get("configurations") or []
        ]
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        raise PxctlError("pxctl's list of contexts is not the YAML that it should be") from None


def _context(item: dict[str, Any], current: str | None) -> PxctlContext:
    token = judge(str(item.get("token")).encode(), Trust(issuer=None), datetime.now(UTC))
    return PxctlContext(
        name=item["context"],
        current=item["context"] == current,
        subject=token.user.sub or (item.get("identity") or {}).get("subject") or None,
        expires_at=token.expires_at,
        endpoint=item.get("endpoint") or None,
    )


def _asking(work: Callable[[PxctlNode], Value]) -> Callable[[PxctlNode], NodeResult[Value]]:
    """The work as one that tells a node's problem and does not raise it."""

    def ask(node: PxctlNode) -> NodeResult[Value]:
        try:
            return NodeResult(node.name, value=work(node))
        except PxauthError as problem:
            return NodeResult(node.name, problem=problem)

    return ask

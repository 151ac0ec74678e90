"""pxctl on the nodes that run Portworx: which nodes those are, and how each one's pxctl is run."""

import os
import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.exec import DEFAULT_TIMEOUT, Finished, run_in_pod
from kubectl_pxauth.cluster.pods import Pod, find_pods
from kubectl_pxauth.errors import ForbiddenError, NotFoundError, PxauthError, PxctlError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import attempt
from kubectl_pxauth.portworx.believed import widest
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.portworx.stated_values import FoundKey
from kubectl_pxauth.token.verdict import Trust, judge

_NAME_IT = "say which namespace is Portworx' own: --portworx-namespace NAME"
_LONGEST_MESSAGE = 300

# What a client asks to be executed goes into the API server's audit log, so a token comes on
# standard input, and becomes an argument or a variable in the pod. Nothing is put into the scripts'
# text.
_VARIABLE = "PXCTL_AUTH_TOKEN"


class TokenBy(StrEnum):
    """How pxctl gets a token, each with the script that hands it over in a pod.

    Contexts are made of an argument alone. The variable is in no docs of Portworx; its own
    px_healthcheck.sh uses it.
    """

    ARGUMENT = 'IFS= read -r token && exec "$0" "$@" --token="$token"'
    VARIABLE = f'IFS= read -r {_VARIABLE} && export {_VARIABLE} && exec "$0" "$@" </dev/null'


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
    """A node, and the way to its pxctl; ready is whether that may work.

    execute takes pxctl's arguments and perhaps a token to give it, and raises PxauthErrors where
    pxctl can't be asked.
    """

    name: str
    pxctl: str
    ready: bool
    execute: Callable[[Sequence[str], str | None, TokenBy], Finished]

    def run(self, arguments: Sequence[str], token: str | None = None) -> str:
        """What pxctl prints; raises PxctlError where it says no, and others as execute."""
        done = self.execute(arguments, token, TokenBy.ARGUMENT)
        if done.code != 0:
            how = done.message if done.code is None else f"exit code {done.code}"
            raise pxctl_error(self.pxctl, done.errors or done.output, how, token)
        return done.output


def find_nodes(
    query: PodQuery, connect: Callable[[], Cluster], token: str | None = None
) -> list[PxctlNode]:
    """The nodes that run Portworx, or those named, whether they do or not; in order.

    A pod that waits for a node stands for the one that it will get. token is the one that is
    to go there, if one is: anybody can give a pod the label, so it goes only where the user says,
    or where Portworx is known to run. Raises NotFoundError where no pod is Portworx', and
    PxauthError where that is not clear.
    """
    cluster = connect()
    pods = _portworx_pods(cluster, query, token)
    by_node: dict[str, Pod] = {}
    for pod in sorted(pods, key=lambda pod: (not pod.ready, pod.name)):
        by_node.setdefault(pod.node or f"of pod {pod}", pod)
    return [
        _pod_node(cluster, query, node, by_node.get(node))
        for node in dict.fromkeys(query.nodes or sorted(by_node))
    ]


def this_machine(pxctl: str, timeout: timedelta | None) -> PxctlNode:
    """The machine that this runs on; there the token is an argument of pxctl's own."""
    seconds = (timeout or DEFAULT_TIMEOUT).total_seconds()

    def execute(arguments: Sequence[str], token: str | None, by: TokenBy) -> Finished:
        secret = [f"--token={token}"] if token is not None and by is TokenBy.ARGUMENT else []
        variable = {_VARIABLE: token} if token is not None and by is TokenBy.VARIABLE else {}
        try:
            done = subprocess.run(  # noqa: S603 - the command is the user's own
                [pxctl, *arguments, *secret],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
                env=os.environ | variable,
            )
        except subprocess.TimeoutExpired:
            raise PxctlError(f"{pxctl}: no end within {seconds:g} s") from None
        except OSError as error:
            raise PxctlError(f"{pxctl}: {error.strerror}") from None
        output, errors = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
        return Finished(done.returncode, output, errors, "")

    return PxctlNode(platform.node(), pxctl, ready=True, execute=execute)


def _portworx_pods(cluster: Cluster, query: PodQuery, token: str | None) -> list[Pod]:
    if query.namespace is not None:
        pods = find_pods(cluster, query.namespace, query.selector)
        asked = f"namespace {query.namespace}"
    else:
        pods, asked = _pods_anywhere(cluster, query.selector, strictly=token is not None)
    if not pods:
        raise NotFoundError(
            f"no pod with the labels {query.selector} in {asked}",
            hint="say where Portworx runs with --portworx-namespace and --pod-selector, or use"
            " --local on a node",
        )
    if query.namespace is None:
        _check_one_namespace(query, {pod.namespace for pod in pods})
        if token is not None:
            _check_receiver(cluster, pods[0].namespace, token)
    return pods


def _check_one_namespace(query: PodQuery, namespaces: set[str]) -> None:
    if len(namespaces) > 1:
        raise PxauthError(
            f"pods with the labels {query.selector} are in {_namespaces(sorted(namespaces))}",
            hint=_NAME_IT,
        )


def _check_receiver(cluster: Cluster, namespace: str, token: str) -> None:
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
            f" {', '.join(widest(specs.forbidden))}",
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
    verdict = judge(token.encode(), Trust(None, shared_secret=secret), datetime.now(UTC))
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


def _pod_node(cluster: Cluster, query: PodQuery, name: str, pod: Pod | None) -> PxctlNode:
    def execute(arguments: Sequence[str], token: str | None, by: TokenBy) -> Finished:
        if pod is None:
            raise NotFoundError("no Portworx pod is there")
        if not pod.ready:
            raise PxauthError(f"pod {pod} is not ready")
        command = [query.pxctl, *arguments]
        if token is not None:
            command = ["sh", "-c", by, *command]
        return run_in_pod(cluster, pod, query.container, command, token)

    return PxctlNode(name, query.pxctl, ready=bool(pod and pod.ready), execute=execute)


def pxctl_error(pxctl: str, said: str, how: str, token: str | None) -> PxctlError:
    """What pxctl said when it failed, or how it failed, without any token that it repeats.

    Of a long text the end is kept, where the cause is.
    """
    message = " ".join(_without_tokens(said.strip() or f"{pxctl} failed: {how}", token).split())
    if len(message) > _LONGEST_MESSAGE:
        message = "…" + message[-_LONGEST_MESSAGE:]
    return PxctlError(message)


def _without_tokens(text: str, token: str | None) -> str:
    """The text with each token, and each piece of ours, taken out."""
    if token:
        for piece in (token, *token.split(".")):
            text = text.replace(piece, "[token]")
        text = re.sub(r"[\w-]{12,}", lambda word: "…" if word[0] in token else word[0], text)
    return re.sub(r"eyJ[\w.-]*", "[token]", text)

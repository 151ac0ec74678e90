"""The commands `kubectl pxauth context …`, and what they share."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.guard import refuse_token_for_pxctl
from kubectl_pxauth.cli.inputs import refuse_empty_selector
from kubectl_pxauth.cli.many import FAILED, Stop, finish, interruptible, with_progress
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.errors import NotFoundError, UsageError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.context import NodeResult, Value
from kubectl_pxauth.portworx.pxctl import PodQuery, PxctlNode, find_nodes, this_machine

_NOT_THERE = "not there"

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the context.")]


@dataclass(frozen=True)
class PxctlFlags:
    """Which pxctl is asked."""

    node: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Node to use, in place of all that run Portworx; repeatable, or a,b.",
        ),
    ] = None
    local: Annotated[bool, typer.Option("--local", help="Run the pxctl of this machine.")] = False
    pxctl: Annotated[str, typer.Option(metavar="FILE", help="Path of pxctl in the pod.")] = (
        "/opt/pwx/bin/pxctl"
    )
    pod_selector: Annotated[
        str, typer.Option(metavar="LABELS", help="Labels of the Portworx pods.")
    ] = "name=portworx"
    container: Annotated[
        str, typer.Option(metavar="NAME", help="Container of the pods that has pxctl.")
    ] = "portworx"


def check_name(name: str) -> str:
    """Pass on a context's name, also as context/NAME, which is how we print it.

    Raises UsageError for one that pxctl would take for a flag, and for a token.
    """
    name = name.removeprefix("context/")
    refuse_token_for_pxctl([name])
    if not name or name.startswith("-") or not name.isprintable():
        raise UsageError(f'"{name}" is not a name for a context')
    return name


def read_nodes(
    flags: PxctlFlags,
    portworx_namespace: str | None,
    connection: Connection,
    token: str | None = None,
) -> list[PxctlNode]:
    """The nodes whose pxctl the flags name, and if one is to go there may get that token.

    Raises PxauthErrors where there are none.
    """
    nodes = tuple(name for names in flags.node or () for name in names.split(",") if name)
    if flags.node and not nodes:
        raise UsageError("--node is empty, and would be every node")
    refuse_empty_selector("--pod-selector", flags.pod_selector)
    if flags.local:
        if nodes:
            raise UsageError("--local and --node can't be used together")
        return [this_machine(flags.pxctl, connection.options.request_timeout)]
    query = PodQuery(
        namespace=None if portworx_namespace is None else check_namespace(portworx_namespace),
        selector=flags.pod_selector,
        container=flags.container,
        nodes=nodes,
        pxctl=flags.pxctl,
    )
    return find_nodes(query, connection.open, token)


def change_on_each_node(
    change: Callable[[str, list[PxctlNode], Stop], Iterator[NodeResult[Value]]],
    done: str,
    name: str,
    nodes: list[PxctlNode],
) -> None:
    """Make the change to the context on each node, and print a line for each that is done."""
    with interruptible() as stop:
        counts = show(name, done, change(name, nodes, stop), nodes, stop)
        finish(counts, len(nodes), stop)


def show(
    name: str,
    change: str,
    results: Iterator[NodeResult[Value]],
    nodes: list[PxctlNode],
    stop: Stop,
) -> Counter[str]:
    """A line for each node as it is done; returns how many came to what.

    Raises NotFoundError where no node has the context.
    """
    counts: Counter[str] = Counter()
    for result in with_progress(results, f"context {name}", len(nodes), stop, counts):
        if result.problem:
            counts[FAILED] += 1
            output.failure(result.problem, f"node {result.node}")
        elif result.value is False:
            counts[_NOT_THERE] += 1
        else:
            counts[change] += 1
            output.line(f"context/{name} {change} on node {result.node}")
    if counts[_NOT_THERE] == len(nodes):
        raise NotFoundError(
            f'there is no context "{name}" on {", ".join(node.name for node in nodes)}'
        )
    return counts

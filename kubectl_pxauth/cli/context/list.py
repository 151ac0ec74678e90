"""The command `kubectl pxauth context list`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from kubectl_pxauth.cli import output, signals
from kubectl_pxauth.cli.context import PxctlFlags, read_nodes
from kubectl_pxauth.cli.dates import day, whole_days
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    NoHeadersFlag,
    PortworxNamespaceFlag,
)
from kubectl_pxauth.cli.many import interruptible, with_progress
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.operations.context import PxctlContext, list_contexts
from kubectl_pxauth.token.claims import rfc3339

HELP = """Shows no token, and checks no signature. pxctl uses the current context if you name
none."""

EXAMPLES = (
    ("List the contexts of every node", "kubectl pxauth context list"),
    ("Print the names of the contexts", "kubectl pxauth context list -o name"),
    (
        "Print each node and when its context ends, for a script",
        "kubectl pxauth context list -o json | jq -r '.items[] | .node, .expiresAt'",
    ),
)


class Format(StrEnum):
    """kubectl's -o for a list."""

    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


@takes_groups
def command(
    *,
    portworx_namespace: PortworxNamespaceFlag = None,
    pxctl: PxctlFlags,
    no_headers: NoHeadersFlag = False,
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, ask each node, print."""
    nodes = read_nodes(pxctl, portworx_namespace, connection_flags.connection())
    with interruptible() as stop:
        asked = with_progress(list_contexts(nodes, stop), "asking for contexts", len(nodes), stop)
        results = sorted(asked, key=lambda result: result.node)
    found = [(result.node, context) for result in results for context in result.value or ()]
    if form in (Format.JSON, Format.YAML):
        items = [_as_json(node, context) for node, context in found]
        output.objects({"items": items}, output.Format(form))
    elif form is Format.NAME:
        for name in dict.fromkeys(context.name for _, context in found):
            output.line(f"context/{name}")
    elif found:
        _show(found, wide=form is Format.WIDE, headed=not no_headers)
    without = [result.node for result in results if result.value == []]
    if without and form not in (Format.JSON, Format.YAML):
        where = f" on {', '.join(without)}" if len(without) < len(results) else ""
        output.note(f"No contexts found{where}.")
    problems = [(result.node, result.problem) for result in results if result.problem]
    for node, problem in problems:
        output.failure(problem, f"node {node}")
    if problems or stop.is_set():
        raise typer.Exit(signals.exit_code() if stop.is_set() else output.FAILED)


def _as_json(node: str, context: PxctlContext) -> dict[str, Any]:
    return {
        "node": node,
        "context": context.name,
        "current": context.current,
        "subject": context.subject,
        "expiresAt": context.expires_at and rfc3339(context.expires_at),
        "endpoint": context.endpoint,
    }


def _show(found: list[tuple[str, PxctlContext]], *, wide: bool, headed: bool) -> None:
    from kubectl_pxauth.cli.table import Column, print_table

    now = datetime.now(UTC)
    columns = [Column("NODE", shrinks=True), Column("CONTEXT", shrinks=True), Column("CURRENT")]
    columns += [Column("SUBJECT", shrinks=True), Column("EXPIRES"), Column("DAYS")]
    columns += [Column("ENDPOINT")] if wide else []
    rows = []
    for node, context in found:
        left = whole_days(context.expires_at, now)
        row = [node, context.name, "yes" if context.current else "no", context.subject or ""]
        row += [day(context.expires_at), "" if left is None else str(left)]
        rows.append([*row, context.endpoint or ""] if wide else row)
    print_table(columns, rows, wide=wide, headed=headed)

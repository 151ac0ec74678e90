"""The command `kubectl pxauth unschedule`."""

from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DryRunFlag, QuietFlag, RenewedNamespaceFlag
from kubectl_pxauth.cli.inputs import read_namespace
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.operations.schedule import unschedule

HELP = """Deletes only what `kubectl pxauth schedule` made for that namespace, or with -A for all
namespaces. Tokens stay as they are."""

EXAMPLES = (
    ("Stop renewing the tokens of namespace portworx", "kubectl pxauth unschedule -n portworx"),
    ("Delete the job that renews the tokens of all namespaces", "kubectl pxauth unschedule -A"),
)


@takes_groups
def command(
    *,
    namespace: RenewedNamespaceFlag = None,
    all_namespaces: Annotated[
        bool,
        typer.Option("--all-namespaces", "-A", help="Delete the job that serves all namespaces."),
    ] = False,
    dry_run: DryRunFlag = DryRun.NONE,
    quiet: QuietFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, unschedule, print."""
    connection = connection_flags.connection()
    scope = None if all_namespaces else read_namespace(namespace, connection)
    removal = unschedule(scope, connection.open(), dry_run)
    output.warnings(removal.warnings)
    any_step = False
    for step in removal.changes:
        any_step = True
        output.line(f"{step.kubectl_name} {step.change}{output.SUFFIXES[dry_run]}")
    if not any_step:
        where = f"namespace {scope}" if scope else "all namespaces"
        output.note(f"nothing is scheduled for {where}")

"""The command `kubectl pxauth unschedule`."""

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DryRunFlag, JobNamespaceFlag
from kubectl_pxauth.cli.inputs import read_namespace
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.operations.schedule import unschedule

HELP = """Only what `kubectl pxauth schedule` made there, with its rights in other
namespaces. Tokens stay as they are."""

EXAMPLES = (("", "kubectl pxauth unschedule -n portworx"),)


@takes_groups
def command(
    *,
    namespace: JobNamespaceFlag = None,
    dry_run: DryRunFlag = DryRun.NONE,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, unschedule, print."""
    connection = connection_flags.connection()
    place = read_namespace(namespace, connection)
    removal = unschedule(place, connection.open(), dry_run)
    output.warnings(removal.warnings)
    any_step = False
    for step in removal.changes:
        any_step = True
        print(f"{step.kubectl_name} {step.change}{output.SUFFIXES[dry_run]}")
    if not any_step:
        output.note(f"nothing is scheduled in namespace {place}")

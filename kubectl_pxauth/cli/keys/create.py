"""The command `kubectl pxauth keys create`."""

from enum import StrEnum
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DryRunFlag, MetadataFlags, QuietFlag
from kubectl_pxauth.cli.inputs import read_metadata
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.operations.keys.create import create_keys

HELP = """Creates Secret pxkeys with the keys system-secret, stork-secret and shared-secret, each
64 random bytes in base64. It never changes a key that exists, and never prints one."""

EXAMPLES = (
    ("Create the keys before you start Portworx with security", "kubectl pxauth keys create"),
)


class Format(StrEnum):
    """kubectl's -o, less the formats that would show the keys."""

    NAME = "name"


@takes_groups
def command(
    *,
    namespace: Annotated[
        str,
        typer.Option("--namespace", "-n", metavar="NAME", help="Namespace that Portworx runs in."),
    ] = "kube-system",
    metadata: MetadataFlags,
    dry_run: DryRunFlag = DryRun.NONE,
    quiet: QuietFlag = False,
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, make the keys, print."""
    place = check_namespace(namespace)
    asked = read_metadata(metadata)
    result = create_keys(place, connection_flags.connection().open(), dry_run, asked)
    output.warnings(result.warnings)
    what = f"secret/{result.secret}"
    output.written(what, result.change, {}, dry_run, output.Format(form) if form else None)

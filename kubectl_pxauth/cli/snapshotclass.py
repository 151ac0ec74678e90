"""The command `kubectl pxauth snapshotclass`."""

from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.class_flags import (
    DefaultFlag,
    SecretFlag,
    read_class_namespace,
    read_parameters,
)
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    MetadataFlags,
    NamespaceFlag,
    WriteFlags,
)
from kubectl_pxauth.cli.inputs import read_metadata
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import VerificationFlags, read_verifying_source
from kubectl_pxauth.cluster.names import check_snapshot_class_name
from kubectl_pxauth.cluster.secret_templates import SNAPSHOT_CLASS
from kubectl_pxauth.cluster.storage_classes import ReclaimPolicy
from kubectl_pxauth.operations.snapshotclass import SnapshotClassRequest, make_snapshot_class
from kubectl_pxauth.portworx.volumes import SNAPSHOTS_NAMESPACE
from kubectl_pxauth.token.profile import PROFILES

HELP = """Portworx makes snapshots of this class with the token in a Secret, which `kubectl
pxauth issue kubernetes` makes. If the class exists, the command updates what differs,
and keeps what you do not name."""

EXAMPLES = (
    (
        "Create the default class, for the token in Secret portworx/px-k8s-user",
        "kubectl pxauth snapshotclass px-snapclass -n portworx --default",
    ),
    (
        "Create a class for tenants: each snapshot uses the token of its namespace",
        "kubectl pxauth snapshotclass px-tenant-snapclass --multitenant",
    ),
)


@takes_groups
def command(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the VolumeSnapshotClass.")],
    namespace: NamespaceFlag = None,
    secret: SecretFlag = PROFILES["kubernetes"].secret,
    multitenant: Annotated[
        bool,
        typer.Option("--multitenant", help="Use the Secret in the namespace of each snapshot."),
    ] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="KEY=VALUE",
            help="Parameter for Portworx, like csi.openstorage.org/snapshot-type=local;"
            " repeatable.",
        ),
    ] = None,
    deletion_policy: Annotated[
        ReclaimPolicy | None,
        typer.Option(
            help="What happens to a snapshot when its VolumeSnapshot is deleted.",
            show_default="as it is, else Delete",
        ),
    ] = None,
    default: DefaultFlag = None,
    metadata: MetadataFlags,
    verification: VerificationFlags,
    write: WriteFlags,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, make the class, print."""
    connection = connection_flags.connection()
    source = read_verifying_source(verification)
    request = SnapshotClassRequest(
        name=check_snapshot_class_name(name),
        secret=SNAPSHOT_CLASS.check_name(secret),
        namespace=read_class_namespace(
            namespace, SNAPSHOTS_NAMESPACE if multitenant else None, SNAPSHOT_CLASS, connection
        ),
        parameters=read_parameters(parameter or []),
        deletion_policy=deletion_policy,
        default=default,
        dry_run=write.dry_run,
        metadata=read_metadata(metadata),
    )
    result = make_snapshot_class(request, source, connection.open)
    output.warnings(result.warnings)
    what = f"volumesnapshotclass.snapshot.storage.k8s.io/{result.name}"
    output.written(what, result.change, result.manifest, write.dry_run, write.form)

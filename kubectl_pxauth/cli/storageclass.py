"""The command `kubectl pxauth storageclass`."""

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
from kubectl_pxauth.cluster.names import check_storage_class_name
from kubectl_pxauth.cluster.secret_templates import STORAGE_CLASS
from kubectl_pxauth.cluster.storage_classes import ReclaimPolicy
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.operations.storageclass import (
    StorageClassRequest,
    make_storage_class,
)
from kubectl_pxauth.portworx.volumes import (
    CLAIMS_NAMESPACE,
    Provisioner,
    is_direct_access,
)
from kubectl_pxauth.token.profile import PROFILES

HELP = """Portworx creates volumes of this class with the token in a Secret, which `kubectl
pxauth issue kubernetes` makes. If the class exists, the command updates what
Kubernetes lets it: volume expansion, and whether the class is the default."""

EXAMPLES = (
    (
        "Create the class for the token in Secret portworx/px-k8s-user",
        "kubectl pxauth storageclass px-sc -n portworx -p repl=3",
    ),
    (
        "Create a class for tenants: each claim uses the token of its namespace",
        "kubectl pxauth storageclass px-tenant-sc --multitenant -p repl=3",
    ),
    (
        "Create a class for claims with a Secret each, of the claim's name",
        "kubectl pxauth storageclass px-claim-sc --multitenant --secret '${pvc.name}'",
    ),
    (
        "Print the manifest for kubectl or for Git",
        "kubectl pxauth storageclass px-sc -n portworx --dry-run=client -o yaml",
    ),
)


@takes_groups
def command(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the StorageClass.")],
    namespace: NamespaceFlag = None,
    secret: SecretFlag = PROFILES["kubernetes"].secret,
    multitenant: Annotated[
        bool,
        typer.Option("--multitenant", help="Use the Secret in the namespace of each claim."),
    ] = False,
    in_tree: Annotated[
        bool,
        typer.Option(
            "--in-tree", help="Use the old provisioner kubernetes.io/portworx-volume, not CSI."
        ),
    ] = False,
    direct_access: Annotated[
        bool | None,
        typer.Option(
            help="Name the Secret for attaching too, which FlashArray and FlashBlade volumes need.",
            show_default="with -p backend=pure_block, pure_file or pure_fa_file",
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="KEY=VALUE",
            help="Parameter for Portworx, like repl=3; repeatable.",
        ),
    ] = None,
    reclaim_policy: Annotated[
        ReclaimPolicy, typer.Option(help="What happens to a volume when its claim is deleted.")
    ] = ReclaimPolicy.DELETE,
    allow_volume_expansion: Annotated[
        bool | None,
        typer.Option(help="Allow claims to grow, or not.", show_default="as it is, else allowed"),
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
    parameters = read_parameters(parameter or [])
    if in_tree and direct_access:
        raise UsageError(
            "--in-tree and --direct-access can't be used together",
            hint="the old provisioner has one Secret for all",
        )
    if direct_access is None:
        direct_access = is_direct_access(parameters)
    request = StorageClassRequest(
        name=check_storage_class_name(name),
        secret=STORAGE_CLASS.check_name(secret),
        namespace=read_class_namespace(
            namespace, CLAIMS_NAMESPACE if multitenant else None, STORAGE_CLASS, connection
        ),
        provisioner=Provisioner.IN_TREE if in_tree else Provisioner.CSI,
        direct_access=direct_access,
        parameters=parameters,
        reclaim_policy=reclaim_policy,
        allow_volume_expansion=allow_volume_expansion,
        default=default,
        dry_run=write.dry_run,
        metadata=read_metadata(metadata),
    )
    result = make_storage_class(request, source, connection.open)
    output.warnings(result.warnings)
    what = f"storageclass.storage.k8s.io/{result.name}"
    output.written(what, result.change, result.manifest, write.dry_run, write.form)

"""The command `kubectl pxauth keys adopt`."""

from typing import Annotated, Any

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    DryRunFlag,
    MetadataFlags,
    QuietFlag,
    SharedSecretFromFlag,
    namespace_option,
)
from kubectl_pxauth.cli.inputs import optional, read_key_reference, read_metadata
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.operations.keys.adopt import AdoptedKeys, adopt_keys
from kubectl_pxauth.portworx.settings import OPERATOR_SECRET, USERNAME_CLAIM_VARIABLE

HELP = """For the move from a DaemonSet to the operator: copies the keys of Secret pxkeys
unchanged into the Secrets px-shared-secret and px-system-secrets, which the operator
starts Portworx with, so that all tokens stay valid. It never changes a key that
exists. It prints what to write into the StorageCluster, which it does not change."""

EXAMPLES = (
    (
        "Copy the keys before the operator starts Portworx in namespace portworx",
        "kubectl pxauth keys adopt -n portworx",
    ),
)


@takes_groups
def command(
    *,
    namespace: Annotated[
        str | None,
        namespace_option(
            "Namespace that the operator runs Portworx in.",
            "the StorageCluster's, if it is a usual one",
        ),
    ] = None,
    shared_secret_from: SharedSecretFromFlag = None,
    metadata: MetadataFlags,
    dry_run: DryRunFlag = DryRun.NONE,
    quiet: QuietFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, copy the keys, print."""
    adopted = adopt_keys(
        optional(shared_secret_from, read_key_reference),
        optional(namespace, check_namespace),
        connection_flags.connection().open(),
        dry_run,
        read_metadata(metadata),
    )
    output.warnings(adopted.warnings)
    for name, change in adopted.changes.items():
        suffix = f" in namespace {adopted.namespace}{output.SUFFIXES[dry_run]}"
        output.line(f"secret/{name} {change}{suffix}")
    output.note("The StorageCluster has to say:")
    output.objects(_storage_cluster(adopted), output.DataFormat.YAML)


def _storage_cluster(adopted: AdoptedKeys) -> dict[str, Any]:
    """The part of a StorageCluster that keeps tokens and the owners of volumes as they are."""
    self_signed = {"issuer": adopted.issuer, "sharedSecret": OPERATOR_SECRET}
    spec: dict[str, Any] = {"security": {"enabled": True, "auth": {"selfSigned": self_signed}}}
    if adopted.username_claim != "sub":
        spec["env"] = [{"name": USERNAME_CLAIM_VARIABLE, "value": adopted.username_claim}]
    return {"spec": spec}

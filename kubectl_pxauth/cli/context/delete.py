"""The command `kubectl pxauth context delete`."""

from kubectl_pxauth.cli.context import (
    NameArgument,
    PxctlFlags,
    change_on_each_node,
    check_name,
    read_nodes,
)
from kubectl_pxauth.cli.flags import ConnectionFlags, PortworxNamespaceFlag, QuietFlag
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.operations.context import delete_context

HELP = """Nodes without the context are left alone. The token stays valid until it expires."""

EXAMPLES = (("Delete the context admin on every node", "kubectl pxauth context delete admin"),)


@takes_groups
def command(
    *,
    context_name: NameArgument,
    portworx_namespace: PortworxNamespaceFlag = None,
    pxctl: PxctlFlags,
    quiet: QuietFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, delete it on each node, print."""
    name = check_name(context_name)
    nodes = read_nodes(pxctl, portworx_namespace, connection_flags.connection())
    change_on_each_node(delete_context, "deleted", name, nodes)

"""The command `kubectl pxauth context set`."""

from kubectl_pxauth.cli.context import (
    NameArgument,
    PxctlFlags,
    change_on_each_node,
    check_name,
    read_nodes,
)
from kubectl_pxauth.cli.flags import ConnectionFlags, PortworxNamespaceFlag, QuietFlag
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.operations.context import set_context

HELP = """pxctl uses the current context if you name none."""

EXAMPLES = (("Make admin the current context on every node", "kubectl pxauth context set admin"),)


@takes_groups
def command(
    *,
    context_name: NameArgument,
    portworx_namespace: PortworxNamespaceFlag = None,
    pxctl: PxctlFlags,
    quiet: QuietFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, choose it on each node, print."""
    name = check_name(context_name)
    nodes = read_nodes(pxctl, portworx_namespace, connection_flags.connection())
    change_on_each_node(set_context, "set", name, nodes)

"""The command `kubectl pxauth context set`."""

from kubectl_pxauth.cli.context import NameArgument, PxctlFlags, check_name, read_nodes, show
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    PortworxNamespaceFlag,
    QuietFlag,
)
from kubectl_pxauth.cli.many import finish, interruptible
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
    with interruptible() as stop:
        counts = show(name, "set", set_context(name, nodes, stop), nodes, stop)
        finish(counts, len(nodes), stop)

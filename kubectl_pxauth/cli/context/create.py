"""The command `kubectl pxauth context create`."""

from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.context import NameArgument, PxctlFlags, check_name, read_nodes, show
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    IdentityFlags,
    NamespaceFlag,
    ProfileArgument,
    TokenFlags,
)
from kubectl_pxauth.cli.inputs import read_namespace, read_signing_source, read_token_request
from kubectl_pxauth.cli.many import interruptible
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.operations.context import create_context
from kubectl_pxauth.operations.token import make_token

HELP = """pxctl keeps contexts on its node, so one is saved in every Portworx pod. The token
is the one that `kubectl pxauth token` makes of the same words, and is stored in
no Secret. A context of that name that is there gets the new token. A node that
fails is named, and the others are done; each has 60 s, or --request-timeout."""

EXAMPLES = (
    ("The storage administrator's, on every node", "kubectl pxauth context create admin"),
    (
        "On two nodes, the user of a file, for a day",
        "kubectl pxauth context create alice -f alice.yaml --duration 1d --node a,b",
    ),
    (
        "On this machine, a node, without a cluster",
        "kubectl pxauth context create admin --local --shared-secret-file key",
    ),
)


@takes_groups
def command(
    *,
    context_name: NameArgument,
    profile: ProfileArgument = "admin",
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Endpoint that pxctl is to use with it.")
    ] = None,
    namespace: NamespaceFlag = None,
    token: TokenFlags,
    identity: IdentityFlags,
    authority: AuthorityFlags,
    pxctl: PxctlFlags,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, make the token, save it on each node, print."""
    name = check_name(context_name)
    connection = connection_flags.connection()
    source = read_signing_source(authority, identity.filename)
    request = read_token_request(profile, identity, token, needs_secret=False)
    minted = make_token(request, read_namespace(namespace, connection), source, connection.open)
    nodes = read_nodes(pxctl, authority.portworx_namespace, connection, minted)
    output.warnings(minted.warnings)
    with interruptible() as stop:
        show(name, "saved", create_context(name, endpoint, minted, nodes, stop), nodes, stop)

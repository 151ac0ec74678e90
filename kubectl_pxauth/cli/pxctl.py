"""The command `kubectl pxauth pxctl`."""

import sys
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.context import PxctlFlags, read_nodes
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    IdentityFlags,
    TokenFlags,
    UserNamespaceFlag,
)
from kubectl_pxauth.cli.guard import refuse_token_for_pxctl
from kubectl_pxauth.cli.inputs import read_namespace, read_signing_source, read_token_request
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.pxctl import run_pxctl
from kubectl_pxauth.operations.token import make_token
from kubectl_pxauth.token.profile import PROFILES

HELP = """Runs pxctl in a Portworx pod that is ready, with a token that lives for minutes, and
passes on its output and its exit code when it ends. pxctl has 60 s, or
--request-timeout, and can't ask questions."""

EXAMPLES = (
    ("Show the status of the Portworx cluster", "kubectl pxauth pxctl -- status"),
    (
        "List volumes as the user of a file, on one node",
        "kubectl pxauth pxctl -f alice.yaml --node worker-1 -- volume list",
    ),
)


@dataclass(frozen=True)
class OnePxctlFlags(PxctlFlags):
    """Which pxctl is run, on one node."""

    node: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Node to run pxctl on, in place of any that runs Portworx; of several, the first"
            " that is ready.",
        ),
    ] = None


@takes_groups
def command(
    *,
    arguments: Annotated[
        list[str], typer.Argument(metavar="ARGUMENT...", help="Arguments for pxctl.")
    ],
    profile: Annotated[
        str,
        typer.Option(
            metavar="PROFILE",
            help="Profile of the token: kubernetes or admin.",
            autocompletion=lambda: list(PROFILES),
        ),
    ] = "admin",
    duration: Annotated[
        str, typer.Option(metavar="TIME", help="How long the token lives: 5m, 1h.")
    ] = "5m",
    namespace: UserNamespaceFlag = None,
    identity: IdentityFlags,
    authority: AuthorityFlags,
    pxctl: OnePxctlFlags,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, make the token, run pxctl, pass on what it says."""
    refuse_token_for_pxctl(arguments)
    connection = connection_flags.connection()
    source = read_signing_source(authority, identity.filename)
    request = read_token_request(
        profile, identity, TokenFlags(duration=duration), needs_secret=False
    )
    minted = make_token(request, read_namespace(namespace, connection), source, connection.open)
    output.warnings(minted.warnings)
    nodes = read_nodes(pxctl, authority.portworx_namespace, connection, minted.token)
    done = run_pxctl(arguments, minted.token, nodes)
    sys.stdout.write(done.output)
    sys.stderr.write(done.errors)
    raise typer.Exit(done.code or output.DONE)

"""The command `kubectl pxauth token`."""

from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    IdentityFlags,
    NamespaceFlag,
    ProfileArgument,
    TokenFlags,
)
from kubectl_pxauth.cli.inputs import read_namespace, read_signing_source, read_token_request
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.private_file import write_private_file
from kubectl_pxauth.operations.token import make_token

HELP = """The user is the same as with `issue`, but for one thing: the Secret is not read,
so the user of a token that is in it is not taken over."""

EXAMPLES = (
    (
        "For the storage administrator, as `pxctl auth token generate` makes it",
        "kubectl pxauth token -f admin.yaml --duration 12h",
    ),
    (
        "Without a cluster, into a file that only you can read",
        "kubectl pxauth token admin --shared-secret-file key --output admin.jwt",
    ),
)


@takes_groups
def command(
    *,
    profile: ProfileArgument = None,
    namespace: NamespaceFlag = None,
    token: TokenFlags,
    identity: IdentityFlags,
    authority: AuthorityFlags,
    file: Annotated[
        str | None,
        typer.Option(
            "--output", metavar="FILE", help="Write the token to this file, mode 0600, instead."
        ),
    ] = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, make the token, print it or write it."""
    connection = connection_flags.connection()
    source = read_signing_source(authority, identity.filename)
    request = read_token_request(profile, identity, token, needs_secret=False)
    minted = make_token(request, read_namespace(namespace, connection), source, connection.open)
    output.warnings(minted.warnings)
    if file is None:
        print(minted.token)
    else:
        write_private_file(file, minted.token)

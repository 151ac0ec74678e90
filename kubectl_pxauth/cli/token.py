"""The command `kubectl pxauth token`."""

from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    IdentityFlags,
    ProfileArgument,
    UnstoredTokenFlags,
    UserNamespaceFlag,
)
from kubectl_pxauth.cli.inputs import read_namespace, read_signing_source, read_token_request
from kubectl_pxauth.cli.output import FORMATS
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.private_file import write_private_file
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.operations.token import make_token

HELP = """The user is the same as with `issue`, with one difference: token does not read the
Secret, so it does not take over the user of a token there."""

EXAMPLES = (
    (
        "Make a token for the storage administrator",
        "kubectl pxauth token -f admin.yaml --duration 12h",
    ),
    (
        "Without a cluster, write it to a file that only you can read",
        "kubectl pxauth token admin --shared-secret-file key --output admin.jwt",
    ),
)


@takes_groups
def command(
    *,
    profile: ProfileArgument = None,
    namespace: UserNamespaceFlag = None,
    token: UnstoredTokenFlags,
    identity: IdentityFlags,
    authority: AuthorityFlags,
    file: Annotated[
        str | None,
        typer.Option(
            "--output", metavar="FILE", help="File to write the token to, with mode 0600."
        ),
    ] = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, make the token, print it or write it."""
    if file in FORMATS:
        raise UsageError(
            f"--output names a file here, and {file} is a format of other commands",
            hint=f"leave it out to print the token, or name the file ./{file}",
        )
    connection = connection_flags.connection()
    source = read_signing_source(authority, identity.filename)
    request = read_token_request(profile, identity, token, needs_secret=False)
    minted = make_token(request, read_namespace(namespace, connection), source, connection.open)
    output.warnings(minted.warnings)
    if file is None:
        print(minted.token)
    else:
        write_private_file(file, minted.token)

"""The command `kubectl pxauth issue`."""

import sys
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    IdentityFlags,
    ProfileArgument,
    TokenFlags,
    WriteFlags,
    takes_groups,
)
from kubectl_pxauth.cli.inputs import read_authority_source, read_token_request
from kubectl_pxauth.cluster.names import check_data_key
from kubectl_pxauth.issue import IssueRequest, IssueResult, issue

HELP = """PROFILE is kubernetes (Secret px-k8s-user, role system.user) or admin (Secret
px-admin-token, role system.admin). A repeat keeps the user of the token that is
there, and so its volumes.

\b
Examples:
  # The token for Kubernetes, in Secret portworx/px-k8s-user
  kubectl pxauth issue kubernetes -n portworx

\b
  # The user of a file, as `pxctl auth token generate --auth-config` takes it
  kubectl pxauth issue kubernetes -n portworx -f kubernetes.yaml

\b
  # A manifest for kubectl or for Git, without touching the cluster
  kubectl pxauth issue kubernetes -n portworx --dry-run=client -o yaml
"""


@takes_groups
def command(
    *,
    profile: ProfileArgument = None,
    token: TokenFlags,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="Key of the Secret's data.")
    ] = "auth-token",
    identity: IdentityFlags,
    change_identity: Annotated[
        bool, typer.Option("--change-identity", help="Let the token become another user's.")
    ] = False,
    authority: AuthorityFlags,
    write: WriteFlags,
    connection: ConnectionFlags,
) -> None:
    """Parse, issue, print."""
    door = connection.connection()
    source = read_authority_source(authority, identity.filename)
    request = IssueRequest(
        token=read_token_request(profile, identity, token, door),
        key=check_data_key(key),
        change_identity=change_identity,
        dry_run=write.dry_run,
    )
    result = issue(request, source, door.open)
    for warning in result.warnings:
        output.warning(warning)
    _show(result, write)


def _show(result: IssueResult, write: WriteFlags) -> None:
    outcome = "created" if result.created else "configured"
    output.written(f"secret/{result.secret}", outcome, result.manifest, write.dry_run, write.form)
    if write.form is None and sys.stdout.isatty():
        claims = result.claims
        print(f"  subject  {claims.identity.sub}")
        print(f"  issuer   {claims.issuer}")
        print(f"  expires  {claims.expires_at.astimezone():%Y-%m-%d %H:%M %Z}")

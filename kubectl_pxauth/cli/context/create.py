"""The command `kubectl pxauth context create`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.context import NameArgument, PxctlFlags, check_name, read_nodes, show
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    IdentityFlags,
    ProfileArgument,
    QuietFlag,
    UnstoredTokenFlags,
    namespace_option,
)
from kubectl_pxauth.cli.guard import refuse_token_for_pxctl
from kubectl_pxauth.cli.inputs import read_namespace, read_signing_source, read_token_request
from kubectl_pxauth.cli.many import finish, interruptible
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.operations.context import NodeResult, create_context, read_token
from kubectl_pxauth.operations.token import make_token
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN
from kubectl_pxauth.text import command_line

HELP = """pxctl keeps contexts on its node, so the command saves one in every Portworx pod. It
makes the token as `kubectl pxauth token` does and stores it in no Secret, or it takes
a Secret's with --from-secret. An existing context gets the new token. If a node
fails, the command names it and does the others; each node has 60 s, or
--request-timeout."""

EXAMPLES = (
    (
        "Save a context for the storage administrator on every node",
        "kubectl pxauth context create admin",
    ),
    (
        "Save one for the user of a file on two nodes, for a day",
        "kubectl pxauth context create alice -f alice.yaml --duration 1d --node a,b",
    ),
    (
        "Save the token that the Portworx operator keeps, which lives a day",
        "kubectl pxauth context create admin --from-secret portworx/px-admin-token",
    ),
    (
        "Save one on this machine, which is a node, without a cluster",
        "kubectl pxauth context create admin --local --shared-secret-file key",
    ),
)


@takes_groups
def command(
    *,
    context_name: NameArgument,
    profile: ProfileArgument = "admin",
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Endpoint that pxctl uses with this context.")
    ] = None,
    from_secret: Annotated[
        str | None,
        typer.Option(
            metavar="[NAMESPACE/]NAME[:KEY]",
            help="Secret whose token to save, in place of a new one.",
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        namespace_option("Namespace of --from-secret, or that the user is named after."),
    ] = None,
    token: UnstoredTokenFlags,
    identity: IdentityFlags,
    authority: AuthorityFlags,
    pxctl: PxctlFlags,
    quiet: QuietFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, make the token, save it on each node, print."""
    name = check_name(context_name)
    refuse_token_for_pxctl([endpoint or ""])
    connection = connection_flags.connection()
    in_namespace = read_namespace(namespace, connection)
    if from_secret is not None:
        made = (profile, identity, token, replace(authority, portworx_namespace=None))
        if made != ("admin", IdentityFlags(), UnstoredTokenFlags(), AuthorityFlags()):
            raise UsageError(
                "--from-secret can't be used with a profile or flags that say how to make a token"
            )
        default = SecretKeyReference(in_namespace, "", AUTH_TOKEN)
        reference = SecretKeyReference.parse(from_secret, default)
        kept = read_token(reference, connection.open(), datetime.now(UTC))
        text, latest = kept.token, lambda: kept.token
        if kept.expires_at:
            output.note(f"the token ends {kept.expires_at:%Y-%m-%d %H:%M} UTC")
    else:
        source = read_signing_source(authority, identity.filename)
        request = read_token_request(profile, identity, token, needs_secret=False)
        minted = make_token(request, in_namespace, source, connection.open)
        output.warnings(minted.warnings)
        text, latest = minted.token, lambda: minted.latest().token
    nodes = read_nodes(pxctl, authority.portworx_namespace, connection, text)
    current: dict[str, str] = {}
    with interruptible() as stop:
        results = create_context(name, endpoint, text, nodes, stop, latest=latest)
        counts = show(name, "saved", _noting(results, current), nodes, stop)
        if current:
            output.note(_current(name, current))
        finish(counts, len(nodes), stop)


def _noting(
    results: Iterator[NodeResult[str]], current: dict[str, str]
) -> Iterator[NodeResult[str]]:
    """The results; each node's current context is put down."""
    for result in results:
        if result.value is not None:
            current[result.node] = result.value
        yield result


def _current(name: str, current: dict[str, str]) -> str:
    """Which context pxctl takes where none is named, and how to make it this one."""
    nodes: dict[str, list[str]] = {}
    for node in sorted(current):
        nodes.setdefault(current[node], []).append(node)
    if list(nodes) == [name]:
        return f"{name} is the current context"
    found = [
        f"{context or 'none'} on {', '.join(on)}" if len(nodes) > 1 else context or "none"
        for context, on in nodes.items()
    ]
    choose = command_line("kubectl", "pxauth", "context", "set", name)
    return f"current context: {'; '.join(found)} ({choose})"

"""The command `kubectl pxauth list`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    AllNamespacesFlag,
    ConnectionFlags,
    NamespaceFlag,
    SelectorFlag,
    WithinFlag,
)
from kubectl_pxauth.cli.inputs import read_scope
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import VerificationFlags, read_verifying_source
from kubectl_pxauth.operations.list import list_tokens
from kubectl_pxauth.portworx.signing import find_trusted_keys
from kubectl_pxauth.portworx.token_secrets import Scope, Status, StoredToken
from kubectl_pxauth.token.claims import rfc3339
from kubectl_pxauth.token.duration import parse_duration
from kubectl_pxauth.token.identity import placeholders

HELP = """Every Secret whose key auth-token holds a JWT, whichever tool made it."""

EXAMPLES = (
    ("All tokens of the cluster, and which of them need care", "kubectl pxauth list -A"),
    (
        "The Secrets whose token is not valid, for a script",
        "kubectl pxauth list -A -o json | jq '.items[] | select(.status != \"valid\")'",
    ),
)

_COLOURS = {
    Status.VALID: "green",
    Status.EXPIRING: "yellow",
    Status.DUPLICATE_SUBJECT: "yellow",
    Status.FOREIGN: "",
}


class Format(StrEnum):
    """kubectl's -o for a list."""

    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


@takes_groups
def command(
    *,
    namespace: NamespaceFlag = None,
    all_namespaces: AllNamespacesFlag = False,
    selector: SelectorFlag = None,
    within: WithinFlag = "30d",
    verification: VerificationFlags,
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, list, print."""
    connection = connection_flags.connection()
    source = read_verifying_source(verification)
    scope = read_scope(namespace, all_namespaces, selector, connection)
    due = parse_duration(within)
    cluster = connection.open()
    trusted = find_trusted_keys(cluster, source)
    output.warnings(trusted.warnings)
    now = datetime.now(UTC)
    tokens = list_tokens(scope, trusted, cluster, now, due)
    output.warnings(
        f"Secret {token.namespace}/{token.secret}: an unfilled placeholder: {', '.join(blanks)}"
        for token in tokens
        if (blanks := placeholders(token.user))
    )
    if form in (Format.JSON, Format.YAML):
        items = [_as_json(token) for token in tokens]
        output.objects({"items": items}, output.Format(form))
    elif form is Format.NAME:
        for token in tokens:
            print(f"secret/{token.secret}")
    elif tokens:
        _show(tokens, scope, now, wide=form is Format.WIDE)
    else:
        where = f" in {scope.namespace} namespace" if scope.namespace else ""
        output.note(f"No resources found{where}.")


def _as_json(token: StoredToken) -> dict[str, object]:
    user = token.user
    return {
        "namespace": token.namespace,
        "name": token.secret,
        "subject": user.sub,
        "userName": user.name,
        "email": user.email,
        "roles": list(user.roles or ()),
        "groups": list(user.groups or ()),
        "issuer": token.issuer,
        "issuedAt": token.issued_at and rfc3339(token.issued_at),
        "expiresAt": token.expires_at and rfc3339(token.expires_at),
        "status": str(token.status),
        "problems": list(token.problems),
    }


def _show(tokens: list[StoredToken], scope: Scope, now: datetime, *, wide: bool) -> None:
    from kubectl_pxauth.cli.table import Column, print_table, relative

    columns = [Column("NAMESPACE"), Column("NAME"), Column("SUBJECT", shrinks=True)]
    columns += [Column("ROLES", shrinks=True), Column("ISSUER", shrinks=True)]
    columns += [Column("GROUPS"), Column("ISSUED")] if wide else []
    columns += [Column("EXPIRES"), Column("STATUS")]
    rows = []
    for token in tokens:
        user = token.user
        row = [token.namespace, token.secret, user.sub or "", ",".join(user.roles or ())]
        row.append(token.issuer)
        if wide:
            row += [",".join(user.groups or ()), relative(token.issued_at, now)]
        row += [relative(token.expires_at, now), token.status]
        rows.append(row)
    colours = [_COLOURS.get(token.status, "red") for token in tokens]
    print_table(columns, rows, colours, wide=wide)

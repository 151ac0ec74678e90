"""The command `kubectl pxauth list`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.dates import day, timestamp, whole_days
from kubectl_pxauth.cli.flags import (
    AllNamespacesFlag,
    ConnectionFlags,
    NamespaceFlag,
    SelectorFlag,
    WithinFlag,
)
from kubectl_pxauth.cli.inputs import optional, read_scope
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import VerificationFlags, read_verifying_source
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.operations.list import list_tokens
from kubectl_pxauth.portworx.signing import find_trusted_keys
from kubectl_pxauth.portworx.token_secrets import Status, StoredToken
from kubectl_pxauth.token.duration import parse_duration
from kubectl_pxauth.token.identity import placeholders

HELP = """Every Secret whose key auth-token holds a JWT, whichever tool made it."""

EXAMPLES = (
    ("All tokens of the cluster, and which of them need care", "kubectl pxauth list -A"),
    (
        "The Secrets whose token is not valid, for a script",
        "kubectl pxauth list -A -o json | jq '.items[] | select(.status != \"valid\")'",
    ),
    (
        "A report for a spreadsheet, the first to end first",
        "kubectl pxauth list -A -o csv --sort-by expiresAt > tokens.csv",
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
    CSV = "csv"
    JSON = "json"
    YAML = "yaml"


@takes_groups
def command(
    *,
    namespace: NamespaceFlag = None,
    all_namespaces: AllNamespacesFlag = False,
    selector: SelectorFlag = None,
    within: WithinFlag = "30d",
    sort_by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Sort by a field of -o json: expiresAt, status, subject.",
            show_default="namespace and name",
        ),
    ] = None,
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Leave out the line with the headings.")
    ] = False,
    verification: VerificationFlags,
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, list, print."""
    connection = connection_flags.connection()
    source = read_verifying_source(verification)
    scope = read_scope(namespace, all_namespaces, selector, connection)
    due = parse_duration(within)
    field = optional(sort_by, _read_field)
    cluster = connection.open()
    trusted = find_trusted_keys(cluster, source)
    output.warnings(trusted.warnings)
    now = datetime.now(UTC)
    tokens = list_tokens(scope, trusted, cluster, now, due)
    if field:
        tokens.sort(key=lambda token: _sort_key(token, field))
    output.warnings(
        f"Secret {token.namespace}/{token.secret}: an unfilled placeholder: {', '.join(blanks)}"
        for token in tokens
        if (blanks := placeholders(token.user))
    )
    if form in (Format.JSON, Format.YAML):
        items = [_as_json(token, now) for token in tokens]
        output.objects({"items": items}, output.Format(form))
    elif form is Format.NAME:
        for token in tokens:
            print(f"secret/{token.secret}")
    elif form is Format.CSV:
        from kubectl_pxauth.cli.report import print_csv

        print_csv(_FIELDS, [_as_json(token, now) for token in tokens], headed=not no_headers)
    elif tokens:
        _show(tokens, now, wide=form is Format.WIDE, headed=not no_headers)
    else:
        where = f" in {scope.namespace} namespace" if scope.namespace else ""
        output.note(f"No resources found{where}.")


_FIELDS = (
    *("namespace", "name", "subject", "userName", "email", "roles", "groups", "issuer"),
    *("issuedAt", "expiresAt", "daysLeft", "status", "problems"),
)


def _read_field(text: str) -> str:
    """A field to sort by, also as kubectl spells it: .expiresAt or {.expiresAt}."""
    field = text.strip("{}").removeprefix(".")
    if field not in _FIELDS:
        raise UsageError(f'--sort-by "{text}" is none of {", ".join(_FIELDS)}')
    return field


def _sort_key(token: StoredToken, field: str) -> tuple[Any, ...]:
    """What is sorted by: of states the worst first, and what is not there last."""
    if field == "status":
        return (list(Status).index(token.status),)
    value = _as_json(token, datetime.now(UTC))[field]
    return (value is None, value)


def _as_json(token: StoredToken, now: datetime) -> dict[str, Any]:
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
        "issuedAt": timestamp(token.issued_at) or None,
        "expiresAt": timestamp(token.expires_at) or None,
        "daysLeft": whole_days(token.expires_at, now),
        "status": str(token.status),
        "problems": list(token.problems),
    }


def _show(tokens: list[StoredToken], now: datetime, *, wide: bool, headed: bool) -> None:
    from kubectl_pxauth.cli.table import Column, print_table

    columns = [Column("NAMESPACE"), Column("NAME"), Column("SUBJECT", shrinks=True)]
    columns += [Column("ROLES", shrinks=True), Column("ISSUER", shrinks=True)]
    columns += [Column("GROUPS"), Column("ISSUED")] if wide else []
    columns += [Column("EXPIRES"), Column("DAYS"), Column("STATUS")]
    rows = []
    for token in tokens:
        user, end, left = token.user, token.expires_at, whole_days(token.expires_at, now)
        row = [token.namespace, token.secret, user.sub or "", ",".join(user.roles or ())]
        row.append(token.issuer)
        if wide:
            row += [",".join(user.groups or ()), timestamp(token.issued_at)]
        row += [timestamp(end) if wide else day(end), "" if left is None else str(left)]
        rows.append([*row, token.status.replace(" ", "-")])  # awk takes it for one word
    colours = [_COLOURS.get(token.status, "red") for token in tokens]
    print_table(columns, rows, colours, wide=wide, headed=headed)

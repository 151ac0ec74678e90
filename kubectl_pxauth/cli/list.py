"""The command `kubectl pxauth list`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.dates import day, timestamp, whole_days
from kubectl_pxauth.cli.flags import (
    AllContextsFlag,
    AllNamespacesFlag,
    ConnectionFlags,
    NamespaceFlag,
    NoHeadersFlag,
    SelectorFlag,
    WithinFlag,
)
from kubectl_pxauth.cli.fleet import (
    ask_each,
    note_nothing,
    of_context,
    tell_failures,
)
from kubectl_pxauth.cli.inputs import optional, read_duration, read_scope, read_sort_field
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import VerificationFlags, read_verifying_source
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.list import list_tokens
from kubectl_pxauth.portworx.signing import find_trusted_keys
from kubectl_pxauth.portworx.token_secrets import Scope, Status, StoredToken
from kubectl_pxauth.token.identity import placeholders

HELP = """Lists every Secret whose data key auth-token holds a JWT, whichever tool made it."""

EXAMPLES = (
    ("List all tokens of the cluster", "kubectl pxauth list -A"),
    (
        "Print the Secrets whose token is not valid",
        "kubectl pxauth list -A -o json | jq '.items[] | select(.status != \"valid\")'",
    ),
    (
        "Write a report for a spreadsheet, the first token to end on top",
        "kubectl pxauth list -A -o csv --sort-by expiresAt > tokens.csv",
    ),
    ("List the tokens of two clusters", "kubectl pxauth list -A --context east --context west"),
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
            help="Field of -o json to sort by: expiresAt, status, subject.",
            autocompletion=lambda: list(_FIELDS),
            show_default="namespace and name",
        ),
    ] = None,
    no_headers: NoHeadersFlag = False,
    verification: VerificationFlags,
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None,
    all_contexts: AllContextsFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, list, print."""
    connections = connection_flags.connections(all_contexts=all_contexts)
    source = read_verifying_source(verification)
    due, now = read_duration("--within", within), datetime.now(UTC)
    field = optional(sort_by, lambda given: read_sort_field(given, _FIELDS))

    def ask(connection: Connection) -> _Answer:
        scope = read_scope(namespace, all_namespaces, selector, connection)
        cluster = connection.open()
        trusted = find_trusted_keys(cluster, source)
        return _Answer(scope, trusted.warnings, list_tokens(scope, trusted, cluster, now, due))

    answers = ask_each(connections, ask)
    found = [
        _Listed(context, token)
        for context, answer in answers.items()
        if isinstance(answer, _Answer)
        for token in answer.tokens
    ]
    _warn(answers, found)
    if field:
        from kubectl_pxauth.cli.report import sort_key

        found.sort(key=lambda one: sort_key(_as_json(one, now), field, list(Status)))
    if form in (Format.JSON, Format.YAML):
        output.objects({"items": [_as_json(one, now) for one in found]}, output.Format(form))
    elif form is Format.NAME:
        for one in found:
            print(f"secret/{one.token.secret}")
    elif form is Format.CSV:
        from kubectl_pxauth.cli.report import print_csv

        fields = _FIELDS if "" in answers else ("context", *_FIELDS)
        print_csv(fields, [_as_json(one, now) for one in found], headed=not no_headers)
    elif found:
        _show(found, now, wide=form is Format.WIDE, headed=not no_headers)
    else:
        _note_nothing(answers)
    if tell_failures(answers):
        raise typer.Exit(output.FAILED)


@dataclass(frozen=True)
class _Answer:
    """The tokens of one cluster, and the warnings about them."""

    scope: Scope
    warnings: tuple[str, ...]
    tokens: list[StoredToken]


@dataclass(frozen=True)
class _Listed:
    """A token, and the context of its cluster; empty where there is one cluster alone."""

    context: str
    token: StoredToken


def _warn(answers: Mapping[str, _Answer | PxauthError], found: list[_Listed]) -> None:
    for context, answer in answers.items():
        if isinstance(answer, _Answer) and answer.tokens:  # which the warnings are about
            output.warnings(answer.warnings, context)
    for one in found:
        if blanks := ", ".join(placeholders(one.token.user)):
            where = f"Secret {one.token.namespace}/{one.token.secret}"
            output.warnings([f"{where}: an unfilled placeholder: {blanks}"], one.context)


def _note_nothing(answers: Mapping[str, _Answer | PxauthError]) -> None:
    for context, answer in answers.items():
        if isinstance(answer, _Answer):
            note_nothing(context, answer.scope.namespace)


_FIELDS = (
    *("namespace", "name", "subject", "userName", "email", "roles", "groups", "issuer"),
    *("issuedAt", "expiresAt", "daysLeft", "status", "problems"),
)


def _as_json(one: _Listed, now: datetime) -> dict[str, Any]:
    token, user = one.token, one.token.user
    return {
        **of_context(one.context),
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


def _show(found: list[_Listed], now: datetime, *, wide: bool, headed: bool) -> None:
    from kubectl_pxauth.cli.table import Column, print_table

    several = bool(found[0].context)
    columns = [Column("CONTEXT")] if several else []
    columns += [Column("NAMESPACE"), Column("NAME"), Column("SUBJECT", shrinks=True)]
    columns += [Column("ROLES", shrinks=True), Column("ISSUER", shrinks=True)]
    columns += [Column("GROUPS"), Column("ISSUED")] if wide else []
    columns += [Column("EXPIRES"), Column("DAYS"), Column("STATUS")]
    rows = []
    for one in found:
        token, user, end = one.token, one.token.user, one.token.expires_at
        left = whole_days(end, now)
        row = [one.context] if several else []
        row += [token.namespace, token.secret, user.sub or "", ",".join(user.roles or ())]
        row.append(token.issuer)
        if wide:
            row += [",".join(user.groups or ()), timestamp(token.issued_at)]
        row += [timestamp(end) if wide else day(end), "" if left is None else str(left)]
        rows.append([*row, token.status.replace(" ", "-")])  # awk takes it for one word
    colours = [_COLOURS.get(one.token.status, "red") for one in found]
    print_table(columns, rows, colours, wide=wide, headed=headed)

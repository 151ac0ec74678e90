"""The command `kubectl pxauth status`."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from shutil import get_terminal_size
from typing import Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.dates import day, timestamp, whole_days
from kubectl_pxauth.cli.doctor import diagnosis_as_json, show_diagnoses
from kubectl_pxauth.cli.flags import (
    AllContextsFlag,
    ConnectionFlags,
    NoHeadersFlag,
    QuietFlag,
    WithinFlag,
)
from kubectl_pxauth.cli.fleet import ask_each, of_context, tell_failures
from kubectl_pxauth.cli.inputs import optional, read_duration, read_sort_field
from kubectl_pxauth.cli.keys.status import NO_FINGERPRINT, key_as_json, key_rows, pod_rows
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import VerificationFlags, read_verifying_source
from kubectl_pxauth.operations.doctor.job import JobRuns
from kubectl_pxauth.operations.doctor.status import (
    ClusterStatus,
    Health,
    StatusRequest,
    find_status,
)
from kubectl_pxauth.portworx.token_secrets import Status, StoredToken

HELP = """Shows which key and issuer the cluster has, whether a rotation is under way, which
tokens end next, which job renews them, and what is wrong. It changes nothing.
`kubectl pxauth doctor` checks more.

Exits with 0 if all is well or if Portworx asks for no tokens, with 3 if something is
worth a look, with 4 if something is broken, and with 1 if the cluster can't be asked."""

EXAMPLES = (
    ("Show the current cluster", "kubectl pxauth status"),
    (
        "Show which tenants have no token",
        "kubectl pxauth status --namespace-selector px-tenant=true",
    ),
    ("Show all clusters of the kubeconfig, a line each", "kubectl pxauth status --all-contexts"),
    ("Ask in a script whether anything is broken", "kubectl pxauth status --quiet; [ $? -eq 4 ]"),
)

EXIT_CODES = {
    Health.WELL: output.DONE,
    Health.UNKNOWN: output.FAILED,
    Health.WORTH_A_LOOK: 3,
    Health.BROKEN: 4,
}
"""What scripts tell by. 1 is what every command ends with that can't do its work, kubectl as well
where it does not find this plugin: whatever went wrong, nothing is known then. 2 is a misuse."""

_WORST_FIRST = (Health.BROKEN, Health.UNKNOWN, Health.WORTH_A_LOOK, Health.WELL)
_FIELDS = (
    *("fingerprint", "rotation", "tokens", "valid", "expiresAt", "daysLeft"),
    *("withoutToken", "findings"),
)
_COLUMNS = ("context", "status", *_FIELDS)
_STYLES = {
    Health.WELL: "green",
    Health.WORTH_A_LOOK: "yellow",
    Health.BROKEN: "red",
    Health.UNKNOWN: "red",
}
_SHOWN = 5  # tokens that end next
_MONTHS = 12
_BAR = 40


class Format(StrEnum):
    """kubectl's -o for a status."""

    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    PROMETHEUS = "prometheus"


@takes_groups
def command(
    *,
    namespace_selector: Annotated[
        str | None,
        typer.Option(
            metavar="SELECTOR",
            help="Report which namespaces with these labels have no token.",
            show_default="that of the job that issues tokens",
        ),
    ] = None,
    # A job renews what ends within 30 days: what comes nearer was not renewed.
    within: WithinFlag = "14d",
    verification: VerificationFlags,
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None,
    sort_by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Column of -o csv to sort several clusters by: status, expiresAt, findings.",
            autocompletion=lambda: list(_COLUMNS),
            show_default="the order of the contexts",
        ),
    ] = None,
    no_headers: NoHeadersFlag = False,
    quiet: QuietFlag = False,
    all_contexts: AllContextsFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, look, print."""
    connections = connection_flags.connections(all_contexts=all_contexts)
    source = read_verifying_source(verification)
    due, now = read_duration("--within", within), datetime.now(UTC)
    field = optional(sort_by, lambda given: read_sort_field(given, _COLUMNS))

    def ask(connection: Connection) -> ClusterStatus:
        namespace = connection.kubeconfig.namespace
        request = StatusRequest(namespace, namespace_selector, within=due, now=now)
        return find_status(request, source, connection.open())

    answers = ask_each(connections, ask)
    statuses = {
        context: one if isinstance(one, ClusterStatus) else None for context, one in answers.items()
    }
    alone = statuses.get("")
    if field and not alone:
        from kubectl_pxauth.cli.report import sort_key

        statuses = dict(
            sorted(statuses.items(), key=lambda one: sort_key(_as_line(*one), field, _WORST_FIRST))
        )
    if form is Format.PROMETHEUS:
        from kubectl_pxauth.cli.metrics import print_metrics

        print_metrics(statuses)
    elif form is Format.CSV:
        from kubectl_pxauth.cli.report import print_csv

        items = [_as_line(context, one) for context, one in statuses.items()]
        print_csv(list(items[0]), items, headed=not no_headers)
    elif form in (Format.JSON, Format.YAML):
        items = [
            {
                "context": context,
                **(_as_json(one, context) if one else {"status": str(Health.UNKNOWN)}),
            }
            for context, one in statuses.items()
        ]
        output.objects(_as_json(alone) if alone else {"items": items}, output.DataFormat(form))
    elif quiet:
        pass  # the exit code says it
    elif alone:
        _show(alone, connections[""].kubeconfig.context, wide=form is Format.WIDE)
    else:
        _show_fleet(statuses, wide=form is Format.WIDE, headed=not no_headers)
    tell_failures(answers)
    found = {one.health if one else Health.UNKNOWN for one in statuses.values()}
    raise typer.Exit(EXIT_CODES[next(one for one in _WORST_FIRST if one in found)])


def _as_line(context: str, status: ClusterStatus | None) -> dict[str, Any]:
    """One line for a cluster, which is not known where there is no status."""
    if status is None:
        return {"context": context, "status": str(Health.UNKNOWN)} | dict.fromkeys(_FIELDS)
    key, first = status.key, next(iter(status.ending), None)
    end = first.expires_at if first else None
    rotation = status.key_status and status.key_status.state.rotation
    return {
        **of_context(context),
        "status": str(status.health),
        "fingerprint": key and key.shared_secret.fingerprint,
        "rotation": str(rotation.direction) if rotation else None,
        "tokens": len(status.tokens) if status.tokens_are_known else None,
        "valid": status.count(Status.VALID) if status.tokens_are_known else None,
        "expiresAt": timestamp(end) or None,
        "daysLeft": whole_days(end, status.now),
        "withoutToken": len(status.tenants.without_token) if status.tenants else None,
        "findings": len(status.findings),
    }


def _show_fleet(statuses: Mapping[str, ClusterStatus | None], *, wide: bool, headed: bool) -> None:
    """A line for each cluster, and with wide what keeps them from being well."""
    from kubectl_pxauth.cli.table import Column, print_table

    headings = ("CONTEXT", "STATUS", "KEY", "ROTATION", "TOKENS", "VALID", "EXPIRES", "DAYS")
    columns = [Column(heading, shrinks=heading == "CONTEXT") for heading in headings]
    rows = []
    for context, status in statuses.items():
        line = _as_line(context, status)
        end = line["expiresAt"]
        cells = [line[field] for field in ("context", "status", "fingerprint", "rotation")]
        cells += [line["tokens"], line["valid"], end and end[:10], line["daysLeft"]]
        rows.append(["" if cell is None else str(cell) for cell in cells])
    print_table(columns, rows, wide=wide, headed=headed)
    width = max(map(len, statuses))
    for context, status in statuses.items():
        if wide and status:
            for _ in show_diagnoses(status.findings, context.ljust(width)):
                pass


def _as_json(status: ClusterStatus, context: str = "") -> dict[str, Any]:
    issuer, tenants = status.issuer, status.tenants
    return {
        "status": str(status.health),
        "server": status.server,
        "asksForTokens": status.asks_for_tokens,
        "issuer": issuer and {"value": issuer.value, "statedBy": issuer.stated_by},
        **(key_as_json(status.key_status) if status.key_status else _other_key_as_json(status)),
        "jobs": [_job_as_json(run) for run in status.jobs],
        "tokens": {str(state): status.count(state) for state in reversed(Status)},
        "ending": [
            {
                "namespace": token.namespace,
                "name": token.secret,
                "subject": token.user.sub,
                "expiresAt": timestamp(token.expires_at),
                "daysLeft": whole_days(token.expires_at, status.now),
            }
            for token in status.ending
        ],
        "tenants": tenants
        and {
            "selector": tenants.selector,
            "namespaces": len(tenants.namespaces),
            "withoutToken": list(tenants.without_token),
        },
        "findings": [diagnosis_as_json(one, context) for one in status.findings],
    }


def _other_key_as_json(status: ClusterStatus) -> dict[str, Any]:
    """As key_as_json, of a key that is in no Secret that could be read."""
    key = status.key
    found = key and {
        "secret": key.reference and vars(key.reference),
        "statedBy": key.stated_by,
        "fingerprint": key.shared_secret.fingerprint,
        "changedAt": None,
    }
    return {"sharedSecret": found, "rotation": None, "pods": None, "startedBefore": None}


def _job_as_json(run: JobRuns) -> dict[str, Any]:
    return {
        "name": run.display_name,
        "namespace": run.scope,
        "schedule": run.schedule,
        "timeZone": run.time_zone,
        "suspended": run.suspended,
        "lastSuccess": timestamp(run.last_success) or None,
        "nextRun": timestamp(run.next_run) or None,
    }


def _show(status: ClusterStatus, context: str | None, *, wide: bool) -> None:
    from kubectl_pxauth.cli.table import print_rows

    print_rows(_rows(status, context, wide=wide))
    if sys.stdout.isatty() and status.ending:
        print()
        for line in _picture(status):
            print(line)
    if status.findings:
        print()
        for _ in show_diagnoses(status.findings):
            pass


def _rows(status: ClusterStatus, context: str | None, *, wide: bool) -> Iterator[output.Row]:
    yield output.Row("Status", [_words(status)], _STYLES[status.health])
    yield output.Row("Cluster", [*([context] if context else []), status.server])
    if status.asks_for_tokens is False:
        return
    key_status, key = status.key_status, status.key
    if key_status:
        yield from key_rows(key_status)
    elif key:
        fingerprint = key.shared_secret.fingerprint
        yield output.Row("Shared secret", [key.shared_secret.source])
        yield output.Row("Fingerprint", [fingerprint or NO_FINGERPRINT])
    if status.issuer:
        yield output.Row("Issuer", [status.issuer.value, status.issuer.stated_by])
    if key_status:
        yield from pod_rows(key_status)
    if status.jobs:
        yield output.Row("Jobs", [line for run in status.jobs for line in _job_lines(run)])
    counts = {state: status.count(state) for state in reversed(Status)}
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    yield output.Row("Tokens", [states or ("none" if status.tokens_are_known else "not known")])
    if ending := status.ending:
        shown = ending if wide else ending[:_SHOWN]
        yield output.Row("Next to end", list(_ending_lines(shown, status.now)))
    if tenants := status.tenants:
        lines = [f"{len(tenants.namespaces)} namespaces with {tenants.selector}"]
        without = tenants.without_token
        lines += [f"{len(without)} without a token"] if without else []
        lines += without if wide else ()
        yield output.Row("Tenants", lines)


def _words(status: ClusterStatus) -> str:
    if status.asks_for_tokens is False and status.health is Health.WELL:
        return "well: Portworx asks for no tokens"
    return {
        Health.WELL: "well",
        Health.WORTH_A_LOOK: "worth a look",
        Health.BROKEN: "broken",
        Health.UNKNOWN: "not known: the cluster could not be asked for all of it",
    }[status.health]


def _job_lines(run: JobRuns) -> Iterator[str]:
    whose = f"namespace {run.scope}" if run.scope else "all namespaces"
    yield f"{run.display_name} renews the tokens of {whose}"
    following = "suspended" if run.suspended else timestamp(run.next_run) or "not known"
    yield f"last success {timestamp(run.last_success) or 'none yet'}, next run {following}"


def _ending_lines(tokens: tuple[StoredToken, ...], now: datetime) -> Iterator[str]:
    for token in tokens:
        left = whole_days(token.expires_at, now)
        days = "less than a day" if left == 0 else "1 day" if left == 1 else f"{left} days"
        yield f"{day(token.expires_at)}, in {days}: {token.namespace}/{token.secret}"


def _picture(status: ClusterStatus) -> Iterator[str]:
    """How many tokens end in which of the coming months, and which one is the first."""
    from rich.console import Console

    block = "#" if Console().options.ascii_only else "\u2588"
    widest = max(1, min(_BAR, get_terminal_size().columns - len("  2027-01   1000")))
    first = status.ending[0]
    ends = [one.expires_at for one in status.ending if one.expires_at]
    counts = Counter(f"{end:%Y-%m}" for end in ends)
    year, month = status.now.year, status.now.month - 1
    months = [f"{year + (month + i) // 12}-{(month + i) % 12 + 1:02}" for i in range(_MONTHS + 1)]
    most = max((counts[one] for one in months), default=0)
    yield (
        "Tokens by the month of their end; the first to end is"
        f" {first.namespace}/{first.secret}, {ends[0]:%Y-%m-%d}"
    )
    for one in months:
        bar = block * -(-counts[one] * widest // most) if most else ""
        yield f"  {one}  {bar} {counts[one]}" if counts[one] else f"  {one}"
    if later := len(ends) - sum(counts[one] for one in months):
        yield f"  later    {later}"

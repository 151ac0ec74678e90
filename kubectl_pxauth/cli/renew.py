"""The command `kubectl pxauth renew`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.flags import (
    AllNamespacesFlag,
    AuthorityFlags,
    ConnectionFlags,
    DryRunFlag,
    NamespaceFlag,
    QuietFlag,
    SelectorFlag,
    WithinFlag,
    duration_option,
)
from kubectl_pxauth.cli.fleet import note_nothing, outcomes_of_each
from kubectl_pxauth.cli.inputs import (
    read_duration,
    read_scope,
    read_secret_name,
    read_signing_source,
    refuse_empty_selector,
)
from kubectl_pxauth.cli.many import (
    ConcurrencyFlag,
    count_again,
    counter,
    failed,
    failed_cluster,
    finish,
    give_memory_back,
    interruptible,
    with_progress,
)
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_data_key
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import SecretFailure
from kubectl_pxauth.errors import PxauthError, UsageError
from kubectl_pxauth.operations.renew import Outcome, RenewRequest, RenewResult, renew
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN
from kubectl_pxauth.portworx.token_secrets import Scope

HELP = """Each token keeps its user, roles, groups and duration, whichever tool made it.
Without SECRET, renew looks at every Secret that holds a token. It leaves alone
what does not expire soon, and skips a token that somebody may have put there
without having a right to it: to renew that one, name its Secret."""

EXAMPLES = (
    ("Renew what ends within 30 days, in all namespaces", "kubectl pxauth renew -A"),
    ("Show first what would be renewed", "kubectl pxauth renew -A --dry-run=server"),
    (
        "Renew one token now, for 90 days",
        "kubectl pxauth renew px-k8s-user -n portworx --all --duration 90d",
    ),
    ("In two clusters", "kubectl pxauth renew -A --context east --context west"),
)


@takes_groups
def command(
    *,
    secrets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[[NAMESPACE/]SECRET]...", help="Secrets whose tokens to renew."),
    ] = None,
    namespace: NamespaceFlag = None,
    all_namespaces: AllNamespacesFlag = False,
    selector: SelectorFlag = None,
    within: WithinFlag = "30d",
    everything: Annotated[
        bool, typer.Option("--all", help="Renew also tokens that do not expire soon.")
    ] = False,
    resign: Annotated[
        bool,
        typer.Option(
            "--resign",
            help="In the Secrets that you name, renew also tokens that another key signed or that"
            " were issued for another Secret.",
        ),
    ] = False,
    grace: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Skip tokens that ended longer ago than this, unless you name their Secret.",
        ),
    ] = "7d",
    duration: Annotated[
        str | None,
        duration_option("the new tokens live", "as long as the old ones"),
    ] = None,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="Data key of the Secrets that holds the token.")
    ] = AUTH_TOKEN,
    authority: AuthorityFlags,
    concurrency: ConcurrencyFlag = 16,
    dry_run: DryRunFlag = DryRun.NONE,
    form: Annotated[
        output.Format | None,
        typer.Option(
            "--output", "-o", help="Print the Secrets that were renewed, as kubectl does."
        ),
    ] = None,
    quiet: QuietFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, renew, print."""
    connections = connection_flags.connections(all_contexts=False)
    source = read_signing_source(authority)
    refuse_empty_selector("--selector", selector)
    if secrets and (all_namespaces or selector):
        raise UsageError("names can't be used with --all-namespaces or --selector")
    if resign and not secrets:
        raise UsageError(
            "--resign is for Secrets that are named",
            hint="a token that the present key did not sign may be anybody's work: name those that"
            " you know",
        )
    request = RenewRequest(
        names=tuple(dict.fromkeys(read_secret_name(text, namespace) for text in secrets or ())),
        scope=Scope(None),  # which each cluster has of its own
        key=check_data_key(key),
        due_within=None if everything else read_duration("--within", within),
        resign=resign,
        grace=read_duration("--grace", grace),
        duration=None if duration is None else read_duration("--duration", duration),
        dry_run=dry_run,
        now=datetime.now(UTC),
        wants_objects=form in (output.Format.JSON, output.Format.YAML),
    )
    counts, counted = counter(Outcome), dict[str, str]()
    manifests: dict[str, dict[str, Any]] = {}
    scopes: dict[str, Scope] = {}
    if not request.names:
        give_memory_back()
    with interruptible() as stop:

        def renew_in(context: str, connection: Connection) -> Iterator[RenewResult | SecretFailure]:
            scope = read_scope(namespace, all_namespaces, selector, connection)
            scopes[context] = scope
            asked = replace(request, scope=scope)
            signer, outcomes = renew(asked, source, connection.open(), concurrency, stop)
            output.warnings(signer.warnings, context)
            return outcomes

        found = outcomes_of_each(connections, renew_in, stop)
        total = len(request.names) * len(connections) or None
        for context, outcome in with_progress(found, "renewing", total, stop, counts):
            if isinstance(outcome, PxauthError):
                failed_cluster(context, outcome, stop, counts)
                continue
            secret = f"{context} {outcome.namespace}/{outcome.secret}"
            count_again(counts, counted, secret, _show(context, outcome, dry_run, form))
            if isinstance(outcome, RenewResult) and outcome.outcome is Outcome.RENEWED:
                manifests[secret] = outcome.manifest
        if form in (output.Format.JSON, output.Format.YAML):
            items = list(manifests.values())
            output.objects({"apiVersion": "v1", "kind": "List", "items": items}, form)
        if not (counts.total() or stop.is_set()):
            for context, scope in scopes.items():
                note_nothing(context, scope.namespace)
            return
        finish(counts, None, stop)


def _show(
    context: str,
    outcome: RenewResult | SecretFailure,
    dry_run: DryRun,
    form: output.Format | None,
) -> str:
    if isinstance(outcome, SecretFailure):
        return failed(outcome.namespace, outcome.error, context)
    output.warnings(outcome.warnings, context)
    if form:
        if form is output.Format.NAME and outcome.outcome is Outcome.RENEWED:
            print(f"secret/{outcome.secret}")
        return outcome.outcome
    line = f"secret/{outcome.secret} {outcome.outcome} in namespace {outcome.namespace}"
    line += f": {outcome.reason}" if outcome.reason else output.expiry(outcome.expires_at)
    line += output.SUFFIXES[dry_run] if outcome.outcome is Outcome.RENEWED else ""
    output.line(f"{output.in_context(context)}{line}")
    return outcome.outcome

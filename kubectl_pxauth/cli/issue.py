"""The command `kubectl pxauth issue`."""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    IdentityFlags,
    MetadataFlags,
    ProfileArgument,
    TokenFlags,
    WithinFlag,
    WriteFlags,
    namespace_option,
)
from kubectl_pxauth.cli.inputs import (
    read_duration,
    read_metadata,
    read_namespace,
    read_signing_source,
    read_token_request,
    refuse_empty_selector,
)
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_data_key, check_namespace
from kubectl_pxauth.cluster.objects import Change
from kubectl_pxauth.cluster.secrets import SecretFailure
from kubectl_pxauth.errors import PxauthError, UsageError
from kubectl_pxauth.operations.issue import (
    IssueRequest,
    IssueResult,
    Namespaces,
    issue,
)
from kubectl_pxauth.portworx.key_source import KeySource

if TYPE_CHECKING:
    from kubectl_pxauth.cli.many import Stop

HELP = """PROFILE is kubernetes (Secret px-k8s-user, role system.user) or admin (Secret
px-admin-token, role system.admin). If the Secret holds a token already, the new one
keeps its user, so that volumes keep their owner, and its roles, groups and duration.
The command finds the signing key and the issuer in the cluster."""

EXAMPLES = (
    (
        "Issue the token for Kubernetes into Secret portworx/px-k8s-user",
        "kubectl pxauth issue kubernetes -n portworx",
    ),
    (
        "Issue it for the user in a file of `pxctl auth token generate`",
        "kubectl pxauth issue kubernetes -n portworx -f kubernetes.yaml",
    ),
    (
        "Give each tenant a token, where it is missing, invalid or ends in 30 days",
        "kubectl pxauth issue kubernetes --namespace-selector px-tenant --if-needed",
    ),
    (
        "Print the Secret for kubectl; it holds a live token, so keep it out of Git",
        "kubectl pxauth issue kubernetes -n portworx --dry-run=client -o yaml",
    ),
    (
        "For the tenants of two clusters",
        "kubectl pxauth issue kubernetes --namespace-selector px-tenant \\\n"
        "  --context east --context west",
    ),
)


@takes_groups
def command(
    *,
    profile: ProfileArgument = None,
    namespace: Annotated[
        list[str] | None,
        namespace_option("Namespace of the token's Secret; repeatable."),
    ] = None,
    namespace_selector: Annotated[
        str | None,
        typer.Option(
            metavar="SELECTOR", help="Issue a token in each namespace that matches these labels."
        ),
    ] = None,
    token: TokenFlags,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="Data key of the Secret for the token.")
    ] = "auth-token",
    identity: IdentityFlags,
    change_identity: Annotated[
        bool,
        typer.Option(
            "--change-identity", help="Allow another user than that of the token in the Secret."
        ),
    ] = False,
    allow_shared_subject: Annotated[
        bool,
        typer.Option("--allow-shared-subject", help="Allow a --sub that another token has."),
    ] = False,
    if_needed: Annotated[
        bool,
        typer.Option(
            "--if-needed",
            help="Keep the token if it is valid, does not expire soon, and has the roles and groups"
            " that you ask for.",
        ),
    ] = False,
    within: WithinFlag = "30d",
    metadata: MetadataFlags,
    authority: AuthorityFlags,
    concurrency: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=256, help="How many namespaces to work on at the same time."
        ),
    ] = 16,
    write: WriteFlags,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, issue, print."""
    connections = connection_flags.connections(all_contexts=False)
    source = read_signing_source(authority, identity.filename)
    request = IssueRequest(
        token=read_token_request(profile, identity, token),
        key=check_data_key(key),
        change_identity=change_identity,
        allow_shared_subject=allow_shared_subject,
        due_within=read_duration("--within", within) if if_needed else None,
        dry_run=write.dry_run,
        metadata=read_metadata(metadata),
    )
    refuse_empty_selector("--namespace-selector", namespace_selector)
    place = partial(_namespaces, namespace, namespace_selector)
    if len(connections) > 1:
        _issue_in_each(request, place, connections, write, source=source, concurrency=concurrency)
        return
    connection = connections[""]
    namespaces = place(connection)
    if len(namespaces.names) == 1:
        result = issue(request, namespaces.names[0], source, connection.open)
        output.warnings(result.warnings)
        _show(result, write)
        if result.note:
            output.note(result.note)
        return
    from kubectl_pxauth.cli.many import interruptible
    from kubectl_pxauth.operations.issue import issue_into_many

    with interruptible() as stop:
        issues = issue_into_many(
            request, namespaces, source, connection.open, concurrency=concurrency, stop=stop
        )
        if not issues.total:
            output.note("No namespaces found")
            return
        output.warnings(issues.warnings)
        outcomes = (("", outcome) for outcome in issues.outcomes)
        told = {("", warning) for warning in issues.warnings}
        _show_many(outcomes, issues.total, stop, write, told)


def _namespaces(
    given: list[str] | None, selector: str | None, connection: Connection
) -> Namespaces:
    if selector is not None:
        if given:
            raise UsageError("--namespace and --namespace-selector can't be used together")
        return Namespaces(selector=selector)
    if not given:
        return Namespaces((read_namespace(None, connection),))
    return Namespaces(tuple(check_namespace(name) for name in dict.fromkeys(given)))


def _issue_in_each(
    request: IssueRequest,
    place: Callable[[Connection], Namespaces],
    connections: Mapping[str, Connection],
    write: WriteFlags,
    *,
    source: KeySource,
    concurrency: int,
) -> None:
    """Issue in several clusters, in the same namespaces of each; one's failure is no other's."""
    from kubectl_pxauth.cli.fleet import outcomes_of_each
    from kubectl_pxauth.cli.many import interruptible
    from kubectl_pxauth.operations.issue import issue_into_many

    if write.form:
        raise UsageError("--output prints objects of one cluster, but you name several contexts")
    told: set[tuple[str, str]] = set()
    with interruptible() as stop:

        def issue_in(context: str, connection: Connection) -> Iterable[IssueResult | SecretFailure]:
            namespaces = place(connection)
            if len(namespaces.names) == 1:
                return [issue(request, namespaces.names[0], source, connection.open)]
            issues = issue_into_many(
                request, namespaces, source, connection.open, concurrency=concurrency, stop=stop
            )
            if not issues.total:
                output.note("No namespaces found", context)
                return ()
            output.warnings(issues.warnings, context)
            told.update((context, warning) for warning in issues.warnings)
            return issues.outcomes

        _show_many(outcomes_of_each(connections, issue_in, stop), None, stop, write, told)


def _show_many(
    outcomes: Iterable[tuple[str, IssueResult | SecretFailure | PxauthError]],
    total: int | None,
    stop: "Stop",
    write: WriteFlags,
    told: set[tuple[str, str]],
) -> None:
    """Say what becomes of each Secret, with its context, which is empty for a single cluster.

    told are the warnings and notes that were said before, each with its context.
    """
    from kubectl_pxauth.cli.many import (
        count_again,
        counter,
        failed,
        failed_cluster,
        finish,
        with_progress,
    )

    counts = counter(Change)
    manifests: dict[str, dict[str, Any]] = {}
    counted: dict[str, str] = {}
    for context, outcome in with_progress(outcomes, "issuing", total, stop, counts):
        if isinstance(outcome, PxauthError):
            failed_cluster(context, outcome, stop, counts)
            continue
        place = f"{context} {outcome.namespace}"
        if isinstance(outcome, SecretFailure):
            count_again(counts, counted, place, failed(outcome.namespace, outcome.error, context))
            continue
        count_again(counts, counted, place, outcome.change)
        new = [warning for warning in outcome.warnings if (context, warning) not in told]
        output.warnings(new, context)
        told |= {(context, warning) for warning in new}
        if write.form in (output.Format.JSON, output.Format.YAML):
            manifests[outcome.namespace] = outcome.manifest
        else:
            change = _told(outcome, f"{outcome.change} in namespace {outcome.namespace}")
            what = f"{output.in_context(context)}secret/{outcome.secret}"
            output.written(what, change, {}, write.dry_run, write.form)
        if outcome.note and (context, outcome.note) not in told:
            output.note(outcome.note, context)
            told.add((context, outcome.note))
    if write.form in (output.Format.JSON, output.Format.YAML):
        output.objects(
            {"apiVersion": "v1", "kind": "List", "items": list(manifests.values())}, write.form
        )
    finish(counts, total, stop)


def _show(result: IssueResult, write: WriteFlags) -> None:
    name = f"secret/{result.secret}"
    change = _told(result, result.change)
    output.written(name, change, result.manifest, write.dry_run, write.form)
    if write.form is None and not write.quiet and sys.stdout.isatty():
        print(f"  subject  {output.printable(result.identity.sub or '')}")
        print(f"  issuer   {output.printable(result.issuer)}")


def _told(result: IssueResult, change: str) -> str:
    """What became of a Secret: what of its token is not as it was, and when that ends."""
    differences = f" ({', '.join(result.differences)})" if result.differences else ""
    return f"{change}{differences}{output.expiry(result.expires_at)}"

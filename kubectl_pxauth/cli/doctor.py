"""The command `kubectl pxauth doctor`."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.flags import (
    AllContextsFlag,
    ConnectionFlags,
    DataFormatFlag,
    QuietFlag,
    WithinFlag,
)
from kubectl_pxauth.cli.fleet import ask_each, of_context, tell_failures
from kubectl_pxauth.cli.inputs import read_duration
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import VerificationFlags, read_verifying_source
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.operations.doctor import DoctorRequest, diagnose
from kubectl_pxauth.operations.doctor.assumption import Assumption
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis
from kubectl_pxauth.token.verdict import Severity

HELP = """Checks the key and the issuer, every token in a Secret, and the storage classes and
claims that need one. It changes nothing. Each finding is ok, a warning or a problem,
with what to do about it. Exits with 1 if there is a problem."""

EXAMPLES = (
    ("Find out why claims stay Pending", "kubectl pxauth doctor"),
    (
        "Print only what is wrong, for monitoring",
        "kubectl pxauth doctor -o json | jq '.findings[] | select(.severity != \"ok\")'",
    ),
    ("Before security is switched on: what would fail", "kubectl pxauth doctor --assume security"),
)

_COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}
_INDENT = 19


@takes_groups
def command(
    *,
    within: WithinFlag = "30d",
    assume: Annotated[
        Assumption | None,
        typer.Option(
            help="Judge classes, claims and volumes as if Portworx had security on (security),"
            " let in nobody without a token (no-guests), or had security off (no-security).",
            show_default="what the cluster says",
        ),
    ] = None,
    verification: VerificationFlags,
    form: DataFormatFlag = None,
    quiet: QuietFlag = False,
    all_contexts: AllContextsFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, diagnose, print."""
    connections = connection_flags.connections(all_contexts=all_contexts)
    source = read_verifying_source(verification)
    due, now = read_duration("--within", within), datetime.now(UTC)

    def ask(connection: Connection) -> Iterator[Diagnosis]:
        request = DoctorRequest(connection.kubeconfig.namespace, due, now, assume)
        return diagnose(request, source, connection.open())

    if list(connections) == [""]:
        answers: Mapping[str, Iterable[Diagnosis] | PxauthError] = {"": ask(connections[""])}
    else:
        answers = ask_each(connections, lambda connection: list(ask(connection)))
    severities = set(_show_data(answers, form) if form else _show(answers))
    if tell_failures(answers) or Severity.PROBLEM in severities:
        raise typer.Exit(output.FAILED)


def _show_data(
    answers: Mapping[str, Iterable[Diagnosis] | PxauthError], form: output.DataFormat
) -> set[Severity]:
    found = [(context, one) for context, some in _findings(answers) for one in some]
    severities = {one.severity for _, one in found}
    items = [{**of_context(context), **diagnosis_as_json(one, context)} for context, one in found]
    output.objects({"healthy": Severity.PROBLEM not in severities, "findings": items}, form)
    return severities


def _show(answers: Mapping[str, Iterable[Diagnosis] | PxauthError]) -> Iterator[Severity]:
    width = max(map(len, answers))
    for context, diagnoses in _findings(answers):
        yield from show_diagnoses(diagnoses, context.ljust(width))


def _findings(
    answers: Mapping[str, Iterable[Diagnosis] | PxauthError],
) -> Iterator[tuple[str, Iterable[Diagnosis]]]:
    for context, some in answers.items():
        if not isinstance(some, PxauthError):
            yield context, some


def show_diagnoses(diagnoses: Iterable[Diagnosis], context: str = "") -> Iterator[Severity]:
    """Print each diagnosis once it is there, with the context of its cluster if one is given."""
    where = f" {output.printable(context).ljust(len(context))} " if context else " "
    for one in diagnoses:
        if output.is_quiet() and one.severity is Severity.OK:
            yield one.severity
            continue
        rest = f"{where}{one.check:<9} {output.printable(one.message)}"
        _print_line(f"{one.severity:<8}", rest, _COLOURS[one.severity])
        if one.hint:
            hint = output.printable(output.for_this_cluster(one.hint, context.strip()))
            print(f"{'':{_INDENT + len(where) - 1}}{hint}")
        yield one.severity


def diagnosis_as_json(one: Diagnosis, context: str = "") -> dict[str, str | None]:
    """A finding, for -o json; context is that of its cluster, where there are several."""
    return {
        "severity": str(one.severity),
        "check": one.check,
        "message": one.message,
        "hint": one.hint and output.for_this_cluster(one.hint, context),
    }


def _print_line(word: str, rest: str, colour: str) -> None:
    if not sys.stdout.isatty():
        print(word + rest)
        return
    from rich.console import Console
    from rich.text import Text

    # It minds NO_COLOR and terminals that know none.
    Console(highlight=False, soft_wrap=True).print(Text.assemble((word, colour), rest))

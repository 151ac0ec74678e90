"""The command `kubectl pxauth doctor`."""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    DataFormatFlag,
    WithinFlag,
)
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import VerificationFlags, read_verifying_source
from kubectl_pxauth.operations.doctor import diagnose
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis
from kubectl_pxauth.token.duration import parse_duration
from kubectl_pxauth.token.verdict import Severity

HELP = """Looks at the key and the issuer, at every token that lies in a Secret, and at the
storage classes and claims that need one; changes nothing. Prints a line for each
finding: ok, warning or problem, and below it what to do. Exits with 1 if there
is a problem."""

EXAMPLES = (
    ("Why do my claims stay Pending?", "kubectl pxauth doctor"),
    (
        "For monitoring: what is wrong, if anything",
        "kubectl pxauth doctor -o json | jq '.findings[] | select(.severity != \"ok\")'",
    ),
)

_COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}
_INDENT = 19


@takes_groups
def command(
    *,
    within: WithinFlag = "30d",
    verification: VerificationFlags,
    form: DataFormatFlag = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, diagnose, print."""
    connection = connection_flags.connection()
    source = read_verifying_source(verification)
    due = parse_duration(within)
    namespace = connection.kubeconfig.namespace
    found = diagnose(namespace, source, connection.open(), datetime.now(UTC), due)
    severities = _show_data(list(found), form) if form else set(show_diagnoses(found))
    if Severity.PROBLEM in severities:
        raise typer.Exit(output.FAILED)


def _show_data(diagnoses: list[Diagnosis], form: output.DataFormat) -> set[Severity]:
    severities = {one.severity for one in diagnoses}
    items = [diagnosis_as_json(one) for one in diagnoses]
    output.objects({"healthy": Severity.PROBLEM not in severities, "findings": items}, form)
    return severities


def show_diagnoses(diagnoses: Iterable[Diagnosis]) -> Iterator[Severity]:
    """Print each diagnosis once it is there."""
    for one in diagnoses:
        rest = f" {one.check:<9} {output.printable(one.message)}"
        _print_line(f"{one.severity:<8}", rest, _COLOURS[one.severity])
        if one.hint:
            print(f"{'':{_INDENT}}{output.printable(one.hint)}")
        yield one.severity


def diagnosis_as_json(one: Diagnosis) -> dict[str, str | None]:
    """A finding, for -o json."""
    return {
        "severity": str(one.severity),
        "check": one.check,
        "message": one.message,
        "hint": one.hint,
    }


def _print_line(word: str, rest: str, colour: str) -> None:
    if not sys.stdout.isatty():
        print(word + rest)
        return
    from rich.console import Console
    from rich.text import Text

    # It minds NO_COLOR and terminals that know none.
    Console(highlight=False, soft_wrap=True).print(Text.assemble((word, colour), rest))

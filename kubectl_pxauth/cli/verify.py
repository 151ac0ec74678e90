"""The command `kubectl pxauth verify`."""

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DataFormatFlag, QuietFlag
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import (
    PlaceFlags,
    VerificationFlags,
    examined,
    findings_as_json,
    show_data,
    tell_errors,
)
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.operations.inspect import Examination

HELP = """Prints a line for each check: ok, warning or problem. Exits with 0 if Portworx accepts
every token, and with 1 if it refuses one or if that is not known."""

EXAMPLES = (
    ("Check a token in a runbook or a CI job", "kubectl pxauth verify px-k8s-user -n portworx"),
    (
        "Check it without output, for the exit code alone",
        "kubectl pxauth verify px-k8s-user -n portworx --quiet",
    ),
    (
        "Check a token in a file, without a cluster",
        "kubectl pxauth verify --token-file admin.jwt --issuer portworx.com \\\n"
        "  --shared-secret-file key",
    ),
)


@takes_groups
def command(
    *,
    places: PlaceFlags,
    verification: VerificationFlags,
    form: DataFormatFlag = None,
    quiet: QuietFlag = False,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, examine, print the findings."""
    connection = connection_flags.connection()
    found, errors = examined(places, verification, connection, _why_unknown)
    if form:
        show_data([findings_as_json(one) for one in found], places, form)
    else:
        for one in found:
            if len(found) + len(errors) > 1:
                output.line(f"{one.where}:")
            for finding in one.verdict.findings:
                output.line(finding.message, f"{finding.severity:<8} {finding.check:<10} ")
    tell_errors(errors)
    if not all(one.accepted for one in found):
        raise typer.Exit(output.FAILED)


def _why_unknown(found: Examination) -> PxauthError | None:
    return found.unknown if found.accepted is None else None

"""The command `kubectl pxauth verify`."""

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DataFormatFlag
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cli.verification import (
    PlaceFlags,
    VerificationFlags,
    examined,
    findings_as_json,
)

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
    place: PlaceFlags,
    verification: VerificationFlags,
    form: DataFormatFlag = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, examine, print the findings."""
    found = examined(place, verification, connection_flags.connection())
    if found.unknown and found.accepted is None:
        raise found.unknown
    if form:
        output.objects(findings_as_json(found), form)
    else:
        for one in found.verdict.findings:
            print(f"{one.severity:<8} {one.check:<10} {one.message}")
    if not found.accepted:
        raise typer.Exit(1)

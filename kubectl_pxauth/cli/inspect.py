"""The command `kubectl pxauth inspect`."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DataFormatFlag
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
from kubectl_pxauth.token.claims import SECRET_CLAIM, rfc3339
from kubectl_pxauth.token.roles import explain_group, explain_role
from kubectl_pxauth.token.verdict import Severity, Verdict

HELP = """Prints what the token says, but never the token itself. It also checks the signature,
if it finds the key and may read it."""

EXAMPLES = (
    (
        "Inspect the token for Kubernetes, in Secret portworx/px-k8s-user",
        "kubectl pxauth inspect -n portworx",
    ),
    ("Inspect two Secrets", "kubectl pxauth inspect portworx/px-k8s-user tenant-a/px-k8s-user"),
    ("Inspect a token in a file", "kubectl pxauth inspect --token-file admin.jwt"),
)

_LABELS = {"iss": "Issuer", "sub": "Subject", "name": "Name", "email": "Email"}
_STYLES = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}
_EXPLAINED = ("roles", "groups", "iat", "exp")


@takes_groups
def command(
    *,
    places: PlaceFlags,
    verification: VerificationFlags,
    form: DataFormatFlag = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, examine, print what the token says."""
    connection = connection_flags.connection()
    found, errors = examined(places, verification, connection, _why_unreadable)
    if form:
        show_data([_as_json(one) for one in found], places, form)
    else:
        from kubectl_pxauth.cli.table import print_rows

        for index, one in enumerate(found):
            if index:
                print()
            print_rows(_rows(one, datetime.now(UTC)))
    tell_errors(errors)


def _why_unreadable(found: Examination) -> PxauthError | None:
    if found.verdict.header or found.verdict.claims:
        return None
    reason = "; ".join(one.message for one in found.verdict.problems())
    return PxauthError(f"{found.where}: not a token that can be read: {reason}")


def _as_json(found: Examination) -> dict[str, Any]:
    verdict = found.verdict
    return {
        **findings_as_json(found),
        "header": dict(verdict.header),
        "claims": dict(verdict.claims),
        "issuedAt": verdict.issued_at and rfc3339(verdict.issued_at),
        "expiresAt": verdict.expires_at and rfc3339(verdict.expires_at),
        "roles": [
            {"name": role, "meaning": explain_role(role)} for role in verdict.user.roles or ()
        ],
    }


def _rows(found: Examination, now: datetime) -> Iterator[output.Row]:
    verdict = found.verdict
    header = ", ".join(f"{name} {_text(value)}" for name, value in verdict.header.items())
    yield output.Row("Token", [found.where])
    yield output.Row("Header", [header])
    for claim, label in _LABELS.items():
        yield output.Row(label, [_text(verdict.claims.get(claim))])
    yield output.Row("Roles", _explained(verdict, "roles", verdict.user.roles, explain_role))
    yield output.Row("Groups", _explained(verdict, "groups", verdict.user.groups, explain_group))
    yield output.Row("Issued", [_moment(verdict, "iat", verdict.issued_at, now)])
    yield output.Row("Expires", [_moment(verdict, "exp", verdict.expires_at, now)])
    for claim, value in verdict.claims.items():
        if claim not in _LABELS and claim not in _EXPLAINED:
            label = "Issued for" if claim == SECRET_CLAIM else f"Claim {claim}"
            yield output.Row(label, [_text(value)])
    answer = {True: "yes", False: "no", None: f"not known: {found.unknown}"}
    yield output.Row("Accepted", [answer[found.accepted]])
    label = "Checks"
    for one in verdict.findings:
        if one.check == "signature" or one.severity is not Severity.OK:
            text = f"{one.severity}: {one.check}: {one.message}"
            yield output.Row(label, [text], _STYLES[one.severity])
            label = ""


def _explained(
    verdict: Verdict,
    claim: str,
    names: tuple[str, ...] | None,
    explain: Callable[[str], str | None],
) -> list[str]:
    """A line for each role or group; what the verifier would not read, as it is."""
    if not names:
        return [_text(verdict.claims.get(claim))]
    meanings = ((name, explain(name)) for name in names)
    return [f"{name} ({meaning})" if meaning else name for name, meaning in meanings]


def _moment(verdict: Verdict, claim: str, moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return _text(verdict.claims.get(claim))
    from kubectl_pxauth.cli.table import relative

    try:
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError):  # at the ends of the calendar
        local = moment
    return f"{local:%Y-%m-%d %H:%M:%S %Z} ({relative(moment, now)})"


def _text(value: object) -> str:
    if value is None or value == []:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

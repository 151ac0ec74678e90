"""The command `kubectl pxauth discover`."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DataFormatFlag
from kubectl_pxauth.cli.inputs import optional
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.operations.discover import Discovery, discover
from kubectl_pxauth.portworx.discovery import FoundText

HELP = """Looks at the StorageClusters of the Portworx operator, the DaemonSets named
portworx, and the Secrets that the key is usually kept in. The key itself is not
shown."""

EXAMPLES = (
    ("What `issue` would sign with, and as which issuer", "kubectl pxauth discover"),
    ("The issuer alone, for a script", "kubectl pxauth discover -o json | jq -r .issuer.value"),
)


@takes_groups
def command(
    *,
    portworx_namespace: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Namespace that Portworx runs in.", show_default="any"),
    ] = None,
    form: DataFormatFlag = None,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, discover, print."""
    namespace = optional(portworx_namespace, check_namespace)
    found = discover(namespace, connection_flags.connection().open())
    output.warnings(found.warnings)
    if form:
        output.objects(_as_json(found), form)
    else:
        from kubectl_pxauth.cli.table import print_rows

        print_rows(_rows(found))


def _as_json(found: Discovery) -> dict[str, Any]:
    reference, settings = found.key.reference, found.settings
    return {
        "sharedSecret": {
            "secret": vars(reference) if reference else None,
            "statedBy": found.key.stated_by,
        },
        "issuer": _text_as_json(settings.issuer),
        "usernameClaim": _text_as_json(settings.username_claim),
        "notRead": list(found.not_read),
    }


def _text_as_json(found: FoundText) -> dict[str, str]:
    return {"value": found.value, "statedBy": found.stated_by}


def _rows(found: Discovery) -> Iterator[output.Row]:
    reference, settings = found.key.reference, found.settings
    place = (
        f"Secret {reference.namespace}/{reference.name}, key {reference.key}"
        if reference
        else "no Secret: the value itself is there"
    )
    yield output.Row("Shared secret", [place, found.key.stated_by])
    yield output.Row("Issuer", [settings.issuer.value, settings.issuer.stated_by])
    claim = settings.username_claim
    yield output.Row("User name claim", [claim.value, claim.stated_by])
    if found.not_read:
        yield output.Row("Not read", found.not_read)

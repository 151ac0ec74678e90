"""The command `kubectl pxauth discover`."""

from collections.abc import Iterator
from typing import Any

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import ConnectionFlags, DataFormatFlag, PortworxNamespaceFlag
from kubectl_pxauth.cli.inputs import optional
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.operations.discover import Discovery, discover
from kubectl_pxauth.portworx.stated_values import FoundKey, FoundText

HELP = """Reads the StorageClusters of the Portworx operator, the DaemonSets named portworx, and
the Secrets that usually hold the key. It never prints the key."""

EXAMPLES = (
    ("Show what `issue` would sign with, and as which issuer", "kubectl pxauth discover"),
    (
        "Print the issuer alone, for a script",
        "kubectl pxauth discover -o json | jq -r .issuer.value",
    ),
)


@takes_groups
def command(
    *,
    portworx_namespace: PortworxNamespaceFlag = None,
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
    return {
        "sharedSecret": found.key and _key_as_json(found.key),
        "issuer": _text_as_json(found.issuer),
        "usernameClaim": _text_as_json(found.settings.username_claim),
        "oidcIssuer": _text_as_json(found.settings.provider),
        "notUsed": [str(place) for place in found.left_over],
        "notRead": list(found.not_read),
    }


def _key_as_json(key: FoundKey) -> dict[str, Any]:
    return {
        "secret": vars(key.reference) if key.reference else None,
        "statedBy": key.stated_by,
        "fingerprint": key.shared_secret.fingerprint,
    }


def _text_as_json(found: FoundText | None) -> dict[str, str] | None:
    return {"value": found.value, "statedBy": found.stated_by} if found else None


def _rows(found: Discovery) -> Iterator[output.Row]:
    settings = found.settings
    if key := found.key:
        place = (
            f"Secret {key.reference.namespace}/{key.reference.name}, key {key.reference.key}"
            if key.reference
            else "no Secret: the value itself is there"
        )
        fingerprint = key.shared_secret.fingerprint
        shown = [f"fingerprint {fingerprint}"] if fingerprint else []
        yield output.Row("Shared secret", [place, key.stated_by, *shown])
    else:
        yield output.Row("Shared secret", [f"none: {found.keyless}"])
    for label, text in (
        ("Issuer", found.issuer),
        ("OpenID Connect", settings.provider),
        ("User name claim", settings.username_claim),
    ):
        if text:
            yield output.Row(label, [text.value, text.stated_by])
    if found.not_read:
        yield output.Row("Not read", found.not_read)

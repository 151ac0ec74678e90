"""Namespaces of tenants, and the tokens that lie in them."""

import base64
import json

from tests.conftest import Shell


def namespaces(shell: Shell, count: int) -> list[str]:
    """Make namespaces with a label of the shell's own."""
    names = [f"{shell.namespace}-{index}" for index in range(count)]
    labels = {"tenant": shell.namespace}
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name in names
    ]
    made = shell.kubectl(
        "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    assert made.code == 0, made.err
    return names


def tokens(shell: Shell, name: str = "px-k8s-user") -> dict[str, str]:
    """The token of each of the shell's namespaces."""
    done = shell.kubectl(
        "get", "secrets", "-A", f"--field-selector=metadata.name={name}", "-o=json"
    )
    return {
        item["metadata"]["namespace"]: base64.b64decode(item["data"]["auth-token"]).decode()
        for item in json.loads(done.out)["items"]
        if item["metadata"]["namespace"].startswith(f"{shell.namespace}-") and "data" in item
    }

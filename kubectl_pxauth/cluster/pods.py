"""Pods, found by their labels."""

from dataclasses import dataclass
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster


@dataclass(frozen=True)
class Pod:
    """A pod that is to stay; node is empty while it waits for one."""

    namespace: str
    name: str
    node: str
    ready: bool

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def find_pods(cluster: Cluster, namespace: str | None, selector: str) -> list[Pod]:
    """The pods of one namespace, or of all for None, that are not on their way out."""
    place = ("namespaces", namespace) if namespace else ()
    answer = cluster.get("api", "v1", *place, "pods", labelSelector=selector)
    return [
        _pod(item)
        for item in answer["items"]
        if "deletionTimestamp" not in item["metadata"]
        and item["status"].get("phase") not in ("Succeeded", "Failed")
    ]


def _pod(manifest: dict[str, Any]) -> Pod:
    conditions = manifest["status"].get("conditions") or []
    return Pod(
        namespace=manifest["metadata"]["namespace"],
        name=manifest["metadata"]["name"],
        node=manifest["spec"].get("nodeName", ""),
        ready=any(item["type"] == "Ready" and item["status"] == "True" for item in conditions),
    )

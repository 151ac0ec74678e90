"""Pods, found by their labels."""

from datetime import datetime
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun, explain_forbidden, write_query
from kubectl_pxauth.errors import ForbiddenError
from kubectl_pxauth.frozen import dataclass


@dataclass(frozen=True)
class Pod:
    """A pod that is to stay; node is empty while it waits for one.

    started_at is when its containers were last started, which is when a kubelet reads the Secrets
    of their environment (kubernetes/kubernetes, pkg/kubelet/kubelet_pods.go,
    makeEnvironmentVariables); None where that is not known.
    """

    namespace: str
    name: str
    node: str
    ready: bool
    started_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def find_pods(cluster: Cluster, namespace: str | None, selector: str) -> list[Pod]:
    """The pods of one namespace, or of all for None, that are not on their way out."""
    place = ("namespaces", namespace) if namespace else ()
    items = cluster.items("api", "v1", *place, "pods", labelSelector=selector)
    try:
        return [_pod(item) for item in items if _is_to_stay(item)]
    except ForbiddenError as error:
        raise explain_forbidden(
            error, "pods", resource="pods", name="", namespace=namespace
        ) from None


def try_pod(cluster: Cluster, namespace: str, name: str, template: dict[str, Any]) -> None:
    """Ask the server, which makes none, whether it would let in a pod of this template.

    Raises its refusal: ForbiddenError or another ClusterError.
    """
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"] | {"generateName": f"{name}-"},
        "spec": template["spec"],
    }
    path = ("api", "v1", "namespaces", namespace, "pods")
    cluster.post(*path, body=pod, **write_query(DryRun.SERVER))


def _is_to_stay(manifest: dict[str, Any]) -> bool:
    over = manifest["status"].get("phase") in ("Succeeded", "Failed")
    return not over and "deletionTimestamp" not in manifest["metadata"]


def _pod(manifest: dict[str, Any]) -> Pod:
    conditions = manifest["status"].get("conditions") or []
    return Pod(
        namespace=manifest["metadata"]["namespace"],
        name=manifest["metadata"]["name"],
        node=manifest["spec"].get("nodeName", ""),
        ready=any(item["type"] == "Ready" and item["status"] == "True" for item in conditions),
        started_at=_started_at(manifest["status"]),
    )


def _started_at(status: dict[str, Any]) -> datetime | None:
    """When the container that was started first was started, else when the pod was."""
    running = [
        item.get("state", {}).get("running", {}).get("startedAt")
        for item in status.get("containerStatuses") or []
    ]
    times = running if running and all(running) else [status.get("startTime")]
    return min((datetime.fromisoformat(time) for time in times if time), default=None)

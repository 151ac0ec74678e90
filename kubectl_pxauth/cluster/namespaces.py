"""Namespaces, by their labels."""

from kubectl_pxauth.cluster.connection import Cluster


def find_namespaces(cluster: Cluster, selector: str) -> tuple[str, ...]:
    """The names of those with these labels; one that is going away takes no Secret, and is not.

    Raises ForbiddenError and other ClusterErrors.
    """
    return tuple(
        item["metadata"]["name"]
        for item in cluster.items("api", "v1", "namespaces", labelSelector=selector)
        if (item.get("status") or {}).get("phase") != "Terminating"
    )

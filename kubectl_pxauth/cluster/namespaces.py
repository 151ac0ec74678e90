"""Namespaces, by their labels."""

from kubectl_pxauth.cluster.connection import Cluster


def find_namespaces(cluster: Cluster, selector: str) -> tuple[str, ...]:
    """The names of those with these labels; one that is going away takes no Secret, and is not.

    Raises ForbiddenError and other ClusterErrors.
    """
    return tuple(
        item["metadata"]["name"]
        for page in cluster.pages("api", "v1", "namespaces", labelSelector=selector)
        for item in page["items"]
        if item["status"].get("phase") != "Terminating"
    )

"""Namespaces, by their labels."""

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.errors import NotFoundError
from kubectl_pxauth.frozen import dataclass

_TERMINATING = "Terminating"


@dataclass(frozen=True)
class Namespace:
    """A namespace, which may be on its way out; uid is another one when it is made again."""

    name: str
    uid: str
    terminating: bool


def find_namespace(cluster: Cluster, name: str) -> Namespace | None:
    """The namespace, or None where there is none; raises ForbiddenError and ClusterErrors."""
    try:
        answer = cluster.get("api", "v1", "namespaces", name)
    except NotFoundError:
        return None
    terminating = (answer.get("status") or {}).get("phase") == _TERMINATING
    return Namespace(name, answer["metadata"]["uid"], terminating)


def find_namespaces(cluster: Cluster, selector: str) -> tuple[str, ...]:
    """The names of those with these labels; one that is going away takes no Secret, and is not.

    Raises ForbiddenError and other ClusterErrors.
    """
    return tuple(
        item["metadata"]["name"]
        for item in cluster.items("api", "v1", "namespaces", labelSelector=selector)
        if (item.get("status") or {}).get("phase") != _TERMINATING
    )

"""What the API server says of itself, and of what its user may do."""

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import holds
from kubectl_pxauth.frozen import dataclass


@dataclass(frozen=True)
class Right:
    """A verb on a resource, which is like pods/exec or daemonsets.apps.

    namespace is None where it is all of them, and empty where the resource has none.
    """

    verb: str
    resource: str
    namespace: str | None

    @property
    def what(self) -> str:
        """The resource, and where."""
        if self.namespace is None:
            return f"{self.resource} in all namespaces"
        return self.resource + (f' in namespace "{self.namespace}"' if self.namespace else "")

    @property
    def question(self) -> str:
        """The command that asks for it."""
        resource, _, subresource = self.resource.partition("/")
        flags = f" --subresource={subresource}" if subresource else ""
        flags += " -A" if self.namespace is None else ""
        flags += f" -n {self.namespace}" if self.namespace else ""
        return f"kubectl auth can-i {self.verb} {resource}{flags}"


def server_version(cluster: Cluster) -> str:
    """The API server's version, as v1.37.2; raises ClusterErrors."""
    return str(cluster.get("version").get("gitVersion", "of an unknown version"))


def has_right(cluster: Cluster, right: Right) -> bool:
    """Whether the user has it, which the server is asked and nothing is written for.

    Raises ClusterErrors.
    """
    names, _, subresource = right.resource.partition("/")
    resource, _, group = names.partition(".")
    attributes = {
        "verb": right.verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": right.namespace or "",
    }
    answer = cluster.review(
        *("apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"),
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    return holds(answer, {"status": {"allowed": True}})

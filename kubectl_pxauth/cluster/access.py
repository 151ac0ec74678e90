"""What the API server says of itself, and of what its user may do."""

from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import holds
from kubectl_pxauth.frozen import dataclass


@dataclass(frozen=True)
class Right:
    """A verb on a resource, which is like pods/exec or daemonsets.apps.

    namespace is None where it is all of them, and empty where the resource has none; name is empty
    where it is any object.
    """

    verb: str
    resource: str
    namespace: str | None
    name: str = ""

    @property
    def what(self) -> str:
        """The resource, and where."""
        what = f"{self.resource}/{self.name}" if self.name else self.resource
        if self.namespace is None:
            return f"{what} in all namespaces"
        return what + (f' in namespace "{self.namespace}"' if self.namespace else "")

    @property
    def question(self) -> str:
        """The command that asks for it."""
        resource, _, subresource = self.resource.partition("/")
        flags = f" --subresource={subresource}" if subresource else ""
        flags += " -A" if self.namespace is None else ""
        flags += f" -n {self.namespace}" if self.namespace else ""
        name = f"/{self.name}" if self.name else ""
        return f"kubectl auth can-i {self.verb} {resource}{name}{flags}"


@dataclass(frozen=True)
class Rule:
    """Verbs on a resource, as RBAC grants them; resource and namespace are as in a Right.

    Without names it is every object of the resource.
    """

    verbs: tuple[str, ...]
    resource: str
    namespace: str | None
    names: tuple[str, ...] = ()

    def rights(self) -> Iterator[Right]:
        """Each right that it grants."""
        for name in self.names or ("",):
            for verb in self.verbs:
                yield Right(verb, self.resource, self.namespace, name)

    def manifest(self) -> dict[str, Any]:
        """As it stands in a Role or a ClusterRole."""
        names, slash, subresource = self.resource.partition("/")
        resource, _, group = names.partition(".")
        named = {"resourceNames": list(self.names)} if self.names else {}
        return {
            "apiGroups": [group],
            "resources": [f"{resource}{slash}{subresource}"],
            **named,
            "verbs": list(self.verbs),
        }


def role_manifests(name: str, rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """The fewest Roles that grant these rules, one for each namespace, and a ClusterRole."""
    places: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        places.setdefault(rule.namespace or "", []).append(rule.manifest())
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role" if namespace else "ClusterRole",
            "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
            "rules": of_one,
        }
        for namespace, of_one in places.items()
    ]


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
        "name": right.name,
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

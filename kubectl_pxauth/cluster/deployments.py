"""Deployments, read."""

from collections.abc import Iterator
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import explain_forbidden
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import ForbiddenError
from kubectl_pxauth.frozen import dataclass


class Unseen:
    """The value of a variable that does not stand in its Deployment."""


@dataclass(frozen=True)
class Deployment:
    """A Deployment; manifest is the whole object."""

    namespace: str
    name: str
    manifest: dict[str, Any]

    def variable(self, name: str) -> str | SecretKeyReference | Unseen | None:
        """An environment variable of its containers: a text, or the key of a Secret.

        None where no container has it, and Unseen where its value is, or may be, of elsewhere. Of
        one that is given twice Kubernetes takes the last, and that before what envFrom brings.
        """
        containers = self.manifest["spec"]["template"]["spec"].get("containers") or ()
        for container in containers:
            if given := [one for one in container.get("env") or () if one["name"] == name]:
                return self._value(given[-1])
        return Unseen() if any(container.get("envFrom") for container in containers) else None

    def _value(self, item: dict[str, Any]) -> str | SecretKeyReference | Unseen:
        source, value = item.get("valueFrom") or {}, item.get("value") or ""
        if secret := source.get("secretKeyRef"):
            return SecretKeyReference(self.namespace, secret.get("name", ""), secret["key"])
        # Kubernetes fills in $(VARIABLE), and makes $ of $$.
        return Unseen() if source or "$(" in value or "$$" in value else value


def find_deployments(cluster: Cluster, name: str) -> Iterator[Deployment]:
    """Those of that name in all namespaces; raises ForbiddenError and other ClusterErrors."""
    try:
        answer = cluster.get(
            "apis", "apps", "v1", "deployments", fieldSelector=f"metadata.name={name}"
        )
    except ForbiddenError as error:
        raise explain_forbidden(
            error, "Deployments", resource="deployments.apps", name="", namespace=None
        ) from None
    for item in answer.get("items") or ():
        yield Deployment(item["metadata"]["namespace"], name, item)

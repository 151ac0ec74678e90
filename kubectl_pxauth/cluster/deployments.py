"""Deployments, read."""

from collections.abc import Iterator
from typing import Any

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import explain_forbidden
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import ForbiddenError
from kubectl_pxauth.frozen import dataclass


@dataclass(frozen=True)
class Deployment:
    """A Deployment; manifest is the whole object."""

    namespace: str
    name: str
    manifest: dict[str, Any]

    def variable(self, name: str) -> str | SecretKeyReference | None:
        """An environment variable of its containers: a text, or the key of a Secret.

        None where no container has it, or it comes from elsewhere.
        """
        for container in self.manifest["spec"]["template"]["spec"].get("containers") or ():
            for item in container.get("env") or ():
                if item["name"] == name:
                    return self._value(item)
        return None

    def _value(self, item: dict[str, Any]) -> str | SecretKeyReference | None:
        if secret := (item.get("valueFrom") or {}).get("secretKeyRef"):
            return SecretKeyReference(self.namespace, secret.get("name", ""), secret["key"])
        return item.get("value")


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

"""Who keeps a Secret, by its owner or by the marks of a tool."""

from typing import Any

import pytest

from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.portworx.owners import keeper_of


def secret(**metadata: Any) -> Secret:
    named = {"namespace": "red", "name": "px-k8s-user"} | metadata
    return Secret("red", "px-k8s-user", {}, {"metadata": named})


def owner(kind: str, *, controller: bool = True) -> dict[str, Any]:
    return {"apiVersion": "x/v1", "kind": kind, "name": "n", "uid": "1", "controller": controller}


@pytest.mark.parametrize(
    ("metadata", "keeper", "is_copy"),
    [
        ({"ownerReferences": [owner("SealedSecret")]}, "Sealed Secrets (SealedSecret n)", False),
        ({"ownerReferences": [owner("Anything")]}, "Anything n", False),
        ({"labels": {"argocd.argoproj.io/instance": "px"}}, "Argo CD (px)", False),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "px:/Secret:red/px-k8s-user"}},
            "Argo CD (application px)",
            False,
        ),
        ({"labels": {"generate.kyverno.io/policy-name": "p"}}, "Kyverno (p)", False),
        (
            {"annotations": {"reflector.v1.k8s.emberstack.com/reflects": "px/a"}},
            "Reflector (px/a)",
            True,
        ),
        (
            {"annotations": {"replicator.v1.mittwald.de/replicate-from": "px/a"}},
            "kubernetes-replicator (px/a)",
            True,
        ),
        (
            {"annotations": {"replicator.v1.mittwald.de/replicated-at": "2026-01-01T00:00:00Z"}},
            "kubernetes-replicator",
            True,
        ),
        (
            {"labels": {"hnc.x-k8s.io/inherited-from": "org"}},
            "the Hierarchical Namespace Controller (org)",
            True,
        ),
    ],
)
def test_a_keeper_is_known(metadata: dict[str, Any], keeper: str, is_copy: bool) -> None:
    found = keeper_of(secret(**metadata))
    assert found
    assert (found.name, found.is_copy) == (keeper, is_copy)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"app.kubernetes.io/instance": "px", "app.kubernetes.io/managed-by": "me"}},
        {"ownerReferences": [owner("Tenant", controller=False)]},
        {"labels": {"hnc.x-k8s.io/inherited-from": ""}},
        {"annotations": {"replicator.v1.mittwald.de/replicate-to": "red,green"}},
        {"annotations": {"reflector.v1.k8s.emberstack.com/reflection-auto-enabled": "true"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": "px:/Secret:portworx/px-k8s-user"}},
    ],
)
def test_nobody_keeps_it(metadata: dict[str, Any]) -> None:
    assert keeper_of(secret(**metadata)) is None

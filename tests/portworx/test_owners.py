"""Who keeps a Secret, by its owner or by the marks of a tool."""

from typing import Any

import pytest

from kubectl_pxauth.cluster.secrets import Secret, secret_of
from kubectl_pxauth.portworx.owners import keeper_of

DOPPLER = "the Doppler operator (DopplerSecret n)"
CSI_STORE = "the Secrets Store CSI driver"
K3S = {"objectset.rio.cattle.io/owner-name": "px"}


def secret(**metadata: Any) -> Secret:
    named = {"namespace": "red", "name": "px-k8s-user"} | metadata
    return Secret("red", "px-k8s-user", {}, {"metadata": named})


STEER = "\x1b[2J\r\nspoof" + "x" * 5_000


FLUX = {"kustomize.toolkit.fluxcd.io/name": "apps"}


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
        ({"ownerReferences": [owner("DopplerSecret", controller=False)]}, DOPPLER, False),
        (
            {"labels": {"secrets.doppler.com/subtype": "dopplerSecret"}},
            "the Doppler operator",
            False,
        ),
        ({"annotations": {"secrets.infisical.com/version": "e"}}, "the Infisical operator", False),
        ({"labels": {"secrets-store.csi.k8s.io/managed": "true"}}, CSI_STORE, False),
        ({"labels": {"reconcile.external-secrets.io/created-by": "h"}}, "External Secrets", False),
        ({"annotations": {"sealedsecrets.bitnami.com/patch": "true"}}, "Sealed Secrets", False),
        ({"annotations": {"objectset.rio.cattle.io/id": "", **K3S}}, "Rancher (px)", False),
        ({"labels": {"policy.kyverno.io/synchronize": "enable"}}, "Kyverno", False),
        ({"annotations": {"clustersecret.io/created-by": "ClusterSecrets"}}, "ClusterSecret", True),
        (
            {"labels": FLUX, "annotations": {"kustomize.toolkit.fluxcd.io/ssa": "Merge"}},
            "Flux (apps)",
            False,
        ),
        ({"labels": {"kubed.appscode.com/origin.name": "px"}}, "Config Syncer (px)", True),
        (
            {"annotations": {"management.cattle.io/project-scoped-secret-copy": "true"}},
            "Rancher",
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
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        {"labels": {"app.kubernetes.io/managed-by": "kubectl-pxauth", "team": "red"}},
        {"labels": {"app.kubernetes.io/managed-by": "Helm"}},  # of `helm template`
        {"labels": {"policy.kyverno.io/synchronize": "disable"}},
        {"labels": {"generate.kyverno.io/clone-policy-name": "p"}},  # the original of a clone
        {"labels": {"management.cattle.io/project-scoped-secret": "p-1"}},
        {"annotations": {"kubed.appscode.com/sync": ""}},
        {"annotations": {"sealedsecrets.bitnami.com/managed": "false"}},
        {"labels": {"cattle.io/creator": "norman"}},
        {"labels": FLUX, "annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}},
        {"labels": {**FLUX, "kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}},
        {"labels": {"hnc.x-k8s.io/inherited-from": ""}},
        {"annotations": {"replicator.v1.mittwald.de/replicate-to": "red,green"}},
        {"annotations": {"reflector.v1.k8s.emberstack.com/reflection-auto-enabled": "true"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": "px:/Secret:portworx/px-k8s-user"}},
    ],
)
def test_nobody_keeps_it(metadata: dict[str, Any]) -> None:
    assert keeper_of(secret(**metadata)) is None


def test_of_a_label_that_many_set_its_writer_tells() -> None:
    """Argo CD's tracking label is app.kubernetes.io/instance, as charts and people have it too."""
    labels = {"app.kubernetes.io/instance": "storage"}
    by = {"argocd-controller": "Argo CD (application storage)", "kubectl": None}
    for manager, keeper in by.items():
        metadata = {"namespace": "red", "name": "px-k8s-user", "labels": labels}
        fields = [{"manager": "other"}, {"manager": manager, "operation": "Update"}]
        found = keeper_of(secret_of({"metadata": metadata | {"managedFields": fields}}))
        assert (found.name if found else None) == keeper


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [owner("Any\x1b[2J" + "x" * 500) | {"name": STEER}]},
        {"ownerReferences": [owner("SealedSecret") | {"name": STEER}]},
        {"annotations": {"argocd.argoproj.io/tracking-id": f"{STEER}:/Secret:red/px-k8s-user"}},
        {
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": STEER},
        },
        {"annotations": {"replicator.v1.mittwald.de/replicate-from": STEER}},
    ],
    ids=["owner", "tool's owner", "Argo CD", "Helm", "mark"],
)
def test_names_that_anybody_may_write_are_short_and_printable(metadata: dict[str, Any]) -> None:
    keeper = keeper_of(secret(**metadata))
    assert keeper is not None
    said = keeper.name + keeper.remedy
    assert said.isprintable()
    assert len(said) < 1_200

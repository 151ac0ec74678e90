"""`issue` and `renew` on Secrets that other tools keep, one by one and in bulk."""

from pathlib import Path
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Shell, claims_of, forge, new_shell

SEALED = {
    "ownerReferences": [
        {
            "apiVersion": "bitnami.com/v1alpha1",
            "kind": "SealedSecret",
            "name": "px-k8s-user",
            "uid": "22222222-2222-4222-8222-222222222222",
            "controller": True,
        }
    ]
}
FLUXED = {"labels": {"kustomize.toolkit.fluxcd.io/name": "storage"}}
# As Argo CD tracks it by default; of a label that many set, its writer tells.
TRACKED = {"labels": {"app.kubernetes.io/instance": "storage"}}
BY_ARGO_CD = "--field-manager=argocd-controller"
COPIED = {"annotations": {"reflector.v1.k8s.emberstack.com/reflects": "portworx/px-k8s-user"}}


@pytest.fixture
def others(plane: ControlPlane, tmp_path: Path) -> dict[str, Shell]:
    """A namespace for each keeper, and one that nobody keeps."""
    shells = {}
    for name in ("sealed", "fluxed", "tracked", "copied", "own"):
        home = tmp_path / name
        home.mkdir()
        shells[name] = new_shell(plane, home)
    return shells


def lay(others: dict[str, Shell], **data: str) -> None:
    metadata: dict[str, dict[str, Any]] = {
        "sealed": SEALED,
        "fluxed": FLUXED,
        "tracked": TRACKED,
        "copied": COPIED,
        "own": TRACKED,
    }
    for name, shell in others.items():
        own = {"stringData": data or {"note": "no token yet"}}
        if data.get("auth-token") == "":
            own = {"stringData": {"auth-token": forge(claims_of(shell.namespace, days=1))}}
        by = [BY_ARGO_CD] if name == "tracked" else []
        shell.create({"metadata": {"name": "px-k8s-user"} | metadata[name], **own}, *by)


def namespaces(others: dict[str, Shell]) -> list[str]:
    return [flag for shell in others.values() for flag in ("-n", shell.namespace)]


def test_in_bulk_a_copy_is_left_out_and_the_others_are_named(others: dict[str, Shell]) -> None:
    lay(others)
    own = others["own"]
    done = own.pxauth("issue", "kubernetes", *namespaces(others))
    assert done.code == 0, done.err
    where = {name: f"Secret {shell.namespace}/px-k8s-user" for name, shell in others.items()}
    kept = "is kept by Sealed Secrets (SealedSecret px-k8s-user), which may undo this"
    assert f"warning: {where['sealed']} {kept}" in done.err
    assert f"warning: {where['fluxed']} is kept by Flux (storage), which may undo" in done.err
    assert f"{where['tracked']} is kept by Argo CD (application storage), which" in done.err
    reason = "is left out: Reflector (portworx/px-k8s-user) copies it from elsewhere"
    assert f"{where['copied']} {reason}" in done.err
    assert where["own"] not in done.err
    assert "auth-token" not in others["copied"].secret()["data"]
    for name in ("sealed", "fluxed", "tracked", "own"):
        assert others[name].token()
    # Who names the one means it.
    done = others["copied"].issue("kubernetes")
    assert f"warning: {where['copied']} is kept by Reflector (portworx/px-k8s-user)" in done.err
    # Where nothing is due, nothing is undone.
    done = own.pxauth("issue", "kubernetes", *namespaces(others), "--if-needed")
    assert "is kept by" not in done.err


def test_renew_says_the_same(others: dict[str, Shell]) -> None:
    lay(others, **{"auth-token": ""})
    tools = {"sealed": "Sealed Secrets", "fluxed": "Flux", "tracked": "Argo CD", "own": ""}
    for name, said in tools.items():
        shell = others[name]
        done = shell.pxauth("renew", "--all")
        assert done.code == 0, done.err
        assert "renewed" in done.out
        assert (f"is kept by {said}" in done.err) if said else ("is kept by" not in done.err)
    copied = others["copied"]
    done = copied.pxauth("renew", "--all")
    assert (done.code, done.err) == (0, "1 skipped\n")
    assert "skipped" in done.out
    assert "Reflector (portworx/px-k8s-user) copies it from elsewhere" in done.out
    done = copied.pxauth("renew", "px-k8s-user", "--all")
    assert "renewed" in done.out
    assert "is kept by Reflector" in done.err


def test_a_label_for_a_secret_that_a_tool_keeps_is_worth_the_same_warning(shell: Shell) -> None:
    shell.create({"metadata": {"name": "px-k8s-user", **FLUXED}, "stringData": {"note": "x"}})
    shell.issue("kubernetes")
    done = shell.issue("kubernetes", "--if-needed", "--label", "team=red")
    assert "is kept by Flux (storage), which may undo this" in done.err

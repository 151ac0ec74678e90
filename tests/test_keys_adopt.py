"""`kubectl pxauth keys adopt`: from a DaemonSet to the operator, with the same keys."""

import base64
import json
from typing import Any

import pytest
import yaml

from controlplane.run import ControlPlane
from tests.conftest import Run, claims_of, forge
from tests.fault_proxy import FaultProxy, First
from tests.portworx_site import OURS, SECRET_VARIABLE, Site, from_secret, site

__all__ = ["site"]  # a fixture

pytestmark = pytest.mark.xdist_group("keys-adopt")

SYSTEM, STORK = b"never-shown: system\n", b"never-shown: stork"


def data(site: Site, name: str, namespace: str = "px") -> dict[str, bytes]:
    text = site.done("get", "secret", name, "-n", namespace, "-o", "json")
    return {key: base64.b64decode(value) for key, value in json.loads(text)["data"].items()}


@pytest.fixture
def older(site: Site) -> Site:
    """A DaemonSet with the keys of pxkeys, a newline at the end of one."""
    keys = {"shared-secret": OURS + b"\n", "system-secret": SYSTEM, "stork-secret": STORK}
    encoded = {key: base64.b64encode(value).decode() for key, value in keys.items()}
    site.create({"metadata": {"name": "pxkeys", "namespace": "kube-system"}, "data": encoded})
    site.daemon_set(
        args=["-jwt_issuer", "example.com", "-username_claim", "email"],
        env=[from_secret(SECRET_VARIABLE, "pxkeys")],
    )
    return site


def adopt(site: Site, *arguments: str) -> Run:
    done = site.pxauth("keys", "adopt", *arguments)
    assert done.code == 0, done.err
    return done


def lines(done: Run) -> list[str]:
    return [line for line in done.out.splitlines() if line.startswith("secret/")]


def test_keys_and_settings_move_and_tokens_stay_valid(older: Site) -> None:
    assert older.pxauth("issue", "kubernetes", "-n", "px").code == 0
    done = adopt(older, "-n", "px")
    assert lines(done) == [
        "secret/px-shared-secret created in namespace px",
        "secret/px-system-secrets created in namespace px",
    ]
    assert data(older, "px-shared-secret") == {"shared-secret": OURS + b"\n"}
    assert data(older, "px-system-secrets") == {"system-secret": SYSTEM, "apps-secret": STORK}
    said: dict[str, Any] = yaml.safe_load(done.out.partition("namespace px\n")[2].split("\n", 1)[1])
    self_signed = {"issuer": "example.com", "sharedSecret": "px-shared-secret"}
    assert said["spec"]["security"] == {"enabled": True, "auth": {"selfSigned": self_signed}}
    # The move: the operator starts Portworx with what was said.
    older.done("delete", "daemonset", "portworx", "-n", "kube-system")
    older.storage_cluster("px/px-cluster", taken_up=True, **said["spec"])
    older.done("delete", "secret", "pxkeys", "-n", "kube-system")
    found = older.discover()
    assert found["issuer"]["value"] == "example.com"
    assert found["usernameClaim"]["value"] == "email"
    (item,) = json.loads(older.pxauth("list", "-n", "px", "-o", "json").out)["items"]
    assert item["status"] == "valid"
    # Again, where the operator has it: nothing is left to do.
    assert lines(adopt(older, "-n", "px")) == ["secret/px-shared-secret unchanged in namespace px"]


def test_twice_and_dry(older: Site) -> None:
    done = adopt(older, "-n", "px", "--dry-run=server")
    assert lines(done)[0] == "secret/px-shared-secret created in namespace px (server dry run)"
    assert older.kubectl("get", "secret", "px-shared-secret", "-n", "px").code == 1
    adopt(older, "-n", "px")
    assert all(" unchanged " in line for line in lines(adopt(older, "-n", "px")))


def test_labels_for_whoever_wants_them(older: Site) -> None:
    adopt(older, "-n", "px")
    assert "px-shared-secret configured" in adopt(older, "-n", "px", "--label=team=px").out
    assert "px-shared-secret unchanged" in adopt(older, "-n", "px", "--label=team=px").out
    text = older.done("get", "secret", "-n", "px", "-l", "team=px", "-o", "name")
    assert text.split() == ["secret/px-shared-secret", "secret/px-system-secrets"]


def test_another_key_is_never_overwritten(older: Site) -> None:
    older.lay_secret("px/px-shared-secret", b"never-shown: the operator's")
    done = older.refused("keys", "adopt", "-n", "px")
    assert done.err.startswith('error: Secret px/px-shared-secret has another key "shared-secret"')
    assert data(older, "px-shared-secret")["shared-secret"] == b"never-shown: the operator's"
    assert older.kubectl("get", "secret", "px-system-secrets", "-n", "px").code == 1


def test_nor_is_one_that_is_laid_meanwhile(older: Site, own_plane: ControlPlane) -> None:
    theirs = b"never-shown: the operator's"
    with FaultProxy(own_plane) as proxy:
        lay = First(lambda: older.lay_secret("px/px-shared-secret", theirs))
        proxy.spoil(lay, method="POST", path="/namespaces/px/secrets")
        done = proxy.shell(older).refused("keys", "adopt", "-n", "px")
    assert 'Secret px/px-shared-secret has another key "shared-secret"' in done.err
    assert data(older, "px-shared-secret") == {"shared-secret": theirs}


def test_not_in_a_rotation_and_not_without_a_place(older: Site) -> None:
    done = older.refused("keys", "adopt")
    assert "there is no StorageCluster yet that the operator has taken up" in done.err
    older.storage_cluster("portworx/px-cluster", taken_up=True, security={"enabled": False})
    assert "created in namespace portworx" in lines(adopt(older))[0]
    older.create(
        {
            "metadata": {"name": "px-k8s-user", "namespace": "px"},
            "stringData": {"auth-token": forge(claims_of("x"), OURS + b"\n")},
        }
    )
    assert older.pxauth("keys", "rotate", "--phase=key", "--yes").code == 0
    done = older.refused("keys", "adopt", "-n", "px")
    assert "a rotation of the shared secret is under way" in done.err


def test_a_tenants_storage_cluster_does_not_get_the_keys(older: Site) -> None:
    """Anybody with a namespace may make one, and a key for it to name."""
    older.lay_secret("other/mine", b"never-shown: the tenant's")
    signed = {"issuer": "example.com", "sharedSecret": "mine"}
    security = {"enabled": True, "auth": {"selfSigned": signed}}
    older.storage_cluster("other/mine", security=security)
    shared_secret = "--shared-secret-from=kube-system/pxkeys:shared-secret"
    done = older.refused("keys", "adopt", shared_secret)
    assert "there is no StorageCluster yet that the operator has taken up" in done.err
    # The finalizer of one that is taken up can be a tenant's as well.
    older.done("delete", "storageclusters", "--all", "-n", "other")
    older.storage_cluster("other/mine", taken_up=True, security={"enabled": False})
    done = older.refused("keys", "adopt")
    assert "the StorageCluster in namespace other may be anybody's" in done.err
    assert "-n other" in done.err
    older.storage_cluster("portworx/px-cluster", taken_up=True, security={"enabled": False})
    assert "it is not clear by which" in older.refused("keys", "adopt").err
    for namespace in ("other", "portworx"):
        assert older.kubectl("get", "secret", "px-shared-secret", "-n", namespace).code == 1

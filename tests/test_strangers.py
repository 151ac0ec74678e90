"""Who is believed about Portworx: what a tenant with all rights in one namespace can make of it."""

import json
from typing import Any

import pytest

from tests.portworx_site import (
    GROUP,
    ISSUER_VARIABLE,
    OTHERS,
    OURS,
    SECRET_VARIABLE,
    Site,
    from_secret,
    self_signed,
    site,
    variable,
)

pytestmark = pytest.mark.xdist_group("strangers")

__all__ = ["site"]  # a fixture
PATH = f"/apis/{GROUP}/v1/namespaces/other/storageclusters"


@pytest.fixture
def secured(site: Site) -> Site:
    """A cluster with the operator's Portworx in px, and a tenant who may do all in other."""
    site.lay_secret("px/px-shared-secret")
    site.storage_cluster("px/cluster", security=self_signed(issuer="px.example"))
    site.done("create", "role", "tenant", "--verb=*", "--resource=*.*", "-n", "other")
    site.done("create", "rolebinding", "tenant", "--role=tenant", "--user=tenant", "-n", "other")
    return site


def as_tenant(site: Site, path: str, manifest: dict[str, Any]) -> None:
    site.done("create", "--raw", path, "-f", "-", "--as", "tenant", stdin=manifest)


def storage_cluster(name: str = "mine", **content: Any) -> dict[str, Any]:
    kind = {"apiVersion": f"{GROUP}/v1", "kind": "StorageCluster", "metadata": {"name": name}}
    return kind | content


def test_a_tenants_storage_cluster_that_differs_is_named_and_sets_nothing(secured: Site) -> None:
    spec = {"env": [variable(ISSUER_VARIABLE, "evil.example")]}
    as_tenant(secured, PATH, storage_cluster(spec=spec))
    for command in (("issue", "kubernetes"), ("token", "admin"), ("discover",)):
        said = secured.refused(*command).err
        assert '"px.example" (StorageCluster px/cluster spec.security' in said
        assert f'"evil.example" (StorageCluster other/mine spec.env {ISSUER_VARIABLE})' in said
        assert "--portworx-namespace" in said
    assert secured.signs_with(OURS, "px.example", "--portworx-namespace", "px") == ""


def test_nor_does_it_where_the_real_one_leaves_its_issuer_to_the_default(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(env=[from_secret(SECRET_VARIABLE, "pxkeys")])
    spec = {"env": [variable(ISSUER_VARIABLE, "evil.example")]}
    site.post(PATH, storage_cluster(spec=spec))
    said = site.refused("token", "admin").err
    assert '"portworx.com" (DaemonSet kube-system/portworx, by default)' in said
    assert '"evil.example" (StorageCluster other/mine' in said
    assert site.signs_with(OURS, "portworx.com", "--portworx-namespace", "kube-system") == ""


def test_one_that_says_nothing_of_security_changes_nothing(secured: Site) -> None:
    as_tenant(secured, PATH, storage_cluster(spec={"image": "mine", "env": []}))
    assert secured.signs_with(OURS, "px.example") == ""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"spec": "text"}, "the object's spec is not a mapping"),
        ({"spec": ["a", "list"]}, "the object's spec is not a mapping"),
        ({"spec": {"env": "A=B"}}, "spec env is not a list"),
        ({"spec": {"env": {"A": "B"}}}, "spec env is not a list"),
        ({"spec": {"env": ["A=B"]}}, "spec.env has an item without a name"),
        ({"spec": {"env": [None]}}, "spec.env has an item without a name"),
        ({"spec": {"env": [{"value": "A"}]}}, "spec.env has an item without a name"),
        ({"spec": {"env": [{"name": ISSUER_VARIABLE, "value": 5}]}}, "value is not a text"),
        ({"spec": {"env": [{"name": ISSUER_VARIABLE, "value": {}}]}}, "value is not a text"),
        ({"spec": {"env": [{"name": ISSUER_VARIABLE, "valueFrom": "x"}]}}, "is not a mapping"),
        (
            {"spec": {"env": [{"name": SECRET_VARIABLE, "valueFrom": {"secretKeyRef": {"a": 1}}}]}},
            "names no object and key",
        ),
        (
            {
                "spec": {
                    "env": [
                        {
                            "name": SECRET_VARIABLE,
                            "valueFrom": {"secretKeyRef": {"name": ["x"], "key": 1}},
                        }
                    ]
                }
            },
            "name is not a text",
        ),
        ({"spec": {"env": [variable(ISSUER_VARIABLE, "x" * 20_000)]}}, "has 20000 characters"),
        ({"spec": {"security": "on"}}, "spec security is not a mapping"),
        ({"spec": {"security": {"enabled": "true"}}}, "enabled is not true or false"),
        ({"spec": {"security": {"enabled": 1}}}, "enabled is not true or false"),
        ({"spec": {"security": {"enabled": True, "auth": []}}}, "auth is not a mapping"),
        (
            {"spec": {"security": {"enabled": True, "auth": {"enabled": "false"}}}},
            "enabled is not true or false",
        ),
        (
            {"spec": {"security": {"enabled": True, "auth": {"selfSigned": "x"}}}},
            "selfSigned is not a mapping",
        ),
        (
            {"spec": {"security": {"enabled": True, "auth": {"selfSigned": {"issuer": 7}}}}},
            "issuer is not a text",
        ),
    ],
)
def test_one_of_any_shape_is_passed_over_with_a_word(
    secured: Site, content: dict[str, Any], why: str
) -> None:
    as_tenant(secured, PATH, storage_cluster(**content))
    said = secured.signs_with(OURS, "px.example")
    assert said.startswith("warning: StorageCluster other/mine is passed over: ")
    assert why in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("content", [{}, {"spec": None}, {"spec": {"security": None, "env": None}}])
def test_what_is_only_missing_is_no_fault(secured: Site, content: dict[str, Any]) -> None:
    as_tenant(secured, PATH, storage_cluster(**content))
    assert secured.signs_with(OURS, "px.example") == ""


def test_every_command_goes_on_beside_a_malformed_one(secured: Site) -> None:
    as_tenant(secured, PATH, storage_cluster(spec={"env": "A=B", "security": 5}))
    secured.pxauth("issue", "kubernetes", "-n", "px")
    for command in (("discover",), ("verify", "px-k8s-user", "-n", "px"), ("list", "-A")):
        done = secured.pxauth(*command)
        assert done.code == 0
        assert "StorageCluster other/mine is passed over" in done.err
    found = json.loads(secured.pxauth("doctor", "-o", "json").out)
    assert found["healthy"]
    (said,) = (
        one
        for one in found["findings"]
        if one["check"] == "portworx" and one["severity"] == "warning"
    )
    assert said["message"].startswith("StorageCluster other/mine is passed over: ")
    assert "takes its shared secret from elsewhere" in secured.refused("keys", "create").err


def test_a_namespace_of_the_usual_name_counts_only_where_nothing_else_is_stated(
    secured: Site,
) -> None:
    secured.lay_secret("portworx/pxkeys", OTHERS)
    env = [from_secret(SECRET_VARIABLE, "pxkeys"), variable(ISSUER_VARIABLE, "evil.example")]
    secured.daemon_set("portworx", [], env)
    assert secured.signs_with(OURS, "px.example") == ""
    secured.done("delete", "storageclusters", "--all", "-A")
    assert secured.signs_with(OTHERS, "evil.example") == ""


def test_what_is_not_believed_is_not_read_and_costs_nothing(secured: Site) -> None:
    args = ["-jwt_issuer " * 60_000]
    secured.daemon_set("other", args, [variable(ISSUER_VARIABLE, "x" * 20_000)])
    # The same object is read, and found to be odd, where it is believed.
    odd = secured.refused("token", "admin", "--portworx-namespace", "other").err
    assert "DaemonSet other/portworx is passed over" not in odd  # no key there: that is the error
    read = secured.pxauth(
        "token",
        "admin",
        "--portworx-namespace",
        "other",
        "--shared-secret-from",
        "px/px-shared-secret",
    )
    assert "warning: DaemonSet other/portworx is passed over" in read.err
    done = secured.pxauth("token", "admin", "-v=6")
    assert done.code == 0
    assert "passed over" not in done.err
    asked = [line for line in done.err.splitlines() if "GET" in line]
    assert len(asked) == 6  # the key is looked at again at the end

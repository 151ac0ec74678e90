"""Who is believed about Portworx: what a tenant with all rights in one namespace can make of it."""

import json
from typing import Any

import pytest

from tests.conftest import claims_of, forge
from tests.portworx_site import (
    FINALIZER,
    GROUP,
    ISSUER_VARIABLE,
    OTHERS,
    OURS,
    SECRET_VARIABLE,
    SELF_SIGNED,
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
    wait_a_second(site)
    site.done("create", "role", "tenant", "--verb=*", "--resource=*.*", "-n", "other")
    site.done("create", "rolebinding", "tenant", "--role=tenant", "--user=tenant", "-n", "other")
    return site


def wait_a_second(site: Site) -> None:
    """Until what is made is younger than all that is there, by the whole seconds of the server."""

    def now() -> str:
        clock = site.done("create", "configmap", "clock", "--dry-run=server", "-o", "json")
        return str(json.loads(clock)["metadata"]["creationTimestamp"])

    begun = now()
    while now() == begun:
        pass


def make_at_once(site: Site, *objects: dict[str, Any]) -> None:
    """In this order, and within one second, as a restore from a backup does."""
    while True:
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        when = 'jsonpath={.metadata.creationTimestamp}{"\\n"}'
        if len({*site.done("create", "-f", "-", "-o", when, stdin=listed).split()}) == 1:
            return
        site.release_storage_clusters()
        site.done("delete", "storageclusters", "--all", "-A")


def as_tenant(site: Site, path: str, manifest: dict[str, Any]) -> None:
    site.done("create", "--raw", path, "-f", "-", "--as", "tenant", stdin=manifest)


def storage_cluster(name: str = "mine", **content: Any) -> dict[str, Any]:
    kind = {"apiVersion": f"{GROUP}/v1", "kind": "StorageCluster", "metadata": {"name": name}}
    return kind | content


EVIL = b"never-shown: a key that the tenant has as well"
EVIL_ISSUER = variable(ISSUER_VARIABLE, "evil.example")
EVIL_KEY = variable(SECRET_VARIABLE, EVIL.decode())
OIDC = variable("PORTWORX_AUTH_OIDC_ISSUER", "https://evil.example")
CLAIM = variable("PORTWORX_AUTH_USERNAME_CLAIM", "email")
APPS = variable("PORTWORX_AUTH_SYSTEM_APPS_KEY", EVIL.decode())
NAMELESS = {"security": self_signed(issuer="evil.example", sharedSecret="missing")}


@pytest.mark.parametrize("spec", [{"env": [EVIL_ISSUER, OIDC, CLAIM, APPS]}, {}])
def test_a_storage_cluster_that_names_no_key_sets_nothing(
    secured: Site, spec: dict[str, Any]
) -> None:
    as_tenant(secured, PATH, storage_cluster(spec=spec))
    assert secured.signs_with(OURS, "px.example") == ""
    found = secured.discover()
    assert (found["usernameClaim"]["value"], found["oidcIssuer"]) == ("sub", None)
    secured.pxauth("issue", "kubernetes", "-n", "px")
    forged = forge(claims_of("stork", iss="apps.portworx.io"), EVIL)
    secured.keep("forged", forged)
    assert "is not verified" not in secured.pxauth("verify", "forged").out
    assert secured.pxauth("verify", "forged").code == 1


def test_nor_does_it_where_the_key_is_found_by_its_name(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.storage_cluster("other/mine", env=[EVIL_ISSUER, CLAIM])
    assert "authorization is off" in site.refused("token", "admin").err
    site.daemon_set(env=[from_secret(SECRET_VARIABLE, "pxkeys")])
    assert site.signs_with(OURS, "portworx.com") == ""


def test_only_the_one_that_the_operator_has_taken_up_is_believed(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("other/px-shared-secret", EVIL)
    site.storage_cluster("px/cluster", taken_up=True, security=self_signed(issuer="px.example"))
    for name, spec in (
        ("a", {"security": self_signed(issuer="evil.example")}),
        ("b", {"env": [EVIL_ISSUER, EVIL_KEY]}),
        ("c", NAMELESS),
        ("d", {"env": "odd"}),
    ):
        site.post(PATH, storage_cluster(name, spec=spec))
    assert site.signs_with(OURS, "px.example") == ""
    assert site.pxauth("discover").err == ""


def test_one_that_was_taken_up_without_security_is_believed_too(site: Site) -> None:
    site.storage_cluster("px/cluster", taken_up=True)
    site.post(PATH, storage_cluster(spec={"env": [EVIL_ISSUER, EVIL_KEY]}))
    site.lay_secret("portworx/pxkeys", EVIL)
    site.daemon_set("portworx", [], [from_secret(SECRET_VARIABLE, "pxkeys")])
    said = site.refused("token", "admin").err
    assert "authorization is off (StorageCluster px/cluster)" in said


def test_of_two_that_are_taken_up_none_is_guessed(site: Site) -> None:
    """A tenant can write the finalizer too; then the operator acts by both."""
    for namespace, key in (("px", OURS), ("other", EVIL)):
        site.lay_secret(f"{namespace}/px-shared-secret", key)
        site.storage_cluster(f"{namespace}/cluster", taken_up=True, security={"enabled": True})
    said = site.refused("token", "admin").err
    assert "StorageCluster px/cluster" in said
    assert "StorageCluster other/cluster" in said
    site.signs_with(OURS, "operator.portworx.io", "--portworx-namespace", "px")


def test_the_token_of_the_docs_that_ended_is_issued_again_for_its_user(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(env=[from_secret(SECRET_VARIABLE, "pxkeys")])
    dead = forge(claims_of("kubernetes@example.com", days=365, age_days=405), OURS)
    site.lay_secret("portworx/px-k8s-user", dead.encode(), "auth-token")
    done = site.pxauth("issue", "kubernetes", "-n", "portworx")
    assert (done.code, done.err) == (0, "")
    (one,) = json.loads(site.pxauth("list", "-n", "portworx", "-o", "json").out)["items"]
    assert (one["subject"], one["status"]) == ("kubernetes@example.com", "valid")


@pytest.mark.parametrize("spec", [{}, {"security": {"enabled": True}}], ids=["bare", "secured"])
@pytest.mark.parametrize("is_real_one_taken_up", [True, False])
def test_a_finalizer_that_a_tenant_wrote_outdoes_nobodys(
    site: Site, spec: dict[str, Any], *, is_real_one_taken_up: bool
) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("other/px-shared-secret", EVIL)
    real = self_signed(issuer="px.example")
    site.storage_cluster("px/cluster", taken_up=is_real_one_taken_up, security=real)
    wait_a_second(site)
    site.storage_cluster("other/mine", taken_up=True, **spec)
    for command in (("token", "admin"), ("issue", "kubernetes", "-n", "px"), ("discover",)):
        said = site.refused(*command).err
        assert "by one StorageCluster alone, and it is not clear by which" in said
        assert "StorageCluster px/cluster" in said
        assert "StorageCluster other/mine" in said
        assert "--portworx-namespace" in said
    for chosen in (("--portworx-namespace", "px"), ("--shared-secret-from", "px/px-shared-secret")):
        assert site.signs_with(OURS, "px.example", *chosen) == ""
    asked = json.loads(site.pxauth("doctor", "-o", "json").out)
    findings = [one for one in asked["findings"] if "it is not clear by which" in one["message"]]
    assert len(findings) == 1


def test_none_that_a_restore_made_in_the_same_second_was_there_before(site: Site) -> None:
    """Which of them was written last says nothing of that: the operator goes on writing one."""
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("other/px-shared-secret", EVIL)
    real = {"security": self_signed(issuer="px.example")}
    metadata = {"name": "cluster", "namespace": "px", "finalizers": [FINALIZER]}
    make_at_once(
        site,
        storage_cluster(metadata={"name": "mine", "namespace": "other"}, spec=real),
        storage_cluster(metadata=metadata, spec=real),
    )
    assert site.signs_with(OURS, "px.example") == ""


def test_a_key_that_a_restore_left_out_is_not_replaced_by_a_tenants(site: Site) -> None:
    site.lay_secret("other/px-shared-secret", EVIL)
    spec = {"security": {"enabled": True}}
    make_at_once(
        site,
        storage_cluster(metadata={"name": "mine", "namespace": "other"}, spec=spec),
        storage_cluster(metadata={"name": "cluster", "namespace": "px"}, spec=spec),
    )
    said = site.refused("token", "admin").err
    assert "Secret px/px-shared-secret not found" in said


def test_no_job_runs_where_a_tenant_alone_says_that_the_key_is(site: Site) -> None:
    schedule = ("schedule", "-A", "--image=i:1", "--dry-run=server")
    site.lay_secret("other/px-shared-secret", EVIL)
    site.storage_cluster("other/mine", security={"enabled": True})
    said = site.refused(*schedule).err
    assert (
        "the job would run in namespace other, where the key is by the word of StorageCluster"
        in said
    )
    named = ("--shared-secret-from", "other/px-shared-secret:shared-secret")
    assert f"hint: if Portworx runs there: {' '.join(named)}" in said
    assert site.pxauth(*schedule, *named).code == 0
    site.storage_cluster("px/cluster", taken_up=True, security={"enabled": True})
    site.lay_secret("px/px-shared-secret")
    assert site.pxauth(*schedule, "--portworx-namespace", "px").code == 0


def test_one_that_was_there_before_and_asks_for_nothing_is_no_rival(site: Site) -> None:
    site.storage_cluster("other/odd", env="odd")
    site.storage_cluster("other/mine")
    site.lay_secret("px/px-shared-secret")
    site.storage_cluster("px/cluster", taken_up=True, security=self_signed(issuer="px.example"))
    assert site.signs_with(OURS, "px.example") == ""


def test_a_tenants_key_in_a_variable_is_not_believed_over_the_real_one(secured: Site) -> None:
    as_tenant(secured, PATH, storage_cluster(spec={"env": [EVIL_ISSUER, EVIL_KEY]}))
    said = secured.refused("token", "admin").err
    assert "the cluster names different shared secrets" in said
    assert "StorageCluster px/cluster" in said
    assert "StorageCluster other/mine" in said
    assert secured.signs_with(OURS, "px.example", "--portworx-namespace", "px") == ""
    # Who names the key means the Portworx that has it, and no other sets the issuer.
    given = ("--shared-secret-from", "px/px-shared-secret")
    assert "is not the one" not in secured.signs_with(OURS, "px.example", *given)
    secured.done("delete", "secret", "px-shared-secret", "-n", "px")  # not made yet
    said = secured.refused("token", "admin").err
    assert "Secret px/px-shared-secret not found" in said


def test_a_secret_that_a_tenant_names_and_that_is_missing_stops_nobody(secured: Site) -> None:
    as_tenant(secured, PATH, storage_cluster(spec=NAMELESS))
    said = secured.signs_with(OURS, "px.example")
    assert said == (
        "warning: StorageCluster other/mine is ignored: StorageCluster other/mine"
        f" {SELF_SIGNED}.sharedSecret: Secret other/missing not found\n"
    )
    for command in (("discover",), ("list", "-A"), ("renew", "-A"), ("keys", "status")):
        assert secured.pxauth(*command).code == 0
    found = json.loads(secured.pxauth("doctor", "-o", "json").out)
    assert not [one for one in found["findings"] if one["severity"] == "problem"]


def test_a_key_of_a_tenant_does_not_outdo_the_real_one_that_is_missing(secured: Site) -> None:
    secured.done("delete", "secret", "px-shared-secret", "-n", "px")  # not made yet, or deleted
    secured.lay_secret("other/px-shared-secret", EVIL)
    as_tenant(secured, PATH, storage_cluster(spec={"security": {"enabled": True}}))
    said = secured.refused("token", "admin").err
    assert "Secret px/px-shared-secret not found" in said


def test_a_daemon_set_that_trusts_a_provider_alone_is_not_given_a_key(site: Site) -> None:
    site.lay_secret("other/px-shared-secret", EVIL)
    site.daemon_set(args=["-oidc_issuer", "https://login.example.com"])
    site.post(PATH, storage_cluster(spec={"security": {"enabled": True}}))
    said = site.refused("token", "admin").err
    assert "DaemonSet kube-system/portworx names none" in said
    assert (
        "trusts the OpenID Connect provider"
        in site.refused("token", "admin", "--portworx-namespace", "kube-system").err
    )


def test_many_of_a_tenant_are_not_asked_one_by_one(secured: Site) -> None:
    for number in range(15):
        spec = {"security": self_signed(sharedSecret=f"missing-{number}")}
        as_tenant(secured, PATH, storage_cluster(f"mine-{number}", spec=spec))
    said = secured.refused("token", "admin").err
    assert "16 objects name a shared secret" in said
    asked = secured.pxauth("token", "admin", "-v=6").err
    assert len([line for line in asked.splitlines() if "/secrets/" in line]) < 10
    assert secured.signs_with(OURS, "px.example", "--portworx-namespace", "px") == ""


def test_storage_clusters_are_read_page_by_page(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    items = [storage_cluster(f"mine-{number}") for number in range(260)]
    many = {"apiVersion": "v1", "kind": "List", "items": items}
    site.done("create", "-n", "other", "-f", "-", stdin=many)
    site.storage_cluster("px/cluster", taken_up=True, security={"enabled": True})
    done = site.kubectl("pxauth", "token", "admin", "-v=6")  # what says where to go on is no token
    assert done.code == 0
    lists = [line for line in done.err.splitlines() if "/storageclusters" in line]
    assert len(lists) > 1
    assert all("limit=" in line for line in lists)


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
def test_one_of_any_shape_is_ignored_with_a_word(
    secured: Site, content: dict[str, Any], why: str
) -> None:
    as_tenant(secured, PATH, storage_cluster(**content))
    said = secured.signs_with(OURS, "px.example")
    assert said.startswith("warning: StorageCluster other/mine is ignored: ")
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
        assert "StorageCluster other/mine is ignored" in done.err
    found = json.loads(secured.pxauth("doctor", "-o", "json").out)
    assert found["healthy"]
    (issuer,) = (one for one in found["findings"] if one["check"] == "issuer")
    assert issuer["severity"] == "ok"
    (said,) = (
        one
        for one in found["findings"]
        if one["check"] == "portworx" and one["severity"] == "warning"
    )
    assert said["message"].startswith("StorageCluster other/mine is ignored: ")
    assert "takes its shared secret from elsewhere" in secured.refused("keys", "create").err


def test_the_only_one_that_is_malformed_is_named_where_no_key_is_found(site: Site) -> None:
    site.storage_cluster("px/cluster", taken_up=True, env="A=B")
    said = site.refused("token", "admin").err
    assert "StorageCluster px/cluster is ignored: spec env is not a list; looked at Secret" in said
    assert "keys create" not in said
    findings = json.loads(site.pxauth("doctor", "-o", "json").out)["findings"]
    assert not [one for one in findings if "there is no StorageCluster" in one["message"]]


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
    assert "; DaemonSet other/portworx is ignored: " in odd
    read = secured.pxauth(
        "token",
        "admin",
        "--portworx-namespace",
        "other",
        "--shared-secret-from",
        "px/px-shared-secret",
    )
    assert "warning: DaemonSet other/portworx is ignored" in read.err
    done = secured.pxauth("token", "admin", "-v=6")
    assert done.code == 0
    assert "is ignored" not in done.err
    asked = [line for line in done.err.splitlines() if "GET" in line]
    assert len(asked) == 6  # the key is looked at again at the end

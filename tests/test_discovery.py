"""Finding the key and the issuer, in clusters laid down as the operator or the docs do it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.run import ControlPlane
from tests.conftest import Shell
from tests.fault_proxy import FaultProxy, Gate
from tests.portworx_site import (
    GROUP,
    ISSUER_VARIABLE,
    OTHERS,
    OURS,
    SECRET_VARIABLE,
    SELF_SIGNED,
    Site,
    fingerprint,
    from_secret,
    self_signed,
    site,
    variable,
)
from tests.terminal import run_on_terminal
from tests.token.odd_tokens import ec_key, pem, private

pytestmark = pytest.mark.xdist_group("discovery")


__all__ = ["site"]  # a fixture


@pytest.fixture
def bare(site: Site) -> Site:
    """A cluster that knows no StorageClusters."""
    site.done("delete", "crd", "--all")
    return site


def test_a_storage_cluster_names_both(site: Site) -> None:
    site.lay_secret("px/my-key")
    site.lay_secret("kube-system/pxkeys", OTHERS)
    security = self_signed(issuer="px.example", sharedSecret="my-key", tokenLifetime="24h")
    site.storage_cluster("px/cluster", security=security)
    assert site.discover() == {
        "sharedSecret": {
            "secret": {"namespace": "px", "name": "my-key", "key": "shared-secret"},
            "statedBy": f"StorageCluster px/cluster {SELF_SIGNED}.sharedSecret",
            "fingerprint": fingerprint(OURS),
        },
        "issuer": {
            "value": "px.example",
            "statedBy": f"StorageCluster px/cluster {SELF_SIGNED}.issuer",
        },
        "usernameClaim": {"value": "sub", "statedBy": "by default"},
        "oidcIssuer": None,
        "notUsed": [],
        "notRead": [],
    }
    assert site.signs_with(OURS, "px.example") == ""


@pytest.mark.parametrize("security", [{"enabled": True}, self_signed(issuer="", sharedSecret="")])
def test_what_a_storage_cluster_leaves_out_is_the_operators_default(
    site: Site, security: dict[str, Any]
) -> None:
    site.lay_secret("px/px-shared-secret")
    site.storage_cluster("px/cluster", security=security)
    found = site.discover()
    assert (
        found["sharedSecret"]["statedBy"] == "StorageCluster px/cluster spec.security, by default"
    )
    assert found["issuer"]["value"] == "operator.portworx.io"
    site.signs_with(OURS, "operator.portworx.io")


def test_variables_of_a_storage_cluster_do_not_override_its_security(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("px/pxkeys", OTHERS)
    env = [variable(ISSUER_VARIABLE, "env.example"), from_secret(SECRET_VARIABLE, "pxkeys")]
    site.storage_cluster("px/cluster", security=self_signed(issuer="px.example"), env=env)
    where = "StorageCluster px/cluster"
    said = site.pxauth("discover").err.splitlines()
    assert said == [
        f'warning: {where} spec.env {ISSUER_VARIABLE} names the issuer "env.example", but the'
        f' operator starts Portworx with "px.example" ({where} {SELF_SIGNED}.issuer)',
        f"warning: {where} spec.env {SECRET_VARIABLE} names another shared secret"
        " (px/pxkeys:shared-secret), but the operator starts Portworx with"
        f" px/px-shared-secret:shared-secret ({where} spec.security, by default)",
    ]
    assert site.signs_with(OURS, "px.example") == ""


def test_variables_that_say_the_same_are_not_worth_a_word(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("px/pxkeys")
    env = [variable(ISSUER_VARIABLE, "px.example"), from_secret(SECRET_VARIABLE, "pxkeys")]
    site.storage_cluster("px/cluster", security=self_signed(issuer="px.example"), env=env)
    assert site.pxauth("discover").err == ""


@pytest.mark.parametrize(
    ("auth", "issuer"),
    [
        ({}, "operator.portworx.io"),
        ({"enabled": True}, "operator.portworx.io"),
        ({"guestAccess": "Disabled"}, "operator.portworx.io"),
        ({"selfSigned": {}}, "operator.portworx.io"),
        ({"selfSigned": {"tokenLifetime": "24h"}}, "env.example"),
        ({"selfSigned": {"issuer": ""}}, "env.example"),
        ({"selfSigned": {"issuer": None, "sharedSecret": "px-shared-secret"}}, "env.example"),
        ({"selfSigned": {"issuer": "px.example"}}, "px.example"),
    ],
)
def test_the_issuers_variable_counts_only_where_self_signed_names_none(
    site: Site, auth: dict[str, Any], issuer: str
) -> None:
    site.lay_secret("px/px-shared-secret")
    env = [variable(ISSUER_VARIABLE, "env.example")]
    site.storage_cluster("px/cluster", security={"enabled": True, "auth": auth}, env=env)
    assert site.discover()["issuer"]["value"] == issuer
    assert ("names the issuer" in site.pxauth("discover").err) is (issuer != "env.example")


def test_a_variable_fills_the_secret_that_has_no_key_yet(site: Site) -> None:
    site.lay_secret("px/mine", key="k")
    env = [from_secret(SECRET_VARIABLE, "mine", "k")]
    site.storage_cluster("px/cluster", security={"enabled": True}, env=env)
    found = site.discover()["sharedSecret"]
    assert found["secret"] == {"namespace": "px", "name": "mine", "key": "k"}
    site.signs_with(OURS, "operator.portworx.io")
    site.lay_secret("px/px-shared-secret", OTHERS)
    site.signs_with(OTHERS, "operator.portworx.io")


def test_a_variable_whose_secret_is_gone_stops_the_operators_round(site: Site) -> None:
    env = [from_secret(SECRET_VARIABLE, "gone"), variable(SECRET_VARIABLE, OTHERS.decode())]
    site.storage_cluster("px/cluster", security={"enabled": True}, env=env)
    said = site.refused("token", "admin").err
    assert f"spec.env {SECRET_VARIABLE}: Secret px/gone not found" in said
    assert "the operator makes Secret px/px-shared-secret of it" in said
    site.lay_secret("px/px-shared-secret")
    assert site.signs_with(OURS, "operator.portworx.io") == ""
    assert site.pxauth("discover").err == (
        f"warning: StorageCluster px/cluster spec.env {SECRET_VARIABLE}: Secret px/gone not found:"
        " the operator reads it in each round, and keeps none of its keys and tokens while it is"
        " gone\n"
    )


def test_of_variables_of_one_name_the_operator_reads_the_first(site: Site) -> None:
    site.lay_secret("px/first")
    env = [
        from_secret(SECRET_VARIABLE, "first"),
        variable(SECRET_VARIABLE, OTHERS.decode()),
        variable(ISSUER_VARIABLE, "first.example"),
        variable(ISSUER_VARIABLE, "second.example"),
    ]
    security = self_signed(tokenLifetime="24h")
    site.storage_cluster("px/cluster", security=security, env=env)
    assert site.signs_with(OURS, "first.example") == ""


@pytest.mark.parametrize("auth", [{"enabled": False}, {"enabled": False, "selfSigned": {}}])
def test_tls_alone_is_no_authorization(site: Site, auth: dict[str, Any]) -> None:
    site.lay_secret("px/px-shared-secret", OTHERS)
    security = {"enabled": True, "auth": auth, "tls": {"enabled": True}}
    site.storage_cluster("px/cluster", security=security)
    said = site.refused("issue", "kubernetes").err
    assert said.startswith(
        "error: authorization is off (StorageCluster px/cluster), so Portworx asks for no tokens;"
        " not used: Secret px/px-shared-secret:shared-secret\n"
    )
    found = site.discover()
    assert (found["sharedSecret"], found["issuer"]) == (None, None)
    assert found["notUsed"] == ["px/px-shared-secret:shared-secret"]
    given = ("--shared-secret-from", "px/px-shared-secret", "--issuer", "px.example")
    assert "authorization is off" in site.signs_with(OTHERS, "px.example", *given)


def test_variables_count_without_security_too_and_hold_values_themselves(site: Site) -> None:
    env = [variable(SECRET_VARIABLE, OURS.decode()), variable(ISSUER_VARIABLE, "env.example")]
    site.storage_cluster("px/cluster", security={"enabled": False}, env=env)
    found = site.discover()
    assert found["sharedSecret"] == {
        "secret": None,
        "statedBy": f"StorageCluster px/cluster spec.env {SECRET_VARIABLE}",
        "fingerprint": fingerprint(OURS),
    }
    site.signs_with(OURS, "env.example")


def test_an_issuer_may_be_in_a_secret_or_a_config_map(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("px/names", b"secret.example", "issuer")
    site.done("create", "configmap", "names", "-n", "px", "--from-literal=issuer=map.example")
    in_map = {"configMapKeyRef": {"name": "names", "key": "issuer"}}
    for source, issuer in (
        (from_secret(ISSUER_VARIABLE, "names", "issuer"), "secret.example"),
        ({"name": ISSUER_VARIABLE, "valueFrom": in_map}, "map.example"),
    ):
        env = [source, from_secret(SECRET_VARIABLE, "px-shared-secret")]
        site.storage_cluster("px/cluster", env=env)
        site.signs_with(OURS, issuer)
        site.done("delete", "--raw", f"/apis/{GROUP}/v1/namespaces/px/storageclusters/cluster")
    in_map["configMapKeyRef"]["key"] = "nothing"
    env = [
        {"name": ISSUER_VARIABLE, "valueFrom": in_map},
        from_secret(SECRET_VARIABLE, "px-shared-secret"),
    ]
    site.storage_cluster("px/cluster", env=env)
    assert 'ConfigMap px/names has no key "nothing"' in site.refused("token", "admin").err
    site.signs_with(OURS, "given.example", "--issuer", "given.example")


def test_a_storage_cluster_hands_arguments_on_in_an_annotation(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    arguments = "-T px-storev2 -username_claim 'email' --jwt_issuer=operator.portworx.io"
    annotations = {"portworx.io/misc-args": arguments}
    site.storage_cluster("px/cluster", annotations, security={"enabled": True})
    assert site.discover()["usernameClaim"] == {
        "value": "email",
        "statedBy": "StorageCluster px/cluster annotation portworx.io/misc-args -username_claim",
    }


def test_a_storage_cluster_with_security_off_says_nothing(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.lay_secret("px/px-shared-secret", OTHERS)
    site.storage_cluster("px/cluster", security={"enabled": False} | {"auth": {"selfSigned": {}}})
    site.storage_cluster("other/cluster")
    said = site.refused("token", "admin").err
    assert said.startswith(
        "error: authorization is off (StorageCluster other/cluster; StorageCluster px/cluster), so"
        " Portworx asks for no tokens; not used: Secret px/px-shared-secret:shared-secret, Secret"
        " kube-system/pxkeys:shared-secret\n"
    )
    site.signs_with(
        OTHERS,
        "portworx.com",
        "--shared-secret-from",
        "px/px-shared-secret",
        "--issuer",
        "portworx.com",
    )


def test_storage_clusters_that_agree_are_one_and_others_have_to_be_chosen(site: Site) -> None:
    for namespace, key in (("px", OURS), ("other", OURS), ("portworx", OTHERS)):
        site.lay_secret(f"{namespace}/px-shared-secret", key)
    for namespace in ("px", "other"):
        site.storage_cluster(f"{namespace}/cluster", security=self_signed(issuer="px.example"))
    site.signs_with(OURS, "px.example")
    site.storage_cluster("portworx/cluster", security=self_signed(issuer="third.example"))
    said = site.refused("token", "admin").err
    assert "px/px-shared-secret:shared-secret (StorageCluster px/cluster spec.security" in said
    assert "portworx/px-shared-secret:shared-secret (StorageCluster portworx/cluster" in said
    assert "--shared-secret-from" in said
    site.signs_with(OTHERS, "third.example", "--portworx-namespace", "portworx")
    site.signs_with(OURS, "px.example", "--portworx-namespace", "px")


def test_issuers_that_differ_are_shown_both(site: Site) -> None:
    for namespace in ("px", "other"):
        site.lay_secret(f"{namespace}/px-shared-secret")
        security = self_signed(issuer=f"{namespace}.example")
        site.storage_cluster(f"{namespace}/cluster", security=security)
    said = site.refused("issue", "kubernetes", "-n", "px").err
    assert f'"px.example" (StorageCluster px/cluster {SELF_SIGNED}.issuer)' in said
    assert f'"other.example" (StorageCluster other/cluster {SELF_SIGNED}.issuer)' in said
    assert "hint: choose one with --issuer" in said
    site.signs_with(OURS, "px.example", "--issuer", "px.example")


@pytest.mark.parametrize(
    "args",
    [
        ["-jwt_issuer", "px.example"],
        ["--jwt_issuer", "px.example"],
        ["-jwt_issuer=px.example"],
        ["--jwt_issuer=px.example"],
        ["--jwt-issuer=px.example"],
        ["-jwt_issuer px.example"],
        ["-b -jwt_issuer 'px.example' -x kubernetes"],
        ["-jwt_issuer", "$(ISSUER)"],
        ["-jwt_issuer", "old.example", "-jwt_issuer", "px.example", "-b"],
    ],
)
def test_a_daemon_set_names_the_issuer_in_its_arguments(site: Site, args: list[str]) -> None:
    site.lay_secret("kube-system/pxkeys")
    env = [variable("ISSUER", "px.example"), from_secret(SECRET_VARIABLE, "pxkeys")]
    site.daemon_set(args=args, env=env)
    found = site.discover()
    where = "DaemonSet kube-system/portworx container portworx"
    assert found["sharedSecret"]["statedBy"] == f"{where} env {SECRET_VARIABLE}"
    assert found["issuer"] == {"value": "px.example", "statedBy": f"{where} -jwt_issuer"}
    site.signs_with(OURS, "px.example")


def test_a_sidecar_says_nothing_of_portworx(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    env = [from_secret(SECRET_VARIABLE, "pxkeys")]
    site.daemon_set(args=["-jwt_issuer", "px.example"], env=env)
    sidecar = {"name": "agent", "image": "agent", "env": [variable(ISSUER_VARIABLE, "a.example")]}
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0", "value": sidecar}]
    name = ("daemonset", "portworx", "-n", "kube-system")
    site.done("patch", *name, "--type=json", "-p", json.dumps(patch))
    assert site.signs_with(OURS, "px.example") == ""


def test_a_value_may_have_a_space_or_look_like_a_flag(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(args=["-jwt_issuer=our issuer", "-jwt_issuer"])
    site.signs_with(OURS, "our issuer")


def test_a_daemon_set_may_be_anywhere_and_say_it_all_itself(bare: Site) -> None:
    args = ["-jwt_shared_secret", OURS.decode(), "-username_claim=name"]
    bare.daemon_set("other", args, [variable(ISSUER_VARIABLE, "px.example")])
    found = bare.discover()
    assert found["sharedSecret"]["secret"] is None
    assert found["issuer"]["value"] == "px.example"
    assert found["usernameClaim"]["value"] == "name"
    bare.signs_with(OURS, "px.example")


def test_a_tenants_daemon_set_does_not_steer_whom_it_does_not_serve(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set("other", ["-jwt_issuer", "evil.example", "-username_claim=email"], [])
    said = site.signs_with(OURS, "portworx.com")
    assert said == (
        'warning: the issuer is taken to be "portworx.com"; DaemonSet other/portworx may be'
        " anybody's and is not asked: if it is your Portworx, name its namespace with"
        " --portworx-namespace\n"
    )
    assert site.discover()["usernameClaim"]["value"] == "sub"
    assert site.signs_with(OURS, "evil.example", "--portworx-namespace", "other") == ""
    site.done("delete", "daemonset", "portworx", "-n", "other")
    site.daemon_set("other", [], [variable(SECRET_VARIABLE, OTHERS.decode())])
    assert "may be anybody's" in site.signs_with(OURS, "portworx.com")
    env = [from_secret(SECRET_VARIABLE, "pxkeys")]
    site.daemon_set("kube-system", ["-jwt_issuer", "px.example"], env)
    assert site.signs_with(OURS, "px.example") == ""


def test_an_argument_and_a_variable_that_differ_are_shown_both(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(args=["-jwt_issuer=a.example"], env=[variable(ISSUER_VARIABLE, "b.example")])
    said = site.refused("token", "admin").err
    assert '"a.example" (DaemonSet kube-system/portworx container portworx -jwt_issuer)' in said
    assert '"b.example" (DaemonSet kube-system/portworx container portworx env' in said


def test_a_storage_cluster_and_a_daemon_set_that_differ_are_shown_both(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("kube-system/pxkeys", OTHERS)
    site.storage_cluster("px/cluster", security={"enabled": True})
    site.daemon_set(env=[from_secret(SECRET_VARIABLE, "pxkeys")])
    said = site.refused("discover").err
    assert "px/px-shared-secret:shared-secret (StorageCluster px/cluster" in said
    assert "kube-system/pxkeys:shared-secret (DaemonSet kube-system/portworx container" in said
    site.signs_with(OTHERS, "given", "--shared-secret-from", "pxkeys", "--issuer", "given")


@pytest.mark.parametrize(
    ("place", "issuer"),
    [
        ("kube-system/pxkeys", "portworx.com"),
        ("kube-system/px-shared-secret", "operator.portworx.io"),
        ("portworx/px-shared-secret", "operator.portworx.io"),
    ],
)
def test_where_nothing_is_said_the_key_has_its_usual_name(
    bare: Site, place: str, issuer: str
) -> None:
    bare.lay_secret(place)
    assert bare.discover()["issuer"] == {"value": issuer, "statedBy": "by default"}
    assert bare.signs_with(OURS, issuer) == ""


def test_two_keys_by_their_names_have_to_be_the_same(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.lay_secret("kube-system/px-shared-secret")
    site.signs_with(OURS, "portworx.com")
    site.done("delete", "secret", "pxkeys", "-n", "kube-system")
    site.lay_secret("kube-system/pxkeys", OTHERS)
    said = site.refused("token", "admin").err
    assert "kube-system/pxkeys:shared-secret (by its name)" in said
    assert "kube-system/px-shared-secret:shared-secret (by its name)" in said


def test_the_key_is_taken_byte_for_byte(site: Site) -> None:
    site.lay_secret("px/px-shared-secret", OURS + b"\n")
    site.storage_cluster("px/cluster", security={"enabled": True})
    assert "ends in a newline" in site.signs_with(OURS + b"\n", "operator.portworx.io")


def test_nothing_found_lists_the_places_and_the_flag(site: Site) -> None:
    site.lay_secret("portworx/px-shared-secret", key="other-key")
    said = site.refused("issue", "kubernetes", "-n", "px").err
    assert said == (
        "error: no shared secret was found; looked at StorageClusters and DaemonSets: none; Secret"
        " kube-system/pxkeys: not found; Secret kube-system/px-shared-secret: not found; Secret"
        ' portworx/px-shared-secret: has no key "shared-secret"; its keys: other-key; Secret'
        " portworx/pxkeys: not found\n"
        "hint: make the first keys: kubectl pxauth keys create; or name the Secret that holds it:"
        " --shared-secret-from NAMESPACE/NAME:KEY\n"
    )
    site.storage_cluster("px/cluster")
    assert "authorization is off (StorageCluster px/cluster)" in site.refused("token", "admin").err


@pytest.mark.parametrize("flag", ["-jwt_rsa_pubkey_file", "-jwt_ecds_pubkey_file"])
def test_a_public_key_file_calls_for_the_private_key(site: Site, flag: str) -> None:
    site.daemon_set(args=["-jwt_issuer", "px.example", flag, "/etc/pwx/key.pem"])
    said = site.refused("token", "admin").err
    assert f"container portworx {flag} /etc/pwx/key.pem" in said
    assert "hint: name a file with the other half: --rsa-private-keyfile or" in said


def test_a_secret_that_is_named_but_not_there_is_an_error(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys", OTHERS)
    site.storage_cluster("px/cluster", security={"enabled": True})
    said = site.refused("token", "admin").err
    assert "StorageCluster px/cluster spec.security, by default" in said
    assert "Secret px/px-shared-secret not found" in said
    site.lay_secret("px/px-shared-secret", b"")
    assert 'px/px-shared-secret key "shared-secret" is empty' in site.refused("discover").err


def test_with_rights_for_the_key_alone_the_issuer_is_a_guess_and_said_to_be(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.allow("reader", "kube-system", "get", "secrets/pxkeys")
    said = site.signs_with(OURS, "portworx.com", "--as", "reader")
    assert 'warning: the issuer is taken to be "portworx.com"' in said
    assert "StorageClusters in all namespaces" in said
    assert site.signs_with(OURS, "given", "--as", "reader", "--issuer", "given") == ""
    site.allow("reader", "px", "list", "secrets")
    assert site.pxauth("issue", "kubernetes", "-n", "px").code == 0  # else there is nothing to say
    for command in ("list", "renew"):
        done = site.pxauth(command, "-n", "px", "--as", "reader")
        assert done.code == 0
        assert 'warning: the issuer is taken to be "portworx.com"' in done.err
    found = site.discover("--as", "reader")
    assert found["notRead"] == [
        *(
            f"{kind} in {where}"
            for kind in ("StorageClusters", "DaemonSets")
            for where in ("all namespaces", "namespace kube-system", "namespace portworx")
        ),
        "Secret kube-system/px-shared-secret",
        "Secret portworx/px-shared-secret",
        "Secret portworx/pxkeys",
    ]


def test_with_rights_in_one_namespace_that_is_enough(site: Site) -> None:
    site.lay_secret("portworx/px-shared-secret")
    site.storage_cluster("portworx/cluster", security=self_signed(issuer="px.example"))
    for verb, resource in (("get", "secrets"), ("list", f"storageclusters.{GROUP}")):
        site.allow("owner", "portworx", verb, resource)
    assert site.signs_with(OURS, "px.example", "--as", "owner") == ""
    arguments = ("--as", "owner", "--portworx-namespace", "portworx")
    assert site.discover(*arguments)["notRead"] == [
        "DaemonSets in namespace portworx",
        "Secret kube-system/pxkeys",
    ]


def test_what_could_not_be_read_is_said_where_it_matters(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.storage_cluster("px/cluster", security={"enabled": True})
    said = site.refused("token", "admin", "--as", "nobody").err
    assert said == (
        'error: no shared secret was found: user "nobody" may not get Secret kube-system/pxkeys:'
        ' verb "get" on resource "secrets" in namespace "kube-system" is forbidden; nor read'
        " StorageClusters, DaemonSets, 3 other Secrets\n"
        "hint: kubectl --as nobody auth can-i get secrets/pxkeys -n kube-system; or name the"
        " Secret that holds it: --shared-secret-from NAMESPACE/NAME:KEY\n"
    )
    site.allow("lister", "portworx", "list", f"storageclusters.{GROUP}")
    site.allow("half", "px", "list", f"storageclusters.{GROUP}")
    said = site.refused("token", "admin", "--as", "half", "--portworx-namespace", "px").err
    assert 'user "half" may not get Secret px/px-shared-secret' in said


def test_it_asks_for_what_it_needs_and_no_more(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.storage_cluster("px/cluster", security={"enabled": True})
    asked = [line for line in site.pxauth("discover", "-v=6").err.splitlines() if "GET" in line]
    paths = sorted(line.split()[1].split("/", 3)[3].partition("?")[0] for line in asked)
    assert paths == [
        "api/v1/namespaces/kube-system/secrets/px-shared-secret",
        "api/v1/namespaces/kube-system/secrets/pxkeys",
        "api/v1/namespaces/px/secrets/px-shared-secret",
        "apis/apps/v1/daemonsets",
        "apis/core.libopenstorage.org/v1/storageclusters",
    ]


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (["discover"], []),
        (["issue", "kubernetes"], ["api/v1/namespaces/px/secrets/px-k8s-user"]),
        (
            ["issue", "kubernetes", "--sub=mine"],
            ["api/v1/namespaces/px/secrets/px-k8s-user", "api/v1/secrets"],
        ),
        (["verify"], ["api/v1/namespaces/px/secrets/px-k8s-user"]),
    ],
    ids=["discover", "issue", "issue --sub", "verify"],
)
def test_it_asks_for_everything_at_once(
    site: Site, own_plane: ControlPlane, command: list[str], more: list[str]
) -> None:
    """No answer comes before all have been asked for."""
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(args=["-jwt_issuer", "px.example"])
    if command == ["verify"]:
        assert site.pxauth("issue", "kubernetes").code == 0
    paths = [
        "api/v1/namespaces/kube-system/secrets/px-shared-secret",
        "api/v1/namespaces/kube-system/secrets/pxkeys",
        "apis/apps/v1/daemonsets",
        f"apis/{GROUP}/v1/storageclusters",
        *more,
    ]
    gate = Gate(len(paths))
    with FaultProxy(own_plane) as proxy:
        proxy.spoil(gate, method="GET", times=len(paths))
        done = proxy.shell(site).pxauth(*command)
        assert done.code == 0, done.err
    assert {path.removeprefix("/") for path in gate.waiting} == set(paths)


def test_people_read_it_in_80_columns(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    security = self_signed(issuer=f"a-long-name.{'x' * 60}.example")
    site.storage_cluster("px/cluster", security=security)
    discover = ("discover", "--as", "nobody", "--as-group", "system:masters")
    done = site.pxauth(*discover)
    assert done.out.splitlines()[:2] == [
        "Shared secret:     Secret px/px-shared-secret, key shared-secret",
        "                   StorageCluster px/cluster spec.security, by default",
    ]
    assert "Not read" not in done.out
    narrow = site.with_environment(COLUMNS="80")
    _, shown = run_on_terminal(narrow, "pxauth", *discover)
    assert max(map(len, shown.splitlines())) <= 80


def test_yaml_is_the_same(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.storage_cluster("px/cluster", security={"enabled": True})
    assert yaml.safe_load(site.pxauth("discover", "-o", "yaml").out) == site.discover()


def test_verify_asks_the_cluster_for_the_user_name_claim(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(args=["-jwt_issuer", "px.example", "-username_claim", "email"])
    site.pxauth("issue", "kubernetes", "-n", "px")
    done = site.pxauth("verify")
    assert done.code == 0
    assert 'px-k8s-user.px@px.example", from email' in done.out
    assert ", from name" in site.pxauth("verify", "--username-claim", "name").out


def test_a_user_is_whom_portworx_takes_for_one(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    env = [from_secret(SECRET_VARIABLE, "pxkeys")]
    site.daemon_set(args=["-jwt_issuer", "px.example", "-username_claim", "email"], env=env)
    issue, team = ("issue", "kubernetes"), ("--email", "team@example.com")
    assert site.pxauth(*issue, "-n", "px", *team).code == 0
    said = site.refused(*issue, "-n", "other", *team).err
    assert 'the email "team@example.com" is that of Secret px/px-k8s-user already' in said
    said = site.refused(*issue, "-n", "other", "-n", "portworx", *team).err
    assert '2 namespaces would share the email "team@example.com"' in said
    assert site.pxauth(*issue, "-n", "px", *team).code == 0  # its own, again
    assert site.pxauth(*issue, "-n", "other", *team, "--allow-shared-subject").code == 0
    items = json.loads(site.pxauth("list", "-A", "-o", "json").out)["items"]
    assert [item["status"] for item in items] == ["duplicate subject", "duplicate subject"]


def test_a_key_that_only_the_nodes_have_leaves_the_verdict_open(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(args=["-jwt_issuer", "px.example", "-jwt_ecds_pubkey_file", "/etc/pwx/key"])
    (site.home / "key.pem").write_bytes(private(ec_key()))
    (site.home / "public.pem").write_bytes(pem(ec_key()))
    site.pxauth("issue", "kubernetes", "--ecdsa-private-keyfile", "key.pem")
    said = site.refused("verify").err
    assert "with a key that is not at hand (DaemonSet kube-system/portworx container" in said
    assert "-jwt_ecds_pubkey_file /etc/pwx/key)" in said
    assert json.loads(site.pxauth("inspect", "-o", "json").out)["accepted"] is None
    assert site.pxauth("verify", "--ecdsa-public-keyfile", "public.pem").code == 0
    said = site.refused("issue", "kubernetes").err
    assert "Portworx verifies with a public key" in said
    assert "; not used: Secret kube-system/pxkeys:shared-secret\n" in said


def test_a_secret_that_the_user_names_says_which_issuer_is_usual(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("px/key")
    for secret, issuer in (("px-shared-secret", "operator.portworx.io"), ("key", "portworx.com")):
        flag = ("--shared-secret-from", f"px/{secret}")
        assert site.signs_with(OURS, issuer, *flag) == ""
        site.takes(issuer, *flag)
        site.done("delete", "secret", "px-k8s-user", "-n", "px")


def test_a_daemon_set_beside_the_secret_that_the_user_names_is_believed(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys", OTHERS)
    site.lay_secret("other/key")
    site.daemon_set("other", ["-jwt_issuer", "px.example", "-username_claim", "email"])
    flag = ("--shared-secret-from", "other/key")
    assert site.signs_with(OURS, "px.example", *flag) == ""
    site.takes("px.example", *flag)
    assert "from email" in site.pxauth("verify", *flag).out


def test_a_secret_that_a_strangers_daemon_set_hides_stops_nobody(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.lay_secret("other/hidden", OTHERS)
    site.daemon_set("other", env=[from_secret(SECRET_VARIABLE, "hidden")])
    site.allow("reader", "kube-system", "get", "secrets/pxkeys")
    with site.everywhere("reader", "daemonsets.apps", f"storageclusters.{GROUP}"):
        for secret in ("hidden", "nowhere"):
            said = site.signs_with(OURS, "portworx.com", "--as", "reader")
            assert "DaemonSet other/portworx may be anybody's" in said, secret
            site.done("delete", "daemonset", "portworx", "-n", "other")
            site.daemon_set("other", env=[from_secret(SECRET_VARIABLE, "nowhere")])


def test_a_daemon_set_of_another_name_is_not_portworx(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    env = [variable(SECRET_VARIABLE, OTHERS.decode())]
    site.daemon_set(args=["-jwt_issuer", "other.example"], env=env, name="portworx-api")
    assert site.discover()["sharedSecret"]["statedBy"] == "by its name"
    assert site.signs_with(OURS, "portworx.com") == ""


def test_a_refusal_that_is_not_of_rbacs_words_has_no_hint(tmp_path: Path) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"kind": "Status", "status": "Failure", "message": "closed", "code": 403}'
            self.send_response(403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        said = Shell("px", tmp_path).refused("token", "kubernetes", "--server", there).err
        server.shutdown()
    assert "hint: name the Secret that holds it: --shared-secret-from" in said


@pytest.mark.parametrize(
    ("value", "issuer"),
    [
        ("$(KEY)", "$(NAME).$(DOMAIN)"),
        (OURS.decode().replace("secret", "$(WORD)"), "px.$(DOMAIN)"),
    ],
)
def test_variables_of_a_daemon_set_are_made_of_others(site: Site, value: str, issuer: str) -> None:
    site.lay_secret("kube-system/keys")
    site.daemon_set(
        env=[
            from_secret("KEY", "keys"),
            variable("WORD", "secret"),
            variable("NAME", "px"),
            variable("DOMAIN", "example"),
            variable(SECRET_VARIABLE, value),
            variable(ISSUER_VARIABLE, issuer),
        ]
    )
    assert site.signs_with(OURS, "px.example") == ""


@pytest.mark.parametrize(
    "content",
    [
        {"env_from": [{"secretRef": {"name": "variables"}}]},
        {"env": [variable(SECRET_VARIABLE, "$(KEY)"), variable("KEY", OTHERS.decode())]},
        {"env": [from_secret("KEY", "other"), variable(SECRET_VARIABLE, "never-shown $(KEY)")]},
        {"args": ["-jwt_shared_secret", "$(KEY)"]},
    ],
)
def test_a_key_that_is_not_seen_in_a_daemon_set(site: Site, content: dict[str, Any]) -> None:
    site.lay_secret("kube-system/pxkeys")
    issuer = {"args": [*content.get("args", []), "-jwt_issuer", "px.example"]}
    site.daemon_set(**content | issuer)
    says = "DaemonSet kube-system/portworx has variables that are not seen here"
    said = site.signs_with(OURS, "px.example")
    assert said.startswith(f"warning: {says}")
    assert ", so its key may be another: " in said
    found = json.loads(site.pxauth("doctor", "-o", "json").out)["findings"]
    assert [one for one in found if one["message"].startswith(says)]
    pxkeys = ("--shared-secret-from", "pxkeys")
    assert site.signs_with(OURS, "px.example", *pxkeys) == ""


def test_a_daemon_set_that_says_key_and_issuer_beside_what_is_not_seen(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(
        args=["-jwt_issuer", "px.example"],
        env=[from_secret(SECRET_VARIABLE, "pxkeys"), variable("PWX", "$(HOST_IP)")],
        env_from=[{"configMapRef": {"name": "proxy"}}],
    )
    assert site.signs_with(OURS, "px.example") == ""

"""`kubectl pxauth doctor`, in clusters that are well, and that are ill in each way it knows."""

import json
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.run import ControlPlane
from kubectl_pxauth.cluster.applied import Applied
from kubectl_pxauth.portworx.job_objects import scope_of
from kubectl_pxauth.portworx.renewal_job import CRON_JOB, job_name
from tests.conftest import claims_of, forge
from tests.patient import (
    Patient,
    Said,
    bare,
    claim,
    patient,
    plane_arguments,
    storage_class,
    token,
    without,
)
from tests.portworx_site import (
    GROUP,
    ISSUER_VARIABLE,
    OPERATOR,
    OTHERS,
    OURS,
    SECRET_VARIABLE,
    csi,
    fingerprint,
    from_secret,
    variable,
)
from tests.terminal import run_on_terminal
from tests.token.odd_tokens import ec_key, pem

pytestmark = pytest.mark.xdist_group("doctor")

__all__ = ["bare", "patient", "plane_arguments"]  # fixtures

DAEMON_SET = "DaemonSet kube-system/portworx container portworx"
OLD_JOB = Path(__file__).with_name("job_of_0_1_0.yaml").read_text()
IS_PENDING = "is Pending: StorageClass"


def test_a_cluster_that_is_well(patient: Patient, own_plane: ControlPlane) -> None:
    done = patient.pxauth("doctor")
    assert (done.code, done.err) == (0, "")
    version, *lines = done.out.splitlines()
    assert version.startswith("ok       server    v1.")
    assert version.endswith(f" at {own_plane.server}")
    ends = next(line for line in lines if " tokens " in line)
    assert ends.startswith(
        "ok       tokens    1 valid; the first to end is Secret px/px-k8s-user, 2"
    )
    assert ends.endswith(" UTC, in 364 days")
    lines.remove(ends)
    assert lines == [
        "ok       rights    you may issue, list -A, renew -A, keys create, keys rotate,"
        " storageclass, context create, schedule",
        f'ok       key       Secret kube-system/pxkeys key "shared-secret", {len(OURS)} bytes,'
        f" fingerprint {fingerprint(OURS)}, named by {DAEMON_SET} env {SECRET_VARIABLE}",
        f'ok       issuer    "portworx.com", named by {DAEMON_SET} -jwt_issuer',
        "ok       portworx  takes this key when it starts",
        "ok       subjects  each token has its own sub",
        "ok       job       no job renews tokens, so you have to: kubectl pxauth renew -A",
        "ok       classes   StorageClass px-sc: Secret px/px-k8s-user",
        "ok       claims    none is Pending because of a token",
    ]


def test_monitoring_reads_the_same(patient: Patient) -> None:
    patient.lay(token("px/late", forge(claims_of("late", days=10, age_days=11), OURS)))
    lines = patient.pxauth("doctor")
    done = patient.pxauth("doctor", "-o", "json")
    assert lines.code == done.code == 1
    found = json.loads(done.out)
    assert list(found) == ["healthy", "findings"]
    assert all(list(one) == ["severity", "check", "message", "hint"] for one in found["findings"])
    expected = []
    for one in found["findings"]:
        expected.append(f"{one['severity']:<8} {one['check']:<9} {one['message']}")
        expected += [f"{'':19}{one['hint']}"] if one["hint"] else []
    assert lines.out.splitlines() == expected
    assert yaml.safe_load(patient.pxauth("doctor", "-o", "yaml").out) == found


def test_nothing_is_written(patient: Patient, own_plane: ControlPlane) -> None:
    kubeconfig = own_plane.kubeconfig("house", namespace="px")
    patient.lay(storage_class("ill", csi("px", "not-there")), claim("px/ill", "ill"))
    patient.with_environment(KUBECONFIG=str(kubeconfig)).pxauth("doctor")
    assert own_plane.audit_log
    events = [json.loads(line) for line in own_plane.audit_log.read_text().splitlines()]
    done = {
        (event["verb"], event["objectRef"]["resource"] if "objectRef" in event else "version")
        for event in events
        if event["user"]["username"] == "house"
    }
    assert ("list", "persistentvolumeclaims") in done
    assert {what for what in done if what[0] not in ("get", "list")} == {
        ("create", "selfsubjectaccessreviews")
    }


def test_a_server_that_is_not_there_is_all_that_is_said(patient: Patient) -> None:
    done = patient.pxauth("doctor", "-s", "https://127.0.0.1:1")
    assert (done.code, done.err) == (1, "")
    assert done.out == (
        "problem  server    the server https://127.0.0.1:1 can't be reached: Connection refused\n"
        "                   `kubectl --server https://127.0.0.1:1 cluster-info` asks the same"
        " server\n"
    )


def test_so_are_credentials_that_it_refuses(patient: Patient, own_plane: ControlPlane) -> None:
    nobody = replace(patient, environment={})
    server = ("-s", own_plane.server, "--certificate-authority", str(own_plane.ca_file))
    (said,) = nobody.doctor(*server, "--token", "none", code=1)
    assert said.kind == "problem server"
    assert said.message.endswith("does not accept the credentials: Unauthorized")
    assert said.hint
    assert said.hint.startswith("log in again")


def test_a_kubeconfig_that_is_none_is_an_error_as_with_any_command(patient: Patient) -> None:
    assert 'context "none"' in patient.refused("doctor", "--context", "none").err
    patient.refused("doctor", "--within", "soon", code=2)


def test_a_terminal_gets_colours_unless_it_wants_none(patient: Patient) -> None:
    for variables, colour in (({}, "\x1b[32mok      \x1b[0m server"), ({"NO_COLOR": "1"}, "")):
        done, text = run_on_terminal(patient.with_environment(**variables), "pxauth", "doctor")
        assert done.code == 0, done.err
        assert text.startswith(colour or "ok       server")
        assert ("\x1b" in text) is bool(colour)


def test_who_may_nothing_is_warned_and_told_how_to_ask(patient: Patient) -> None:
    found = patient.doctor("--as", "nobody")
    assert {one.kind for one in found if not one.kind.startswith("warning ")} == {"ok server"}
    said = {one.message: one.hint for one in found if one.kind == "warning rights"}
    assert said["you can't run `list -A`: you may not list secrets in all namespaces"] == (
        'ask for a ClusterRole with rules [{"apiGroups": [""], "resources": ["secrets"],'
        ' "verbs": ["list"]}]'
    )
    issue = (
        'you can\'t run `issue`: you may not get, patch secrets/px-k8s-user in namespace "px";'
        ' create secrets in namespace "px"'
    )
    assert str(said[issue]).startswith('ask for a Role in namespace "px" with rules [')
    checks = [one.kind.partition(" ")[2] for one in found if one.kind != "warning rights"]
    assert checks == ["server", "key", "issuer", "portworx", "tokens", "job", "classes"]
    by_check = {one.kind: one for one in found}
    assert by_check["warning key"].message.startswith("no shared secret was found: user")
    assert by_check["warning portworx"].message.startswith(
        "not checked: you may not list StorageClusters in all namespaces"
    )
    assert by_check["warning classes"].hint == (
        "kubectl --as nobody auth can-i list storageclasses.storage.k8s.io"
    )


@pytest.mark.parametrize("reads_key", [True, False])
def test_rights_are_asked_where_the_key_is(patient: Patient, reads_key: bool) -> None:
    """The job goes to the namespace of the key, so its maker needs no right in kube-system."""
    patient.remove("daemonset", "portworx", "-n", "kube-system")
    patient.lay_secret("green/px-shared-secret")
    patient.storage_cluster("green/cluster", taken_up=True, security={"enabled": True})
    readable = ["storageclusters", "daemonsets", *(["secrets"] if reads_key else [])]
    try:
        with patient.everywhere("asker", *readable):
            done = patient.pxauth("doctor", "-o", "json", "--as", "asker")
    finally:
        patient.release_storage_clusters()
    found = json.loads(done.out)["findings"]
    (said,) = (one for one in found if one["message"].startswith("you can't run `schedule`"))
    assert 'a Role in namespace "green" with rules' in said["hint"]
    assert "kube-system" not in f"{said['message']} {said['hint']}"


def test_the_roles_that_it_names_grant_what_is_missing(patient: Patient) -> None:
    lacking = [one for one in patient.doctor("--as", "asker") if one.kind == "warning rights"]
    assert len(lacking) >= 7
    found = re.findall(
        r'(ClusterRole|Role)(?: in namespace "([^"]+)")? with rules (\[.*?\}\])',
        "\n".join(str(one.hint) for one in lacking),
    )
    user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "asker"}
    for number, (kind, namespace, rules) in enumerate(found):
        metadata = {"name": f"asker-{number}"} | ({"namespace": namespace} if namespace else {})
        whole = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
        role = {"apiGroup": user["apiGroup"], "kind": kind, "name": metadata["name"]}
        patient.lay(
            whole | {"kind": kind, "rules": json.loads(rules)},
            whole | {"kind": f"{kind}Binding", "roleRef": role, "subjects": [user]},
        )
    after = [one for one in patient.doctor("--as", "asker") if one.kind.endswith(" rights")]
    assert [one.kind for one in after] == ["ok rights"]


def test_every_question_that_it_tells_to_ask_is_one(patient: Patient) -> None:
    with patient.everywhere("nobody", "pods"):
        hints = {one.hint for one in patient.doctor("--as", "nobody") if one.hint}
    questions = [hint for hint in hints if hint.startswith("kubectl --as nobody auth can-i ")]
    assert len(questions) >= 3
    for question in questions:
        asked = patient.kubectl(*question.partition(";")[0].split()[1:])  # what else may help
        assert asked.out == "no\n", asked.err


def test_who_may_read_one_namespace_gets_that_one_checked(patient: Patient) -> None:
    patient.allow("tenant", "px", "list", "secrets")
    patient.lay(token("px/late", forge(claims_of("late", days=10, age_days=11), OURS)))
    found = patient.doctor("--as", "tenant", code=1)
    tokens = [one for one in found if one.kind.endswith(" tokens")]
    assert [one.kind for one in tokens] == ["warning tokens", "problem tokens", "warning tokens"]
    assert tokens[0].message == (
        'not all are checked: user "tenant" may not list Secrets in all namespaces: verb "list" on'
        ' resource "secrets" in all namespaces is forbidden'
    )
    assert tokens[1].message.startswith("Secret px/late: expiry: expired: ")
    assert tokens[2].message.endswith("but their signatures could not be checked")


def test_a_user_without_claims_has_the_rest_checked(patient: Patient) -> None:
    patient.lay(storage_class("tenants", csi("${pvc.namespace}")), claim("red/a", "tenants"))
    kinds = ("secrets", "daemonsets.apps", f"storageclusters.{GROUP}", "storageclasses")
    with patient.everywhere("monitor", *kinds):
        found = {one.kind: one for one in patient.doctor("--as", "monitor")}
    assert "ok key" in found
    assert "ok tokens" in found
    assert found["warning claims"].message.startswith(
        'not checked: user "monitor" may not list PersistentVolumeClaims:'
    )
    assert found["warning claims"].hint == (
        "kubectl --as monitor auth can-i list persistentvolumeclaims -A"
    )
    assert found["ok classes"].message == (
        "StorageClass tenants: Secret ${pvc.namespace}/px-k8s-user; claims use none of these"
    )


def test_a_cluster_without_portworx(bare: Patient) -> None:
    found = {one.kind: one for one in bare.doctor()}
    assert set(found) == {"ok server", "ok rights", "warning portworx", "ok classes"}
    assert found["warning portworx"].message == (
        "there is no StorageCluster, no DaemonSet named portworx, and no shared secret"
    )
    assert found["ok classes"].message == "no StorageClass is Portworx's"


def test_a_class_that_names_no_secret_where_nothing_is_known_of_security(bare: Patient) -> None:
    bare.lay(storage_class("bare", {}), claim("px/bare", "bare"))
    kinds = [one.kind for one in bare.doctor()]
    assert "ok classes" in kinds
    assert not {"problem classes", "warning classes", "problem claims"} & set(kinds)
    bare.lay_secret("kube-system/pxkeys")
    kinds = [one.kind for one in bare.doctor(code=1)]
    assert {"problem classes", "problem claims"} <= set(kinds)


def test_a_server_that_keeps_its_version_to_itself(patient: Patient) -> None:
    """All else is looked at."""
    bindings = ("clusterrolebinding", "system:public-info-viewer", "system:discovery")
    saved = patient.done("get", *bindings, "-o", "json")
    kinds = ("secrets", "daemonsets.apps", f"storageclusters.{GROUP}", "storageclasses")
    patient.remove(*bindings)
    try:
        with patient.everywhere("shy", *kinds, "persistentvolumeclaims"):
            found = {one.kind: one for one in patient.doctor("--as", "shy")}
    finally:
        patient.done("create", "-f", "-", stdin=without_versions(json.loads(saved)))
    assert found.pop("warning server").message.startswith("not checked: ")
    assert {"ok key", "ok issuer", "ok portworx", "ok tokens", "ok classes"} <= set(found)


def without_versions(items: dict[str, Any]) -> dict[str, Any]:
    """A list of objects that can be made again."""
    for item in items["items"]:
        del item["metadata"]["resourceVersion"], item["metadata"]["uid"]
    return items


def test_a_key_that_is_named_and_not_there(patient: Patient) -> None:
    patient.remove("secret", "pxkeys", "-n", "kube-system")
    found = patient.doctor(code=1)
    (said,) = (one for one in found if one.kind == "problem key")
    assert said.message == (
        f"{DAEMON_SET} env {SECRET_VARIABLE}: Secret kube-system/pxkeys not found"
    )
    made = "make the first keys: kubectl pxauth keys create"
    assert said.hint == f"{made}; or restore the Secret, if it was deleted"
    kinds = [one.kind for one in found]
    assert "ok issuer" in kinds
    assert "warning tokens" in kinds


@pytest.mark.parametrize(
    ("key", "odd"), [(b"never-shown: short", "has 18 bytes"), (OURS + b"\n", "ends in a newline")]
)
def test_a_key_that_is_odd(patient: Patient, key: bytes, odd: str) -> None:
    patient.remove("secrets", "--all", "-n", "kube-system")
    patient.lay_secret("kube-system/pxkeys", key)
    patient.done("delete", "secrets", "--all", "-n", "px")
    patient.lay(token("px/px-k8s-user", forge(claims_of("user"), key)))
    said = patient.ill("warning key")
    assert odd in said.message
    assert said.hint
    assert "kubectl pxauth keys rotate" in said.hint


def test_two_keys(patient: Patient) -> None:
    patient.lay_secret("px/px-shared-secret", OTHERS)
    patient.storage_cluster("px/cluster", security={"enabled": True})
    found = {one.kind: one for one in patient.doctor(code=1)}
    assert "the cluster names different shared secrets" in found["problem key"].message
    assert "the cluster names different issuers" in found["problem issuer"].message
    assert found["problem issuer"].hint == (
        "choose one with --issuer, or the Portworx that is meant with --portworx-namespace"
    )


def test_two_issuers_are_one_problem_and_the_key_is_none(patient: Patient) -> None:
    patient.restarted(
        args=["-jwt_issuer", "a.example"],
        env=[from_secret(SECRET_VARIABLE, "pxkeys"), variable(ISSUER_VARIABLE, "b.example")],
    )
    said = patient.ill("problem issuer")
    assert f'"a.example" ({DAEMON_SET} -jwt_issuer)' in said.message
    assert f'"b.example" ({DAEMON_SET} env {ISSUER_VARIABLE})' in said.message


def test_an_issuer_that_is_given(patient: Patient) -> None:
    assert patient.doctor("--issuer", "portworx.com")
    found = {one.kind: one for one in patient.doctor("--issuer", "mine.example", code=1)}
    assert found["problem issuer"] == Said(
        "problem issuer",
        f'"mine.example" is given, but "portworx.com" is what {DAEMON_SET} -jwt_issuer names',
        "leave out --issuer",
    )
    assert "problem tokens" in found
    patient.restarted(env=[from_secret(SECRET_VARIABLE, "pxkeys")])
    found = {one.kind: one for one in patient.doctor("--issuer", "portworx.com")}
    assert found["ok issuer"].message == '"portworx.com", as given; the cluster names none'


def test_an_issuer_that_nothing_names(patient: Patient) -> None:
    patient.restarted(env=[from_secret(SECRET_VARIABLE, "pxkeys")])
    said = patient.ill("warning issuer")
    assert said.message == '"portworx.com" by default, as nothing names it'


def test_a_key_that_portworx_does_not_have(patient: Patient) -> None:
    patient.lay_secret("px/other", OTHERS)
    found = {one.kind: one for one in patient.doctor("--shared-secret-from", "px/other", code=1)}
    assert found["problem portworx"].message == (
        f"{DAEMON_SET} env {SECRET_VARIABLE} takes kube-system/pxkeys:shared-secret, which is"
        ' another key than Secret px/other key "shared-secret"'
    )
    assert found["problem portworx"].hint
    assert found["problem portworx"].hint.startswith("leave out --shared-secret-from")
    assert found["ok key"].message.endswith(
        f"{len(OTHERS)} bytes, fingerprint {fingerprint(OTHERS)}, as given"
    )
    assert "problem tokens" in found


def test_a_key_that_is_given_and_is_portworxs(patient: Patient) -> None:
    (patient.home / "key").write_bytes(OURS)
    for flag, says in (
        (("--shared-secret-from", "pxkeys"), "takes this key"),
        (("--shared-secret-file", "key"), "takes kube-system/pxkeys:shared-secret, which is the"),
    ):
        found = {one.kind: one.message for one in patient.doctor(*flag)}
        assert says in found["ok portworx"]


def test_a_portworx_that_names_no_key(patient: Patient) -> None:
    patient.restarted(args=["-jwt_issuer", "portworx.com"])
    patient.lay(storage_class("bare", {}), claim("px/bare", "bare"))
    found = {one.kind: one for one in patient.doctor()}
    assert found["ok key"].message.endswith("found by its name")
    assert found["warning portworx"].message == ("what starts it names no key: is its security on?")
    assert "problem classes" not in found


def test_a_public_key_that_only_the_nodes_have(patient: Patient) -> None:
    patient.remove("secret", "pxkeys", "-n", "kube-system")
    patient.restarted(
        args=["-jwt_issuer", "portworx.com", "-jwt_ecds_pubkey_file", "/etc/pwx/key.pem"]
    )
    found = {one.kind: one for one in patient.doctor()}
    assert found["warning key"].hint
    assert "--ecdsa-public-keyfile verifies" in found["warning key"].hint
    assert found["ok portworx"].message.endswith("-jwt_ecds_pubkey_file /etc/pwx/key.pem")
    assert "signatures could not be checked" in found["warning tokens"].message
    (patient.home / "public.pem").write_bytes(pem(ec_key()))
    found = {
        one.kind: one for one in patient.doctor("--ecdsa-public-keyfile", "public.pem", code=1)
    }
    assert found["ok key"].message == "public, as given"
    assert "the cluster has no key for HS256" in found["problem tokens"].message
    assert found["problem tokens"].hint
    assert found["problem tokens"].hint.startswith("name its public key")


BAD_TOKENS = {
    "expired": (claims_of("a", days=10, age_days=11), "expiry: expired: ", "renew expired -n red"),
    "wrong-issuer": (
        claims_of("a", iss="other.com"),
        'issuer: "other.com"; the cluster trusts "portworx.com"',
        "renew wrong-issuer -n red",
    ),
    "invalid": (
        claims_of("a", email=7),
        "claims: email is a number, not text",
        "issue kubernetes --secret invalid -n red",
    ),
    "nobodys": (
        claims_of(""),
        "username: the cluster takes it from sub, which is empty",
        "issue kubernetes --secret nobodys -n red",
    ),
    "bad-signature": (
        claims_of("a"),
        "signature: not made with the cluster's key, or the token was changed",
        "renew bad-signature -n red --resign",
    ),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_token_that_portworx_refuses(patient: Patient, name: str) -> None:
    claims, says, remedy = BAD_TOKENS[name]
    key = OTHERS if name == "bad-signature" else OURS
    patient.lay(token(f"red/{name}", forge(claims, key)))
    said = patient.ill("problem tokens")
    assert said.message.startswith(f"Secret red/{name}: {says}")
    assert said.hint
    assert said.hint.endswith(f"kubectl pxauth {remedy}")


@pytest.mark.parametrize(
    "claims",
    [claims_of("late", days=10, age_days=11), claims_of(""), claims_of("a", email=7)],
    ids=["expired", "of nobody", "without email"],
)
def test_what_to_do_about_a_token_does_it(patient: Patient, claims: dict[str, Any]) -> None:
    patient.lay(token("red/late", forge(claims, OURS)))
    hint = patient.ill("problem tokens").hint
    assert hint
    patient.done(*hint.split()[1:])
    assert "problem tokens" not in {one.kind for one in patient.doctor()}


def test_the_operators_tokens_are_the_operators_to_mend(patient: Patient) -> None:
    soon = forge(claims_of("soon", days=1), OURS)
    patient.lay(token("px/px-admin-token", soon, ownerReferences=[OPERATOR]))
    (well,) = (one for one in patient.doctor() if one.kind.endswith(" tokens"))
    assert well.message.startswith("2 valid; the first to end is Secret px/px-k8s-user, ")
    late = forge(claims_of("late", days=10, age_days=11), OURS)
    patient.lay(token("px/px-user-token", late, ownerReferences=[OPERATOR]))
    assert patient.ill("problem tokens").hint == (
        "the Portworx operator keeps it (StorageCluster px-cluster): see its log"
    )


def test_a_token_that_ends_soon(patient: Patient) -> None:
    patient.lay(token("red/soon", forge(claims_of("soon", days=60, age_days=41), OURS)))
    said = patient.ill("warning tokens")
    assert said.message.startswith("Secret red/soon: ends 20")
    assert said.message.endswith(" UTC, in 18 days")
    assert said.hint == "kubectl pxauth renew soon -n red"
    found = {one.kind: one.message for one in patient.doctor("--within", "7d")}
    assert "warning tokens" not in found
    assert found["ok tokens"].startswith("2 valid; the first to end is Secret red/soon, ")


def test_a_token_with_a_newline(patient: Patient) -> None:
    patient.lay(token("red/line", forge(claims_of("line"), OURS) + "\n"))
    said = patient.ill("warning tokens")
    assert said.message == "Secret red/line: white space around it, which gRPC may refuse"
    assert said.hint
    patient.done(*said.hint.split()[1:])
    assert "warning tokens" not in {one.kind for one in patient.doctor()}


def test_many_bad_tokens_are_counted(patient: Patient) -> None:
    late = (claims_of(f"late-{i}", days=10, age_days=11) for i in range(13))
    patient.lay(*(token(f"red/t{i}", forge(claims, OURS)) for i, claims in enumerate(late)))
    said = [one for one in patient.doctor(code=1) if one.kind == "problem tokens"]
    assert len(said) == 11
    assert said[-1] == Said("problem tokens", "3 more of this kind", "kubectl pxauth list -A")


def test_tokens_that_share_a_user(patient: Patient) -> None:
    late = forge(claims_of("shared", days=40, age_days=1), OURS)
    patient.lay(
        token("red/one", forge(claims_of("shared"), OURS)),
        *(token(f"green/{name}", late) for name in ("a", "b", "c")),
    )
    said = patient.ill("problem subjects")
    assert said.message == (
        'one user for all volumes, sub "shared": Secret green/a, Secret green/b, Secret green/c'
        " and 1 more"
    )
    assert said.hint
    assert "--change-identity" in said.hint


@pytest.mark.parametrize("name", ["px-user-token", "another-name-of-the-operators"])
def test_copies_of_the_operators_token_are_a_warning(patient: Patient, name: str) -> None:
    """The Portworx docs tell users to make them; to change their user would cost the volumes."""
    address = f"{name}@portworx.com"
    theirs = forge(claims_of(address, days=40, name=name, email=address), OURS)
    patient.lay(token("px/px-user-token", theirs, ownerReferences=[OPERATOR]))
    patient.lay(*(token(f"{space}/px-user-token", theirs) for space in ("red", "green")))
    said = patient.ill("warning subjects")
    assert said.message.endswith("copies of the operator's token")
    assert said.hint is None
    assert "problem subjects" not in {one.kind for one in patient.doctor()}


@pytest.mark.parametrize(
    ("mark", "tool"),
    [
        ({"reflector.v1.k8s.emberstack.com/reflects": "px/px-k8s-user"}, "Reflector"),
        ({"replicator.v1.mittwald.de/replicated-at": "2026-01-01"}, "kubernetes-replicator"),
        ({"kubed.appscode.com/origin.name": "px-k8s-user"}, "Config Syncer"),
    ],
)
def test_copies_that_a_tool_makes_are_a_warning(
    patient: Patient, mark: dict[str, str], tool: str
) -> None:
    shared = forge(claims_of("shared", days=40), OURS)
    patient.lay(token("px/original", shared))
    patient.lay(*(token(f"{space}/copy", shared, annotations=mark) for space in ("red", "green")))
    said = patient.ill("warning subjects")
    assert f": copies that {tool}" in said.message
    assert said.hint is None
    # Two that nobody copied have one user all the same.
    patient.lay(token("px/another", shared))
    assert "--change-identity" in str(patient.ill("problem subjects").hint)


def test_a_forged_user_is_no_second_one(patient: Patient) -> None:
    patient.lay(
        token("red/real", forge(claims_of("alice"), OURS)),
        token("green/forged", forge(claims_of("alice"), OTHERS)),
    )
    assert "ok subjects" in {one.kind for one in patient.doctor(code=1)}


def test_a_user_is_whom_portworx_takes_for_one(patient: Patient) -> None:
    patient.lay(token("red/x", forge(claims_of("other", name="name of px/px-k8s-user"), OURS)))
    assert "ok subjects" in {one.kind for one in patient.doctor()}
    said = patient.ill("problem subjects", "--username-claim", "name")
    assert 'name "name of px/px-k8s-user"' in said.message


def test_a_class_without_a_secret(patient: Patient) -> None:
    patient.lay(storage_class("bare", {"repl": "2"}))
    said = patient.ill("problem classes")
    assert said.message == (
        "StorageClass bare names no Secret: its volumes are asked for without a token"
    )
    assert said.hint
    assert "kubectl pxauth storageclass bare -n NAMESPACE" in said.hint
    patient.lay(claim("px/bare", "bare"))
    found = {one.kind: one.message for one in patient.doctor(code=1)}
    assert found["problem claims"] == (
        f"PersistentVolumeClaim px/bare {IS_PENDING} bare names no Secret"
    )


def test_the_operators_classes_are_worth_one_warning(patient: Patient) -> None:
    in_tree = {"provisioner": "kubernetes.io/portworx-volume"}
    patient.lay(
        storage_class("px-csi-db", {}),
        storage_class("px-replicated-encrypted", {}, **in_tree),
    )
    said = patient.ill("warning classes")
    assert said.message == (
        "the operator's StorageClasses px-csi-db, px-replicated-encrypted name no Secret: their"
        " volumes are asked for as a guest"
    )
    patient.lay(claim("px/guest", "px-csi-db"))
    assert "warning claims" in {one.kind for one in patient.doctor()}


@pytest.mark.parametrize(
    ("access", "severity", "ends"),
    [
        (None, "ok", "and guests are let in"),
        ("Enabled", "ok", "and guests are let in"),
        ("Managed", "warning", "as a guest"),
        ("Disabled", "warning", "and spec.security.auth.guestAccess turns guests away"),
    ],
)
def test_the_operators_classes_by_its_guests(
    patient: Patient, access: str | None, severity: str, ends: str
) -> None:
    patient.remove("daemonset", "portworx", "-n", "kube-system")
    auth = {"selfSigned": {"sharedSecret": "px-keys"}, "guestAccess": access}
    patient.storage_cluster("px/cluster", security={"enabled": True, "auth": auth})
    patient.lay(storage_class("px-csi-db", {}), claim("px/guest", "px-csi-db"))
    found = patient.pxauth("doctor", "-o", "json")
    says = [one for one in json.loads(found.out)["findings"] if "px-csi-db" in one["message"]]
    classes = next(one for one in says if one["check"] == "classes")
    assert classes["severity"] == severity
    assert classes["message"].endswith(ends)
    assert ("claims" in {one["check"] for one in says}) is (severity == "warning")


def test_a_class_with_a_pair_missing(patient: Patient) -> None:
    patient.lay(storage_class("half", without(csi("px"), "publish-secret-name")))
    assert patient.ill("problem classes").message == (
        "StorageClass half has no parameter csi.storage.k8s.io/node-publish-secret-name"
    )


def test_a_class_that_can_not_grow_needs_no_secret_to_grow_with(patient: Patient) -> None:
    keys = ("expand-secret-name", "expand-secret-namespace")
    patient.lay(storage_class("small", without(csi("px"), *keys), allowVolumeExpansion=False))
    assert all(one.kind.startswith("ok ") for one in patient.doctor())
    patient.done("patch", "storageclass", "small", "-p", '{"allowVolumeExpansion": true}')
    assert patient.ill("problem classes").message == (
        "StorageClass small has no parameter csi.storage.k8s.io/controller-expand-secret-name and"
        " no csi.storage.k8s.io/controller-expand-secret-namespace: volumes grow without a token"
    )


def test_a_class_and_a_claim_whose_secret_is_not_there(patient: Patient) -> None:
    patient.lay(
        storage_class("gone", csi("px", "not-there")),
        claim("red/a", "gone"),
        claim("red/b", "gone"),
    )
    bound = ("patch", "pvc", "b", "-n", "red", "--subresource=status", "-p")
    patient.done(*bound, '{"status": {"phase": "Bound"}}')
    found = patient.doctor(code=1)
    hint = "kubectl pxauth issue kubernetes --secret not-there -n px"
    says = "Secret px/not-there does not exist"
    assert [one for one in found if one.kind.startswith("problem ")] == [
        Said("problem classes", f"StorageClass gone: {says}", hint),
        Said("problem claims", f"PersistentVolumeClaim red/a {IS_PENDING} gone: {says}", hint),
    ]
    patient.done(*hint.split()[1:])
    assert patient.doctor()


def test_a_class_whose_secret_has_no_good_token(patient: Patient) -> None:
    late = forge(claims_of("late", days=10, age_days=11), OURS)
    patient.done("create", "secret", "generic", "empty", "-n", "px", "--from-literal=token=x")
    patient.lay(
        token("px/late", late),
        token("px/text", "no token"),
        *(storage_class(f"{name}-sc", csi("px", name)) for name in ("empty", "late", "text")),
    )
    said = {
        one.message.partition(": ")[0]: one
        for one in patient.doctor(code=1)
        if one.kind == "problem classes"
    }
    assert said["StorageClass empty-sc"].message.endswith(
        'Secret px/empty has no token: it has no key "auth-token"; its keys: token'
    )
    assert ": Secret px/late holds no valid token: expiry: " in said["StorageClass late-sc"].message
    assert said["StorageClass late-sc"].hint == "kubectl pxauth renew late -n px"
    assert "Secret px/text holds no valid token: format: " in said["StorageClass text-sc"].message


def test_a_class_of_the_old_provisioner(patient: Patient) -> None:
    pair = {
        f"openstorage.io/auth-secret-{part}": value
        for part, value in (("name", "px-k8s-user"), ("namespace", "px"))
    }
    in_tree = {"provisioner": "kubernetes.io/portworx-volume"}
    pair["openstorage.io/auth-secret-name"] = "px-user-token"
    patient.lay(token("px/px-user-token"), storage_class("old", pair, **in_tree))
    assert "StorageClass old: Secret px/px-user-token" in [one.message for one in patient.doctor()]
    patient.lay(storage_class("older", without(pair, "namespace"), **in_tree))
    assert patient.ill("problem classes").message == (
        "StorageClass older has no parameter openstorage.io/auth-secret-namespace"
    )


def test_tenants_need_a_secret_each_where_they_have_a_claim(patient: Patient) -> None:
    patient.lay(
        token("red/px-k8s-user"),
        storage_class("tenants", csi("${pvc.namespace}")),
        storage_class("by-name", csi("${pvc.namespace}", "${pvc.name}")),
        storage_class("unknown", csi("px", "${pvc.annotations['team']}")),
        claim("red/a", "tenants"),
        claim("red/b", "tenants"),
        claim("red/px-k8s-user", "by-name"),
        claim("red/c", "unknown", annotations={"team": "px-k8s-user"}),
    )
    found = [one.message for one in patient.doctor()]
    for line in (
        "StorageClass tenants: Secret ${pvc.namespace}/px-k8s-user; claims use 1 of these",
        "StorageClass by-name: Secret ${pvc.namespace}/${pvc.name}; claims use 1 of these",
    ):
        assert line in found
    older = {"annotations": {"volume.beta.kubernetes.io/storage-class": "tenants"}}
    patient.lay(claim("green/a", "", **older))
    hint = "kubectl pxauth issue kubernetes --secret px-k8s-user -n green"
    says = "Secret green/px-k8s-user does not exist"
    assert [one for one in patient.doctor(code=1) if one.kind.startswith("problem ")] == [
        Said("problem classes", f"StorageClass tenants, for a claim: {says}", hint),
        Said("problem claims", f"PersistentVolumeClaim green/a {IS_PENDING} tenants: {says}", hint),
    ]


def test_a_cluster_without_keys_is_told_what_comes_first(patient: Patient) -> None:
    patient.remove("secret", "pxkeys", "-n", "kube-system")
    patient.remove("secret", "px-k8s-user", "-n", "px")
    later = "once there is a key: kubectl pxauth issue kubernetes"
    hints = {one.kind: one.hint for one in patient.doctor(code=1)}
    assert hints["warning tokens"] == f"{later} -n NAMESPACE"
    assert hints["problem classes"] == f"{later} --secret px-k8s-user -n px"
    shown = patient.pxauth("status", "--namespace-selector", "kubernetes.io/metadata.name=red").out
    assert f"{later} -n NAMESPACE\n" in shown
    assert f"{later} --namespace-selector kubernetes.io/metadata.name=red" in shown
    for line in ("issue kubernetes", "token admin", "keys status", "schedule", "discover"):
        assert "\nhint: make the first keys: kubectl pxauth keys create; " in (
            patient.refused(*line.split()).err
        )
    none = patient.pxauth("list", "-A")
    assert (none.code, none.err) == (0, "No resources found.\n")
    patient.done("pxauth", "keys", "create")
    hints = {one.kind: one.hint for one in patient.doctor(code=1)}
    assert hints["warning tokens"] == "kubectl pxauth issue kubernetes -n NAMESPACE"


def test_keys_of_another_namespace_are_made_there(bare: Patient) -> None:
    bare.daemon_set(namespace="px", env=[from_secret(SECRET_VARIABLE, "pxkeys")])
    said = bare.refused("issue", "kubernetes", "--portworx-namespace", "px").err
    assert "make the first keys: kubectl pxauth keys create -n px; " in said


def test_a_secret_that_may_not_be_read_is_a_warning(patient: Patient) -> None:
    with patient.everywhere("lister", "storageclasses", "persistentvolumeclaims"):
        found = {one.kind: one for one in patient.doctor("--as", "lister")}
    assert found["warning classes"].message.startswith(
        'StorageClass px-sc: not checked: user "lister" may not get Secret px/px-k8s-user'
    )
    assert found["warning claims"].message.startswith("PersistentVolumeClaim px/waits is Pending")


@pytest.fixture
def scheduled(patient: Patient) -> Iterator[Patient]:
    """A cluster that is well, with a job for the tokens of namespace px."""
    patient.scheduled("-n", "px")
    yield patient
    for scope in (["-n", "px"], ["-A"]):
        assert patient.pxauth("unschedule", *scope).code == 0
    patient.done("delete", "pods,jobs", "-A", "-l", "app.kubernetes.io/name=pxauth-renew")
    patient.done("delete", "cronjobs", "--all", "-n", "red")


JOB = "CronJob kube-system/pxauth-renew-px"
PLACES = ("px", "red")
LABELS = {"app.kubernetes.io/name": "pxauth-renew", "kubectl-pxauth/job": "pxauth-renew-px"}


def test_a_job_that_is_well(scheduled: Patient) -> None:
    (said,) = (one for one in scheduled.doctor() if one.kind.endswith(" job"))
    assert said.kind == "ok job"
    assert said.message.startswith(f"{JOB} renews the tokens of namespace px; last success none")
    assert said.message.endswith("03:00 UTC")


def test_cron_jobs_of_a_tenant_are_not_looked_at(scheduled: Patient) -> None:
    """Whatever they say: neither do they stop the doctor, nor stand for a job."""
    for number, arguments in enumerate((
        ["--shared-secret-from", "bad///:::"],
        ["--shared-secret-from", "red/x:y", "--selector", "!!odd,,"],
        ["--all-namespaces", "--shared-secret-from", "red/x:y"],
    )):  # fmt: skip
        container = {"name": "pxauth-renew", "image": "evil:1", "args": ["renew", *arguments]}
        pod = {"restartPolicy": "Never", "containers": [container]}
        metadata = {"name": f"mine-{number}", "namespace": "red", "labels": {
            "kubectl-pxauth/job": "pxauth-renew",
        }}  # fmt: skip
        job = {"template": {"spec": pod}}
        spec = {"schedule": "0 4 * * *", "jobTemplate": {"spec": job}}
        kind = {"apiVersion": "batch/v1", "kind": "CronJob"}
        scheduled.lay(kind | {"metadata": metadata, "spec": spec})
    said = scheduled.ill("warning job")
    names = ", ".join(f"CronJob red/mine-{number}" for number in range(3))
    assert said.message == f"ignored: {names}, with the labels of a job and without its rights"
    status = json.loads(scheduled.pxauth("status", "-o", "json").out)
    assert "mine-" not in json.dumps(status["jobs"])
    # One that has no right outside of its namespace may be theirs: it stops nobody either.
    odd = ["--namespace", "red", "--shared-secret-from", "red/x:y", "--selector", "!!odd,,"]
    container = {"name": "pxauth-renew", "image": "evil:1", "args": ["renew", *odd]}
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    metadata["name"], spec = "odd", {"schedule": "0 4 * * *", "jobTemplate": {"spec": job}}
    scheduled.lay(kind | {"metadata": metadata, "spec": spec})
    messages = [one.message for one in scheduled.doctor() if one.kind == "warning job"]
    assert any(text.startswith('CronJob red/odd: the label selector "!!odd') for text in messages)
    scheduled.remove("cronjobs", "--all", "-n", "red")


CONFINED = ["--namespace", "red", "--shared-secret-from", "red/x:y"]


def odd_job(schedule: str, *flags: str, issuing: list[str] | None = None) -> dict[str, Any]:
    """A CronJob of a tenant's that may be taken for one that only has rights in its namespace."""
    arguments = {"pxauth-renew": ["renew", *CONFINED, *flags]}
    if issuing is not None:
        arguments["pxauth-issue"] = issuing
    containers = [{"name": name, "image": "i", "args": args} for name, args in arguments.items()]
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}}
    labels = {"kubectl-pxauth/job": "pxauth-renew-red"}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "odd", "namespace": "red", "labels": labels},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": job}},
    }


@pytest.mark.parametrize(
    "job",
    [
        odd_job("0 3 * * *", "--within", "soon"),
        odd_job("0 3 29 2 */7"),
        odd_job("@every 2540400h"),
        odd_job("0 3 * * *", issuing=["--namespace-selector", "x"]),
        odd_job("0 3 * * *", issuing=["--namespace-selector"]),
    ],
)
def test_an_odd_job_of_a_tenant_stops_nobody(scheduled: Patient, job: dict[str, Any]) -> None:
    scheduled.lay(job, token("px/short", forge(claims_of("px/short", days=1), OURS)))
    found = json.loads(scheduled.pxauth("doctor", "-o", "json").out)["findings"]
    mine = [one["message"] for one in found if one["message"].startswith(JOB)]
    assert "the token in Secret px/short lives" in mine[0]
    done = scheduled.pxauth("schedule", "-n", "px")
    assert (done.code, done.err.count("the token in Secret px/short")) == (0, 1), done.err
    assert scheduled.pxauth("status").code in (3, 4)


def test_a_job_that_may_be_a_tenants_is_no_problem_of_the_clusters(scheduled: Patient) -> None:
    """Nor does what it says of its pods end the checks of the others."""
    job = odd_job("0 3 * * *")
    job["spec"]["jobTemplate"]["metadata"] = {"labels": {"kubectl-pxauth/job": "!!odd,,"}}
    scheduled.lay(job)
    found = {one.message.partition(" Service")[0]: one.kind for one in scheduled.doctor()}
    assert found["the job lacks"] == "warning job"
    assert any(message.startswith(f"{JOB} renews the tokens of namespace px") for message in found)
    assert scheduled.pxauth("status").code == 3


def test_tokens_that_no_job_comes_for(scheduled: Patient) -> None:
    scheduled.lay(token("red/a"), token("red/b"), token("green/a"))
    scheduled.lay(token("green/operators", ownerReferences=[OPERATOR]))
    said = scheduled.ill("warning job")
    assert said.message == "3 tokens are covered by no job, in namespaces green, red"
    assert said.hint == "kubectl pxauth schedule -A"
    scheduled.scheduled("-A", "-l", "renew=yes")
    assert scheduled.ill("warning job").message.startswith("3 tokens")
    scheduled.done("label", "secret", "a", "renew=yes", "-n", "red")
    assert scheduled.ill("warning job").message.startswith("2 tokens")
    scheduled.scheduled("-A", "-l", "")
    assert all(one.kind.startswith("ok") for one in scheduled.doctor())


def test_tokens_that_are_nobodys_of_the_job(scheduled: Patient) -> None:
    """Another product's, a provider's, Portworx' own applications': covered or not, for an hour."""
    issuers = ("other.example", "https://idp.example", "apps.portworx.io", "stork.openstorage.io")
    for number, issuer in enumerate(issuers):
        claims = claims_of(f"user-{number}", iss=issuer) | {"exp": int(time.time()) + 3600}
        scheduled.lay(*(token(f"{place}/a-{number}", forge(claims, OTHERS)) for place in PLACES))
    found = json.loads(scheduled.pxauth("doctor", "-o", "json").out)["findings"]
    assert {one["severity"] for one in found if one["check"] == "job"} == {"ok"}
    done = scheduled.pxauth("schedule", "-n", "px", "--image=i:1")
    assert (done.code, done.err) == (0, "")


def test_a_job_that_can_not_be_read(scheduled: Patient) -> None:
    """The scope is the job's, not the kubeconfig's; no command deletes another job."""
    scheduled.scheduled("-n", "red")
    argument = "/spec/jobTemplate/spec/template/spec/containers/0/args/2"
    odd = json.dumps([{"op": "replace", "path": argument, "value": "x; touch evil #"}])
    patch = ("patch", "cronjob", "pxauth-renew-red", "--type=json", "-p", odd)
    scheduled.done(*patch, "-n", "kube-system")
    said = scheduled.ill("warning job")
    changed = "was changed so that it can't be read"
    assert said.message == f"CronJob kube-system/pxauth-renew-red {changed}"
    assert said.hint
    delete, _, again = said.hint.partition(", then ")
    again, _, rest = again.partition(" with ")
    assert rest == "every setting that it had, --image too"
    assert again == "kubectl pxauth schedule -n red"
    there = scheduled.rights_of_jobs()
    said = replace(said, hint=f"{delete} && {again} --image=i:1")
    assert all(one.kind.startswith("ok") for one in scheduled.do_as_told(said))
    assert scheduled.rights_of_jobs() == there
    assert scheduled.pxauth("unschedule", "-n", "red").code == 0


@pytest.mark.parametrize(
    ("label", "scope"),
    [
        ("pxauth-renew", None),
        ("pxauth-renew-red", "red"),
        (job_name("r" * 60), ""),
        ("pxauth-renewed", ""),
        (None, "px"),
    ],
)
def test_whose_tokens_a_job_renews_by_its_name(label: str | None, scope: str | None) -> None:
    labels = {"kubectl-pxauth/job": label} if label else {}
    metadata = {"name": "x", "namespace": "px", "labels": labels}
    assert scope_of(Applied(CRON_JOB, {"metadata": metadata}), ()) == scope


def test_a_job_that_is_suspended(scheduled: Patient) -> None:
    patch = ["-n", "kube-system", "-p", '{"spec": {"suspend": true}}']
    scheduled.done("patch", "cronjob", "pxauth-renew-px", *patch)
    said = scheduled.ill("warning job")
    assert said.message == f"{JOB} is suspended: it renews nothing"
    assert said.hint
    scheduled.done(*shlex.split(said.hint)[1:])
    assert all(one.kind.startswith("ok") for one in scheduled.doctor())


def test_a_job_whose_container_can_not_start(scheduled: Patient) -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "run", "namespace": "kube-system", "labels": LABELS},
        "spec": {"containers": [{"name": "pxauth-renew", "image": "i:1"}]},
    }
    scheduled.lay(pod)
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    container = {"name": "pxauth-renew", "image": "i:1", "imageID": "", "ready": False}
    status = {"containerStatuses": [container | {"restartCount": 0, "state": waiting}]}
    scheduled.status("pod/run", status)
    said = scheduled.ill("problem job")
    assert said.message == f"{JOB}: image i:1 can't be pulled: ImagePullBackOff"
    assert "--image" in str(said.hint)
    assert str(said.hint).endswith("kubectl delete pod/run -n kube-system")
    # Kubernetes takes any name of an owner, and whoever makes pods there gives it.
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "x; touch evil #", "uid": "x"}
    metadata = {**pod["metadata"], "name": "owned", "ownerReferences": [owner]}
    scheduled.lay(pod | {"metadata": metadata})
    scheduled.status("pod/owned", status)
    said = scheduled.ill("problem job")
    assert str(said.hint).endswith("kubectl delete 'job/x; touch evil #' -n kube-system")
    scheduled.remove("pod/owned", "-n", "kube-system")
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": "no Secret x"}}
    missing = {"containerStatuses": [container | {"restartCount": 0, "state": waiting}]}
    scheduled.status("pod/run", missing)
    said = scheduled.ill("problem job")
    assert str(said.hint).startswith("kubectl describe pod run -n kube-system; ")
    says = "container has runAsNonRoot and image will run as root"
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": says}}
    status = {"containerStatuses": [container | {"restartCount": 0, "state": waiting}]}
    scheduled.status("pod/run", status)
    said = scheduled.ill("problem job")
    assert said.message.startswith(f"{JOB}: its container can't start: CreateContainerConfigError")
    assert said.message.endswith(says)
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    status = {"containerStatuses": [container | {"restartCount": 0, "state": ended}]}
    scheduled.status("pod/run", status)
    assert "--limits memory=512Mi" in str(scheduled.ill("problem job").hint)
    scheduled.status("cronjob/pxauth-renew-px", {"lastSuccessfulTime": "2036-11-25T03:00:00Z"})
    assert all(one.kind.startswith("ok") for one in scheduled.doctor())


def test_a_job_that_fails(scheduled: Patient) -> None:
    scheduled.done("create", "job", "run", "--from=cronjob/pxauth-renew-px", "-n", "kube-system")
    now = "2026-11-25T03:00:00Z"
    condition = {"status": "True", "reason": "BackoffLimitExceeded", "message": "too many"}
    conditions = [condition | {"type": kind} for kind in ("FailureTarget", "Failed")]
    scheduled.status("job/run", {"failed": 3, "startTime": now, "conditions": conditions})
    said = scheduled.ill("problem job")
    assert said.message == f"{JOB}: its last run failed: too many; last success none yet"
    assert said.hint == "kubectl logs job/run -n kube-system"
    scheduled.status("cronjob/pxauth-renew-px", {"lastSuccessfulTime": "2036-11-25T03:00:00Z"})
    assert all(one.kind.startswith("ok") for one in scheduled.doctor())


def test_a_job_without_its_rights(scheduled: Patient) -> None:
    scheduled.done("delete", "rolebinding", "pxauth-renew-px", "-n", "px")
    said = scheduled.ill("problem job")
    assert said.message == "the job lacks RoleBinding px/pxauth-renew-px"
    assert said.hint == "kubectl pxauth schedule -n px"


def test_a_token_that_ends_before_the_job_comes(scheduled: Patient) -> None:
    """A token for half a day is worth a warning by itself as well."""
    scheduled.lay(token("px/short", forge(claims_of("short", days=1), OURS)))
    said = [one for one in scheduled.doctor() if one.kind == "warning job"]
    assert [one.hint for one in said] == ['kubectl pxauth schedule -n px --schedule "0 */6 * * *"']
    scheduled.scheduled("-n", "px", "--schedule", "0 */6 * * *")
    assert "warning job" not in {one.kind for one in scheduled.doctor()}
    # One job that comes in time is enough, as long as it runs.
    scheduled.scheduled("-A")
    assert "warning job" not in {one.kind for one in scheduled.doctor()}
    suspend = ["-n", "kube-system", "-p", '{"spec": {"suspend": true}}']
    scheduled.done("patch", "cronjob", "pxauth-renew-px", *suspend)
    hints = [one.hint for one in scheduled.doctor() if one.kind == "warning job"]
    assert 'kubectl pxauth schedule -A --schedule "0 */6 * * *"' in hints


def test_tokens_for_a_day_that_no_job_renews(scheduled: Patient) -> None:
    """Copies, those of two Secrets' user, and one that ended long ago: said as such, or not."""
    address = "px-user-token@portworx.com"
    operators = forge(claims_of(address, days=1, name="px-user-token", email=address), OURS)
    mark = {"reflector.v1.k8s.emberstack.com/reflects": "red/original"}
    admin = claims_of("admin", days=1, roles=["system.admin"])
    ended = forge(claims_of("ended", days=1, age_days=90), OURS)
    scheduled.lay(
        token("kube-system/px-user-token", operators, ownerReferences=[OPERATOR]),
        token("px/px-user-token", operators),
        token("px/reflected", forge(claims_of("reflected", days=1), OURS), annotations=mark),
        token("px/admin", forge(admin, OURS)),
        token("px/ended", ended),
    )
    found = json.loads(scheduled.pxauth("doctor", "-o", "json").out)["findings"]
    assert [one["message"] for one in found if one["check"] == "job" and one["hint"]] == []
    done = scheduled.pxauth("schedule", "-n", "px", "--image=i:1")
    assert (done.code, done.err) == (0, "")
    scheduled.lay(token("px/short", forge(claims_of("short", days=1), OURS)))
    lapses = "the job runs every 1d, and the token in Secret px/short lives "
    assert lapses in scheduled.pxauth("schedule", "-n", "px", "--image=i:1").err
    found = json.loads(scheduled.pxauth("doctor", "-o", "json").out)["findings"]
    assert lapses in "".join(one["message"] for one in found if one["check"] == "job")


def test_a_job_whose_time_never_comes(scheduled: Patient) -> None:
    scheduled.scheduled("-n", "px", "--schedule", "0 3 31 2 *")
    (said,) = (one for one in scheduled.doctor() if one.kind == "warning job")
    assert said.message == (f'{JOB}: no date meets the schedule "0 3 31 2 *": the job never runs')
    assert said.hint == 'kubectl pxauth schedule -n px --schedule "0 3 * * *"'


def test_a_job_of_0_1_0_lets_others_read_the_key(patient: Patient) -> None:
    patient.done("apply", "-f", "-", stdin=yaml.safe_load(OLD_JOB.replace("NAMESPACE", "px")))
    said = patient.ill("warning job")
    assert said.message == (
        "CronJob px/pxauth-renew reads the key in namespace kube-system: whoever can create pods in"
        " namespace px can read it as well"
    )
    assert said.hint == "kubectl pxauth schedule -n px"
    patient.scheduled("-n", "px")
    assert all(one.kind.startswith("ok") for one in patient.doctor())
    assert patient.pxauth("unschedule", "-n", "px").code == 0


def test_rights_that_are_left_of_a_namespace_that_is_gone(patient: Patient) -> None:
    objects = yaml.safe_load(OLD_JOB.replace("NAMESPACE", "gone"))["items"]
    left = [item for item in objects if item["metadata"]["namespace"] == "kube-system"]
    patient.lay(*left)
    said = patient.ill("problem job")
    assert said.message == (
        "RoleBinding kube-system/pxauth-renew-gone is left of a job that is gone: whoever makes"
        " namespace gone again has its rights"
    )
    assert all(one.kind.startswith("ok") for one in patient.do_as_told(said))
    assert not patient.rights_of_jobs()


def test_rights_that_are_left_of_a_job_beside_another(scheduled: Patient) -> None:
    before = scheduled.rights_of_jobs()
    scheduled.scheduled("-n", "red")
    scheduled.remove("cronjob", "pxauth-renew-red", "-n", "kube-system")
    said = scheduled.ill("warning job")
    assert said.message == (
        "RoleBinding red/pxauth-renew-red is left of a job that is gone: whoever can create pods in"
        " kube-system has its rights"
    )
    assert all(one.kind.startswith("ok") for one in scheduled.do_as_told(said))
    # What the account may do in its own namespace, whoever makes pods there may as well.
    left = {"Role kube-system/pxauth-renew-red-key", "RoleBinding kube-system/pxauth-renew-red-key"}
    assert scheduled.rights_of_jobs() - before == left


def test_rights_that_are_left_of_a_job_for_all_namespaces(patient: Patient) -> None:
    patient.scheduled("-A", "--job-namespace", "green")
    patient.remove("cronjob", "pxauth-renew", "-n", "green")
    said = patient.ill("problem job")
    assert said.message == (
        "ClusterRoleBinding pxauth-renew is left of a job that is gone: whoever can create pods in"
        " green has its rights"
    )
    assert all(one.kind.startswith("ok") for one in patient.do_as_told(said))
    assert not patient.rights_of_jobs()
    assert patient.pxauth("unschedule", "-A").code == 0


@pytest.mark.parametrize("home", ["red", "x; touch evil #", "$(touch evil)", "-A"])
@pytest.mark.parametrize("label", ["pxauth-renew-px", "pxauth-renew", None])
def test_rights_that_a_tenant_gives_at_home(
    scheduled: Patient, home: str, label: str | None
) -> None:
    """An account that is there gets nothing of others, and none is where no namespace can be."""
    scheduled.lay(tenants_binding(home, label))
    assert all(one.kind.startswith("ok") for one in scheduled.doctor())
    assert scheduled.pxauth("status").code == 0


@pytest.mark.parametrize("label", ["pxauth-renew-px", "pxauth-renew", None])
def test_rights_that_a_tenant_gives_to_others(scheduled: Patient, label: str | None) -> None:
    """It is not the tenant who says which job is to be deleted."""
    before = scheduled.rights_of_jobs()
    scheduled.lay(tenants_binding("portworx", label))
    said = scheduled.ill("warning job")
    assert said.message.startswith("RoleBinding red/x; touch evil # is left of a job that is gone")
    assert all(one.kind.startswith("ok") for one in scheduled.do_as_told(said))
    assert scheduled.rights_of_jobs() == before
    assert not (scheduled.home / "evil").exists()


def tenants_binding(home: str, label: str | None) -> dict[str, Any]:
    """Of namespace red, with the labels of a job, or of one of 0.1.0."""
    old = {"app.kubernetes.io/managed-by": "kubectl-pxauth"}
    labels = LABELS | ({"kubectl-pxauth/job": label} if label else old)
    if not label:
        del labels["kubectl-pxauth/job"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "x; touch evil #", "namespace": "red", "labels": labels},
        # A role that is another job's.
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "pxauth-renew",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": home}],
    }

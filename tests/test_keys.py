"""`kubectl pxauth keys …` against a real API server of its own, as they change its one key."""

import base64
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Shell, claims_of, decode, forge
from tests.key_site import KEYS, Keys, keys
from tests.portworx_site import OPERATOR

pytestmark = pytest.mark.xdist_group("keys")

__all__ = ["keys"]  # a fixture


@contextmanager
def refusing(shell: Shell, condition: str) -> Iterator[None]:
    """Let the server refuse changes of a Secret that CEL's condition does not hold for.

    Whatever it says, tries that are to change nothing are taken, and so are other Secrets.
    """
    name = shell.namespace
    policy: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["UPDATE"],
                        "resources": ["secrets"],
                    }
                ]
            },
            "matchConditions": [{"name": "for-real", "expression": "!request.dryRun"}],
            "validations": [{"expression": condition, "message": "hands off"}],
        },
    }
    binding = {
        "apiVersion": policy["apiVersion"],
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    for manifest in (policy, binding):
        done = shell.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
        assert done.code == 0, done.err
    shell.keep("canary", "none")
    change = ("patch", "secret", "canary", "-n", shell.namespace, "--type=merge")

    def wait_until(*, refused: bool) -> None:
        for number in range(1000):
            patch = json.dumps({"metadata": {"labels": {"try": str(number)}}})
            if bool(shell.kubectl(*change, "-p", patch).code) == refused:
                return
        pytest.fail("the policy does not take effect, or does not end")

    wait_until(refused=True)
    try:
        yield
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            assert shell.kubectl("delete", kind, name).code == 0
        wait_until(refused=False)


def test_the_first_keys(keys: Keys) -> None:
    done = keys.run("create")
    assert (done.code, done.out, done.err) == (0, "secret/pxkeys created\n", "")
    made = keys.read()
    assert set(made) == set(KEYS)
    assert all(len(base64.b64decode(value, validate=True)) == 64 for value in made.values())
    assert len(set(made.values())) == 3
    keys.tokens("px-k8s-user")
    assert keys.accepts("px-k8s-user")


def test_a_key_that_is_there_is_never_changed(keys: Keys) -> None:
    keys.lay(shared_secret=b"x" * 40, other=b"theirs")
    done = keys.run("create", "-o", "name")
    assert (done.code, done.out) == (0, "secret/pxkeys\n")
    made = keys.read()
    assert set(made) == {*KEYS, "other"}
    assert (made["shared-secret"], made["other"]) == (b"x" * 40, b"theirs")
    assert keys.run("create").out == "secret/pxkeys unchanged\n"
    assert keys.read() == made


def test_the_labels_and_annotations_that_are_asked_for(keys: Keys) -> None:
    def metadata() -> tuple[str, str]:
        made = keys.shell.kubectl("get", "secret", "pxkeys", "-n", "kube-system", "-o", "json").out
        found = json.loads(made)["metadata"]
        return found["labels"]["team"], found["annotations"]["note"]

    done = keys.run("create", "--label=team=a", "--annotation=note=b")
    assert done.out == "secret/pxkeys created\n"
    assert metadata() == ("a", "b")
    made = keys.read()
    assert keys.run("create", "--label=team=c").out == "secret/pxkeys configured\n"
    assert metadata() == ("c", "b")
    assert keys.run("create", "--label=team=c").out == "secret/pxkeys unchanged\n"
    assert keys.read() == made


def test_two_who_make_the_keys_at_once(keys: Keys) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: keys.run("create"), range(4)))
    assert sorted(done.out for done in runs) == [
        "secret/pxkeys created\n",
        *["secret/pxkeys unchanged\n"] * 3,
    ]


def test_a_try_makes_no_key(keys: Keys) -> None:
    for dry_run, suffix in (("client", "dry run"), ("server", "server dry run")):
        done = keys.run("create", f"--dry-run={dry_run}")
        assert done.out == f"secret/pxkeys created ({suffix})\n"
        assert keys.read() == {}
    assert "namespace" in keys.refused("create", "-n", "nowhere")
    assert "is not one of" in keys.refused("create", "-o", "yaml", code=2)


def test_a_cluster_that_has_a_key_elsewhere_gets_no_other(keys: Keys) -> None:
    metadata = {"name": "px-shared-secret", "namespace": "kube-system"}
    keys.shell.create({"metadata": metadata, "stringData": {"shared-secret": "k" * 40}})
    try:
        said = keys.refused("create")
        assert "has a shared secret already: kube-system/px-shared-secret:shared-secret" in said
    finally:
        keys.shell.kubectl("delete", "secret", "px-shared-secret", "-n", "kube-system")


def test_what_the_old_key_signed_is_signed_again_whatever_its_name(keys: Keys) -> None:
    keys.run("create")
    old = keys.read()
    keys.tokens("px-k8s-user", "other-name")
    keys.shell.issue("kubernetes", "--secret", "px-k8s-user", "--key", "second")
    generated = claims_of("generated", days=1, extra={"kept": [1, 2]}) | {"exp": 17}
    keys.shell.keep("generated", forge(generated, old["shared-secret"], "HS512"))
    keys.shell.keep("forged", forge(claims_of("mallory"), b"another key"))
    keys.shell.keep("no-token", "a.b.c")
    before = {name: keys.shell.secret(name) for name in ("px-k8s-user", "forged", "no-token")}
    done = keys.run("rotate")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == (
        "secret/pxkeys configured: shared-secret is new, the old one is kept as shared-secret.old"
    )
    subs = {
        "generated": "generated",
        "other-name": f"other-name.{keys.shell.namespace}@portworx.com",
        "px-k8s-user": f"px-k8s-user.{keys.shell.namespace}@portworx.com",
    }
    assert sorted(lines[1:-1]) == [
        f'secret/{name} signed again in namespace {keys.shell.namespace}: "{sub}", system.user'
        for name, sub in subs.items()
    ]
    assert lines[-1] == "secret/pxkeys configured: shared-secret.old is removed"
    assert "3 signed again" in done.err
    assert "restarted it on every node" in done.err
    now = keys.read()
    assert now.keys() == old.keys()
    assert now.pop("shared-secret") != old.pop("shared-secret")
    assert now == old
    for name, key in (
        ("px-k8s-user", "auth-token"),
        ("px-k8s-user", "second"),
        ("other-name", "auth-token"),
    ):
        assert keys.accepts(name, key)
    assert keys.shell.claims("generated") == generated
    after = keys.shell.secret()
    assert decode(keys.shell.token()) == decode(
        base64.b64decode(before["px-k8s-user"]["data"]["auth-token"]).decode()
    )
    assert after["metadata"]["annotations"] == before["px-k8s-user"]["metadata"]["annotations"]
    assert keys.shell.secret("forged") == before["forged"]
    assert keys.shell.secret("no-token") == before["no-token"]


def test_portworx_can_be_restarted_between_the_halves(keys: Keys) -> None:
    keys.run("create")
    old = keys.read()["shared-secret"]
    keys.tokens("px-k8s-user")
    none = keys.refused("rotate", "--phase=tokens")
    assert "no rotation of kube-system/pxkeys:shared-secret is under way" in none
    assert "kubectl pxauth keys status shows whether one is finished" in none
    done = keys.run("rotate", "--phase=key")
    assert done.code == 0
    assert "kubectl pxauth keys rotate --phase=tokens" in done.err
    between = keys.read()
    assert between["shared-secret.old"] == old
    assert between["shared-secret"] != old
    assert not keys.accepts("px-k8s-user")
    doctor = keys.shell.pxauth("doctor").out
    assert "warning  key       a rotation of it is under way" in doctor
    again = keys.run("rotate", "--phase=key")
    assert (again.code, keys.read()) == (0, between)
    assert again.out == (
        "secret/pxkeys unchanged: shared-secret is new already, the old one is kept as"
        " shared-secret.old\n"
    )
    assert keys.run("rotate", "--phase=tokens").code == 0
    assert keys.accepts("px-k8s-user")
    assert keys.read()["shared-secret"] == between["shared-secret"]
    assert "shared-secret.old" not in keys.read()


def test_the_way_back(keys: Keys) -> None:
    keys.run("create")
    before = keys.read()
    keys.tokens("px-k8s-user")
    assert "is under way" in keys.refused("rotate", "--rollback")
    keys.run("rotate", "--phase=key")
    keys.tokens("signed-with-the-new")
    done = keys.run("rotate", "--rollback")
    assert done.code == 0
    assert "1 signed again" in done.err
    assert keys.read() == before
    assert keys.accepts("px-k8s-user")
    assert keys.accepts("signed-with-the-new")


def test_a_failure_before_anything_is_changed(keys: Keys, own_plane: ControlPlane) -> None:
    keys.run("create")
    before = keys.read()
    keys.tokens("px-k8s-user")
    ruth = keys.allowed(own_plane, "ruth", "get,list")
    keys.shell.kubectl(
        *("create", "role", "ruth", "--verb=patch", "--resource=secrets", "-n", "kube-system")
    )
    keys.shell.kubectl(
        *("create", "rolebinding", "ruth", "--role=ruth", "--user=ruth", "-n", "kube-system")
    )
    for arguments in (["rotate"], ["rotate", "--phase=key"]):
        done = ruth.shell.pxauth("keys", *arguments, "--shared-secret-from=pxkeys")
        assert (done.code, done.out) == (1, "")
        assert f"may not patch Secret {keys.shell.namespace}/px-k8s-user" in done.err
        assert "error: nothing is changed, as the token of 1 Secret could not be" in done.err
    assert keys.read() == before
    assert keys.accepts("px-k8s-user")


def test_what_nobody_can_write_stops_nobody(keys: Keys) -> None:
    keys.run("create")
    token = forge(claims_of("fixed"), keys.read()["shared-secret"])
    data = {"auth-token": base64.b64encode(token.encode()).decode()}
    keys.shell.create({"metadata": {"name": "fixed"}, "immutable": True, "data": data})
    dead = forge(claims_of("dead", days=1, age_days=2), keys.read()["shared-secret"])
    ended = {"auth-token": base64.b64encode(dead.encode()).decode()}
    keys.shell.create({"metadata": {"name": "dead"}, "immutable": True, "data": ended})
    keys.tokens("px-k8s-user")
    done = keys.run("rotate")
    assert done.code == 0
    assert (
        "warning: 1 Secret is left with a token of the other key, which Portworx refuses\n"
        in done.err
    )
    assert (
        f"secret/fixed skipped in namespace {keys.shell.namespace}: Secret"
        f" {keys.shell.namespace}/fixed is immutable, and its token is not valid any more\n"
        in done.out
    )
    assert keys.accepts("px-k8s-user")


def test_a_failure_in_between_takes_all_of_it_back(keys: Keys) -> None:
    keys.run("create")
    before = keys.read()
    keys.tokens("px-k8s-user", "stubborn")
    with refusing(keys.shell, "!(object.metadata.name in ['stubborn', 'canary'])"):
        done = keys.run("rotate")
        assert done.code == 1
        assert "hands off" in done.err
        assert (
            "error: all is as before, as the token of 1 Secret could not be signed again"
            in done.err
        )
    assert keys.read() == before
    assert keys.accepts("px-k8s-user")
    assert keys.accepts("stubborn")


def test_a_failure_on_the_way_back_as_well(keys: Keys) -> None:
    keys.run("create")
    before = keys.read()
    keys.tokens("once", "stubborn")
    first = keys.shell.secret("once")["data"]["auth-token"]
    once = f"object.metadata.name != 'once' || oldObject.data['auth-token'] == '{first}'"
    with refusing(keys.shell, f"!(object.metadata.name in ['stubborn', 'canary']) && ({once})"):
        done = keys.run("rotate")
        assert done.code == 1
        assert "error: the way back is not finished" in done.err
        assert "hint: kubectl pxauth keys rotate --rollback continues it" in done.err
    assert keys.read()["shared-secret"] == before["shared-secret"]
    assert "a rotation of kube-system/pxkeys:shared-secret is on its way back" in keys.refused(
        "rotate"
    )
    done = keys.run("rotate", "--rollback")
    assert done.code == 0
    assert "unchanged: shared-secret is the old one already" in done.out
    assert keys.read() == before
    assert keys.accepts("once")
    assert keys.accepts("stubborn")


def test_what_failed_goes_on(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("px-k8s-user", "stubborn")
    keys.run("rotate", "--phase=key")
    new = keys.read()["shared-secret"]
    with refusing(keys.shell, "!(object.metadata.name in ['stubborn', 'canary'])"):
        done = keys.run("rotate", "--phase=tokens")
        assert done.code == 1
        assert "the rotation is not finished" in done.err
    assert keys.accepts("px-k8s-user")
    done = keys.run("rotate")
    assert done.code == 0
    assert "1 signed again" in done.err
    assert keys.read()["shared-secret"] == new
    assert "shared-secret.old" not in keys.read()
    assert keys.accepts("stubborn")


def test_two_rotations_at_once_leave_one_key(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("a", "b", "c")
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: keys.shell.pxauth("keys", "rotate"), range(2)))
    assert 0 in [done.code for done in runs]
    last = keys.run("rotate")  # which finishes what is left, if anything is
    assert last.code == 0 or "rotated a moment ago, and that rotation is finished" in last.err
    assert set(keys.read()) == set(KEYS)
    assert all(keys.accepts(name) for name in "abc")


def test_tokens_that_the_operator_keeps_are_its_own(keys: Keys) -> None:
    keys.run("create")
    token = forge(claims_of("operator"), keys.read()["shared-secret"])
    keys.shell.keep("px-user-token", token, ownerReferences=[OPERATOR])
    done = keys.run("rotate")
    assert done.code == 0
    assert (
        f"secret/px-user-token skipped in namespace {keys.shell.namespace}: the Portworx operator"
        " signs it again (StorageCluster px-cluster)" in done.out
    )
    assert keys.shell.token("px-user-token") == token


@pytest.mark.parametrize("dry_run", ["client", "server"])
def test_a_try_rotates_nothing(keys: Keys, dry_run: str) -> None:
    keys.run("create")
    before = keys.read()
    keys.tokens("px-k8s-user")
    secret = keys.shell.secret()
    done = keys.run("rotate", f"--dry-run={dry_run}")
    assert done.code == 0
    assert f"secret/px-k8s-user signed again in namespace {keys.shell.namespace}" in done.out
    assert all("dry run)" in line for line in done.out.splitlines())
    assert (keys.read(), keys.shell.secret()) == (before, secret)


def test_a_key_that_is_in_no_secret_or_in_none_that_is_there(keys: Keys) -> None:
    assert "no shared secret was found" in keys.refused("rotate")
    said = keys.refused("rotate", "--shared-secret-from", "kube-system/pxkeys")
    assert "Secret kube-system/pxkeys not found" in said
    assert "can't be used together" in keys.refused("rotate", "--rollback", "--phase=key", code=2)


def test_who_may_not_see_all_tokens_rotates_nothing(keys: Keys, own_plane: ControlPlane) -> None:
    keys.run("create")
    keys.tokens("px-k8s-user")
    rita = keys.allowed(own_plane, "rita", "get,patch")
    before = keys.read()
    for arguments in ([], ["--phase=key"]):
        done = rita.shell.refused("keys", "rotate", "--shared-secret-from=pxkeys", *arguments)
        assert 'user "rita" may not list Secrets in all namespaces' in done.err
        assert keys.read() == before


def test_what_is_kept_beside_the_key_by_others_is_left_alone(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("px-k8s-user")
    backup = {"data": {"shared-secret.old": base64.b64encode(b"my backup").decode()}}
    patch = ("patch", "secret", "pxkeys", "-n", "kube-system", "-p", json.dumps(backup))
    assert keys.shell.kubectl(*patch).code == 0
    for arguments in ([], ["--rollback"], ["--phase=tokens"], ["--compromised"]):
        said = keys.refused("rotate", *arguments)
        assert 'has a key "shared-secret.old" that no rotation has put there' in said


def test_another_secret_is_not_taken_for_the_key(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("px-k8s-user")
    password = {"metadata": {"name": "db"}, "stringData": {"password": "hands off" * 5}}
    keys.shell.create(password)
    before = keys.shell.secret("db")
    reference = f"{keys.shell.namespace}/db:password"
    said = keys.refused("rotate", "--shared-secret-from", reference, code=2)
    assert f"{reference} has signed no token" in said
    assert keys.shell.secret("db") == before


def test_a_key_in_two_places_is_not_changed_in_one(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("px-k8s-user")
    metadata = {"name": "px-shared-secret", "namespace": "kube-system"}
    value = keys.read()["shared-secret"].decode()
    keys.shell.create({"metadata": metadata, "stringData": {"shared-secret": value}})
    try:
        said = keys.refused("rotate")
        assert "in more than one place: kube-system/pxkeys:shared-secret, kube-system/px-sh" in said
    finally:
        keys.shell.kubectl("delete", "secret", "px-shared-secret", "-n", "kube-system")


@pytest.mark.parametrize("begun", [False, True])
def test_of_a_key_that_leaked_nothing_is_kept(keys: Keys, *, begun: bool) -> None:
    keys.run("create")
    old = keys.read()
    keys.tokens("px-k8s-user")
    before = keys.shell.secret()
    begun_with = None
    if begun:
        keys.run("rotate", "--phase=key")
        begun_with = keys.read()["shared-secret"]
    done = keys.run("rotate", "--compromised")
    assert done.code == 0
    assert done.out == (
        "secret/pxkeys configured: shared-secret is new, and nothing is kept of the old one\n"
    )
    assert "No token is signed again" in done.err
    assert keys.read().keys() == old.keys()
    assert keys.read()["shared-secret"] != old["shared-secret"]
    assert begun_with in (None, keys.read()["shared-secret"])  # which makes no third key
    assert keys.shell.secret() == before
    assert not keys.accepts("px-k8s-user")


def test_an_issue_that_has_the_old_key_fails_where_the_new_one_has_signed(keys: Keys) -> None:
    keys.run("create")
    old = keys.shell.home / "old"
    old.write_bytes(keys.read()["shared-secret"])
    keys.tokens("px-k8s-user")
    keys.run("rotate")
    done = keys.shell.pxauth(
        *("issue", "kubernetes", "-n", keys.shell.namespace, "--sub", "x"),
        *("--shared-secret-file", old),
    )
    assert done.code == 1
    assert keys.accepts("px-k8s-user")


@pytest.mark.parametrize("closed", [">/dev/full", ">&- 2>&-", "| true"])
def test_a_rotation_is_not_left_half_done_for_want_of_a_reader(keys: Keys, closed: str) -> None:
    keys.run("create")
    old = keys.read()["shared-secret"]
    keys.tokens("a", "b")
    subprocess.run(
        ["sh", "-c", f"kubectl pxauth keys rotate {closed}"],
        env=keys.shell.popen_environment,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert set(keys.read()) == set(KEYS)
    assert keys.read()["shared-secret"] != old
    assert all(keys.accepts(name) for name in "ab")

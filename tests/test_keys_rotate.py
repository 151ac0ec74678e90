"""`kubectl pxauth keys rotate` and `keys status`, stopped, disturbed, and asked how it stands."""

import base64
import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import BIN, Run, claims_of, forge, judge
from tests.fault_proxy import Exchange, FaultProxy, Hold, Reset, Stall
from tests.key_site import Keys, keys
from tests.operator_round import Operator

__all__ = ["keys"]  # a fixture

pytestmark = pytest.mark.xdist_group("keys-rotate")

KEY_SECRET = r"/namespaces/kube-system/secrets/pxkeys"


def begin(keys: Keys, *arguments: str, **pipes: Any) -> "subprocess.Popen[str]":
    """Start the plugin, and do not wait for it."""
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(keys.shell.home)}
    return subprocess.Popen(
        [BIN / "kubectl-pxauth", *arguments],
        env=environment | keys.shell.environment,
        cwd=keys.shell.home,
        text=True,
        stdin=pipes.get("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=pipes.get("stderr", subprocess.PIPE),
    )


def ended(process: "subprocess.Popen[str]") -> Run:
    out, err = process.communicate(timeout=120)
    return Run(process.returncode, out, err or "")


def patch_keys(keys: Keys, **change: Any) -> None:
    """Change the Secret with the key as somebody else would."""
    done = keys.shell.kubectl(
        *("patch", "secret", "pxkeys", "-n", "kube-system", "--type=merge"),
        *("-p", json.dumps(change)),
    )
    assert done.code == 0, done.err


def status(keys: Keys) -> dict[str, Any]:
    done = keys.run("status", "-o", "json")
    assert done.code == 0, done.err
    said: dict[str, Any] = json.loads(done.out)
    return said


@contextmanager
def through_proxy(keys: Keys, plane: ControlPlane) -> Iterator[tuple[FaultProxy, Keys]]:
    with FaultProxy(plane) as proxy:
        yield proxy, Keys(proxy.shell(keys.shell))


def all_is_well(keys: Keys, *names: str) -> None:
    """Whether one key is left, and each of these tokens is valid for it."""
    assert not [key for key in keys.read() if key.startswith("shared-secret.")]
    assert all(keys.accepts(name) for name in names)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_the_machine_stops_at_a_write_and_the_same_command_goes_on(
    keys: Keys, own_plane: ControlPlane, number: int
) -> None:
    keys.run("create")
    keys.tokens("a", "b")
    writes = rf"({KEY_SECRET}|/secrets/[ab])\?(?!.*dryRun)"
    with through_proxy(keys, own_plane) as (proxy, spoilt):
        proxy.spoil(Stall(done=number % 2 == 0), method="PATCH", path=writes, first=number)
        process = begin(spoilt, "keys", "rotate")
        while not proxy.met and process.poll() is None:
            threading.Event().wait(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert proxy.met or number > 5
    before = status(keys)
    if before["rotation"]:
        assert before["next"] == ["kubectl pxauth keys rotate"]
    done = keys.run("rotate")
    assert done.code == 0 or "that rotation is finished: nothing is changed" in done.err
    all_is_well(keys, "a", "b")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("done", [True, False])
def test_an_answer_that_is_lost_is_looked_up(
    keys: Keys, own_plane: ControlPlane, number: int, *, done: bool
) -> None:
    keys.run("create")
    keys.tokens("a", "b")
    writes = rf"({KEY_SECRET}|/secrets/[ab])\?(?!.*dryRun)"
    with through_proxy(keys, own_plane) as (proxy, spoilt):
        proxy.spoil(Reset(done=done), method="PATCH", path=writes, first=number)
        ran = spoilt.run("rotate")
        assert proxy.met
    if ran.code:  # a token's own write may fail: then all is taken back
        assert "all is as before" in ran.err
    else:
        assert "The rotation is finished." in ran.err
    all_is_well(keys, "a", "b")


@dataclass(frozen=True)
class LastWords(Reset):
    """A write that is done, and after which the server is not to be reached any more."""

    proxy: FaultProxy = field(kw_only=True)

    def meet(self, exchange: Exchange) -> None:
        self.proxy.spoil(Reset(), times=None)
        exchange.ask()
        exchange.leave(reset=True)


def test_what_became_of_a_write_can_not_be_found_out(keys: Keys, own_plane: ControlPlane) -> None:
    keys.run("create")
    keys.tokens("a")
    with through_proxy(keys, own_plane) as (proxy, spoilt):
        proxy.spoil(LastWords(proxy=proxy), method="PATCH", path=rf"{KEY_SECRET}\?", first=2)
        done = spoilt.run("rotate", "--shared-secret-from=pxkeys")
    assert done.code == 1
    assert "what became of a write could not be looked up" in done.err
    assert "how far the rotation came is not known" in done.err
    assert "hint: see how far it is: kubectl pxauth keys status" in done.err
    assert keys.run("rotate").code == 0
    all_is_well(keys, "a")


@pytest.mark.parametrize("there", [True, False])
def test_a_writer_that_is_held_back_until_the_rotation_has_ended(
    keys: Keys, own_plane: ControlPlane, *, there: bool
) -> None:
    keys.run("create")
    keys.tokens("other", *(["late"] if there else []))
    with through_proxy(keys, own_plane) as (proxy, slow):
        hold = Hold()
        proxy.spoil(hold, method="POST|PATCH", path=rf"/{keys.shell.namespace}/secrets")
        namespace = keys.shell.namespace
        process = begin(slow, "issue", "kubernetes", "--secret", "late", "-n", namespace)
        assert hold.came.wait(60)
        assert keys.run("rotate").code == 0
        hold.go.set()
        assert ended(process).code == 0
    all_is_well(keys, "late", "other")


def test_many_writers_that_are_held_back(keys: Keys, own_plane: ControlPlane) -> None:
    keys.run("create")
    keys.tokens("other")
    spaces = [f"{keys.shell.namespace}-{number}" for number in range(4)]
    for space in spaces:
        assert keys.shell.kubectl("create", "namespace", space).code == 0
    with through_proxy(keys, own_plane) as (proxy, slow):
        holds = [Hold() for _ in spaces]
        for hold in holds:
            proxy.spoil(hold, method="POST", path=r"-[0-9]/secrets")
        flags = [f"-n={space}" for space in spaces]
        process = begin(slow, "issue", "kubernetes", "--secret", "late", *flags, "-o", "json")
        assert all(hold.came.wait(60) for hold in holds)
        assert keys.run("rotate").code == 0
        for hold in holds:
            hold.go.set()
        done = ended(process)
        assert done.code == 0, done.err
    shown = {
        item["metadata"]["namespace"]: base64.b64decode(item["data"]["auth-token"]).decode()
        for item in json.loads(done.out)["items"]
    }
    for space in spaces:
        there = Keys(keys.shell.__class__(space, keys.shell.home, keys.shell.environment))
        assert there.accepts("late")
        assert shown[space] == there.shell.token("late")


def test_a_renewal_that_is_held_back(keys: Keys, own_plane: ControlPlane) -> None:
    keys.run("create")
    keys.tokens("late")
    with through_proxy(keys, own_plane) as (proxy, slow):
        hold = Hold()
        proxy.spoil(hold, method="PATCH", path=r"/secrets/late")
        process = begin(slow, "renew", "late", "--all", "-n", keys.shell.namespace)
        assert hold.came.wait(60)
        assert keys.run("rotate").code == 0
        hold.go.set()
        done = ended(process)
        assert done.code == 0, done.err
    all_is_well(keys, "late")


def test_beside_the_operator_by_halves_and_whole(keys: Keys, own_plane: ControlPlane) -> None:
    with Operator(own_plane).at_work() as operator:
        keys.run("create")
        keys.tokens("a", "b")
        assert keys.run("rotate", "--phase=key").code == 0
        rounds = operator.rounds
        while operator.rounds < rounds + 3:
            threading.Event().wait(0.01)
        assert "kubectl-pxauth/rotation" not in json.dumps(
            keys.shell.kubectl("get", "secret", "pxkeys", "-n", "kube-system", "-o", "json").out
        )
        assert status(keys)["rotation"]["direction"] == "forward"
        done = keys.run("rotate", "--phase=tokens")
        assert done.code == 0, done.err
        all_is_well(keys, "a", "b")
        assert keys.run("rotate", "--phase=key", "--again").code == 0
        assert keys.run("rotate", "--rollback").code == 0
        all_is_well(keys, "a", "b")


def test_the_secret_that_the_operator_makes(keys: Keys, own_plane: ControlPlane) -> None:
    metadata = {"name": "px-shared-secret", "namespace": "kube-system"}
    keys.shell.create({"metadata": metadata, "stringData": {"shared-secret": "k" * 64}})
    read = ("get", "secret", "px-shared-secret", "-n", "kube-system", "-o", "json")
    try:
        keys.tokens("a")
        with Operator(own_plane, "px-shared-secret").at_work():
            said = keys.refused("create")
            assert "has a shared secret already: kube-system/px-shared-secret:shared-secret" in said
            done = keys.run("rotate")
            assert done.code == 0, done.err
        data = json.loads(keys.shell.kubectl(*read).out)["data"]
        assert set(data) == {"shared-secret"}
        key = base64.b64decode(data["shared-secret"])
        assert key != b"k" * 64
        assert judge(keys.shell.token("a"), "operator.portworx.io", key)["accepted"]
    finally:
        keys.shell.kubectl("delete", "secret", "px-shared-secret", "-n", "kube-system")


@pytest.mark.parametrize("stripped", [False, True])
def test_a_rotation_that_version_0_1_0_began_is_finished(keys: Keys, *, stripped: bool) -> None:
    keys.run("create")
    keys.tokens("a")
    old = keys.read()["shared-secret"]
    data = {
        "shared-secret": base64.b64encode(b"n" * 64).decode(),
        "shared-secret.old": base64.b64encode(old).decode(),
    }
    note = {} if stripped else {"kubectl-pxauth/rotation": "shared-secret.old"}
    patch_keys(keys, data=data, metadata={"annotations": note})
    if not stripped:
        status = keys.run("status")
        assert "the new key is in place" in status.out
        assert "1 signed with shared-secret.old" in status.out
        listed = keys.shell.pxauth("list", "-n", keys.shell.namespace)
        assert listed.err.startswith("warning: a rotation of kube-system/pxkeys:shared-secret is")
    if stripped:
        said = keys.refused("rotate")
        assert "if version 0.1.0 began a rotation here: kubectl pxauth keys rotate --phase" in said
    done = keys.run("rotate", *(["--phase=tokens"] if stripped else []))
    assert done.code == 0, done.err
    assert keys.read()["shared-secret"] == b"n" * 64
    all_is_well(keys, "a")


def test_what_version_0_1_0_issued_goes_through_every_command(keys: Keys) -> None:
    """Its tokens named no Secret, and it had the same annotations and labels."""
    keys.run("create")
    shell, there = keys.shell, ("-n", keys.shell.namespace)
    claims = claims_of("alice", days=365, age_days=1, name="Alice")
    ends = datetime.fromtimestamp(claims["exp"], UTC)
    shell.keep(
        "px-k8s-user",
        forge(claims, keys.read()["shared-secret"]),
        labels={"app.kubernetes.io/managed-by": "kubectl-pxauth"},
        annotations={
            "kubectl-pxauth/expires": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            "kubectl-pxauth/issuer": "portworx.com",
            "stork.libopenstorage.org/skip-resource": "true",
        },
    )
    (item,) = json.loads(shell.pxauth("list", *there, "-o", "json").out)["items"]
    assert (item["subject"], item["status"]) == ("alice", "valid")
    assert shell.pxauth("verify", "px-k8s-user", *there).code == 0
    findings = json.loads(shell.pxauth("doctor", "-o", "json").out)["findings"]
    said = [one for one in findings if f"{shell.namespace}/" in one["message"]]
    assert {one["severity"] for one in said} <= {"ok"}
    for command in (
        ("issue", "kubernetes", *there),
        ("renew", "--all", *there),
        ("keys", "rotate"),
        ("renew", "--all", *there),
    ):
        done = shell.pxauth(*command)
        assert done.code == 0, done.err
        assert "left out" not in done.err
        after, secret = shell.claims(), shell.secret()
        assert (after["sub"], after["name"], after["roles"]) == ("alice", "Alice", ["system.user"])
        expires = datetime.fromtimestamp(after["exp"], UTC)
        annotations = secret["metadata"]["annotations"]
        assert annotations["kubectl-pxauth/expires"] == f"{expires:%Y-%m-%dT%H:%M:%SZ}"
        assert keys.accepts("px-k8s-user")


def test_a_second_rotation_right_after_one_wants_a_word(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("a")
    keys.run("rotate")
    for arguments in ([], ["--compromised"], ["--yes"]):
        said = keys.refused("rotate", *arguments)
        assert "was rotated a moment ago, and that rotation is finished: nothing is changed" in said
        assert "--again" in said
    assert keys.run("rotate", "--again").code == 0
    all_is_well(keys, "a")


@pytest.mark.parametrize(
    ("answer", "code", "arguments"),
    [("n\n", 1, []), ("\x04", 1, []), ("Ctrl-C", 130, []), ("y\n", 0, []), ("", 0, ["--yes"])],
)
def test_on_a_terminal_it_asks(keys: Keys, answer: str, code: int, arguments: list[str]) -> None:
    keys.run("create")
    keys.tokens("a", "b")
    before = keys.read()
    master, slave = pty.openpty()
    process = begin(keys, "keys", "rotate", *arguments, stdin=slave, stderr=slave)
    os.close(slave)
    said = b""
    if answer:
        while b"Go on?" not in said:
            said += os.read(master, 1000)
        assert b"2 tokens are signed" in said
        assert b"Portworx refuses every token of the new key until you restart it" in said
        assert keys.read() == before
        if answer == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        else:
            os.write(master, answer.encode())
    assert ended(process).code == code
    with suppress(OSError):  # the end of a terminal that nobody writes to
        while more := os.read(master, 10000):
            said += more
    os.close(master)
    if code == 1:
        assert b"\nerror: not confirmed: nothing is changed" in said
    elif code:
        assert b"\nerror: interrupted; nothing is written" in said
    assert (keys.read() == before) == (code != 0)
    all_is_well(keys, "a", "b")


def test_ctrl_c_says_how_it_stands(keys: Keys, own_plane: ControlPlane) -> None:
    keys.run("create")
    names = [f"t{number}" for number in range(20)]
    for name in names:
        keys.shell.keep(name, forge(claims_of(name), keys.read()["shared-secret"]))
    with through_proxy(keys, own_plane) as (proxy, slow):
        hold = Hold()
        for number in range(16):
            again = Hold(go=hold.go, came=hold.came if number == 15 else threading.Event())
            proxy.spoil(again, method="PATCH", path=r"/secrets/t[0-9]+\?(?!.*dryRun)")
        process = begin(slow, "keys", "rotate")
        assert hold.came.wait(60)
        process.send_signal(signal.SIGINT)
        hold.go.set()
        done = ended(process)
    assert done.code == 130
    stands = re.search(
        r"error: interrupted: the shared secret is the new key, and (\d+) of 20", done.err
    )
    assert stands, done.err
    assert 0 < int(stands[1]) <= 17
    assert (
        "hint: kubectl pxauth keys rotate continues it, and with --rollback goes back" in done.err
    )
    assert status(keys)["tokens"] == {"current": int(stands[1]), "other": 20 - int(stands[1])}
    assert keys.run("rotate").code == 0
    all_is_well(keys, "t0", "t19")


EXTERNAL = {
    "apiVersion": "external-secrets.io/v1",
    "kind": "ExternalSecret",
    "name": "pxkeys",
    "uid": "11111111-1111-4111-8111-111111111111",
    "controller": True,
}


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({"ownerReferences": [EXTERNAL]}, "External Secrets (ExternalSecret pxkeys)"),
        ({"labels": {"reconcile.external-secrets.io/managed": "true"}}, "External Secrets"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "px:/Secret:kube-system/pxkeys"}},
            "Argo CD (application px)",
        ),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "storage"}}, "Flux (storage)"),
        (
            {
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "px"},
            },
            "Helm (release px)",
        ),
        (
            {"annotations": {"reflector.v1.k8s.emberstack.com/reflects": "vault/pxkeys"}},
            "Reflector (vault/pxkeys)",
        ),
    ],
)
def test_a_key_that_another_tool_keeps_is_refused_with_its_name(
    keys: Keys, metadata: dict[str, Any], owner: str
) -> None:
    keys.run("create")
    keys.tokens("a")
    patch_keys(keys, metadata=metadata)
    for arguments in ([], ["--compromised"], ["--phase=key"]):
        said = keys.refused("rotate", *arguments)
        assert f"is kept by {owner}, which would put the old key back" in said
        assert "--ignore-owner" in said
    assert keys.run("rotate", "--ignore-owner").code == 0
    all_is_well(keys, "a")


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"argocd.argoproj.io/tracking-id": "px:/Secret:elsewhere/pxkeys"}},
        {"annotations": {"reflector.v1.k8s.emberstack.com/reflection-allowed": "true"}},
        {"labels": {"app.kubernetes.io/managed-by": "kubectl-pxauth"}},
        {"annotations": {"sealedsecrets.bitnami.com/managed": "false"}},
    ],
)
def test_marks_that_say_of_no_keeper(keys: Keys, metadata: dict[str, Any]) -> None:
    keys.run("create")
    keys.tokens("a")
    patch_keys(keys, metadata=metadata)
    done = keys.run("rotate")
    assert done.code == 0
    assert "kept by" not in done.err


def test_tokens_that_other_tools_keep_are_named_before_anything_is_changed(keys: Keys) -> None:
    keys.run("create")
    key = keys.read()["shared-secret"]
    token = forge(claims_of("x"), key)
    sealed = EXTERNAL | {"kind": "SealedSecret", "apiVersion": "bitnami.com/v1alpha1"}
    keys.shell.keep("sealed", token, ownerReferences=[sealed])
    reflects = {"reflector.v1.k8s.emberstack.com/reflects": "portworx/px-k8s-user"}
    keys.shell.keep("copied", token, annotations=reflects)
    keys.shell.create(
        {
            "metadata": {"name": "tracked", "labels": {"app.kubernetes.io/instance": "px"}},
            "stringData": {"auth-token": token},
        },
        "--field-manager=argocd-controller",
    )
    done = keys.run("rotate", "--dry-run=server")
    assert f"warning: Secret {keys.shell.namespace}/sealed is kept by Sealed Secrets" in done.err
    assert f"{keys.shell.namespace}/tracked is kept by Argo CD (application px)" in done.err
    done = keys.run("rotate")
    assert done.code == 0
    first = done.out.splitlines()[0]
    assert first.startswith("secret/copied skipped")
    assert "Reflector (portworx/px-k8s-user) copies it from elsewhere" in first
    assert keys.accepts("sealed")
    assert keys.shell.token("copied") == token


def test_what_else_is_written_into_a_secret_that_a_tool_keeps(keys: Keys) -> None:
    keys.lay(shared_secret=b"x" * 40)
    argo = {"argocd.argoproj.io/tracking-id": "px:/Secret:kube-system/pxkeys"}
    patch_keys(keys, metadata={"annotations": argo})
    assert "is kept by Argo CD (application px), which may undo" in keys.run("create").err
    flux = {"kustomize.toolkit.fluxcd.io/name": "storage"}
    keys.shell.keep("fluxed", forge(claims_of("x", days=1), b"x" * 40), labels=flux)
    reflects = {"reflector.v1.k8s.emberstack.com/reflects": "portworx/px-k8s-user"}
    keys.shell.keep("copied", forge(claims_of("y", days=1), b"x" * 40), annotations=reflects)
    done = keys.shell.pxauth("renew", "--all")
    assert done.code == 0, done.err
    assert f"warning: Secret {keys.shell.namespace}/fluxed is kept by Flux (storage)" in done.err
    assert "secret/copied skipped" in done.out
    said = keys.shell.issue("kubernetes", "--secret", "fluxed", "--change-identity")
    assert "is kept by Flux (storage), which may undo this" in said.err
    assert "kept by" not in keys.shell.issue("kubernetes").err + keys.shell.issue("admin").err


def test_another_key_with_the_value_of_the_one_that_leaked(keys: Keys) -> None:
    keys.lay(shared_secret=b"x" * 40, stork_secret=b"x" * 40, system_secret=b"s" * 40)
    keys.tokens("a")
    assert "has the same value" not in keys.run("rotate", "--dry-run=server").err
    done = keys.run("rotate", "--compromised")
    assert done.code == 0
    assert 'warning: Secret kube-system/pxkeys key "stork-secret" has the same value' in done.err
    command = re.search(r"kubectl patch (secret .*?'), then", done.err)
    assert command
    words = command[1].replace("'", "").split()
    assert keys.shell.kubectl("patch", *words).code == 0
    assert keys.run("create").code == 0
    assert len(set(keys.read().values())) == 3


def test_while_one_is_under_way_it_is_said_where_keys_are_used(keys: Keys) -> None:
    keys.shell.kubectl("delete", "secrets", "--all", "-A")  # doctor and status look everywhere
    keys.run("create")
    keys.tokens("a")
    assert "rotation" not in keys.shell.pxauth("list").err
    keys.run("rotate", "--phase=key")
    for arguments in (["issue", "kubernetes"], ["list"], ["discover"], ["renew"]):
        said = keys.shell.pxauth(*arguments).err
        assert "warning: a rotation of kube-system/pxkeys:shared-secret is under way" in said
        assert "kubectl pxauth keys rotate continues it" in said
    doctor = keys.shell.pxauth("doctor").out
    assert "a rotation of it is under way" in doctor
    assert "made with the other key of the rotation that is under way" in doctor
    assert "the rotation signs it again" in doctor
    assert f"-n {keys.shell.namespace} --resign" not in doctor
    verified = keys.shell.pxauth("verify", "a")
    assert verified.code == 1
    assert "made with the other key of the rotation that is under way" in verified.out
    listed = json.loads(keys.shell.pxauth("list", "-o", "json").out)
    assert {one["status"] for one in listed["items"]} == {"other key", "valid"}
    assert keys.shell.pxauth("status").code == 3  # worth a look, and not broken
    (owner,) = {one["subject"] for one in listed["items"] if one["status"] == "other key"}
    refused = keys.shell.refused("issue", "kubernetes", "--secret", "b", "--sub", owner)
    assert f'the sub "{owner}" is that of Secret {keys.shell.namespace}/a already' in refused.err
    keys.run("rotate", "--rollback")
    assert "under way" not in keys.shell.issue("kubernetes").err


def test_the_status_says_which_key_and_what_is_next(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("a", "b")
    said = status(keys)
    assert said["rotation"] is None
    assert said["tokens"] == {"current": 2, "other": 0}
    assert said["next"] == []
    first = said["sharedSecret"]["fingerprint"]
    assert re.fullmatch("[0-9a-f]{8}", first)
    keys.run("rotate", "--phase=key")
    said = status(keys)
    assert said["sharedSecret"]["fingerprint"] != first
    assert said["rotation"]["otherFingerprint"] == first
    assert said["rotation"]["newKeyInUse"]
    assert said["tokens"] == {"current": 0, "other": 2}
    assert said["next"] == ["kubectl pxauth keys rotate"]
    text = keys.run("status").out
    assert "Next:\n  kubectl pxauth keys rotate\n" in text
    assert "2 signed with shared-secret.old" in text
    keys.run("rotate", "--rollback")
    assert status(keys)["sharedSecret"]["fingerprint"] == first


def test_pods_that_were_started_before_the_key_was_changed(
    keys: Keys, own_plane: ControlPlane
) -> None:
    keys.run("create")
    keys.tokens("a")
    pod(keys, "px-old", "2020-01-01T00:00:00Z")
    try:
        assert status(keys)["startedBefore"] is None  # nobody knows what key was there then
        keys.run("rotate")
        pod(keys, "px-new", "2099-01-01T00:00:00Z")
        said = status(keys)
        assert (said["pods"], said["startedBefore"]) == (2, ["px-old"])
        assert said["next"][0] == "kubectl delete pod px-old -n kube-system"
        doctor = keys.shell.pxauth("doctor").out
        assert "problem  portworx  1 of 2 pods were started before the shared secret was" in doctor
        keys.shell.kubectl("delete", "pod", "px-old", "-n", "kube-system", "--force")
        assert (status(keys)["startedBefore"], status(keys)["next"]) == ([], [])
        assert "were started before" not in keys.shell.pxauth("doctor").out
    finally:
        keys.shell.kubectl("delete", "pod", "px-old", "px-new", "-n", "kube-system", "--force")


def test_a_restart_waits_for_the_pod_that_comes_in_place_of_the_one_that_goes(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("a")
    force = ("--force", "-n", "kube-system")
    pod(keys, "px-1", "2020-01-01T00:00:00Z", node="n1", ready=True)
    pod(keys, "px-2", "2020-01-01T00:00:00Z", node="n2", ready=True)
    try:
        keys.run("rotate")
        _, made, ready, *others = (
            line.removeprefix("kubectl ").replace("=30m", "=2s").split()
            for line in status(keys)["next"]
        )
        assert len(others) == 3
        keys.shell.kubectl("delete", "pod", "px-1", *force)
        assert keys.shell.kubectl(*made).code == 1
        assert keys.shell.kubectl(*ready).code == 1
        pod(keys, "px-3", "2099-01-01T00:00:00Z", node="n1", ready=False)
        assert keys.shell.kubectl(*made).code == 0
        assert keys.shell.kubectl(*ready).code == 1
        keys.shell.kubectl("delete", "pod", "px-3", *force)
        pod(keys, "px-4", "2099-01-01T00:00:00Z", node="n1", ready=True)
        assert keys.shell.kubectl(*ready).code == 0
    finally:
        keys.shell.kubectl("delete", "pod", "px-2", "px-4", *force)


def test_after_the_way_back_only_pods_of_the_time_between_are_restarted(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("a")
    pod(keys, "px-old", "2020-01-01T00:00:00Z")
    try:
        keys.run("rotate", "--phase=key")
        said = keys.run("rotate", "--rollback").err
        assert "All is as before" in said
        assert "restart" not in said
        assert "made again" not in said
        keys.run("rotate", "--phase=key", "--again")
        pod(keys, "px-new", "2099-01-01T00:00:00Z")
        said = keys.run("rotate", "--rollback").err
        assert "started during the rotation (px-new) may have the other key" in said
        assert "kubectl delete pod px-new -n kube-system" in said
        assert "px-old" not in said
    finally:
        keys.shell.kubectl("delete", "pod", "px-old", "px-new", "-n", "kube-system", "--force")


def test_what_is_next_is_next_for_the_key_that_was_named(keys: Keys) -> None:
    keys.run("create")
    place = f"{keys.shell.namespace}/other:key"
    named = f"--shared-secret-from={place}"
    data = {"key": base64.b64encode(b"o" * 64).decode()}
    keys.shell.create({"metadata": {"name": "other"}, "data": data})
    keys.shell.keep("a", forge(claims_of("a"), b"o" * 64))
    done = keys.run("rotate", "--phase=key", named)
    assert f"keys rotate --phase=tokens {named}" in done.err
    rotate = f"kubectl pxauth keys rotate {named}"
    found = json.loads(keys.run("status", named, "-o", "json").out)
    assert found["next"] == [rotate]
    issued = keys.shell.issue("kubernetes", named, "--change-identity")
    assert f"{rotate} continues it, and kubectl pxauth keys status {named} shows" in issued.err
    assert f"{rotate} continues it" in keys.shell.pxauth("doctor", named).out
    assert "finish that: " not in keys.run("rotate", "--rollback", named).err
    assert keys.run("status").out.count("Next") == 1


def test_portworx_that_was_restarted_need_not_be_restarted_again(keys: Keys) -> None:
    keys.run("create")
    keys.tokens("a")
    try:
        assert "restarted it on every node" in keys.run("rotate", "--phase=key").err
        pod(keys, "px-new", "2099-01-01T00:00:00Z")
        done = keys.run("rotate", "--phase=tokens")
        assert "The rotation is finished." in done.err
        assert "restarted" not in done.err
    finally:
        keys.shell.kubectl("delete", "pod", "px-new", "-n", "kube-system", "--force")


def pod(keys: Keys, name: str, started: str, *, node: str = "n", ready: bool = False) -> None:
    """A Portworx pod that a kubelet would have started then."""
    keys.shell.create(
        {
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "kube-system", "labels": {"name": "portworx"}},
            "spec": {"nodeName": node, "containers": [{"name": "portworx", "image": "portworx"}]},
        }
    )
    conditions = [{"type": "Ready", "status": str(ready)}]
    running = {"phase": "Running", "startTime": started, "conditions": conditions}
    done = keys.shell.kubectl(
        *("patch", "pod", name, "-n", "kube-system", "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": running})),
    )
    assert done.code == 0, done.err

"""`kubectl pxauth renew` against a real API server."""

import base64
import json
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane.build import openstorage_tool
from controlplane.run import ControlPlane
from tests.conftest import (
    BIN,
    SHARED_SECRET,
    Shell,
    claims_of,
    decode,
    forge,
    furnish,
    judge,
    new_shell,
)
from tests.portworx_site import OPERATOR

DAY = 86400
MANY = 60
OTHER_KEY = b"k" * 40


def now() -> float:
    return datetime.now(UTC).timestamp()


def test_what_is_due_is_signed_again_for_the_same_user(shell: Shell) -> None:
    sub = f"{shell.namespace}-due"
    before = claims_of(sub, days=90, age_days=70, roles=["system.view", "mine"])
    shell.keep("due", forge(before, algorithm="HS512"))
    done = shell.pxauth("renew", "-n", shell.namespace)
    assert done.code == 0
    assert done.out.startswith(f"secret/due renewed in namespace {shell.namespace}, expires ")
    assert done.err == "1 renewed\n"
    assert judge(shell.token("due"))["accepted"]
    after = shell.claims("due")
    for claim in ("sub", "name", "email", "roles", "iss"):
        assert after[claim] == before[claim]
    assert "groups" not in after
    assert abs(after["exp"] - (now() + 90 * DAY)) < 60


def test_the_life_of_a_token_does_not_grow(shell: Shell) -> None:
    shell.issue("kubernetes", "--duration", "2h")
    spans = set()
    for _ in range(3):
        assert shell.pxauth("renew", "px-k8s-user", "-n", shell.namespace).code == 0
        claims = shell.claims()
        spans.add(claims["exp"] - claims["iat"])
    assert spans == {2 * 3600 + 600}


def test_a_token_of_the_generator(shell: Shell) -> None:
    file = shell.home / "user.yaml"
    file.write_text("name: n\nemail: e\nroles: [system.user]\ngroups: [a, b]\n")
    made = subprocess.run(
        [
            *(openstorage_tool("generate"), f"--auth-config={file}", "--issuer=portworx.com"),
            *(f"--shared-secret={SHARED_SECRET.decode()}", "--token-duration=5d"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    shell.keep("made", made.stdout.strip())
    before = shell.claims("made")
    assert shell.pxauth("renew", "made", "-n", shell.namespace).code == 0
    after = shell.claims("made")
    assert (after["sub"], after["groups"]) == (before["sub"], ["a", "b"])
    assert abs(after["exp"] - (now() + 5 * DAY)) < 60
    assert judge(shell.token("made"))["accepted"]


def test_a_token_that_was_put_there_by_hand_lives_no_longer(shell: Shell) -> None:
    """It has no annotation that says that its time of issue is set back."""
    made = shell.pxauth("token", "kubernetes", "--duration=5d")
    shell.keep("made", made.out.strip())
    assert shell.pxauth("renew", "made", "-n", shell.namespace).code == 0
    claims = shell.claims("made")
    assert claims["exp"] - claims["iat"] == 5 * DAY + 600


def test_what_is_not_due_is_left_alone(shell: Shell) -> None:
    shell.issue("kubernetes", "--duration", "60d")
    before = shell.secret()
    done = shell.pxauth("renew", "-n", shell.namespace)
    assert done.out.startswith("secret/px-k8s-user unchanged in namespace")
    assert (done.code, done.err) == (0, "1 unchanged\n")
    assert shell.secret() == before
    done = shell.pxauth("renew", "-n", shell.namespace, "--all", "--duration", "90d")
    assert "renewed" in done.out
    assert abs(shell.claims()["exp"] - (now() + 90 * DAY)) < 60


def test_a_short_token_is_due_in_the_last_third_of_its_life_for_every_command(
    own_plane: ControlPlane, tmp_path: Path
) -> None:
    furnish(own_plane)  # for the doctor shows ten of all tokens that end
    for age, is_due in (15, False), (21, True):
        shell = new_shell(own_plane, tmp_path)
        sub = f"px-k8s-user.{shell.namespace}@portworx.com"
        user = {"name": f"px-k8s-user.{shell.namespace}", "email": sub}
        shell.keep("px-k8s-user", forge(claims_of(sub, days=30, age_days=age, **user)))
        before = shell.secret()
        (item,) = json.loads(shell.pxauth("list", "-o", "json").out)["items"]
        assert item["status"] == ("expiring" if is_due else "valid")
        for command in ("renew", "-n", shell.namespace), ("issue", "kubernetes", "--if-needed"):
            done = shell.pxauth(*command, "--dry-run=server")
            assert ("unchanged" in done.out) is not is_due
        found = json.loads(shell.pxauth("doctor", "-o", "json").out)["findings"]
        said = [one for one in found if f"{shell.namespace}/px-k8s-user: ends" in one["message"]]
        assert bool(said) is is_due
        assert shell.secret() == before


def test_a_new_token_is_not_due(shell: Shell) -> None:
    for duration in ("30d", "1d", "1h"):
        flags = ["--duration", duration, "--secret", duration]
        shell.issue("kubernetes", *flags)
        before = shell.secret(duration)
        assert "unchanged" in shell.issue("kubernetes", "--if-needed", *flags).out
        assert shell.secret(duration) == before


def test_the_issuer_becomes_the_clusters(shell: Shell) -> None:
    shell.issue("kubernetes", "--issuer", "old.example")
    assert shell.pxauth("renew", "-n", shell.namespace).err == "1 renewed\n"
    assert judge(shell.token())["accepted"]


def test_what_another_key_signed_is_renewed_only_when_told(shell: Shell) -> None:
    sub = f"{shell.namespace}-rotated"
    shell.keep("rotated", forge(claims_of(sub), OTHER_KEY))
    shell.issue("kubernetes", "--duration", "1d")
    before = shell.secret("rotated")
    done = shell.pxauth("renew", "--all", "-n", shell.namespace)
    assert done.code == 0
    assert "warning: Secret" in done.err
    assert "the present key did not sign the token" in done.err
    assert f"kubectl pxauth renew rotated -n {shell.namespace} --resign" in done.err
    assert "1 renewed, 1 skipped" in done.err
    assert shell.secret("rotated") == before
    named = shell.pxauth("renew", "rotated", "-n", shell.namespace)
    assert named.code == 1
    assert "the present key did not sign the token" in named.err
    assert shell.pxauth("renew", "rotated", "-n", shell.namespace, "--resign").code == 0
    assert judge(shell.token("rotated"))["claims"]["sub"] == sub


def test_what_is_not_ours_to_change(shell: Shell) -> None:
    due = forge(claims_of(shell.namespace, days=1))
    shell.keep("px-user-token", due, ownerReferences=[OPERATOR])
    operators = shell.secret("px-user-token")
    done = shell.pxauth("renew", "-n", shell.namespace)
    assert done.code == 0
    assert "secret/px-user-token skipped" in done.out
    assert "the Portworx operator keeps it (StorageCluster px-cluster)" in done.out
    assert shell.secret("px-user-token") == operators
    shell.create(
        {"metadata": {"name": "fixed"}, "immutable": True, "data": operators["data"]},
    )
    immutable = shell.pxauth("renew", "fixed", "--all", "-n", shell.namespace)
    assert immutable.code == 1
    assert "is immutable" in immutable.err


def test_named_secrets_must_be_there_and_hold_a_token(shell: Shell) -> None:
    shell.kubectl("create", "secret", "generic", "empty", "-n", shell.namespace)
    shell.issue("kubernetes", "--duration", "1d")
    done = shell.pxauth("renew", "gone", "empty", "px-k8s-user", "--all", "-n", shell.namespace)
    assert done.code == 1
    assert f"Secret {shell.namespace}/gone not found" in done.err
    assert f'Secret {shell.namespace}/empty holds no token under its key "auth-token"' in done.err
    assert "secret/px-k8s-user renewed" in done.out
    assert shell.pxauth("renew", "-n", shell.namespace).code == 0


def test_a_token_that_says_too_little(shell: Shell) -> None:
    nameless = claims_of(shell.namespace, days=1)
    del nameless["name"]
    shell.keep("nameless", forge(nameless))
    endless = claims_of(shell.namespace) | {"iat": 0}
    shell.keep("endless", forge(endless))
    done = shell.pxauth("renew", "-n", shell.namespace, "--all")
    assert done.code == 1
    assert "the token names no name" in done.err
    assert "does not say how long it was to live" in done.err
    assert shell.pxauth(
        "renew", "endless", "-n", shell.namespace, "--all", "--duration=1d"
    ).err == ("1 renewed\n")


def test_labels_choose(shell: Shell) -> None:
    for name in ("one", "two"):
        token = forge(claims_of(f"{shell.namespace}-{name}", days=1))
        shell.keep(name, token, labels={"which": name, "test": shell.namespace})
    done = shell.pxauth("renew", "-A", "-l", f"test={shell.namespace},which!=two")
    assert [line.split()[0] for line in done.out.splitlines()] == ["secret/one"]


def test_dry_runs_change_nothing(shell: Shell) -> None:
    shell.issue("kubernetes", "--duration", "1d")
    before = shell.secret()
    client = shell.pxauth("renew", "--all", "-n", shell.namespace, "--dry-run=client")
    server = shell.pxauth("renew", "--all", "-n", shell.namespace, "--dry-run=server")
    assert client.out.endswith("(dry run)\n")
    assert server.out.endswith("(server dry run)\n")
    assert shell.secret() == before


def test_ctrl_c_ends_cleanly_and_a_second_run_does_the_rest(shell: Shell) -> None:
    items = []
    for index in range(MANY):
        token = forge(claims_of(f"{shell.namespace}-{index}", days=30, age_days=29))
        data = {"auth-token": base64.b64encode(token.encode()).decode()}
        metadata = {"name": f"token-{index}"}
        items.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    shell.create({"kind": "List", "metadata": {}, "items": items})
    command = ["renew", "-n", shell.namespace, "--within=2d"]
    with subprocess.Popen(
        [BIN / "kubectl", "pxauth", *command, "--concurrency=2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=shell.popen_environment | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        # communicate() would leave out what readline() has read ahead.
        rest, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    said = {line.split()[0] for line in (first + rest).splitlines()}
    done = len(said)
    assert 0 < done < MANY
    assert err == f"error: interrupted after {done}: {done} renewed\n"
    found = json.loads(shell.kubectl("get", "secrets", "-n", shell.namespace, "-o=json").out)
    written = {
        f"secret/{item['metadata']['name']}"
        for item in found["items"]
        if "kubectl-pxauth/expires" in item["metadata"].get("annotations", {})
    }
    assert written == said
    again = shell.pxauth(*command)
    assert (again.code, again.err) == (0, f"{MANY - done} renewed, {done} unchanged\n")


def test_nobodys_change_is_lost(shell: Shell) -> None:
    names = [f"token-{index}" for index in range(8)]
    for name in names:
        shell.keep(name, forge(claims_of(f"{shell.namespace}-{name}", days=1)))
    over = threading.Event()
    notes: list[int] = []

    def edit() -> None:
        while not over.is_set():
            notes.append(len(notes))
            done = shell.kubectl(
                *("annotate", "--overwrite", "secrets", *names, "-n", shell.namespace),
                f"note={notes[-1]}",
            )
            assert done.code == 0, done.err

    with ThreadPoolExecutor(3) as pool:
        editing = pool.submit(edit)
        renewals = [
            pool.submit(shell.pxauth, "renew", "-n", shell.namespace, "--all") for _ in range(2)
        ]
        runs = [renewal.result() for renewal in renewals]
        over.set()
        editing.result()
    assert [run.code for run in runs] == [0, 0], [run.err for run in runs]
    for name in names:
        assert shell.secret(name)["metadata"]["annotations"]["note"] == str(notes[-1])
        assert judge(shell.token(name))["claims"]["sub"] == f"{shell.namespace}-{name}"


def test_where_the_key_signed_none_of_them(shell: Shell) -> None:
    """What the hint says works for the tokens of a key that was changed."""
    former = ("--shared-secret-file", "-", "--issuer", "portworx.com")
    shell.issue("kubernetes", *former, stdin="k" * 40)
    done = shell.pxauth("renew", "--all")
    assert (done.code, done.out) == (1, "")
    assert (
        "(issue them again: kubectl pxauth issue PROFILE -n NAMESPACE; or sign those that you"
        " know: kubectl pxauth renew SECRET -n NAMESPACE --resign)\n"
    ) in done.err
    shell.issue("kubernetes")
    assert judge(shell.token())["accepted"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a", "-A"], "names can't be used with --all-namespaces or --selector"),
        (["a", "-l", "b=c"], "names can't be used with --all-namespaces or --selector"),
        (["-A", "-l", ""], "--selector is empty, and would match everything"),
        (["A"], '"A" is not a name for a Secret'),
        (["--within", "x"], '--within: "x" is not a duration for a token'),
        (["--duration", "0s"], '--duration: "0s" is not a duration for a token: it is zero'),
        (["--key=/"], '"/" is not a key for a Secret\'s data'),
        (["a", "--grace", "x"], '--grace: "x" is not a duration for a token'),
        (["--resign"], "--resign is for Secrets that are named"),
        (["-A", "--resign"], "--resign is for Secrets that are named"),
    ],
)
def test_misuse(offline: Shell, arguments: list[str], says: str) -> None:
    assert says in offline.refused("renew", *arguments, code=2).err


def test_another_key_of_the_secret(shell: Shell) -> None:
    shell.issue("kubernetes", "--duration", "1d", "--key", "token")
    nothing = f"No resources found in {shell.namespace} namespace.\n"
    assert shell.pxauth("renew", "-n", shell.namespace).err == nothing
    done = shell.pxauth("renew", "-n", shell.namespace, "--key", "token", "--all")
    assert done.err == "1 renewed\n"
    assert decode(shell.token(key="token"))["sub"].startswith("px-k8s-user.")
    assert judge(shell.token(key="token"))["accepted"]
    assert set(shell.secret()["data"]) == {"token"}

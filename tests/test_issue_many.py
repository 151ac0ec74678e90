"""`kubectl pxauth issue` into many namespaces at once."""

import base64
import json
import signal
import subprocess
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from tests.conftest import BIN, Shell, claims_of, decode, forge, judge
from tests.tenants import namespaces, tokens
from tests.terminal import run_on_terminal
from tests.token.odd_tokens import private, rsa_key

MANY = 150


@pytest.fixture
def tenants(shell: Shell) -> list[str]:
    """Three namespaces with a label of their own."""
    return namespaces(shell, 3)


def versions(shell: Shell) -> dict[str, str]:
    done = shell.kubectl("get", "secrets", "-A", "-o=json")
    metadata = [item["metadata"] for item in json.loads(done.out)["items"]]
    return {one["namespace"]: one["resourceVersion"] for one in metadata}


def test_each_namespace_gets_a_user_of_its_own(shell: Shell, tenants: list[str]) -> None:
    flags = [f"-n={name}" for name in tenants]
    done = shell.pxauth("issue", "kubernetes", *flags)
    assert done.code == 0
    assert [line.partition(", expires ")[0] for line in sorted(done.out.splitlines())] == [
        f"secret/px-k8s-user created in namespace {name}" for name in tenants
    ]
    assert done.err == "3 created\n"
    found = tokens(shell)
    assert sorted(found) == tenants
    assert all(judge(token)["accepted"] for token in found.values())
    assert {decode(token)["sub"] for token in found.values()} == {
        f"px-k8s-user.{name}@portworx.com" for name in tenants
    }


def test_a_failure_is_listed_and_the_rest_is_done(shell: Shell, tenants: list[str]) -> None:
    first, *others = tenants
    shell.kubectl("create", "secret", "generic", "px-k8s-user", "-n", first)
    shell.kubectl("patch", "secret", "px-k8s-user", "-n", first, "-p", '{"immutable": true}')
    done = shell.pxauth("issue", "kubernetes", f"--namespace-selector=tenant={shell.namespace}")
    assert done.code == 1
    assert f"error: Secret {first}/px-k8s-user is immutable" in done.err
    assert done.err.endswith("2 created, 1 failed\n")
    assert sorted(tokens(shell)) == others


def test_a_namespace_that_does_not_exist_is_a_failure(shell: Shell, tenants: list[str]) -> None:
    done = shell.pxauth("issue", "kubernetes", "-n", tenants[0], "-n", "nowhere")
    assert done.code == 1
    assert 'namespace "nowhere" not found' in done.err
    assert list(tokens(shell)) == tenants[:1]


def test_a_second_run_changes_only_what_is_due(shell: Shell, tenants: list[str]) -> None:
    command = ["issue", "kubernetes", f"--namespace-selector=tenant={shell.namespace}"]
    command.append("--if-needed")
    assert "3 created" in shell.pxauth(*command).err
    before = versions(shell)
    again = shell.pxauth(*command)
    assert (again.code, again.err) == (0, "3 unchanged\n")
    assert versions(shell) == before
    ended, spoiled, gone = tenants
    sub = f"px-k8s-user.{ended}@portworx.com"
    in_there = {"data": {"auth-token": encoded(forge(claims_of(sub, days=30, age_days=29)))}}
    shell.kubectl("patch", "secret", "px-k8s-user", "-n", ended, "-p", json.dumps(in_there))
    in_there = {"data": {"auth-token": encoded("no token")}}
    shell.kubectl("patch", "secret", "px-k8s-user", "-n", spoiled, "-p", json.dumps(in_there))
    shell.kubectl("delete", "secret", "px-k8s-user", "-n", gone)
    done = shell.pxauth(*command, "--within=2d")
    assert "2 configured" in done.err
    assert "1 created" in done.err
    assert all(judge(token)["accepted"] for token in tokens(shell).values())


def encoded(token: str) -> str:
    return base64.b64encode(token.encode()).decode()


def test_if_needed_in_one_namespace(shell: Shell) -> None:
    made = shell.issue("kubernetes", "--if-needed").out
    assert made.startswith("secret/px-k8s-user created, expires ")
    before = shell.secret()
    again = shell.issue("kubernetes", "--if-needed").out
    assert again == made.replace("created", "unchanged")
    assert shell.secret() == before
    assert "configured" in shell.issue("kubernetes", "--if-needed", "--issuer", "other").out


def test_no_namespace_with_these_labels(shell: Shell) -> None:
    done = shell.pxauth("issue", "kubernetes", "--namespace-selector=tenant=nobody")
    assert (done.code, done.out, done.err) == (0, "", "No namespaces found\n")


def test_one_sub_for_several_is_refused_before_anything_is_written(
    shell: Shell, tenants: list[str]
) -> None:
    selector = f"--namespace-selector=tenant={shell.namespace}"
    sub = f"--sub={shell.namespace}"
    file = "name: a\nemail: b\n"
    for flags, stdin in (([sub], None), (["-f", "-"], file)):
        done = shell.refused("issue", "kubernetes", selector, *flags, stdin=stdin)
        assert "3 namespaces would share the sub" in done.err
        assert "--allow-shared-subject" in done.err
    assert tokens(shell) == {}
    done = shell.pxauth("issue", "kubernetes", selector, sub, "--allow-shared-subject")
    assert done.code == 0
    assert {decode(token)["sub"] for token in tokens(shell).values()} == {shell.namespace}


def test_another_tokens_sub_is_refused(shell: Shell, tenants: list[str]) -> None:
    theirs = f"{shell.namespace}-theirs"
    shell.keep("by-hand", forge(claims_of(theirs)))
    for flags in (["--sub", theirs], ["--sub", theirs, "--dry-run=server"]):
        done = shell.refused("issue", "kubernetes", "-n", tenants[0], *flags)
        assert f'the sub "{theirs}" is that of Secret {shell.namespace}/by-hand already' in done.err
    assert tokens(shell) == {}
    done = shell.pxauth(
        "issue", "kubernetes", "-n", tenants[0], "--sub", theirs, "--allow-shared-subject"
    )
    assert done.code == 0


def test_a_forged_token_keeps_nobody_from_having_the_sub(shell: Shell, tenants: list[str]) -> None:
    theirs, issue = f"{shell.namespace}-theirs", ("issue", "kubernetes", "-n", tenants[0])
    shell.keep("by-hand", forge(claims_of(theirs), b"another key"))
    # Its own is no other's.
    repeat = ["issue", "kubernetes", "-n", shell.namespace, "--secret", "by-hand"]
    assert "did not sign" in shell.refused(*repeat).err
    # A private key does not say whether there is a shared secret besides.
    (shell.home / "rsa.pem").write_bytes(private(rsa_key()))
    by_rsa = ("--rsa-private-keyfile", "rsa.pem", "--issuer", "portworx.com")
    said = shell.refused(*issue, "--sub", theirs, *by_rsa).err
    assert f'the sub "{theirs}" is that of Secret {shell.namespace}/by-hand already' in said
    (shell.home / "key").write_bytes(b"another key")
    given = ("--shared-secret-file", "key", "--issuer", "portworx.com", "--allow-weak-key")
    assert "is that of Secret" in shell.refused(*issue, "--sub", theirs, *given).err
    assert tokens(shell) == {}
    assert shell.pxauth(*issue, "--sub", theirs).code == 0
    assert decode(tokens(shell)[tenants[0]])["sub"] == theirs


def test_a_sub_is_looked_for_under_the_usual_key_too(shell: Shell, tenants: list[str]) -> None:
    theirs = f"{shell.namespace}-theirs"
    shell.keep("by-hand", forge(claims_of(theirs)))
    command = ("issue", "kubernetes", "-n", tenants[0], "--sub", theirs, "--key", "token")
    done = shell.refused(*command)
    assert f'the sub "{theirs}" is that of Secret {shell.namespace}/by-hand already' in done.err
    shell.kubectl("delete", "secret", "by-hand", "-n", shell.namespace)
    assert shell.pxauth(*command).code == 0
    again = ("issue", "kubernetes", "-n", tenants[1], "--sub", theirs, "--key", "token")
    assert "is that of Secret" in shell.refused(*again).err


def test_who_may_not_list_secrets_has_each_one_read(
    shell: Shell, tenants: list[str], plane: ControlPlane
) -> None:
    user = f"jack-{shell.namespace}"
    roles = {
        "lists-namespaces": ["--verb=list", "--resource=namespaces"],
        "writes-secrets": ["--verb=get,create,patch", "--resource=secrets"],
    }
    for role, rules in roles.items():
        name = f"{user}-{role}"
        assert shell.kubectl("create", "clusterrole", name, *rules).code == 0
        binding = ["clusterrolebinding", name, f"--clusterrole={name}", f"--user={user}"]
        assert shell.kubectl("create", *binding).code == 0
    there, *others = tenants
    claims = {"sub": f"px-k8s-user.{there}@portworx.com"}
    data = {"auth-token": encoded(forge(claims, b"another key")), "mine": encoded("hands off")}
    secret = {"metadata": {"name": "px-k8s-user", "namespace": there}, "data": data}
    shell.create(secret)
    jack = shell.with_environment(KUBECONFIG=str(plane.kubeconfig(user, groups=())))
    command = ["issue", "kubernetes", f"--namespace-selector=tenant={shell.namespace}", "-v=6"]
    key = ["--shared-secret-from=pxkeys", "--issuer=portworx.com"]
    done = jack.pxauth(*command, *key)
    assert done.code == 0, done.err
    assert "1 configured" in done.err
    assert "2 created" in done.err
    posted = [line for line in done.err.splitlines() if line.startswith("POST ")]
    assert len(posted) == len(others)
    assert all(judge(token)["accepted"] for token in tokens(shell).values())


def test_a_default_sub_pays_no_request(shell: Shell) -> None:
    flags = ["--issuer=portworx.com", "--shared-secret-from=pxkeys", "-v=6"]
    plain = shell.issue("kubernetes", *flags)
    secrets = [line.split()[0] for line in plain.err.splitlines() if "/secrets" in line]
    # What else it asks is whether key and issuer are right. The last is a look at the key, which
    # may have been rotated meanwhile.
    assert secrets == ["GET", "GET", "POST", "GET"]


def test_who_may_not_list_all_secrets_is_asked_for_no_more(
    shell: Shell, plane: ControlPlane
) -> None:
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"]}]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "issuer", "namespace": shell.namespace},
        "rules": rules,
    }
    assert shell.kubectl("create", "-f", "-", stdin=json.dumps(role)).code == 0
    shell.kubectl(
        "create", "rolebinding", "i", "--role=issuer", "--user=ivy", "-n", shell.namespace
    )
    key = shell.home / "key"
    key.write_text("k" * 40)
    kubeconfig = plane.kubeconfig("ivy", groups=())
    restricted = shell.with_environment(KUBECONFIG=str(kubeconfig))
    sub = f"{shell.namespace}-ivy"
    restricted.issue("kubernetes", "--sub", sub, "--shared-secret-file", "key")
    assert shell.claims()["sub"] == sub


def test_output_for_scripts(shell: Shell, tenants: list[str]) -> None:
    command = ["issue", "kubernetes", *(f"-n={name}" for name in tenants)]
    assert shell.pxauth(*command, "-o", "name").out == "secret/px-k8s-user\n" * 3
    listed = json.loads(shell.pxauth(*command, "-o", "json").out)
    assert listed["kind"] == "List"
    assert {item["metadata"]["namespace"] for item in listed["items"]} == set(tenants)
    before = versions(shell)
    dry = shell.pxauth(*command, "--dry-run=server")
    assert "configured in namespace" in dry.out
    assert dry.out.count("(server dry run)") == 3
    assert versions(shell) == before


def test_a_client_dry_run_needs_no_cluster(offline: Shell) -> None:
    done = offline.pxauth("issue", "kubernetes", "-n=a", "-n=b", "--dry-run=client", "-o", "json")
    assert [item["metadata"]["namespace"] for item in json.loads(done.out)["items"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (
            ["-n", "a", "--namespace-selector", "b"],
            "--namespace and --namespace-selector can't be used together",
        ),
        (["--namespace-selector", ""], "--namespace-selector is empty, and would match everything"),
        (["--namespace-selector= ", "--context=a", "--context=b"], "--namespace-selector is empty"),
        (["-n", "a", "-n", "B"], '"B" is not a name for a namespace'),
        (["-n", "a", "--concurrency", "0"], "0 is not in the range 1<=x<=256"),
        (["-n", "a", "--if-needed", "--within", "soon"], '"soon" is not a duration for a token'),
    ],
)
def test_misuse(offline: Shell, flags: list[str], says: str) -> None:
    assert says in offline.refused("issue", "kubernetes", *flags, code=2).err


def test_a_bar_on_a_terminals_standard_error_alone(shell: Shell, tenants: list[str]) -> None:
    flags = [f"-n={name}" for name in tenants]
    done, shown = run_on_terminal(shell, "pxauth", "issue", "kubernetes", *flags, stream="stderr")
    assert done.code == 0
    assert "issuing" in shown
    assert "3/3" in shown
    assert [line.partition(", expires ")[0] for line in sorted(done.out.splitlines())] == [
        f"secret/px-k8s-user created in namespace {name}" for name in tenants
    ]


def test_ctrl_c_ends_cleanly_and_a_second_run_does_the_rest(shell: Shell, tmp_path: Path) -> None:
    names = namespaces(shell, MANY)
    selector = f"--namespace-selector=tenant={shell.namespace}"
    command = ["issue", "kubernetes", selector, "--if-needed", "--concurrency=2"]
    errors = tmp_path / "errors"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [BIN / "kubectl", "pxauth", *command],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=shell.popen_environment | {"PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out = first + process.stdout.read()
    assert process.returncode == 130
    done = len(out.splitlines())
    assert 0 < done < MANY
    assert errors.read_text() == f"error: interrupted after {done} of {MANY}: {done} created\n"
    assert len(tokens(shell)) == done
    again = shell.pxauth(*command)
    assert again.err == f"{MANY - done} created, {done} unchanged\n"
    assert sorted(tokens(shell)) == sorted(names)


@pytest.mark.parametrize("plain", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_bar_is_shown_unless_it_may_be_read_out(shell: Shell, plain: dict[str, str]) -> None:
    names = namespaces(shell, 2)
    flags = [word for name in names for word in ("-n", name)]
    quiet = shell.with_environment(**plain)
    done, shown = run_on_terminal(quiet, "pxauth", "issue", "kubernetes", *flags, stream="stderr")
    assert done.code == 0
    assert ("\x1b" in shown) is (plain == {})
    assert "2 created" in shown

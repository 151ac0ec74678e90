"""`kubectl pxauth schedule` and `unschedule`, and the job, run with the rights that it has."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.run import ControlPlane
from tests.conftest import BIN, SHARED_SECRET, Run, Shell, claims_of, decode, forge
from tests.pod import needs_pods_files, pods_files

NAME = "pxauth-renew"
ACCOUNT = f"serviceaccount/{NAME}"
CRON_JOB = f"cronjob.batch/{NAME}"
RBAC = "rbac.authorization.k8s.io"
ROLE, BINDING = f"role.{RBAC}/{NAME}", f"rolebinding.{RBAC}/{NAME}"
CLUSTER_ROLE, CLUSTER_BINDING = f"clusterrole.{RBAC}/{NAME}", f"clusterrolebinding.{RBAC}/{NAME}"


@dataclass(frozen=True)
class Job:
    """The job of a test's own namespace."""

    shell: Shell
    plane: ControlPlane

    @property
    def here(self) -> list[str]:
        """What is made in a namespace for its own tokens."""
        key_role = f"{NAME}-{self.shell.namespace}"
        key = [f"role.{RBAC}/{key_role}", f"rolebinding.{RBAC}/{key_role}"]
        return [ACCOUNT, ROLE, BINDING, *key, CRON_JOB]

    def schedule(self, *arguments: str) -> dict[str, str]:
        """Run the command; it must succeed. What became of each object."""
        done = self.shell.pxauth("schedule", *arguments)
        assert (done.code, done.err) == (0, "")
        return changes(done)

    def unschedule(self, *arguments: str) -> dict[str, str]:
        done = self.shell.pxauth("unschedule", *arguments)
        assert done.code == 0, done.err
        return changes(done)

    def get(self, what: str, namespace: str | None = None) -> dict[str, Any]:
        done = self.shell.kubectl(
            "get", what, "-o", "json", "-n", namespace or self.shell.namespace
        )
        assert done.code == 0, done.err
        manifest: dict[str, Any] = json.loads(done.out)
        return manifest

    def exists(self) -> set[str]:
        """All that has our labels, in every namespace."""
        kinds = "cronjobs,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"
        labels = (
            f"app.kubernetes.io/managed-by=kubectl-pxauth,app.kubernetes.io/name={NAME},"
            f"app.kubernetes.io/instance={self.shell.namespace}"
        )
        done = self.shell.kubectl("get", kinds, "-A", "-l", labels, "-o", "name")
        assert done.code == 0, done.err
        return set(done.out.split())

    def pod(self) -> dict[str, Any]:
        pod: dict[str, Any] = self.get(CRON_JOB)["spec"]["jobTemplate"]["spec"]["template"]
        return pod

    def token(self) -> str:
        done = self.shell.kubectl("create", "token", NAME, "-n", self.shell.namespace)
        assert done.code == 0, done.err
        return done.out.strip()

    def run(self, *instead: str) -> Run:
        """Run the command that the job's container has, or other arguments, as its account."""
        (container,) = self.pod()["spec"]["containers"]
        # The kubelet's way to read them; there is no variable to fill in. A container's user may
        # have no home.
        arguments = instead or [text.replace("$$", "$") for text in container["args"]]
        with pods_files(self.plane, self.token(), self.shell.namespace) as variables:
            done = subprocess.run(
                [*container["command"], *arguments],
                capture_output=True,
                text=True,
                env={"PATH": str(BIN)} | variables,
                cwd=self.shell.home,
            )
        assert "Traceback" not in done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    def may(self, *arguments: str) -> bool:
        """Do it as the job's account, for real: whether the API server lets it."""
        flags = ["-s", self.plane.server, "--certificate-authority", str(self.plane.ca_file)]
        bare = Shell("x", self.shell.home)
        done = bare.kubectl(*arguments, *flags, "--token", self.token())
        assert done.code == 0 or "forbidden" in done.err.lower(), done.err
        return done.code == 0


def changes(done: Run) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in done.out.splitlines())


def due(shell: Shell) -> str:
    """Keep a token in Secret due that ends in ten days."""
    token = forge(claims_of(f"{shell.namespace}-due", days=90, age_days=80))
    shell.keep("due", token)
    return token


@pytest.fixture
def job(shell: Shell, plane: ControlPlane) -> Iterator[Job]:
    made = Job(shell, plane)
    yield made
    made.unschedule()


@pytest.fixture
def elsewhere(shell: Shell) -> Shell:
    """Another namespace."""
    other = f"{shell.namespace}-other"
    assert shell.kubectl("create", "namespace", other).code == 0
    return Shell(other, shell.home, shell.environment)


def test_a_repeat_changes_what_differs(job: Job) -> None:
    assert job.schedule() == dict.fromkeys(job.here, "created")
    assert job.schedule() == dict.fromkeys(job.here, "unchanged")
    unchanged = dict.fromkeys(job.here, "unchanged")
    flags = ["--schedule", "@weekly", "--within=12h", "--image=other:1", "-l", "team=a"]
    assert job.schedule(*flags, "--dry-run=server") == {
        what: f"{'configured' if what == CRON_JOB else 'unchanged'} (server dry run)"
        for what in job.here
    }
    assert job.get(CRON_JOB)["spec"]["schedule"] == "0 3 * * *"
    assert job.schedule(*flags) == unchanged | {CRON_JOB: "configured"}
    (container,) = job.pod()["spec"]["containers"]
    assert job.get(CRON_JOB)["spec"]["schedule"] == "@weekly"
    assert container["image"] == "other:1"
    assert container["args"] == [
        *("renew", "--namespace", job.shell.namespace, "--selector", "team=a", "--within", "12h"),
        *("--issuer", "portworx.com", "--shared-secret-from", "kube-system/pxkeys:shared-secret"),
    ]
    assert job.schedule(*flags) == unchanged
    assert job.exists() == set(job.here)


@needs_pods_files
def test_it_renews_what_is_due_and_no_more(job: Job, elsewhere: Shell) -> None:
    before, other = due(job.shell), due(elsewhere)
    job.shell.issue("kubernetes")
    not_due = job.shell.token()
    job.schedule()
    done = job.run()
    assert done.code == 0, done.err
    assert set(done.err.strip().split(", ")) == {"1 unchanged", "1 renewed"}
    assert job.shell.token("due") != before
    assert job.shell.claims("due")["sub"] == decode(before)["sub"]
    assert (job.shell.token(), elsewhere.token("due")) == (not_due, other)
    refused = job.run("renew", "-n", elsewhere.namespace, "--issuer=i", "--shared-secret-from=x/y")
    assert (refused.code, refused.out) == (1, "")
    assert f'user "system:serviceaccount:{job.shell.namespace}:{NAME}" may not' in refused.err


@needs_pods_files
def test_the_key_may_be_rotated_in_its_secret(job: Job, elsewhere: Shell) -> None:
    """The issuer has a word that the kubelet would take for a variable."""
    elsewhere.create({"metadata": {"name": "keys"}, "stringData": {"k": "k" * 40}})
    flags = ["--shared-secret-from", f"{elsewhere.namespace}/keys:k", "--issuer", "$(HOME)"]
    job.shell.issue("kubernetes", "--duration=10d", *flags)
    job.schedule(*flags)
    assert job.run().code == 0
    assert job.shell.claims()["iss"] == "$(HOME)"
    patch = json.dumps({"stringData": {"k": "n" * 40}})
    job.shell.kubectl("patch", "secret", "keys", "-n", elsewhere.namespace, "-p", patch)
    before = job.shell.token()
    refused = job.run()
    assert refused.code == 1
    assert "the present key did not sign the token" in refused.err
    assert job.shell.token() == before
    job.shell.issue("kubernetes", "--duration=10d", "--change-identity", *flags)
    assert "1 renewed" in job.run().err


def test_what_it_need_not_do_it_may_not_do(job: Job, elsewhere: Shell) -> None:
    job.shell.issue("kubernetes")
    elsewhere.issue("kubernetes")
    job.shell.kubectl("create", "secret", "generic", "other", "-n", "kube-system")
    job.schedule()
    own, other = ["-n", job.shell.namespace], ["-n", elsewhere.namespace]
    secret = "px-k8s-user"
    label = ["label", "secret", secret, "seen=true"]
    assert job.may("get", "secret", secret, *own)
    assert job.may("get", "secrets", *own)
    assert job.may(*label, *own)
    assert job.may("get", "secret", "pxkeys", "-n", "kube-system")
    for refused in (
        ["delete", "secret", secret, *own],
        ["create", "secret", "generic", "new", *own],
        ["get", "configmaps", *own],
        ["get", "secret", secret, *other],
        ["get", "secrets", *other],
        ["get", "secrets", "-A"],
        ["get", "secret", "other", "-n", "kube-system"],
        ["get", "secrets", "-n", "kube-system"],
        ["label", "secret", "pxkeys", "seen=true", "-n", "kube-system"],
        ["get", "cronjobs", *own],
        ["get", "daemonsets", "-A"],
    ):
        assert not job.may(*refused), refused


@needs_pods_files
def test_all_namespaces_and_back_to_one(job: Job, elsewhere: Shell) -> None:
    tokens = [due(shell) for shell in (job.shell, elsewhere)]
    for shell in (job.shell, elsewhere):
        shell.kubectl("label", "secret", "due", "mine=true", "-n", shell.namespace)
    everywhere = [ACCOUNT, CLUSTER_ROLE, CLUSTER_BINDING, CRON_JOB]
    assert job.schedule("-A", "-l", "mine=true") == dict.fromkeys(everywhere, "created")
    assert job.run().err == "2 renewed\n"
    assert not {job.shell.token("due"), elsewhere.token("due")} & set(tokens)
    assert job.may("get", "secrets", "-A")
    for refused in (
        ["delete", "secret", "due", "-n", elsewhere.namespace],
        ["create", "secret", "generic", "new", "-n", elsewhere.namespace],
        ["get", "configmaps", "-A"],
    ):
        assert not job.may(*refused), refused
    rest = [what for what in job.here if what not in everywhere]
    assert job.schedule() == {
        ACCOUNT: "unchanged",
        **dict.fromkeys(rest, "created"),
        CRON_JOB: "configured",
        CLUSTER_BINDING: "deleted",
        CLUSTER_ROLE: "deleted",
    }
    assert job.exists() == set(job.here)
    assert not job.may("get", "secrets", "-A")
    assert job.schedule("-A") == {
        ACCOUNT: "unchanged",
        CLUSTER_ROLE: "created",
        CLUSTER_BINDING: "created",
        CRON_JOB: "configured",
        **dict.fromkeys(rest, "deleted"),
    }
    assert job.exists() == set(everywhere)


def test_the_right_to_the_key_goes_where_the_key_goes(job: Job) -> None:
    secret = {"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}}
    job.shell.create(secret)
    job.schedule()
    moved = job.schedule("--shared-secret-from", f"{job.shell.namespace}/keys")
    key_role = [what for what in job.here if what.endswith(f"-{job.shell.namespace}")]
    assert {what for what, change in moved.items() if change == "deleted"} == set(key_role)
    assert not job.may("get", "secret", "pxkeys", "-n", "kube-system")


def test_one_job_for_all_namespaces_is_enough(job: Job, elsewhere: Shell) -> None:
    job.schedule("-A")
    done = job.shell.refused("schedule", "-A", "-n", elsewhere.namespace)
    assert f"is of the job in namespace {job.shell.namespace}" in done.err
    assert f"kubectl pxauth unschedule -n {job.shell.namespace}\n" in done.err
    assert job.shell.kubectl("get", ACCOUNT, "-n", elsewhere.namespace).code == 1
    done = job.shell.pxauth("unschedule", "-n", elsewhere.namespace)
    assert (done.code, done.out) == (0, "")
    assert CLUSTER_ROLE in job.exists()
    job.unschedule()
    assert job.shell.pxauth("schedule", "-A", "-n", elsewhere.namespace).code == 0
    assert job.shell.pxauth("unschedule", "-n", elsewhere.namespace).code == 0


def test_unschedule_deletes_what_is_ours_and_no_more(job: Job) -> None:
    job.shell.kubectl("create", "serviceaccount", "other", "-n", job.shell.namespace)
    job.schedule()
    deleted = dict.fromkeys(job.here, "deleted")
    for how, suffix in (("client", "dry run"), ("server", "server dry run")):
        done = job.unschedule(f"--dry-run={how}")
        assert done == {what: f"{change} ({suffix})" for what, change in deleted.items()}
    assert job.exists() == set(job.here)
    assert job.unschedule() == deleted
    assert job.exists() == set()
    job.get("serviceaccount/other")
    again = job.shell.pxauth("unschedule")
    assert (again.code, again.out) == (0, "")
    assert again.err == f"nothing is scheduled in namespace {job.shell.namespace}\n"
    assert job.schedule() == dict.fromkeys(job.here, "created")


def test_what_others_made_or_changed_is_theirs(job: Job) -> None:
    own = ["-n", job.shell.namespace]
    job.shell.kubectl("create", "serviceaccount", NAME, *own)
    done = job.shell.refused("schedule")
    assert f"ServiceAccount {job.shell.namespace}/{NAME} exists, and is not one of ours" in done.err
    assert job.exists() == set()
    assert job.unschedule() == {}
    job.shell.kubectl("delete", "serviceaccount", NAME, *own)
    job.schedule()
    job.shell.kubectl("annotate", CRON_JOB, "note=hands off", *own)
    job.shell.kubectl("patch", CRON_JOB, *own, "-p", '{"spec": {"schedule": "0 4 * * *"}}')
    before = job.get(CRON_JOB)["metadata"]["resourceVersion"]
    done = job.shell.refused("schedule", "--within=60d")
    assert f"CronJob {job.shell.namespace}/{NAME} was changed by somebody else" in done.err
    assert ".spec.schedule" in done.err
    assert job.get(CRON_JOB)["metadata"]["resourceVersion"] == before
    assert job.schedule("--schedule", "0 4 * * *", "--within=60d")[CRON_JOB] == "configured"
    assert job.get(CRON_JOB)["metadata"]["annotations"] == {"note": "hands off"}


@pytest.mark.parametrize(
    ("flags", "code", "problem"),
    [
        (["--schedule", "0 3 * *"], 2, '"0 3 * *" is not a schedule'),
        (["--schedule", ""], 2, "is not a schedule"),
        (["--within", "soon"], 2, "not a duration"),
        (["--image", ""], 2, "not an image"),
        (["-n", "Nope"], 2, "not a name for a namespace"),
        (["--schedule", "61 3 * * *"], 1, "spec.schedule"),
        (["--schedule", "@never"], 1, "spec.schedule"),
        (["-l", "a=b=c"], 1, 'with the labels "a=b=c"'),
        (["--shared-secret-from", "nowhere/nothing"], 1, "Secret nowhere/nothing not found"),
        (["--shared-secret-file", "-"], 1, "is in no Secret, and a scheduled job needs it in one"),
        (["-n", "nowhere"], 1, 'namespace "nowhere" not found'),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_made(
    job: Job, flags: list[str], code: int, problem: str
) -> None:
    done = job.shell.refused("schedule", *flags, stdin="k" * 40, code=code)
    assert problem in done.err
    assert job.exists() == set()


def test_a_key_that_is_in_no_secret(job: Job) -> None:
    name = "PORTWORX_AUTH_JWT_SHAREDSECRET"
    container: dict[str, Any] = {"name": "portworx", "image": "i", "args": ["-c", "px"]}
    container["env"] = [{"name": name, "value": "k" * 40}]
    labels = {"name": "portworx"}
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "portworx"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    job.shell.create(daemon_set)
    try:
        done = job.shell.refused("schedule", "--portworx-namespace", job.shell.namespace)
    finally:
        job.shell.kubectl("delete", "daemonset", "portworx", "-n", job.shell.namespace)
    assert f"the shared secret of DaemonSet {job.shell.namespace}/portworx" in done.err
    assert "is in no Secret" in done.err
    assert "--shared-secret-from NAMESPACE/NAME:KEY" in done.err
    assert "k" * 40 not in done.err
    variable = job.shell.with_environment(PORTWORX_AUTH_SHARED_SECRET=SHARED_SECRET.decode())
    assert "is in no Secret" in variable.refused("schedule").err


def test_manifests_need_no_cluster(job: Job, tmp_path: Path) -> None:
    key = ["--issuer", "portworx.com", "--shared-secret-from", "kube-system/pxkeys:shared-secret"]
    flags = ["schedule", "-n", job.shell.namespace, *key, "--dry-run=client"]
    offline = Shell("x", tmp_path)
    assert changes(offline.pxauth(*flags)) == dict.fromkeys(job.here, "created (dry run)")
    assert offline.pxauth(*flags, "-o", "name").out.split() == job.here
    shown = offline.pxauth(*flags, "-o", "yaml").out
    assert yaml.safe_load(shown) == json.loads(offline.pxauth(*flags, "-o", "json").out)
    assert job.shell.kubectl("apply", "-f", "-", stdin=shown).code == 0
    assert job.exists() == set(job.here)
    assert job.schedule() == dict.fromkeys(job.here, "unchanged")
    found = job.shell.pxauth("schedule", "--dry-run=client", "-o", "yaml")
    assert found.out == shown
    written = json.loads(job.shell.pxauth("schedule", "-o", "json").out)["items"]
    assert {item["metadata"]["resourceVersion"] for item in written}
    assert [item["kind"] for item in written][-1] == "CronJob"


def test_each_field_is_what_it_is_meant_to_be(tmp_path: Path) -> None:
    """The rights, the bounds of a run, and arguments in which the kubelet fills nothing in."""
    offline = Shell("x", tmp_path)
    flags = ["-n=red", "--issuer=a$(HOME)b$", "--shared-secret-from=keys/k:v", "-l=team=a,b!=$(c)"]
    flags += ["--image=registry.example/pxauth:1", "--schedule=30 2 * * *", "--within=60d"]
    done = offline.pxauth("schedule", *flags, "--dry-run=client", "-o", "yaml")
    expected = Path(__file__).with_name("schedule.yaml").read_text()
    assert yaml.safe_load(done.out) == yaml.safe_load(expected)
    everywhere = offline.pxauth("schedule", *flags, "-A", "--dry-run=client", "-o", "yaml")
    account, role, binding, job = yaml.safe_load(everywhere.out)["items"]
    items = yaml.safe_load(expected)["items"]
    assert account == items[0]
    assert (role["kind"], role["rules"]) == ("ClusterRole", items[1]["rules"])
    assert (binding["kind"], binding["subjects"]) == ("ClusterRoleBinding", items[2]["subjects"])
    assert binding["roleRef"] == items[2]["roleRef"] | {"kind": "ClusterRole"}
    assert "namespace" not in role["metadata"] | binding["metadata"]
    (container,) = items[-1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][1:3] == ["--namespace", "red"]
    container["args"][1:3] = ["--all-namespaces"]
    assert job == items[-1]


def test_who_may_only_look_is_told_which_right_is_missing(job: Job, plane: ControlPlane) -> None:
    user, own = f"olga-{job.shell.namespace}", ["-n", job.shell.namespace]
    job.shell.create({"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}})
    kinds = "secrets,serviceaccounts,roles,rolebindings,cronjobs"
    role = ["role", user, "--verb=get,list", f"--resource={kinds}"]
    patch = ["role", f"{user}-patch", "--verb=patch", "--resource=serviceaccounts"]
    for made in (role, patch):
        assert job.shell.kubectl("create", *made, *own).code == 0
    looks = ["rolebinding", user, f"--role={user}", f"--user={user}"]
    assert job.shell.kubectl("create", *looks, *own).code == 0
    patches = ["rolebinding", f"{user}-patch", f"--role={user}-patch", f"--user={user}"]
    assert job.shell.kubectl("create", *patches, *own).code == 0
    kubeconfig = plane.kubeconfig(user, (), namespace=job.shell.namespace)
    olga = job.shell.with_environment(KUBECONFIG=str(kubeconfig))
    key = ["--issuer", "i", "--shared-secret-from", f"{job.shell.namespace}/keys"]
    where = f"ServiceAccount {job.shell.namespace}/{NAME}"
    for verb in ("create", "patch"):
        error, hint = olga.refused("schedule", *key).err.splitlines()[-2:]
        assert error.startswith(f'error: user "{user}" may not {verb} {where}: verb "{verb}" on')
        question = f"kubectl auth can-i {verb} serviceaccounts/{NAME} -n {job.shell.namespace}"
        assert hint == f"hint: {question}"
        assert olga.kubectl(*question.split()[1:]).out == "no\n"
        job.shell.kubectl("delete", "rolebinding", f"{user}-patch", *own)
        job.schedule(*key)


def test_the_pod_security_standard_restricted_lets_it_in(job: Job) -> None:
    job.schedule()
    label = "pod-security.kubernetes.io/enforce=restricted"
    assert job.shell.kubectl("label", "namespace", job.shell.namespace, label).code == 0
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": job.pod()["spec"]}
    job.shell.create(pod)
    del pod["spec"]["containers"][0]["securityContext"]
    pod["metadata"] = {"name": "q"}
    done = job.shell.kubectl("create", "-n", job.shell.namespace, "-f", "-", stdin=json.dumps(pod))
    assert "violates PodSecurity" in done.err


def test_who_may_not_look_everywhere_is_told(job: Job, plane: ControlPlane) -> None:
    """A namespace's administrator, whose Portworx has its key in that namespace."""
    own = ["-n", job.shell.namespace]
    bind = ["create", "rolebinding", "admin", "--clusterrole=cluster-admin", "--user=grace"]
    assert job.shell.kubectl(*bind, *own).code == 0
    job.shell.create({"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}})
    kubeconfig = plane.kubeconfig("grace", (), namespace=job.shell.namespace)
    grace = job.shell.with_environment(KUBECONFIG=str(kubeconfig))
    key = ["--issuer", "i", "--shared-secret-from", f"{job.shell.namespace}/keys"]
    done = grace.pxauth("schedule", *key)
    assert done.code == 0, done.err
    assert changes(done) == dict.fromkeys([ACCOUNT, ROLE, BINDING, CRON_JOB], "created")
    assert done.err.startswith(
        "warning: you may not list clusterrolebindings, clusterroles, rolebindings, roles of all"
        " namespaces"
    )
    guessed = grace.pxauth("schedule", *key[2:], "--dry-run=client")
    assert 'warning: the issuer is taken to be "portworx.com"' in guessed.err
    refused = grace.refused("schedule", "-A", *key)
    assert f'user "grace" may not get ClusterRole {NAME}' in refused.err
    assert changes(grace.pxauth("unschedule")) == dict.fromkeys(
        [CRON_JOB, BINDING, ROLE, ACCOUNT], "deleted"
    )


def test_nobody_gives_rights_that_he_lacks(job: Job, plane: ControlPlane) -> None:
    """The API server sees to that, before anything is made."""
    own = ["-n", job.shell.namespace]
    job.shell.create({"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}})
    kinds = "roles,rolebindings,serviceaccounts,cronjobs"
    for arguments in (
        ["role", "keeper", "--verb=get,list,create,patch", f"--resource={kinds}"],
        ["role", "key", "--verb=get", "--resource=secrets", "--resource-name=keys"],
        ["rolebinding", "keeper", "--role=keeper", "--user=heidi"],
        ["rolebinding", "key", "--role=key", "--user=heidi"],
    ):
        assert job.shell.kubectl("create", *arguments, *own).code == 0
    kubeconfig = plane.kubeconfig("heidi", (), namespace=job.shell.namespace)
    heidi = job.shell.with_environment(KUBECONFIG=str(kubeconfig))
    key = ["--issuer", "i", "--shared-secret-from", f"{job.shell.namespace}/keys"]
    done = heidi.refused("schedule", *key)
    assert f"Role {job.shell.namespace}/{NAME}: " in done.err
    assert "attempting to grant RBAC permissions not currently held" in done.err
    assert job.exists() == set()

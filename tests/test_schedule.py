"""`kubectl pxauth schedule` and `unschedule`, and the job, run with the rights that it has."""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.run import ControlPlane
from tests.conftest import BIN, SHARED_SECRET, Run, Shell, claims_of, decode, forge
from tests.pod import needs_pods_files, pods_files

NAME = "pxauth-renew"
HOME = "kube-system"
RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLE, CLUSTER_BINDING = f"clusterrole.{RBAC}/{NAME}", f"clusterrolebinding.{RBAC}/{NAME}"
EVERYWHERE = [f"serviceaccount/{NAME}", CLUSTER_ROLE, CLUSTER_BINDING, f"cronjob.batch/{NAME}"]
KINDS = "cronjobs,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"
OLD_JOB = Path(__file__).with_name("job_of_0_1_0.yaml").read_text()


@dataclass(frozen=True)
class Job:
    """The job for a test's own namespace, or for all; it runs where the key is."""

    shell: Shell
    plane: ControlPlane
    everywhere: bool = False
    home: str = HOME

    @property
    def name(self) -> str:
        return NAME if self.everywhere else f"{NAME}-{self.shell.namespace}"

    @property
    def cron_job(self) -> str:
        return f"cronjob.batch/{self.name}"

    @property
    def here(self) -> list[str]:
        """What is made for a namespace's tokens."""
        roles = [
            f"{kind}.{RBAC}/{name}"
            for name in (self.name, f"{self.name}-key")
            for kind in ("role", "rolebinding")
        ]
        return [f"serviceaccount/{self.name}", *roles, self.cron_job]

    def schedule(self, *arguments: str, warned: str = "image kubectl-pxauth/") -> dict[str, str]:
        """Run the command; it must succeed. What became of each object."""
        done = self.shell.pxauth("schedule", *arguments)
        assert done.code == 0, done.err
        warnings = done.err.splitlines()
        assert all(line.startswith(f"warning: {warned}") for line in warnings), done.err
        return changes(done)

    def unschedule(self, *arguments: str) -> dict[str, str]:
        flags = ["-A"] if self.everywhere else []
        done = self.shell.pxauth("unschedule", *flags, *arguments)
        assert done.code == 0, done.err
        return changes(done)

    def get(self, what: str, namespace: str | None = None) -> dict[str, Any]:
        done = self.shell.kubectl("get", what, "-o", "json", "-n", namespace or self.home)
        assert done.code == 0, done.err
        manifest: dict[str, Any] = json.loads(done.out)
        return manifest

    def exists(self, selector: str = "") -> set[str]:
        """All that has our label, in every namespace."""
        labels = ["-l", selector or f"kubectl-pxauth/job={self.name}"]
        done = self.shell.kubectl("get", KINDS, "-A", "-o", "name", *labels)
        assert done.code == 0, done.err
        return set(done.out.split())

    def pod(self) -> dict[str, Any]:
        pod: dict[str, Any] = self.get(self.cron_job)["spec"]["jobTemplate"]["spec"]["template"]
        return pod

    def token(self) -> str:
        done = self.shell.kubectl("create", "token", self.name, "-n", self.home)
        assert done.code == 0, done.err
        return done.out.strip()

    def run(self, *instead: str, container: int = 0) -> Run:
        """Run the command that the job's container has, or other arguments, as its account."""
        called = self.pod()["spec"]["containers"][container]
        # The kubelet's way to read them; there is no variable to fill in. A container's user may
        # have no home.
        arguments = instead or [text.replace("$$", "$") for text in called["args"]]
        with pods_files(self.plane, self.token(), self.home) as variables:
            done = subprocess.run(
                [*called["command"], *arguments],
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
    """What became of each object; what is set stands behind, further in."""
    lines = [line for line in done.out.splitlines() if not line.startswith("  ")]
    return dict(line.split(" ", 1) for line in lines)


def shown(done: Run) -> dict[str, str]:
    """What is set."""
    lines = [line.strip() for line in done.out.splitlines() if line.startswith("  ")]
    return {line[:13].strip(): line[13:].strip() for line in lines}


def due(shell: Shell) -> str:
    """Keep a token in Secret due that ends in ten days."""
    token = forge(claims_of(f"{shell.namespace}-due", days=90, age_days=80))
    shell.keep("due", token)
    return token


def let_it_age(shell: Shell, key: bytes = SHARED_SECRET) -> None:
    """Put an older token in the place of the one that was issued, signed alike, now due."""
    older = claims_of("", days=90, age_days=80)
    token = forge(shell.claims() | {name: older[name] for name in ("iat", "exp")}, key)
    patch = ["patch", "secret", "px-k8s-user", "-n", shell.namespace, "--patch-file=/dev/stdin"]
    new = json.dumps({"stringData": {"auth-token": token}})
    assert shell.kubectl(*patch, stdin=new).code == 0


@pytest.fixture
def job(shell: Shell, plane: ControlPlane) -> Iterator[Job]:
    made = Job(shell, plane)
    yield made
    made.unschedule()


@pytest.fixture
def job_everywhere(shell: Shell, plane: ControlPlane) -> Iterator[Job]:
    made = Job(shell, plane, everywhere=True)
    yield made
    made.unschedule()


@pytest.fixture
def elsewhere(shell: Shell) -> Shell:
    """Another namespace."""
    other = f"{shell.namespace}-other"
    assert shell.kubectl("create", "namespace", other).code == 0
    return Shell(other, shell.home, shell.environment)


def test_a_repeat_changes_what_is_said_and_no_more(job: Job) -> None:
    assert job.schedule() == dict.fromkeys(job.here, "created")
    unchanged = dict.fromkeys(job.here, "unchanged")
    assert job.schedule() == unchanged
    flags = ["--schedule", "@weekly", "--within=20d", "--image=other:1", "-l", "team=a"]
    assert job.schedule(*flags, "--dry-run=server") == {
        what: f"{'configured' if what == job.cron_job else 'unchanged'} (server dry run)"
        for what in job.here
    }
    assert job.get(job.cron_job)["spec"]["schedule"] == "0 3 * * *"
    assert job.schedule(*flags, warned="-") == unchanged | {job.cron_job: "configured"}
    (container,) = job.pod()["spec"]["containers"]
    assert job.get(job.cron_job)["spec"]["schedule"] == "@weekly"
    assert container["image"] == "other:1"
    assert container["args"] == [
        *("renew", "--namespace", job.shell.namespace, "--selector", "team=a", "--within", "20d"),
        *("--issuer", "portworx.com", "--shared-secret-from", "kube-system/pxkeys:shared-secret"),
    ]
    assert job.schedule(warned="-") == unchanged
    assert job.schedule("--within=30d", warned="-") == unchanged | {job.cron_job: "configured"}
    (container,) = job.pod()["spec"]["containers"]
    assert (container["image"], container["args"][4]) == ("other:1", "team=a")
    assert job.get(job.cron_job)["spec"]["schedule"] == "@weekly"
    assert job.schedule("-l", "", warned="-") == unchanged | {job.cron_job: "configured"}
    assert "--selector" not in job.pod()["spec"]["containers"][0]["args"]
    assert job.exists() == set(job.here)


def test_every_setting_stays_until_it_is_taken_back(job: Job) -> None:
    job.schedule(
        *("--image=i:1", "--timezone=Europe/Berlin", "--requests=cpu=10m"),
        *("--limits", "memory=512Mi,cpu=0", "--toleration=node-role.kubernetes.io/control-plane"),
        *("--toleration", "team=px:NoSchedule", "--node-selector", "zone=a,disk=ssd"),
        *("--priority-class=system-cluster-critical", "--image-pull-secret=pull"),
        *("--label=team=px", "--label", "cost=1", "--annotation", "note=a, b"),
        *("--issuer=i", "--shared-secret-from=kube-system/pxkeys"),
    )

    def state() -> tuple[Any, ...]:
        found = job.get(job.cron_job)
        return found["spec"], found["metadata"]["labels"], found["metadata"]["annotations"]

    spec, labels, annotations = before = state()
    pod = job.pod()["spec"]
    assert spec["timeZone"] == "Europe/Berlin"
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "10m", "memory": "64Mi"},
        "limits": {"memory": "512Mi"},
    }
    assert pod["tolerations"] == [
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"},
        {"key": "team", "operator": "Equal", "value": "px", "effect": "NoSchedule"},
    ]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", "zone": "a", "disk": "ssd"}
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    for made in (labels, job.pod()["metadata"]["labels"]):
        assert (made["team"], made["cost"]) == ("px", "1")
    assert annotations["note"] == job.pod()["metadata"]["annotations"]["note"] == "a, b"
    role = job.get(f"role/{job.name}", job.shell.namespace)["metadata"]
    assert (role["labels"]["team"], role["annotations"]["note"]) == ("px", "a, b")
    assert set(job.schedule(warned="-").values()) == {"unchanged"}
    assert state() == before
    job.schedule(
        *("--timezone=", "--toleration=", "--node-selector=", "--priority-class="),
        *("--image-pull-secret=", "--label", "team-", "--limits=cpu=100m"),
        warned="-",
    )
    spec, labels, annotations = state()
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert "timeZone" not in spec
    assert not {"tolerations", "priorityClassName", "imagePullSecrets"} & pod.keys()
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "512Mi", "cpu": "100m"}
    assert pod["containers"][0]["args"][-3:] == [
        *("i", "--shared-secret-from", "kube-system/pxkeys:shared-secret")
    ]
    assert ("team" in labels, labels["cost"], annotations["note"]) == (False, "1", "a, b")


def test_what_is_set_is_shown(job: Job) -> None:
    """Where no setting is said; a script's -o name has nothing of it."""
    first = job.shell.pxauth("schedule", "--image=i:1")
    assert (first.err, shown(first)) == ("", {})
    patch = json.dumps({"status": {"lastSuccessfulTime": "2026-11-24T03:00:09Z"}})
    done = job.shell.kubectl(
        *("patch", job.cron_job, "-n", HOME, "--subresource=status", "--type=merge", "-p", patch)
    )
    assert done.code == 0, done.err
    said = shown(job.shell.pxauth("schedule"))
    run = said.pop("next run")
    assert run.endswith("T03:00:00Z")
    assert said == {
        "schedule": "0 3 * * * (the control plane's time zone, most often UTC)",
        "renews": f"namespace {job.shell.namespace}, what ends within 30d",
        "image": "i:1",
        "runs in": "namespace kube-system",
        "key": 'Secret kube-system/pxkeys key "shared-secret", issuer portworx.com',
        "last success": "2026-11-24T03:00:09Z",
    }
    suspend = ["patch", job.cron_job, "-n", HOME, "-p", '{"spec": {"suspend": true}}']
    assert job.shell.kubectl(*suspend).code == 0
    assert shown(job.shell.pxauth("schedule"))["next run"] == "suspended"
    assert shown(job.shell.pxauth("schedule", "-o", "name")) == {}


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
    assert f'user "system:serviceaccount:kube-system:{job.name}" may not' in refused.err


@needs_pods_files
def test_the_key_may_be_rotated_in_its_secret(job: Job, elsewhere: Shell) -> None:
    """The issuer has a word that the kubelet would take for a variable."""
    elsewhere.create({"metadata": {"name": "keys"}, "stringData": {"k": "k" * 40}})
    flags = ["--shared-secret-from", f"{elsewhere.namespace}/keys:k", "--issuer", "$(HOME)"]
    job = replace(job, home=elsewhere.namespace)
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
    let_it_age(job.shell, b"n" * 40)
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
def test_all_namespaces(job: Job, job_everywhere: Job, elsewhere: Shell) -> None:
    tokens = [due(shell) for shell in (job.shell, elsewhere)]
    for shell in (job.shell, elsewhere):
        shell.kubectl("label", "secret", "due", "mine=true", "-n", shell.namespace)
    made = job_everywhere.schedule("-A", "-l", "mine=true")
    assert made == dict.fromkeys(EVERYWHERE, "created")
    assert job_everywhere.run().err == "2 renewed\n"
    assert not {job.shell.token("due"), elsewhere.token("due")} & set(tokens)
    assert job_everywhere.may("get", "secrets", "-A")
    for refused in (
        ["delete", "secret", "due", "-n", elsewhere.namespace],
        ["create", "secret", "generic", "new", "-n", elsewhere.namespace],
        ["get", "configmaps", "-A"],
        ["get", "namespaces"],
    ):
        assert not job_everywhere.may(*refused), refused
    # The job of one namespace is another one.
    assert job.schedule() == dict.fromkeys(job.here, "created")
    assert job.unschedule() == dict.fromkeys(job.here, "deleted")
    assert job_everywhere.exists() == set(EVERYWHERE)
    assert job_everywhere.unschedule() == dict.fromkeys(EVERYWHERE, "deleted")
    assert job_everywhere.exists() == set()
    again = job.shell.pxauth("unschedule", "-A")
    assert (again.code, again.err) == (0, "nothing is scheduled for all namespaces\n")


@needs_pods_files
def test_tenants_come_by_themselves(job_everywhere: Job, elsewhere: Shell) -> None:
    """A namespace that gets the label has a token at the next run, and no other has."""
    job, shell = job_everywhere, job_everywhere.shell
    label = f"tenant-of={shell.namespace}"
    issuing = ["--issue=kubernetes", f"--namespace-selector={label}", "--label=team=a"]
    issuing += ["-l", "team=a"]  # other tests' tokens are none of its business
    assert job.schedule(*issuing, "--schedule=*/5 * * * *") == dict.fromkeys(EVERYWHERE, "created")
    assert (job.run(container=1).err, job.run(container=1).code) == ("No namespaces found\n", 0)
    for tenant in (shell, elsewhere):
        assert tenant.kubectl("label", "namespace", tenant.namespace, label).code == 0
        done = job.run(container=1)
        assert done.code == 0, done.err
        assert "1 created" in done.err
    subjects = {tenant.claims()["sub"] for tenant in (shell, elsewhere)}
    assert subjects == {
        f"px-k8s-user.{tenant.namespace}@portworx.com" for tenant in (shell, elsewhere)
    }
    assert shell.secret()["metadata"]["labels"]["team"] == "a"
    assert job.run(container=1).err == "2 unchanged\n"
    assert job.run().err == "2 unchanged\n"
    before = shell.token()
    let_it_age(shell)
    assert "1 configured" in job.run(container=1).err
    assert shell.claims()["exp"] - decode(before)["exp"] < 600
    for refused in (
        ["delete", "secret", "px-k8s-user", "-n", elsewhere.namespace],
        ["get", "configmaps", "-A"],
        ["label", "namespace", shell.namespace, "seen=true"],
        ["get", "pods", "-A"],
    ):
        assert not job.may(*refused), refused
    assert job.schedule("-A") == dict.fromkeys(EVERYWHERE, "unchanged")
    changed = dict.fromkeys((CLUSTER_ROLE, job.cron_job), "configured")
    assert job.schedule("--issue=") == dict.fromkeys(EVERYWHERE, "unchanged") | changed
    assert [one["name"] for one in job.pod()["spec"]["containers"]] == [NAME]
    assert not job.may("create", "secret", "generic", "new", "-n", elsewhere.namespace)


def test_the_job_goes_where_the_key_goes(job: Job) -> None:
    """And leaves nothing at the old place."""
    secret = {"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}}
    job.shell.create(secret)
    job.schedule()
    moved = job.schedule("--shared-secret-from", f"{job.shell.namespace}/keys")
    assert moved == {
        f"serviceaccount/{job.name}": "deleted",
        f"role.{RBAC}/{job.name}": "unchanged",
        f"rolebinding.{RBAC}/{job.name}": "configured",
        job.cron_job: "deleted",
        f"rolebinding.{RBAC}/{job.name}-key": "deleted",
        f"role.{RBAC}/{job.name}-key": "deleted",
    }
    found = job.shell.kubectl("get", KINDS, "-n", HOME, "-o", "name")
    assert job.name not in found.out
    moved_job = replace(job, home=job.shell.namespace)
    assert not moved_job.may("get", "secret", "pxkeys", "-n", HOME)
    # It was said, and so it stays.
    assert "deleted" not in job.schedule().values()
    assert job.get(job.cron_job, job.shell.namespace)["spec"]


def test_a_job_takes_no_image_out_of_a_tenants_namespace(job: Job) -> None:
    """Who has all rights there may have made it, for the rights that it would get."""
    secret = {"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}}
    job.shell.create(secret)
    job.schedule("--shared-secret-from", f"{job.shell.namespace}/keys", "--image=evil:1")
    done = job.shell.pxauth("schedule", "--shared-secret-from", "kube-system/pxkeys")
    assert done.code == 0, done.err
    whose = f"CronJob {job.shell.namespace}/{job.name} may be anybody's"
    assert f"{whose}, so none of its settings is kept" in done.err
    assert "evil" not in json.dumps(job.pod())


def test_a_job_elsewhere_is_said_to_give_the_key_away(job: Job, elsewhere: Shell) -> None:
    there = ["--job-namespace", elsewhere.namespace, "--image=i:1"]
    done = job.shell.pxauth("schedule", *there)
    assert done.code == 0
    assert done.err.startswith(
        "warning: whoever can create pods, or tokens of service accounts, in"
    )
    assert f"namespace {elsewhere.namespace} can read the signing key" in done.err
    owner = owner_of(job, elsewhere.namespace)
    for what, namespace in (
        (f"rolebinding/{job.name}-key", HOME),
        (f"role/{job.name}-key", HOME),
        (f"rolebinding/{job.name}", job.shell.namespace),
    ):
        assert job.get(what, namespace)["metadata"]["ownerReferences"] == [owner]
    (cron_job,) = job.get("cronjobs", elsewhere.namespace)["items"]
    served = owner_of(job, job.shell.namespace)
    assert cron_job["metadata"]["ownerReferences"] == [served]
    # Without the flag it goes back.
    assert job.schedule()[job.cron_job] == "deleted"
    assert job.get("cronjobs", elsewhere.namespace)["items"] == []
    binding = job.get(f"rolebinding/{job.name}-key", HOME)
    assert binding["metadata"]["ownerReferences"] == [served]


def owner_of(job: Job, namespace: str) -> dict[str, str]:
    """What an object says that goes with a namespace."""
    uid = job.get(f"namespace/{namespace}")["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid}


@pytest.mark.parametrize(
    "touch", ["app.kubernetes.io/instance-", "app.kubernetes.io/instance=argo"]
)
def test_a_job_of_0_1_0_is_moved(job: Job, touch: str) -> None:
    """Its settings stay; whoever took its label for himself is no hindrance."""
    old = OLD_JOB.replace("NAMESPACE", job.shell.namespace)
    names = set(job.shell.kubectl("apply", "-f", "-", "-o", "name", stdin=old).out.split())
    here, key_role = ["-n", job.shell.namespace], f"{NAME}-{job.shell.namespace}"
    for what in ("serviceaccount", "role", "rolebinding", "cronjob"):
        assert job.shell.kubectl("label", "--overwrite", what, NAME, touch, *here).code == 0
    for what in ("role", "rolebinding"):
        there = ["label", "--overwrite", what, key_role, touch, "-n", HOME]
        assert job.shell.kubectl(*there).code == 0
    moved = job.schedule(warned="-")
    assert moved == dict.fromkeys(job.here, "created") | dict.fromkeys(names, "deleted")
    assert job.get(job.cron_job)["spec"]["schedule"] == "0 5 * * *"
    assert job.pod()["spec"]["containers"][0]["image"] == "old:1"
    assert job.get("cronjobs,serviceaccounts,roles", job.shell.namespace)["items"][0]["metadata"]
    (role,) = job.get("roles", job.shell.namespace)["items"]
    assert role["metadata"]["name"] == job.name
    labels = job.get(job.cron_job)["metadata"]["labels"]
    assert "app.kubernetes.io/instance" not in labels


@pytest.mark.parametrize(
    ("release", "given"), [("today's", "issuer,shared-secret-from"), ("0.1.0's", "issuer")]
)
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_cron_job_of_a_tenant_sets_nothing(
    job: Job, job_everywhere: Job, elsewhere: Shell, release: str, given: str, *, everywhere: bool
) -> None:
    """Its image would run with the job's rights, and its key would say where."""
    made = job_everywhere if everywhere else job
    labels = {
        "app.kubernetes.io/managed-by": "kubectl-pxauth",
        "app.kubernetes.io/name": "pxauth-renew",
    } | ({"kubectl-pxauth/job": made.name} if release == "today's" else {})
    # 0.1.0 had the job in the namespace that it served.
    place = made.shell if release == "0.1.0's" and not everywhere else elsewhere
    scope = ["--all-namespaces"] if everywhere else ["--namespace", made.shell.namespace]
    theirs = f"{place.namespace}/px-shared-secret:shared-secret"
    container = {
        "name": "pxauth-renew",
        "image": "evil:1",
        "args": ["renew", *scope, "--issuer=x", "--shared-secret-from", theirs],
    }
    pod = {"restartPolicy": "Never", "containers": [container]}
    place.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {
                "name": "pxauth-renew",
                "labels": labels,
                "annotations": {"kubectl-pxauth/given": given},
            },
            "spec": {
                "schedule": "0 4 * * *",
                "jobTemplate": {"spec": {"template": {"spec": pod}}},
            },
        }
    )
    account = {"kind": "ServiceAccount", "name": "pxauth-renew", "namespace": place.namespace}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"}
    place.create(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "pxauth-renew", "labels": labels},
            "roleRef": role,
            "subjects": [account],
        }
    )
    flags = [*(["-A"] if everywhere else []), "--image", "ours:1"]
    if "shared-secret-from" in given:
        said = made.shell.refused("schedule", *flags).err
        assert f"may be anybody's, and takes the key {theirs}" in said
        flags += ["--shared-secret-from", "kube-system/pxkeys"]
    done = made.shell.pxauth("schedule", *flags)
    assert done.code == 0, done.err
    whose = f"CronJob {place.namespace}/pxauth-renew may be anybody's, so none of its settings"
    assert whose in done.err
    container = made.pod()["spec"]["containers"][0]
    assert (container["image"], made.get(made.cron_job)["spec"]["schedule"]) == (
        "ours:1",
        "0 3 * * *",
    )
    assert "kube-system/pxkeys:shared-secret" in container["args"]
    assert "evil" not in json.dumps(made.pod())


@pytest.mark.parametrize("scope", [["--namespace", "NAMESPACE"], ["--all-namespaces"]])
def test_a_job_of_0_1_0_is_unscheduled_where_it_is(job: Job, scope: list[str]) -> None:
    words = "".join(f"              - {word}\n" for word in scope)
    old = OLD_JOB.replace("              - --namespace\n              - NAMESPACE\n", words)
    old = old.replace("NAMESPACE", job.shell.namespace)
    names = set(job.shell.kubectl("apply", "-f", "-", "-o", "name", stdin=old).out.split())
    assert len(names) == 6
    assert job.unschedule() == dict.fromkeys(names, "deleted")
    assert job.shell.pxauth("unschedule").err.startswith("nothing is scheduled")


def test_argo_cd_may_have_its_label(job: Job) -> None:
    job.schedule()
    for what, namespace in (
        (f"serviceaccount/{job.name}", HOME),
        (job.cron_job, HOME),
        (f"role/{job.name}", job.shell.namespace),
    ):
        label = ["label", what, "app.kubernetes.io/instance=argo", "-n", namespace]
        assert job.shell.kubectl(*label).code == 0
    assert set(job.schedule("--within=20d").values()) == {"unchanged", "configured"}
    labels = job.get(job.cron_job)["metadata"]["labels"]
    assert labels["app.kubernetes.io/instance"] == "argo"
    assert "app.kubernetes.io/instance" not in job.pod()["metadata"]["labels"]
    assert job.unschedule() == dict.fromkeys(job.here, "deleted")


def test_at_once_they_leave_all_of_it_or_nothing(job: Job) -> None:
    for number in range(10):
        with ThreadPoolExecutor(2) as pool:
            made = pool.submit(job.shell.pxauth, "schedule", f"--within={number + 20}d")
            gone = pool.submit(job.shell.pxauth, "unschedule")
            ends = [made.result(), gone.result()]
        assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
        left = job.exists()
        assert left in (set(), set(job.here)), (number, left)


QUOTA: dict[str, Any] = {
    "requests.cpu": "2",
    "requests.memory": "2Gi",
    "limits.cpu": "4",
    "limits.memory": "4Gi",
}


def limit_range(**limits: dict[str, str]) -> dict[str, Any]:
    spec = {"limits": [{"type": "Container", **limits}]}
    return {"kind": "LimitRange", "metadata": {"name": "limits"}, "spec": spec}


@pytest.fixture
def keys(job: Job) -> list[str]:
    """A key in the test's own namespace, where quotas hinder nobody else, and the flag for it."""
    job.shell.create({"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}})
    return ["--shared-secret-from", f"{job.shell.namespace}/keys", "--image=i:1"]


def test_quotas_and_limits_let_it_in(job: Job, keys: list[str]) -> None:
    job.shell.create(
        {"kind": "ResourceQuota", "metadata": {"name": "compute"}, "spec": {"hard": QUOTA}}
    )
    own = ["-n", job.shell.namespace]
    used = json.dumps({"status": {"hard": QUOTA, "used": dict.fromkeys(QUOTA, "0")}})
    status = ["--subresource=status", "--type=merge", "-p", used]
    assert job.shell.kubectl("patch", "resourcequota", "compute", *own, *status).code == 0
    job.shell.create(
        limit_range(max={"memory": "128Mi"}, maxLimitRequestRatio={"memory": "2", "cpu": "2"})
    )
    job.schedule(*keys, warned="-")
    pod = job.get(job.cron_job, job.shell.namespace)["spec"]["jobTemplate"]["spec"]["template"]
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod["spec"]}
    job.shell.create(made)
    job.shell.kubectl("delete", "pod", "p", *own)


def test_a_pod_that_would_not_be_let_in_is_refused_before_anything_is_made(
    job: Job, keys: list[str]
) -> None:
    job.shell.create(limit_range(max={"memory": "100Mi"}))
    done = job.shell.refused("schedule", *keys)
    assert f"the job's pod would not be let into namespace {job.shell.namespace}: " in done.err
    assert "maximum memory usage per Container is 100Mi" in done.err
    assert "--limits" in done.err
    assert job.exists() == set()
    job.schedule(*keys, "--limits=memory=80Mi", warned="-")
    refused = job.shell.refused("schedule", "--priority-class=none")
    assert "no PriorityClass with name none was found" in refused.err


def test_a_namespace_that_is_being_deleted_is_none(job: Job, elsewhere: Shell) -> None:
    """Nothing ends its deletion, where no controller runs."""
    delete = ["delete", "namespace", elsewhere.namespace, "--wait=false"]
    assert job.shell.kubectl(*delete).code == 0
    done = job.shell.refused("schedule", "-n", elsewhere.namespace)
    assert f'namespace "{elsewhere.namespace}" is being deleted' in done.err


def test_a_key_whose_namespace_is_being_deleted_is_none(
    job: Job, job_everywhere: Job, elsewhere: Shell
) -> None:
    elsewhere.create({"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 40}})
    delete = ["delete", "namespace", elsewhere.namespace, "--wait=false"]
    assert job.shell.kubectl(*delete).code == 0
    key = ["--shared-secret-from", f"{elsewhere.namespace}/keys"]
    done = job.shell.refused("schedule", "-A", *key, "--job-namespace", job.shell.namespace)
    assert f'namespace "{elsewhere.namespace}" is being deleted' in done.err
    assert job_everywhere.exists() == set()


@pytest.mark.parametrize(
    ("hours", "flags", "would_do"),
    [
        (12, [], '--schedule "0 * * * *" would do'),
        (24, [], '--schedule "0 */6 * * *" would do'),
        (48, [], '--schedule "0 */6 * * *" would do'),
        (72, [], '--schedule "0 */6 * * *" would do'),
        (96, [], None),
        (24, ["--schedule=0 */6 * * *"], None),
        (2160, ["--schedule=@weekly", "--within=3d"], "--within 14d would do"),
    ],
)
def test_a_token_that_ends_before_the_job_comes(
    job: Job, hours: int, flags: list[str], would_do: str | None
) -> None:
    job.shell.issue("kubernetes", f"--duration={hours}h")
    done = job.shell.pxauth("schedule", "--image=i:1", *flags)
    assert done.code == 0
    if would_do is None:
        assert done.err == ""
    else:
        assert done.err.startswith("warning: the job runs every ")
        assert done.err.endswith(f"{would_do}\n")


def test_a_token_that_another_job_renews_in_time(job: Job, job_everywhere: Job) -> None:
    job.shell.issue("kubernetes", "--duration=12h")
    label = ["label", "secret", "px-k8s-user", "short=true", "-n", job.shell.namespace]
    assert job.shell.kubectl(*label).code == 0
    everywhere = ["-A", "-l", "short=true", "--image=i:1"]  # other tests' tokens may be short too
    lapses = "the job runs every 1d, and the token in Secret"
    assert lapses in job.shell.pxauth("schedule", *everywhere).err
    job.schedule("--image=i:1", "--schedule=0 * * * *", warned="-")
    assert job.shell.pxauth("schedule", *everywhere).err == ""
    suspend = ["patch", job.cron_job, "-n", HOME, "-p", '{"spec": {"suspend": true}}']
    assert job.shell.kubectl(*suspend).code == 0
    assert lapses in job.shell.pxauth("schedule", *everywhere).err


def test_meshes_are_asked_to_leave_it_alone(job: Job) -> None:
    job.schedule()
    metadata = job.pod()["metadata"]
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert metadata["labels"]["kuma.io/sidecar-injection"] == "disabled"
    assert metadata["annotations"] == {
        "sidecar.istio.io/inject": "false",
        "linkerd.io/inject": "disabled",
        "consul.hashicorp.com/connect-inject": "false",
    }


def test_an_image_that_may_not_be_there_is_named(job: Job) -> None:
    done = job.shell.pxauth("schedule")
    assert done.err.startswith("warning: image kubectl-pxauth/kubectl-pxauth:v")
    assert "--image" in done.err


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
    job.get("serviceaccount/other", job.shell.namespace)
    again = job.shell.pxauth("unschedule")
    assert (again.code, again.out) == (0, "")
    assert again.err == f"nothing is scheduled for namespace {job.shell.namespace}\n"
    assert job.schedule() == dict.fromkeys(job.here, "created")


def test_what_others_made_or_changed_is_theirs(job: Job) -> None:
    there = ["-n", HOME]
    job.shell.kubectl("create", "serviceaccount", job.name, *there)
    done = job.shell.refused("schedule")
    assert (
        f"ServiceAccount {HOME}/{job.name} exists, and kubectl pxauth did not make it" in done.err
    )
    assert job.exists() == set()
    assert job.unschedule() == {}
    job.shell.kubectl("delete", "serviceaccount", job.name, *there)
    job.schedule()
    job.shell.kubectl("annotate", job.cron_job, "note=hands off", *there)
    job.shell.kubectl("patch", job.cron_job, *there, "-p", '{"spec": {"schedule": "0 4 * * *"}}')
    before = job.get(job.cron_job)["metadata"]["resourceVersion"]
    done = job.shell.refused("schedule", "--schedule=0 5 * * *")
    assert f"CronJob {HOME}/{job.name} was changed by somebody else" in done.err
    assert ".spec.schedule" in done.err
    assert f"kubectl pxauth unschedule -n {job.shell.namespace}, then" in done.err
    assert job.get(job.cron_job)["metadata"]["resourceVersion"] == before
    # What nobody says anything of stays as it is.
    assert job.schedule("--within=60d")[job.cron_job] == "configured"
    assert job.get(job.cron_job)["spec"]["schedule"] == "0 4 * * *"
    assert job.get(job.cron_job)["metadata"]["annotations"] == {"note": "hands off"}


@pytest.mark.parametrize(
    ("flags", "code", "problem"),
    [
        (["--schedule", "0 3 * *"], 2, '"0 3 * *" is not a schedule'),
        (["--schedule", ""], 2, "is not a schedule"),
        (["--within", "soon"], 2, "not a duration"),
        (["--image", ""], 2, "not an image"),
        (["--image", "Team/Pxauth:1"], 2, "not an image"),
        (["--image", "https://registry.example/pxauth:1"], 2, "not an image"),
        (["--image", "pxauth:1 "], 2, "not an image"),
        (["--image", "pxauth@sha256:abc"], 2, "not an image"),
        (["-n", "Nope"], 2, "not a name for a namespace"),
        (["--schedule", "61 3 * * *"], 1, "spec.schedule"),
        (["--schedule", "@never"], 1, "spec.schedule"),
        (["-l", "a=b=c"], 1, 'with the labels "a=b=c"'),
        (["--shared-secret-from", "nowhere/nothing"], 1, "Secret nowhere/nothing not found"),
        (["--shared-secret-file", "-"], 1, "is in no Secret, and a scheduled job needs it in one"),
        (["-n", "nowhere"], 1, 'namespace "nowhere" not found'),
        (["--issue", "kubernetes"], 2, "--issue and --namespace-selector go together"),
        (["--namespace-selector", "a=b"], 2, "--issue and --namespace-selector go together"),
        (["--issue", "nobody", "--namespace-selector", "a"], 2, "nobody"),
        (["--issue", "admin", "--namespace-selector", "a", "-n", "b"], 2, "--issue goes with -A"),
        (["--issue", "", "-n", "b"], 2, "--issue goes with -A"),
        (["--issue", "", "--namespace-selector", "a"], 2, "--issue and --namespace-selector go"),
        (["--issue", "admin", "--namespace-selector", " "], 2, "--namespace-selector is empty"),
        (["--issue", "admin", "--namespace-selector", "a=b=c"], 1, 'the labels "a=b=c"'),
        (["--timezone", "Mars/Base"], 1, "unknown time zone Mars/Base"),
        (["--limits", "memory"], 2, '--limits "memory" is not KEY=VALUE'),
        (["--toleration", "a:Never"], 2, "the effect is not NoSchedule"),
        (["--label", "a"], 2, '--label "a" is not KEY=VALUE'),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_made(
    job: Job, flags: list[str], code: int, problem: str
) -> None:
    done = job.shell.refused("schedule", *flags, stdin="k" * 40, code=code)
    assert problem in done.err
    assert job.exists() == set()


@pytest.mark.parametrize(
    "image",
    [
        "i",
        "localhost:5000/i:1",
        "[fd00::1]:5000/team/px__auth:v1",
        "Registry.example/a.b/c--d_e:V1.2-x",
        f"ghcr.io/team/pxauth:v1@sha256:{'0' * 64}",
    ],
)
def test_whatever_a_kubelet_reads_is_an_image(tmp_path: Path, image: str) -> None:
    key = ["--issuer=i", "--shared-secret-from=keys/k:v"]
    done = Shell("x", tmp_path).pxauth(
        *("schedule", "-n=red", *key, "--dry-run=client", "-o", "json", "--image", image)
    )
    assert f'"image": "{image}"' in done.out


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
    printed = offline.pxauth(*flags, "-o", "yaml").out
    assert yaml.safe_load(printed) == json.loads(offline.pxauth(*flags, "-o", "json").out)
    assert job.shell.kubectl("apply", "-f", "-", stdin=printed).code == 0
    assert job.exists() == set(job.here)
    # What is elsewhere gets the namespace as its owner, whose uid only a server knows.
    owned = {name: change for name, change in job.schedule(*key).items() if change != "unchanged"}
    assert owned == dict.fromkeys(owned, "configured")
    assert {job.get(name)["metadata"]["ownerReferences"][0]["name"] for name in owned} == {
        job.shell.namespace
    }
    assert job.schedule(*key) == dict.fromkeys(job.here, "unchanged")
    found = job.shell.pxauth("schedule", "--dry-run=client", "-o", "yaml")
    assert found.out == printed
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
    # The job for all namespaces is called so, and that for one by its name as well.
    items = yaml.safe_load(expected.replace("pxauth-renew-red", "pxauth-renew"))["items"]
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
    account = f"{NAME}-{job.shell.namespace}"
    where = f"ServiceAccount {job.shell.namespace}/{account}"
    for verb in ("create", "patch"):
        error, hint = olga.refused("schedule", *key).err.splitlines()[-2:]
        # An old API server does not say who it is.
        who = re.match(f'error: (user "{user}"|you) may', error)
        assert who
        assert error.startswith(f'{who[0]} not {verb} {where}: verb "{verb}" on')
        question = f"kubectl auth can-i {verb} serviceaccounts/{account} -n {job.shell.namespace}"
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
    guessed = grace.pxauth("schedule", *key[2:], "--dry-run=client")
    assert 'warning: the issuer is taken to be "portworx.com"' in guessed.err
    done = grace.pxauth("schedule", *key)
    assert done.code == 0, done.err
    without_key = [what for what in job.here if not what.endswith("-key")]
    assert changes(done) == dict.fromkeys(without_key, "created")
    assert done.err.startswith(
        "warning: you may not list cronjobs, clusterrolebindings, clusterroles, rolebindings,"
        " roles, serviceaccounts of all namespaces"
    )
    refused = grace.refused("schedule", "-A", *key)
    assert f'user "grace" may not get ClusterRole {NAME}' in refused.err
    assert changes(grace.pxauth("unschedule")) == dict.fromkeys(without_key, "deleted")


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
    assert f"Role {job.shell.namespace}/{job.name}: " in done.err
    assert "attempting to grant RBAC permissions not currently held" in done.err
    assert job.exists() == set()

"""The job that renews tokens, run by Kubernetes itself, and what can happen to its pod."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from controlplane.node import NAME, Cluster
from tests.conftest import BIN, claims_of, decode, forge
from tests.e2e.conftest import items
from tests.e2e.waiting import eventually, kubectl_until_done
from tests.portworx_site import Site

_EACH_MINUTE = "* * * * *"
_SELDOM = "0 0 1 1 *"  # runs are made by hand
_A_DAY = 86400
_MANY = 150
_SLOWLY = ["--limits", "cpu=50m"]  # some seconds for so many tokens, after as many to start


@dataclass(frozen=True)
class Job:
    """The job of a namespace's tokens, which also runs there."""

    site: Site
    image: str

    @property
    def name(self) -> str:
        return f"pxauth-renew-{self.site.namespace}"

    def schedule(self, schedule: str, *flags: str) -> None:
        here = ["--schedule", schedule, "--job-namespace", self.site.namespace]
        image = [] if "--image" in flags else ["--image", self.image]
        done = self.site.pxauth("schedule", *here, *image, *flags)
        assert done.code == 0, done.err

    def start(self, name: str) -> None:
        """Start a run now, as people do."""
        self.site.done("create", "job", name, f"--from=cronjob/{self.name}")

    def pods(self) -> list[dict[str, Any]]:
        selector = f"kubectl-pxauth/job={self.name}"
        return items(self.site, "pods", self.site.namespace, "-l", selector)

    def running_pod(self) -> str | None:
        """Return a pod's name once its container runs."""
        for pod in self.pods():
            if pod["status"]["phase"] == "Running":
                return str(pod["metadata"]["name"])
        return None

    def key(self) -> bytes:
        pxkeys = json.loads(self.site.done("get", "secret", "pxkeys", "-n=kube-system", "-o=json"))
        return base64.b64decode(pxkeys["data"]["shared-secret"])

    def log(self, pod: str) -> str:
        """What a pod has logged, which is no token and no key."""
        log = self.site.kubectl("logs", pod, "--all-containers").out
        assert "eyJ" not in log
        assert self.key().decode() not in log
        return log

    def lay_tokens(self, count: int) -> None:
        """Lay tokens that end in ten days."""
        key = self.key()
        secrets = []
        for number in range(count):
            token = forge(claims_of(f"{self.site.namespace}-{number}", days=90, age_days=80), key)
            secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"auth-token": token}}
            secrets.append(secret | {"metadata": {"name": f"token-{number}"}})
        listed = {"apiVersion": "v1", "kind": "List", "items": secrets}
        self.site.done("create", "-f", "-", stdin=listed)

    def renewed(self) -> int:
        """How many of the tokens are new ones."""
        secrets = items(self.site, "secrets", self.site.namespace)
        tokens = [base64.b64decode(secret["data"]["auth-token"]).decode() for secret in secrets]
        return sum(time.time() - decode(token)["iat"] < _A_DAY for token in tokens)

    def wait_for(self, condition: str, run: str) -> None:
        """Wait until a run is Complete or Failed."""
        kubectl_until_done(self.site, "wait", f"--for=condition={condition}", f"job/{run}")

    def doctor(self) -> str:
        """What the doctor says of jobs."""
        found = json.loads(self.site.pxauth("doctor", "-o", "json").out)["findings"]
        mine = [one for one in found if self.name in one["message"]]
        return "\n".join(f"{one['severity']}: {one['message']}: {one['hint']}" for one in mine)


@pytest.fixture(autouse=True)
def restricted(site: Site) -> None:
    """Let in only pods that the strictest Pod Security Standard lets in."""
    standard = "pod-security.kubernetes.io/enforce=restricted"
    site.done("label", "namespace", site.namespace, standard)


@pytest.fixture
def job(site: Site, pxauth_image: str) -> Iterator[Job]:
    job = Job(site, pxauth_image)
    yield job
    for pod in job.pods():
        job.log(pod["metadata"]["name"])
    assert site.pxauth("unschedule", "-n", site.namespace).code == 0


def test_the_cluster_renews_and_issues_by_itself(job: Job) -> None:
    site, tenant = job.site, f"{job.site.namespace}-tenant"
    label = f"e2e={site.namespace}"
    job.lay_tokens(1)
    before = site.token("token-0")
    namespaces = ["--issue", "kubernetes", "--namespace-selector", label]
    job.schedule(_EACH_MINUTE, "-A", *namespaces)
    try:
        eventually(lambda: site.token("token-0") != before, "a renewed token")
        assert site.claims("token-0")["sub"] == decode(before)["sub"]
        site.done("create", "namespace", tenant)
        site.done("label", "namespace", tenant, label)
        secret = ["get", "secret", "px-k8s-user", "-n", tenant]
        eventually(lambda: site.kubectl(*secret).code == 0, "a token for the new tenant")
        (listed,) = json.loads(site.pxauth("list", "-n", tenant, "-o", "json").out)["items"]
        assert listed["status"] == "valid"
        runs = ["get", "cronjob", "pxauth-renew", "-o", "jsonpath={.status.lastSuccessfulTime}"]
        eventually(lambda: site.done(*runs), "a success that the CronJob knows of")
        logs = [job.log(pod["metadata"]["name"]) for pod in items(site, "pods", site.namespace)]
        assert "px-k8s-user" in "".join(logs)
    finally:
        assert site.pxauth("unschedule", "-A").code == 0
        site.done("delete", "namespace", tenant, "--ignore-not-found", "--wait=false")


def test_a_killed_pod_is_replaced_and_the_rest_is_renewed(job: Job, cluster: Cluster) -> None:
    job.lay_tokens(_MANY)
    job.schedule(_SELDOM, *_SLOWLY)
    job.start("run")
    # More than are under way at once: the first ones have been told of.
    eventually(lambda: _MANY // 3 < job.renewed() < _MANY, "a run that is under way")
    (pod,) = job.pods()
    (container,) = pod["status"]["containerStatuses"]
    task = container["containerID"].removeprefix("containerd://")
    cluster.node.run("ctr", "-n", "k8s.io", "task", "kill", "-s", "SIGKILL", task, check=True)
    job.wait_for("Complete", "run")
    assert job.renewed() == _MANY
    assert _exit_codes(job.pods()) == [0, 137]
    # What it had done it had said: nothing waits in a buffer of a program that is killed.
    assert " renewed in namespace" in job.log(pod["metadata"]["name"])


def test_a_drained_pod_says_what_it_did_and_another_goes_on(job: Job, cluster: Cluster) -> None:
    job.lay_tokens(_MANY)
    job.schedule(_SELDOM, *_SLOWLY)
    job.start("run")
    pod = eventually(job.running_pod, "a running pod")
    with subprocess.Popen(
        [BIN / "kubectl", "logs", "--follow", pod],
        env=job.site.popen_environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as followed:
        eventually(lambda: 0 < job.renewed() < _MANY, "a run that is under way")
        drain = ["drain", NAME, f"--pod-selector=kubectl-pxauth/job={job.name}", "--force"]
        try:
            kubectl_until_done(job.site, *drain)
            said, _ = followed.communicate(timeout=120)
        finally:
            job.site.done("uncordon", NAME)
    assert said.count("renewed") >= 1
    assert "interrupted" in said
    job.wait_for("Complete", "run")
    assert job.renewed() == _MANY


def test_a_pod_without_memory_is_named_until_a_run_succeeds(job: Job) -> None:
    job.lay_tokens(1)
    job.schedule(_SELDOM, "--limits", "memory=12Mi", "--requests", "memory=8Mi")
    job.start("small")
    job.wait_for("Failed", "small")
    said = job.doctor()
    assert "problem: " in said
    assert "its pod was ended for lack of memory: kubectl pxauth schedule" in said
    job.schedule(_SELDOM, "--limits", "memory=128Mi")
    job.start("large")
    job.wait_for("Complete", "large")
    eventually(lambda: "problem: " not in job.doctor(), "a doctor who has seen the success")


def test_an_image_that_can_not_be_pulled_is_named(job: Job) -> None:
    job.lay_tokens(1)
    job.schedule(_EACH_MINUTE, "--image", "localhost/not-there:1")
    eventually(lambda: "can't be pulled" in job.doctor(), "a diagnosis")
    said = job.doctor()
    assert "image localhost/not-there:1 can't be pulled" in said
    job.schedule(_EACH_MINUTE)
    # The next run waits for the end of the one that hangs, and the doctor says how to end that.
    delete = said.partition("kubectl delete ")[2].split()
    job.site.done("delete", *delete)
    eventually(lambda: job.renewed() == 1, "a run with the other image")


def _exit_codes(pods: list[dict[str, Any]]) -> list[int]:
    statuses = [status for pod in pods for status in pod["status"]["containerStatuses"]]
    return sorted(status["state"]["terminated"]["exitCode"] for status in statuses)

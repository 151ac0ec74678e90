"""A tenant from its label to its end, by one administrator's commands."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from tests.conftest import (
    Shell,
    forge,
    furnish,
    judge,
    new_shell,
)
from tests.leaks import LeakWatch
from tests.pod import needs_pods_files
from tests.portworx_site import SECRET_VARIABLE, Site, from_secret
from tests.snapshots import SNAPSHOT_CRD, wait_for_snapshot_classes
from tests.test_schedule import Job
from tests.test_status import metrics

DAY = 86400
TENANT = "tenant-blue"
OURS = "app.kubernetes.io/managed-by=kubectl-pxauth"
KINDS = (
    "secrets,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,cronjobs,jobs,"
    "storageclasses,volumesnapshotclasses"
)


@pytest.fixture
def cluster(leaks: LeakWatch, tmp_path: Path) -> Iterator[ControlPlane]:
    """One whose controllers delete what a namespace holds, and that knows snapshots."""
    local = ["--endpoint-reconciler-type=none"]  # it can't tell others of a loopback address
    audit_log = tmp_path / "audit.log"
    with ControlPlane(audit_log=audit_log, arguments=local, controllers=True) as plane:
        furnish(plane)
        yield plane


def made(boss: Shell) -> set[str]:
    """All that the plugin has made, in any namespace."""
    found = boss.kubectl("get", KINDS, "-A", "-l", OURS, "-o", "name")
    assert found.code == 0, found.err
    return set(found.out.split())


@needs_pods_files
def test_a_tenant_comes_lives_and_goes(cluster: ControlPlane, tmp_path: Path) -> None:
    boss = new_shell(cluster, tmp_path)
    tenant = Shell(TENANT, tmp_path, boss.environment)
    job = Job(boss, cluster, everywhere=True)
    key = from_secret(SECRET_VARIABLE, "pxkeys")
    site = Site("kube-system", tmp_path, boss.environment)
    site.daemon_set(args=["-jwt_issuer", "portworx.com"], env=[key])
    site.done("apply", "-f", "-", stdin=SNAPSHOT_CRD)
    wait_for_snapshot_classes(boss)
    assert made(boss) == set()

    # Once for all tenants: the job, and the classes.
    issuing = ["--issue=kubernetes", "--namespace-selector=px-tenant=true", "--image=i:1"]
    job.schedule(*issuing)
    for kind in ("storageclass", "snapshotclass"):
        assert boss.pxauth(kind, f"px-{kind}", "--multitenant").code == 0

    # A namespace gets the label, and at the job's next run a token of its own.
    assert boss.kubectl("create", "namespace", TENANT).code == 0
    assert boss.kubectl("label", "namespace", TENANT, "px-tenant=true").code == 0
    assert "status: worth-a-look" in boss.pxauth("status", "-o", "yaml").out
    done = job.run(container=1)
    assert (done.code, done.err) == (0, "1 created\n")
    assert judge(tenant.token())["accepted"]
    user = f"px-k8s-user.{TENANT}@portworx.com"
    assert tenant.claims()["sub"] == user
    assert boss.pxauth("status").code == 0

    # What is left of a life that was a year long: an alert, and then a renewal for the same user.
    old = tenant.claims() | {
        "iat": int(time.time()) - 355 * DAY,
        "exp": int(time.time()) + 10 * DAY,
    }
    data = {"auth-token": base64.b64encode(forge(old).encode()).decode()}
    patch = json.dumps({"data": data})
    assert tenant.kubectl("patch", "secret", "px-k8s-user", "-n", TENANT, "-p", patch).code == 0
    alarmed = metrics(boss, code=3)
    place = {"namespace": TENANT, "secret": "px-k8s-user"}
    assert alarmed.value("pxauth_token_status", **place, status="expiring") == 1
    ends = alarmed.value("pxauth_token_expires_timestamp_seconds", **place, operator="false")
    issued = alarmed.value("pxauth_token_issued_timestamp_seconds", **place, operator="false")
    # As docs/how-to/monitoring.md has it in PortworxTokenEndsSoon.
    assert 0 < ends - time.time() < min(14 * DAY, (ends - issued) / 3)
    done = job.run()
    assert (done.code, done.err) == (0, "1 renewed\n")
    renewed = tenant.claims()
    assert (renewed["sub"], judge(tenant.token())["accepted"]) == (user, True)
    assert renewed["exp"] - time.time() > 364 * DAY
    assert boss.pxauth("status").code == 0

    # The tenant goes, then the last of the plugin.
    assert boss.kubectl("delete", "namespace", TENANT, "--timeout=90s").code == 0
    assert job.run(container=1).err == "No namespaces found\n"
    assert json.loads(boss.pxauth("list", "-A", "-o", "json").out)["items"] == []
    assert TENANT not in boss.pxauth("status", "-o", "prometheus").out
    assert set(job.unschedule().values()) == {"deleted"}
    classes = ["storageclass/px-storageclass", "volumesnapshotclass/px-snapshotclass"]
    assert boss.kubectl("delete", *classes).code == 0
    assert made(boss) == set()

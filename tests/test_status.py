"""`kubectl pxauth status`: what it shows, and the exit codes that scripts tell clusters by."""

import json
import re
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from controlplane.debian import promtool
from controlplane.run import ControlPlane
from tests.conftest import Shell, claims_of, decode, forge
from tests.patient import Patient, bare, patient, plane_arguments, token
from tests.portworx_site import OPERATOR, OTHERS, OURS, fingerprint
from tests.terminal import run_on_terminal
from tests.transcripts import ROOT

__all__ = ["bare", "patient", "plane_arguments"]  # fixtures

pytestmark = pytest.mark.xdist_group("status")

LATE = forge(claims_of("late", days=10, age_days=11), OURS)
SOON = forge(claims_of("soon", days=40, age_days=30), OURS)
OPERATORS = {"ownerReferences": [OPERATOR]}


def status(patient: Shell, *arguments: str, code: int) -> dict[str, Any]:
    """What -o json says, after both forms have ended with that code."""
    done = patient.pxauth("status", "-o", "json", *arguments)
    assert (done.code, done.err) == (code, "")
    assert patient.pxauth("status", *arguments).code == code
    found: dict[str, Any] = json.loads(done.out)
    return found


def rows(text: str) -> dict[str, list[str]]:
    """The lines beside each label."""
    found: dict[str, list[str]] = {}
    label = ""
    for line in text.split("\n\n", maxsplit=1)[0].splitlines():
        read = re.fullmatch(r"(?:([A-Z][a-z ]+):)? +(.*)", line)
        assert read, line
        label = read[1] or label
        found.setdefault(label, []).append(read[2])
    return found


def test_a_cluster_that_is_well(patient: Patient, own_plane: ControlPlane) -> None:
    found = status(patient, code=0)
    assert (found["status"], found["findings"]) == ("well", [])
    assert found["server"] == own_plane.server
    assert found["asksForTokens"] is True
    assert found["sharedSecret"]["fingerprint"] == fingerprint(OURS)
    assert found["sharedSecret"]["secret"]["name"] == "pxkeys"
    assert found["issuer"]["value"] == "portworx.com"
    assert (found["rotation"], found["jobs"], found["tenants"]) == (None, [], None)
    assert found["tokens"]["valid"] == 1
    assert sum(found["tokens"].values()) == 1
    (ending,) = found["ending"]
    assert (ending["name"], ending["daysLeft"]) == ("px-k8s-user", 364)
    assert yaml.safe_load(patient.pxauth("status", "-o", "yaml").out)["status"] == "well"

    said = rows(patient.pxauth("status").out)
    assert said["Status"] == ["well"]
    assert said["Shared secret"][0] == 'Secret kube-system/pxkeys key "shared-secret"'
    assert said["Fingerprint"] == [fingerprint(OURS)]
    assert said["Issuer"][0] == "portworx.com"
    assert said["Rotation"] == ["none"]
    assert said["Tokens"] == ["1 valid"]
    end = datetime.fromtimestamp(patient.claims()["exp"], UTC)
    assert said["Next to end"] == [f"{end:%Y-%m-%d}, in 364 days: px/px-k8s-user"]


@pytest.mark.parametrize("security", [None, {}, {"auth": {"enabled": False}, "enabled": True}])
def test_a_cluster_without_authorization_is_well(
    bare: Patient, security: dict[str, Any] | None
) -> None:
    bare.storage_cluster("px/px-cluster", security=security)
    found = status(bare, code=0)
    assert (found["status"], found["asksForTokens"], found["findings"]) == ("well", False, [])
    assert rows(bare.pxauth("status").out)["Status"] == ["well: Portworx asks for no tokens"]


def test_nothing_of_portworx_is_worth_a_look(bare: Patient) -> None:
    assert status(bare, code=3)["status"] == "worth-a-look"


def test_codes_tell_what_is_worth_a_look_from_what_is_broken(patient: Patient) -> None:
    patient.lay(token("red/px-k8s-user", SOON))
    found = status(patient, code=3)
    assert (found["status"], found["tokens"]["expiring"]) == ("worth-a-look", 1)
    assert found["ending"][0]["namespace"] == "red"
    assert status(patient, "--within", "1d", code=0)["tokens"]["expiring"] == 0

    patient.lay(token("green/px-k8s-user", LATE))
    found = status(patient, code=4)
    assert (found["status"], found["tokens"]["expired"]) == ("broken", 1)
    assert [one["severity"] for one in found["findings"]] == ["problem", "warning"]
    assert "green" not in {one["namespace"] for one in found["ending"]}
    out = patient.pxauth("status").out
    assert rows(out)["Tokens"] == ["1 valid, 1 expiring, 1 expired"]
    assert out.split("\n\n")[1].startswith("problem  tokens    Secret green/px-k8s-user: expiry: ")


def test_a_cluster_that_can_not_be_asked(patient: Patient, own_plane: ControlPlane) -> None:
    done = patient.refused("status", "-s", "https://127.0.0.1:1")
    assert done.err.startswith("error: the server https://127.0.0.1:1 can't be reached: ")

    lisa = patient.with_environment(KUBECONFIG=str(own_plane.kubeconfig("lisa", groups=())))
    found = json.loads(lisa.pxauth("status", "-o", "json").out)
    assert found["status"] == "unknown"
    assert lisa.pxauth("status").code == 1
    assert any("may not list Secrets" in one["message"] for one in found["findings"])
    # What is known to be broken is said all the same.
    patient.lay(token("red/px-k8s-user", LATE))
    with patient.everywhere("lisa", "secrets", "daemonsets", "storageclusters"):
        found = status(lisa, code=4)
        assert any("may not list pods" in one["message"] for one in found["findings"])
    patient.remove("secret", "px-k8s-user", "-n", "red")
    with patient.everywhere("lisa", "secrets", "daemonsets", "storageclusters"):
        assert status(lisa, code=1)["status"] == "unknown"


def test_two_misuses(patient: Patient) -> None:
    assert patient.pxauth("status", "--within", "soon").code == 2
    assert patient.pxauth("status", "-o", "name").code == 2


def test_what_others_keep_is_no_reason_to_look(patient: Patient) -> None:
    """The operator's own tokens live for a day, and another product's are nobody's matter."""
    late_in_life = {"exp": int(time.time()) + 60}
    patient.lay(
        token("px/px-admin-token", forge(claims_of("a") | late_in_life, OURS), **OPERATORS),
        token("red/jwt", forge(claims_of("b", iss="other.example"), OTHERS)),
    )
    found = status(patient, code=0)
    assert found["tokens"] | {"valid": 2, "foreign": 1} == found["tokens"]
    assert [one["name"] for one in found["ending"]] == ["px-k8s-user"]


def test_a_short_life_is_no_reason_to_look(patient: Patient) -> None:
    patient.lay(token("red/px-k8s-user", forge(claims_of("short", days=1), OURS)))
    assert status(patient, code=0)["tokens"]["expiring"] == 0
    almost = {"iat": int(time.time()) - 70_000, "exp": int(time.time()) + 10_000}
    patient.lay(token("green/px-k8s-user", forge(claims_of("old") | almost, OURS)))
    (said,) = status(patient, code=3)["findings"]
    assert said["message"].startswith("Secret green/px-k8s-user: ends ")


def test_tenants_without_a_token(patient: Patient) -> None:
    patient.done("label", "namespace", "px", "red", "green", "tenant=yes", "--overwrite")
    patient.lay(token("red/jwt", forge(claims_of("x", iss="other.example"), OTHERS)))
    found = status(patient, "--namespace-selector", "tenant=yes", code=3)
    assert found["tenants"] == {
        "selector": "tenant=yes",
        "namespaces": 3,
        "withoutToken": ["green", "red"],
    }
    (said,) = found["findings"]
    assert said["message"] == "2 of 3 namespaces have no token: green, red"
    issue = said["hint"].removeprefix("kubectl pxauth ").split()
    assert patient.pxauth(*issue).code == 0
    assert status(patient, "--namespace-selector", "tenant=yes", code=0)["tenants"][
        "withoutToken"
    ] == []  # fmt: skip


def test_the_job_and_the_tenants_that_it_serves(patient: Patient) -> None:
    patient.done("label", "namespace", "px", "red", "green", "tenant=yes", "--overwrite")
    job = ("--issue", "kubernetes", "--namespace-selector", "tenant=yes")
    patient.scheduled("-A", *job, "--schedule", "*/5 * * * *")
    try:
        found = status(patient, code=3)
        (run,) = found["jobs"]
        assert run["name"] == "CronJob kube-system/pxauth-renew"
        assert (run["namespace"], run["schedule"], run["suspended"]) == (None, "*/5 * * * *", False)
        assert run["lastSuccess"] is None
        left = datetime.fromisoformat(run["nextRun"]) - datetime.now(UTC)
        assert left <= timedelta(minutes=5)
        assert found["tenants"]["withoutToken"] == ["green", "red"]
        patient.status("cronjob/pxauth-renew", {"lastSuccessfulTime": "2026-01-01T03:00:00Z"})
        said = rows(patient.pxauth("status").out)["Jobs"]
        assert said[1].startswith("last success 2026-01-01T03:00:00Z, next run 2")
    finally:
        assert patient.pxauth("unschedule", "-A").code == 0


def test_a_rotation_and_pods_that_have_the_old_key(patient: Patient) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "px-1", "namespace": "kube-system", "labels": {"name": "portworx"}},
        "spec": {"containers": [{"name": "portworx", "image": "portworx"}]},
    }
    patient.lay(pod)
    patient.status("pod/px-1", {"startTime": "2026-01-01T00:00:00Z"})
    try:
        done = patient.pxauth("keys", "rotate", "--phase=key", "--yes")
        assert done.code == 0, done.err
        found = status(patient, code=4)
        assert found["rotation"]["direction"] == "forward"
        assert (found["pods"], found["startedBefore"]) == (1, ["px-1"])
        said = rows(patient.pxauth("status").out)
        assert said["Rotation"][0].startswith("the new key is in place")
        assert said["Portworx pods"][1].endswith("have the old one: px-1")
    finally:
        patient.remove("pod", "px-1", "-n", "kube-system", "--force")


def test_tokens_that_may_not_be_listed_are_not_none(patient: Patient) -> None:
    done = patient.pxauth("status", "--as", "nobody")
    assert (done.code, done.err) == (1, "")
    assert rows(done.out)["Tokens"] == ["not known"]
    report = patient.pxauth("status", "--all-contexts", "--as", "nobody", "-o", "csv").out
    assert ",unknown,,,,,,,," in report
    patient.remove("secret", "px-k8s-user", "-n", "px")
    assert rows(patient.pxauth("status").out)["Tokens"] == ["none"]


def test_a_terminal_has_a_picture_of_the_coming_year(patient: Patient) -> None:
    patient.lay(token("red/px-k8s-user", SOON))
    done, shown = run_on_terminal(patient.with_environment(TERM="dumb", LANG="C.UTF-8"),
                                  "pxauth", "status")  # fmt: skip
    assert done.code == 3
    picture = shown.replace("\r", "").split("\n\n")[1].splitlines()
    end = datetime.fromtimestamp(decode(SOON)["exp"], UTC)
    assert picture[0] == (
        f"Tokens by the month of their end; the first to end is red/px-k8s-user, {end:%Y-%m-%d}"
    )
    assert len(picture) == 14
    assert picture[1].strip().startswith(f"{datetime.now(UTC):%Y-%m}")
    (month,) = (line for line in picture[1:] if line.startswith(f"  {end:%Y-%m}"))
    assert month.split() == [f"{end:%Y-%m}", "\u2588" * 40, "1"]
    assert "Tokens by" not in patient.pxauth("status").out


@dataclass(frozen=True)
class Metrics:
    """What -o prometheus prints: the values of each metric, by its labels."""

    values: dict[str, dict[tuple[tuple[str, str], ...], float]]

    def value(self, name: str, **labels: str) -> float:
        return self.values[name][tuple(sorted(labels.items()))]


def metrics(patient: Shell, *arguments: str, code: int) -> Metrics:
    done = patient.pxauth("status", "-o", "prometheus", *arguments)
    assert done.code == code
    checked = subprocess.run(
        [promtool(), "check", "metrics"], input=done.out, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    # It refuses what is no OpenMetrics.
    families = text_string_to_metric_families(done.out)  # type: ignore[no-untyped-call]
    return Metrics(
        {
            family.name: {tuple(sorted(one.labels.items())): one.value for one in family.samples}
            for family in families
        }
    )


def test_metrics(patient: Patient) -> None:
    before = time.time()
    patient.done("label", "namespace", "px", "red", "green", "tenant=yes", "--overwrite")
    patient.lay(
        token("red/px-k8s-user", LATE),
        token("px/px-admin-token", forge(claims_of("a", days=1), OURS), **OPERATORS),
        token("px/jwt", forge(claims_of("b", iss="other.example"), OTHERS)),
    )
    patient.scheduled("-A", "--issue", "kubernetes", "--namespace-selector", "tenant=yes")
    patient.status("cronjob/pxauth-renew", {"lastSuccessfulTime": "2026-01-01T03:00:00Z"})
    try:
        found = metrics(patient, code=4)
    finally:
        assert patient.pxauth("unschedule", "-A").code == 0
    assert found.value("pxauth_status", status="broken") == 1
    assert found.value("pxauth_status", status="well") == 0
    assert before - 1 < found.value("pxauth_checked_timestamp_seconds") < time.time() + 1
    assert found.value("pxauth_tokens", status="valid") == 2
    assert found.value("pxauth_tokens", status="expired") == 1
    late = {"namespace": "red", "secret": "px-k8s-user"}
    assert found.value("pxauth_token_status", **late, status="expired") == 1
    ends = found.value("pxauth_token_expires_timestamp_seconds", **late, operator="false")
    assert 86400 - 60 < before - ends < 86400 + 3600
    issued = found.value("pxauth_token_issued_timestamp_seconds", **late, operator="false")
    assert ends - issued == 10 * 86400
    operators = {"namespace": "px", "secret": "px-admin-token", "operator": "true"}
    assert found.value("pxauth_token_expires_timestamp_seconds", **operators) > before
    assert not any(
        ("secret", "jwt") in labels
        for labels in found.values["pxauth_token_expires_timestamp_seconds"]
    )
    assert found.value("pxauth_rotation_under_way") == 0
    assert before - 600 < found.value("pxauth_shared_secret_changed_timestamp_seconds")
    assert found.value("pxauth_tenants_without_token") == 1
    job = {"job_name": "kube-system/pxauth-renew"}
    assert found.value("pxauth_job_last_success_timestamp_seconds", **job) == 1767236400

    page = (ROOT / "docs/how-to/monitoring.md").read_text()
    documented = set(re.findall(r"^\| `(pxauth_\w+)`", page, re.M))
    assert documented == {*found.values, "pxauth_pods_with_old_key"}
    rules = re.search(r"^```yaml\n(.*?)^```", page, re.S | re.M)
    assert rules
    for rule in yaml.safe_load(rules[1])["groups"][0]["rules"]:
        used = set(re.findall(r"pxauth_\w+", rule["expr"]))
        assert used, rule["alert"]
        assert used <= documented


def test_the_fields_are_those_that_are_documented(patient: Patient) -> None:
    page = (ROOT / "docs/reference/output.md").read_text()
    commands = ("list", "status", "doctor", "verify", "inspect", "discover", "keys status")
    patient.issue("kubernetes")
    for command in commands:
        (text,) = re.findall(rf"^## `{command} -o json`$(.*?)(?=^## )", page, re.M | re.S)
        done = patient.pxauth(*command.split(), "-o", "json")
        found = json.loads(done.out)
        fields = found["items"][0] if command == "list" else found
        rows = re.findall(r"^\| (`.*?) \|", text, re.M)
        assert [field for row in rows for field in re.findall(r"`(\w+)`", row)] == list(fields)


def test_it_writes_nothing(patient: Patient, own_plane: ControlPlane) -> None:
    kubeconfig = own_plane.kubeconfig("guest", namespace="px")
    patient.with_environment(KUBECONFIG=str(kubeconfig)).pxauth("status")
    assert own_plane.audit_log
    events = [json.loads(line) for line in own_plane.audit_log.read_text().splitlines()]
    verbs = {event["verb"] for event in events if event["user"]["username"] == "guest"}
    assert verbs == {"get", "list"}

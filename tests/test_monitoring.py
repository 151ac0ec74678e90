"""The alert rules of docs/how-to/monitoring.md, as Prometheus reads them."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from controlplane.debian import promtool
from tests.transcripts import ROOT

ALERTS = Path(__file__).with_name("alerts.yaml")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The page's rules, as a file."""
    page = (ROOT / "docs/how-to/monitoring.md").read_text()
    found = re.search(r"^```yaml\n(.*?)^```", page, re.S | re.M)
    assert found
    file = tmp_path / "rules.yaml"
    file.write_text(found[1])
    return file


def run(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_prometheus_takes_the_rules(rules: Path) -> None:
    code, said = run("check", "rules", rules)
    assert code == 0, said
    rules.write_text(rules.read_text().replace("> 0", "> > 0"))
    assert run("check", "rules", rules)[0] != 0


def test_each_alert_fires_where_it_should_and_nowhere_else(rules: Path) -> None:
    tests = rules.with_name("alerts.yaml")
    shutil.copy(ALERTS, tests)
    code, said = run("test", "rules", tests)
    assert code == 0, said
    alerts = {rule["alert"] for rule in yaml.safe_load(rules.read_text())["groups"][0]["rules"]}
    cases = (test["alert_rule_test"] for test in yaml.safe_load(ALERTS.read_text())["tests"])
    fired = {case["alertname"] for case in itertools.chain(*cases) if case["exp_alerts"]}
    assert fired == alerts

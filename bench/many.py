"""Many namespaces: one command beside the docs' pipeline in a loop and the server's own limit."""

import json
import subprocess
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.row import Row
from bench.workplace import Workplace
from controlplane.build import ceiling

_NAMESPACES = 1_000
_MOST_NAMESPACES = 10_000
_LOOPED = 50
_LABEL = "bench-tenant"
_ISSUE = f"kubectl pxauth issue kubernetes --namespace-selector {_LABEL} -o name"
_NAMES = "get secrets -A -o name"
# In a Secret of its own: the pipeline gives each namespace the same user, and to write over such a
# token issue would read all Secrets for that user.
_LOOP = """\
set -eu
export SECRET=looped
for NAMESPACE in $(head -n %d tenants); do
  export NAMESPACE
  bash pipeline.sh
done
"""
_NOTES = f"""\
The loop runs over {_LOOPED} of the namespaces, and its time is multiplied. The ceiling is a Go
program that applies one Secret in each over 16 connections: what this API server can take."""


def many_namespaces(workplace: Workplace, runs: int) -> None:
    """Measure and print; the wheel's programs are on the PATH."""
    folder = workplace.folder
    tenants = [f"tenant-{index}" for index in range(_NAMESPACES)]
    (folder / "tenants").write_text("\n".join(tenants))
    (folder / "loop.sh").write_text(_LOOP % _LOOPED)
    path = {"PATH": f"{workplace.installs['wheel']}:{workplace.environment['PATH']}"}
    environment = workplace.environment | path
    _create(tenants, environment)
    certificate, key = workplace.plane.client_cert("admin", ["system:masters"])
    apply = [
        *(str(ceiling()), "-server", workplace.plane.server, "-ca", str(workplace.plane.ca_file)),
        *("-certificate", str(certificate), "-key", str(key), "-namespaces", "tenants"),
    ]
    new = ["bash", "-c", f'{_ISSUE} --secret "new-$(date +%s%N)"']
    loop = Row("the docs' pipeline in a loop", ["bash", "loop.sh"], folder, environment)
    least = Row("the ceiling", apply, folder, environment)
    rows = [
        loop,
        Row("issue, new Secrets", new, folder, environment),
        Row("issue, again", _ISSUE.split(), folder, environment),
        Row("issue --if-needed, none due", [*_ISSUE.split(), "--if-needed"], folder, environment),
        least,
    ]
    for row in rows[1:]:
        row.warm_up()
    for _ in track(range(runs), "measuring", console=Console(stderr=True), transient=True):
        for row in rows:
            row.measure()
    shown = Table(
        title=f"{_NAMESPACES} namespaces, medians of {runs} runs in turn", title_justify="left"
    )
    shown.add_column("command")
    for heading in ("s", "to the loop", "to the ceiling"):
        shown.add_column(heading, justify="right")
    whole = loop.seconds_median * _NAMESPACES / _LOOPED
    for row in rows:
        seconds = whole if row is loop else row.seconds_median
        ratio = f"1/{whole / seconds:.0f}"
        shown.add_row(row.name, f"{seconds:.2f}", ratio, f"{seconds / least.seconds_median:.1f}")
    Console().print(shown)
    print(_NOTES)
    _many_tokens(folder, environment, runs)
    _create([f"more-{index}" for index in range(_MOST_NAMESPACES - _NAMESPACES)], environment)
    program = str(workplace.installs["wheel"] / "kubectl-pxauth")
    plugin = [program, *_ISSUE.split()[2:]]
    most = Row("issue", _ISSUE.split(), folder, environment, plugin)
    most.measure()
    print(
        f"{_MOST_NAMESPACES} namespaces, once: {most.seconds_median:.0f} s,"
        f" the plugin's peak {most.plugin_megabytes():.0f} MB"
    )


def _many_tokens(folder: Path, environment: dict[str, str], runs: int) -> None:
    """Measure and print what works on all tokens of the cluster; each namespace gets three."""
    for secret in ("px-k8s-user", "one", "two"):
        Row("issue", [*_ISSUE.split(), "--secret", secret], folder, environment).warm_up()
    least = Row("kubectl get secrets", ["kubectl", *_NAMES.split()], folder, environment)
    rows = [least]
    for command in ("list -A", "renew -A --all", "keys rotate --yes --again", "doctor"):
        # The doctor's exit code says what it found; here only that it ran is of interest.
        line = f"kubectl pxauth {command} || [ $? = 1 ]"

        rows.append(Row(command, ["bash", "-c", line], folder, environment))
    for _ in track(range(runs), "measuring", console=Console(stderr=True), transient=True):
        for row in rows:
            row.measure()
    tokens = sum(1 for name in _kubectl(environment, _NAMES).splitlines() if name)
    shown = Table(title=f"{tokens} Secrets, medians of {runs} runs in turn", title_justify="left")
    shown.add_column("command")
    for heading in ("s", f"to {least.name}", "peak MB"):
        shown.add_column(heading, justify="right")
    for row in rows:
        ratio = row.seconds_median / least.seconds_median
        shown.add_row(row.name, f"{row.seconds_median:.2f}", f"{ratio:.1f}", f"{row.megabytes:.0f}")
    Console().print(shown)


def _kubectl(environment: dict[str, str], arguments: str) -> str:
    done = subprocess.run(
        ["kubectl", *arguments.split()],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _create(namespaces: list[str], environment: dict[str, str]) -> None:
    items = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {_LABEL: "true"}},
        }
        for name in namespaces
    ]
    subprocess.run(
        ["kubectl", "create", "-f", "-"],
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

"""Many namespaces: one command beside the page's pipeline in a loop and the server's own limit."""

import json
import subprocess

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
_LOOP = """\
set -eu
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
    loop = Row("the page's pipeline in a loop", ["bash", "loop.sh"], folder, environment)
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
    _create([f"more-{index}" for index in range(_MOST_NAMESPACES - _NAMESPACES)], environment)
    program = str(workplace.installs["wheel"] / "kubectl-pxauth")
    plugin = [program, *_ISSUE.split()[2:]]
    most = Row("issue", _ISSUE.split(), folder, environment, plugin)
    most.measure()
    print(
        f"{_MOST_NAMESPACES} namespaces, once: {most.seconds_median:.0f} s,"
        f" the plugin's peak {most.plugin_megabytes():.0f} MB"
    )


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

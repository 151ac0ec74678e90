"""One token: the plugin beside the docs' pipeline, both run in turn."""

import os
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.distance import distance
from bench.row import Row
from bench.workplace import Workplace

_ROUND_TRIP = 0.040
_NAMED = "the docs' pipeline"
_NOTHING = "kubectl noop"
_ISSUE = "issue kubernetes -n portworx"
_TOKEN = "token kubernetes --issuer i"
_NOTES = """\
The ratio is to the pipeline at the same distance, in which OpenStorage's generate stands in for
pxctl; kubectl noop is a plugin that does nothing, so what kubectl itself costs. Peak MB is the
largest process of a command; kubectl becomes its plugin, so the plugin's own peak and instructions
(in user space) are measured without kubectl."""


def single_token(workplace: Workplace, shared_secret: str, runs: int) -> None:
    """Measure and print."""
    plane, folder, here = workplace.plane, workplace.folder, workplace.environment
    installs = workplace.installs
    host, _, port = plane.server.removeprefix("https://").rpartition(":")
    with distance(host, int(port), _ROUND_TRIP) as far_port:
        far_away = plane.kubeconfig(server=f"https://127.0.0.1:{far_port}")
        there = here | {"KUBECONFIG": str(far_away)}
        offline = here | {
            "KUBECONFIG": os.devnull,
            "PORTWORX_AUTH_SHARED_SECRET": shared_secret,
        }
        near = [Row(_NAMED, ["bash", "pipeline.sh"], folder, here)]
        far = [Row(_NAMED, ["bash", "pipeline.sh"], folder, there)]
        for kind, programs in installs.items():
            near.append(_plugin(_ISSUE, kind, programs, here, folder))
            far.append(_plugin(_ISSUE, kind, programs, there, folder))
        for arguments in (_TOKEN, "--version", "--help"):
            for kind, programs in installs.items():
                near.append(_plugin(arguments, kind, programs, offline, folder))
        for kind, programs in installs.items():
            near.append(_completion(kind, programs, offline, folder))
        near.append(Row(_NOTHING, _NOTHING.split(), folder, here))
        rows = near + far
        for row in rows:
            row.warm_up()
        progress = Console(stderr=True)
        for _ in track(range(runs), "measuring", console=progress, transient=True):
            for row in rows:
                row.measure()
        for place, part in {"on loopback": near, f"{_ROUND_TRIP * 1000:.0f} ms away": far}.items():
            Console().print(_table(f"API server {place}, medians of {runs} runs in turn", part))
    print(_NOTES)


def _plugin(
    arguments: str, kind: str, programs: Path, environment: dict[str, str], folder: Path
) -> Row:
    command = f"kubectl pxauth {arguments}"
    program = str(programs / "kubectl-pxauth")
    path = {"PATH": f"{programs}:{environment['PATH']}"}
    plugin = [program, *arguments.split()]
    return Row(f"{command} ({kind})", command.split(), folder, environment | path, plugin)


def _completion(kind: str, programs: Path, environment: dict[str, str], folder: Path) -> Row:
    command = "kubectl __complete pxauth is"
    path = {"PATH": f"{programs}:{environment['PATH']}"}
    plugin = [str(programs / "kubectl_complete-pxauth"), "is"]
    return Row(f"{command} ({kind})", command.split(), folder, environment | path, plugin)


def _table(title: str, rows: list[Row]) -> Table:
    """A table of 80 columns at most; the ratios are to its first row."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("command")
    for heading in ("ms", "ratio", "peak MB", "own MB", "M instr."):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        own, count = row.plugin_megabytes(), row.plugin_instructions()
        shown.add_row(
            row.name.removeprefix("kubectl pxauth "),
            f"{row.milliseconds:.0f}",
            f"{row.milliseconds / rows[0].milliseconds:.2f}",
            f"{row.megabytes:.0f}",
            f"{own:.0f}" if own else "",
            f"{count / 1e6:.0f}" if count else "",
        )
    return shown

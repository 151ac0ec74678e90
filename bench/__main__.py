"""`make bench`: the plugin beside the page's pipeline, both run in turn on a real API server."""

import argparse
import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.distance import distance
from controlplane.build import openstorage_tool
from controlplane.run import ControlPlane

ROUND_TRIP = 0.040
LAUNCH = Path(__file__).with_name("launch.py")
USER_FILE = """\
name: Kubernetes
email: kubernetes@example.com
sub: kubernetes@example.com
roles: ["system.user"]
groups: ["kubernetes"]
"""
# The page's steps; only the generator is another program, and the Secret may be there already.
PIPELINE = """\
set -eu -o pipefail
PORTWORX_AUTH_SHARED_SECRET=$(kubectl -n kube-system get secret pxkeys -o json |
  jq -r '.data."shared-secret"' | base64 -d)
KUBE_TOKEN=$(generate --auth-config=kubernetes.yaml --issuer=portworx.com \
  --shared-secret="$PORTWORX_AUTH_SHARED_SECRET" --token-duration=1y)
kubectl -n pipeline create secret generic px-k8s-user --from-literal=auth-token="$KUBE_TOKEN" \
  --dry-run=client -o yaml | kubectl apply -f -
"""
ISSUE = "kubectl pxauth issue kubernetes -n portworx"
TOKEN = "kubectl pxauth token kubernetes --issuer portworx.com"


@dataclass
class Row:
    """One command, and what its runs took."""

    name: str
    command: list[str]
    folder: Path
    environment: dict[str, str]
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def measure(self) -> None:
        """Run it once more."""
        launch = [sys.executable, "-I", "-S", str(LAUNCH), *self.command]
        seconds, memory, code = self._run(launch).stdout.split()
        if code != "0":
            raise SystemExit(f"{self.name}: exit code {code}")
        self.seconds.append(float(seconds))
        self.memory.append(int(memory))

    def instructions(self) -> int | None:
        """Count its instructions in user space, where this host can."""
        if not shutil.which("perf"):
            return None
        counted = self.folder / "perf.csv"
        perf = ["perf", "stat", "-x,", "-e", "instructions:u", "-o", str(counted)]
        if self._run([*perf, *self.command]).returncode:
            return None
        count = counted.read_text().splitlines()[-1].partition(",")[0]
        return int(count) if count.isdecimal() else None

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )


def prepare(plane: ControlPlane, folder: Path) -> dict[str, str]:
    """Fill the cluster and the folder; returns the environment of every command."""
    (folder / "kubernetes.yaml").write_text(USER_FILE)
    (folder / "pipeline.sh").write_text(PIPELINE)
    (folder / "kubectl-noop").write_text("#!/bin/sh\n")
    (folder / "kubectl-noop").chmod(0o755)
    (folder / "generate").symlink_to(openstorage_tool("generate"))
    environment = {
        "HOME": str(folder),
        "KUBECONFIG": str(plane.kubeconfig()),
        "PATH": f"{Path(sys.executable).parent}:{folder}:{os.environ['PATH']}",
    }
    for command in (
        "create namespace pipeline",
        "create namespace portworx",
        "create secret generic pxkeys -n kube-system"
        f" --from-literal=shared-secret={new_shared_secret()}",
    ):
        subprocess.run(
            ["kubectl", *command.split()], env=environment, stdout=subprocess.PIPE, check=True
        )
    return environment


def new_shared_secret() -> str:
    """Make one as the page does."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


def table(near: list[Row], far: list[Row], runs: int) -> Table:
    """Medians; the ratios are to the first row of each part."""
    shown = Table(title=f"medians of {runs} runs in turn", title_justify="left")
    shown.add_column("command")
    shown.add_column("API server")
    for heading in ("ms", "ratio", "peak MB"):
        shown.add_column(heading, justify="right")
    counts: list[int] = []
    for row in near + far:
        if (count := row.instructions()) is None:
            break
        counts.append(count)
    else:
        shown.add_column("M instr.", justify="right")
    for network, part in (("loopback", near), (f"{ROUND_TRIP * 1000:.0f} ms away", far)):
        for row in part:
            cells = [
                row.name,
                network,
                f"{median(row.seconds) * 1000:.0f}",
                f"{median(row.seconds) / median(part[0].seconds):.2f}",
                f"{median(row.memory) / 1024:.0f}",
            ]
            if len(shown.columns) > len(cells):
                cells.append(f"{counts.pop(0) / 1e6:.0f}")
            shown.add_row(*cells)
        shown.add_section()
    return shown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs of each command (20)")
    runs = parser.parse_args().runs
    if not shutil.which("jq"):
        raise SystemExit("the page's pipeline needs jq: apt-get install jq")
    with ControlPlane() as plane, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = prepare(plane, folder)
        host, _, port = plane.server.removeprefix("https://").rpartition(":")
        with distance(host, int(port), ROUND_TRIP) as far_port:
            there = here | {
                "KUBECONFIG": str(plane.kubeconfig(server=f"https://127.0.0.1:{far_port}"))
            }
            pipeline = "the page's pipeline (generate stands in for pxctl)"
            offline = here | {"KUBECONFIG": os.devnull}
            offline["PORTWORX_AUTH_SHARED_SECRET"] = new_shared_secret()
            near = [Row(pipeline, ["bash", "pipeline.sh"], folder, here)]
            near += [
                Row(command, command.split(), folder, environment)
                for command, environment in {
                    ISSUE: here,
                    TOKEN: offline,
                    "kubectl pxauth --version": here,
                    "kubectl pxauth --help": here,
                    "kubectl noop": here,
                }.items()
            ]
            far = [Row(row.name, row.command, folder, there) for row in near[:2]]
            for row in near + far:  # not counted: disk caches, kubectl's discovery cache
                row.measure()
                row.seconds.clear()
                row.memory.clear()
            progress = Console(stderr=True)
            for _ in track(range(runs), "measuring", console=progress, transient=True):
                for row in near + far:
                    row.measure()
            shown = table(near, far, runs)
    Console().print(shown)
    print(
        "The ratio is to the pipeline at the same distance. Peak MB is the largest process of a"
        " command.\nkubectl noop is a plugin that does nothing, so what kubectl itself costs."
    )


if __name__ == "__main__":
    main()

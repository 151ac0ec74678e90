"""Run the `console` blocks of the documentation, and hold what they show against what is printed.

A Markdown file is one story, told to one cluster from top to bottom. Each block of the language
`console` has commands behind `$ ` and what they print below. What a reader need not see is in
comments before a block:

    <!-- setup
    kubectl create namespace red
    -->

A line `…` in the output stands for lines that are left out. Dates, ages, identifiers, ports and the
like are compared as such; lines may come in any order, as work that is done side by side does.

    python -m tests.transcripts README.md    writes what is printed now into the file
"""

import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane.run import ControlPlane

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
NODES = ("worker-1", "worker-2", "worker-3")

_PART = re.compile(r"<!-- setup\n(?P<setup>.*?)-->|^```console\n(?P<console>.*?)^```", re.S | re.M)
_LEFT_OUT = "…"
_SECONDS = 60
_VARYING = (
    (r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?( ?UTC|Z)?)?", "DATE"),
    (
        r"\b(in |for )?(an?|\d+) (second|minute|hour|day|month|year)s?( ago)?(, \d+ months?)?",
        "TIME",
    ),
    (r"\bnow\b", "TIME"),
    (r"(?<=\s)\d+[smhd](\d+[smhd])?(?=\s|$)", "AGE"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r'resourceVersion: "\d+"', "resourceVersion: VERSION"),
    (r"https://127\.0\.0\.1:\d+", "https://SERVER"),
    (r"(?i)\bfingerprint:? +[0-9a-f]{8}\b", "fingerprint HEX"),
    (r"\b[0-9a-f]{8}\b", "HEX"),  # a fingerprint
    (r"\b\d\.\d+e\+09\b", "SECONDS"),  # since 1970
    (r"\d+ bytes", "SIZE"),
    (r"\bv1\.\d+\.\d+\b", "VERSION"),
    (r"eyJ[\w.-]+", "TOKEN"),
    (r" +", " "),
)


@dataclass(frozen=True)
class Entry:
    """One command of a transcript, and the lines that are shown below it."""

    command: str
    shown: tuple[str, ...]


def entries_of(console: str) -> list[Entry]:
    """The commands of a block; one goes on in the next line behind a backslash."""
    entries: list[Entry] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            entries.append(Entry(line[2:], ()))
        elif entries and not entries[-1].shown and entries[-1].command.endswith("\\"):
            entries[-1] = Entry(f"{entries[-1].command}\n{line}", ())
        elif entries:
            entries[-1] = Entry(entries[-1].command, (*entries[-1].shown, line))
        else:
            problem = f"a console block begins with a command behind `$ `, not with: {line}"
            raise ValueError(problem)
    return entries


def difference(shown: Sequence[str], printed: Sequence[str]) -> str:
    """How what is shown differs from what was printed; empty where it is the same."""
    wanted, found = sorted(map(_comparable, shown)), sorted(map(_comparable, printed))
    if _LEFT_OUT in wanted:
        wanted = [line for line in wanted if line != _LEFT_OUT]
        found = [line for line in found if line in wanted]
    if wanted == found:
        return ""
    return "\n".join(difflib.ndiff([*shown], [*printed]))


def _comparable(line: str) -> str:
    for pattern, name in _VARYING:
        line = re.sub(pattern, name, line)
    return line.rstrip()


class World:
    """A cluster that the documentation speaks of, and a folder to type commands in."""

    def __init__(self, folder: Path, kubeconfig: Path, pxctl: Path) -> None:
        self._folder = folder
        self._pxctl = pxctl
        self._environment = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig),
            "LANG": "C.UTF-8",
        }

    def run(self, command: str) -> tuple[str, ...]:
        """The lines that the command prints, on either stream."""
        # The pods' pxctl is a stand-in, which is not where a node has it.
        typed = re.sub(
            r"(kubectl pxauth (?:context|pxctl) [^|]*)", rf"\1 --pxctl {self._pxctl}", command
        )
        done = subprocess.run(
            ["bash", "-c", typed],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._folder,
            env=self._environment,
            timeout=_SECONDS,
        )
        return tuple(line.rstrip() for line in done.stdout.splitlines())

    def set_up(self, script: str) -> None:
        """Run commands that the reader does not see; each must succeed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=self._environment,
            timeout=_SECONDS,
        )
        if done.returncode:
            problem = f"setup failed:\n{script}\n{done.stdout}{done.stderr}"
            raise RuntimeError(problem)


@contextmanager
def world() -> Iterator[World]:
    """A control plane with three nodes, on each a Portworx pod of the DaemonSet in kube-system."""
    with (
        ControlPlane() as plane,
        tempfile.TemporaryDirectory(prefix="transcripts-") as name,
    ):
        folder = Path(name)
        pods = {f"portworx-{node}": folder / "homes" / node for node in NODES}
        for home in pods.values():
            home.mkdir(parents=True)
        (folder / "work").mkdir()
        plane.start_kubelet(pods)
        made = World(folder / "work", plane.kubeconfig(), _pxctl(folder))
        made.set_up(
            f"kubectl create namespace portworx; kubectl create -f - <<'EOF'\n{_portworx()}\nEOF"
        )
        made.set_up("kubectl wait --for=condition=Ready pods --all -n kube-system --timeout=60s")
        yield made


def _pxctl(folder: Path) -> Path:
    program = folder / "pxctl"
    stand_in = Path(__file__).with_name("pxctl.py").read_text()
    program.write_text(f"#!{sys.executable}\n{stand_in}")
    program.chmod(0o755)
    return program


def _portworx() -> str:
    """The nodes, and Portworx as the spec generator of the Portworx docs sets it up."""
    key = {"secretKeyRef": {"name": "pxkeys", "key": "shared-secret"}}
    container = {
        "name": "portworx",
        "image": "portworx/oci-monitor",
        "args": ["-c", "px", "-x", "kubernetes", "-jwt_issuer", "portworx.com"],
        "env": [{"name": "PORTWORX_AUTH_JWT_SHAREDSECRET", "valueFrom": key}],
    }
    labels = {"name": "portworx"}
    items: list[dict[str, object]] = [
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "portworx", "namespace": "kube-system"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    ]
    for node in NODES:
        items.append({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
        items.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"portworx-{node}",
                    "namespace": "kube-system",
                    "labels": labels,
                },
                "spec": {
                    "nodeName": node,
                    "containers": [{"name": "portworx", "image": "portworx"}],
                },
            }
        )
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def differences(file: Path, told_to: World) -> Iterator[str]:
    """What the file shows otherwise than it is printed, command by command."""
    for part in _PART.finditer(file.read_text()):
        if part["setup"]:
            told_to.set_up(part["setup"])
            continue
        for entry in entries_of(part["console"]):
            if found := difference(entry.shown, told_to.run(entry.command)):
                yield f"{file.name}: $ {entry.command}\n{found}"


def record(file: Path, told_to: World) -> None:
    """Write what is printed now into the file, where it differs; what is left out stays so."""

    def recorded(part: re.Match[str]) -> str:
        if part["setup"]:
            told_to.set_up(part["setup"])
            return part[0]
        lines: list[str] = []
        for entry in entries_of(part["console"]):
            printed = told_to.run(entry.command)
            same = not difference(entry.shown, printed) or _LEFT_OUT in entry.shown
            lines += [f"$ {entry.command}", *(entry.shown if same else printed)]
        return "\n".join(["```console", *lines, "```"])

    file.write_text(_PART.sub(recorded, file.read_text()))


if __name__ == "__main__":
    os.chdir(ROOT)
    for argument in sys.argv[1:]:
        with world() as told:
            record(Path(argument), told)

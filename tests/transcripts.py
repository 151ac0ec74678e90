"""Run the blocks of the documentation, and compare what they show with what is printed.

A Markdown file is one story, told to one cluster from top to bottom. A block of the language
`console` has commands behind `$ ` and what they print below. A block of the language `sh` is run
as it is by `bash -euo pipefail`, and must succeed; those of runbooks are run twice, as a reader
may. What a reader need not see is in comments: what is to be there before the next block, and what
must be so after the last one.

    <!-- setup
    kubectl create namespace red
    -->

    <!-- check
    kubectl get secret px-k8s-user -n red
    -->

A block that can't be run here has a reason before it:

    <!-- not run: it needs kubeseal -->

A line `…` in the output stands for lines that are left out. Dates, ages, identifiers, ports and the
like are compared as such; lines may come in any order, as work that is done side by side does.

    python -m tests.transcripts README.md    writes what is printed now into the file
    python -m tests.transcripts              opens a shell in such a cluster
"""

import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane.run import ControlPlane
from tests.portworx_site import CRD
from tests.snapshots import SNAPSHOT_CRD

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
NODES = ("worker-1", "worker-2", "worker-3")

_PART = re.compile(
    r"^<!-- (?P<hidden>setup|check)\n(?P<script>.*?)-->"
    r"|(?:^<!-- not run: (?P<reason>[^>]*) -->\n\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<block>.*?)^(?P=indent)```$",
    re.S | re.M,
)
_LEFT_OUT = "…"
_KUBECTL = """#!/bin/bash
case "$1 $2 $3" in
  "pxauth context "[a-z]*) set -- "${{@:1:3}}" --pxctl {pxctl} "${{@:4}}" ;;
  "pxauth pxctl "*) set -- "${{@:1:2}}" --pxctl {pxctl} "${{@:3}}" ;;
esac
exec {kubectl} "$@"
"""
_SECONDS = 300
_VARYING = (
    (r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?( ?UTC|Z)?)?", "DATE"),
    (
        r"\b(in |for )?(an?|\d+) (moment|second|minute|hour|day|month|year)s?"
        r"(, \d+ (day|month)s?)?( ago)?",
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


@dataclass(frozen=True)
class Part:
    """A piece of a page: a hidden script (`setup`, `check`), or a block of its language.

    reason says why a block is not run, if it is not.
    """

    kind: str
    text: str
    reason: str = ""


def parts_of(page: str) -> list[Part]:
    """What a Markdown text has to run, and its other blocks."""
    return [_part(found) for found in _PART.finditer(page)]


def _part(found: re.Match[str]) -> Part:
    if found["hidden"]:
        return Part(found["hidden"], found["script"])
    return Part(found["language"], textwrap.dedent(found["block"]), found["reason"] or "")


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

    def __init__(self, folder: Path, kubeconfig: Path, programs: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": f"{programs}:{BIN}:/usr/bin:/bin",
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig),
            "LANG": "C.UTF-8",
            "OUTPUT": str(folder.with_name("output")),
        }

    def run(self, script: str, *, strict: bool = False) -> subprocess.CompletedProcess[str]:
        """What bash makes of a script; both streams are in `stdout`. Strict is `-euo pipefail`."""
        return subprocess.run(
            ["bash", *(["-euo", "pipefail"] if strict else []), "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=_SECONDS,
        )

    def printed(self, command: str) -> tuple[str, ...]:
        """The lines that the command prints, on either stream, but for what a slow machine adds."""
        return tuple(
            line.rstrip()
            for line in self.run(command).stdout.splitlines()
            if not line.startswith("still waiting: ")
        )

    def set_up(self, script: str) -> None:
        """Run commands that the reader does not see; each must succeed."""
        done = self.run(script, strict=True)
        if done.returncode:
            problem = f"setup failed:\n{script}\n{done.stdout}"
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
        made = World(folder / "work", plane.kubeconfig(), _programs(folder / "programs"))
        made.set_up(
            f"kubectl create namespace portworx; kubectl create -f - <<'EOF'\n{_portworx()}\nEOF"
        )
        for crd in (CRD, SNAPSHOT_CRD):
            made.set_up(
                f"kubectl create -f - <<'EOF'\n{json.dumps(crd)}\nEOF\n"
                f"until kubectl get {crd['metadata']['name']}; do sleep 0.1; done"
            )
        made.set_up("kubectl wait --for=condition=Ready pods --all -n kube-system --timeout=60s")
        # Nothing here rolls a DaemonSet out: this one always says that it is.
        rolled_out = {"observedGeneration": 1000, "desiredNumberScheduled": len(NODES)}
        rolled_out |= dict.fromkeys(("updatedNumberScheduled", "numberAvailable"), len(NODES))
        required = {"currentNumberScheduled": len(NODES), "numberMisscheduled": 0}
        status = json.dumps({"status": rolled_out | required | {"numberReady": len(NODES)}})
        made.set_up(
            "kubectl patch daemonset/portworx -n kube-system --subresource=status --type=merge"
            f" --patch '{status}'"
        )
        yield made


def _programs(folder: Path) -> Path:
    """Make a folder with a kubectl that knows where the stand-in for pxctl is, and with that."""
    folder.mkdir()
    pxctl = folder / "pxctl"
    kubectl = _KUBECTL.format(kubectl=BIN / "kubectl", pxctl=pxctl)
    for name, text in {
        "pxctl": _script("pxctl.py"),
        "old-token": _script("old_token.py"),
        "kubectl": kubectl,
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def _script(name: str) -> str:
    return f"#!{sys.executable}\n{Path(__file__).with_name(name).read_text()}"


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
    """What is not as the file says, block by block."""
    times = 2 if file.name == "runbooks.md" else 1
    for part in parts_of(file.read_text()):
        if part.kind == "setup":
            told_to.set_up(part.text)
        elif part.kind == "console":
            for entry in entries_of(part.text):
                if found := difference(entry.shown, told_to.printed(entry.command)):
                    yield f"{file.name}: $ {entry.command}\n{found}"
        elif part.kind == "check" or (part.kind == "sh" and not part.reason):
            for _ in range(times if part.kind == "sh" else 1):
                done = told_to.run(part.text, strict=True)
                if part.kind == "sh":
                    Path(told_to.environment["OUTPUT"]).write_text(done.stdout)
                if done.returncode:
                    yield f"{file.name}: this failed:\n{part.text}\n{done.stdout}"


def record(file: Path, told_to: World) -> None:
    """Write what is printed now into the file, where it differs; what is left out stays so."""

    def recorded(found: re.Match[str]) -> str:
        part = _part(found)
        if part.kind == "sh" and not part.reason:
            told_to.run(part.text, strict=True)
        elif part.kind == "setup":
            told_to.set_up(part.text)
        if part.kind != "console":
            return found[0]
        lines: list[str] = []
        for entry in entries_of(part.text):
            printed = told_to.printed(entry.command)
            same = not difference(entry.shown, printed) or _LEFT_OUT in entry.shown
            lines += [f"$ {entry.command}", *(entry.shown if same else printed)]
        return "\n".join(["```console", *lines, "```"])

    file.write_text(_PART.sub(recorded, file.read_text()))


if __name__ == "__main__":
    os.chdir(ROOT)
    if len(sys.argv) == 1:
        with world() as told:
            shell = told.environment | {"PS1": "\\$ ", "TERM": os.environ.get("TERM", "dumb")}
            print("Here kubectl reaches the cluster of docs/tutorial.md; `exit` ends both.")
            subprocess.run(["bash", "--norc"], cwd=told.folder, env=shell)
    for argument in sys.argv[1:]:
        with world() as told:
            record(Path(argument), told)

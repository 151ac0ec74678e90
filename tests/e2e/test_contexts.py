"""pxctl's contexts through a real kubelet: what becomes of an exec, and what is said of it."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane.node import Cluster
from controlplane.node_images import PAUSE, SHELL
from tests.conftest import BIN, Run
from tests.e2e.waiting import eventually, kubectl_until_done
from tests.portworx_site import Site

_POD = "portworx"
_PROGRAMS = "/opt/pwx/bin"
_SILENT = "#!/bin/sh\nexec sleep 600\n"
_CAUSE = "the cause, which comes last"
_FAILING = f"#!/bin/sh\nseq 200 >&2\necho '{_CAUSE}' >&2\nexit 42\n"


@dataclass(frozen=True)
class Portworx:
    """A namespace with a Portworx pod, on the one node; programs stand in for pxctl in it."""

    site: Site
    node: str = "node"

    def start(self, image: str = SHELL, **container: Any) -> None:
        """Start the pod; its container's fields may be others."""
        programs = {"good": _pxctl(), "silent": _SILENT, "failing": _FAILING}
        names = {"kind": "ConfigMap", "metadata": {"name": "programs"}, "data": programs}
        self.site.create(names)
        command = {"command": ["sleep", "infinity"]} if image == SHELL else {}
        mount = {"name": "programs", "mountPath": _PROGRAMS}
        fields = {"name": "portworx", "image": image, "volumeMounts": [mount], **command}
        # Each is called pxctl, as a program that may have a token for an argument.
        files = [{"key": name, "path": f"{name}/pxctl", "mode": 0o755} for name in programs]
        volume = {"name": "programs", "configMap": {"name": "programs", "items": files}}
        spec = {
            "containers": [fields | container],
            "volumes": [volume],
            "terminationGracePeriodSeconds": 0,
        }
        metadata = {"name": _POD, "labels": {"name": "portworx"}}
        self.site.create({"kind": "Pod", "metadata": metadata, "spec": spec})

    def wait_until(self, condition: str) -> None:
        kubectl_until_done(self.site, "wait", f"--for={condition}", f"pod/{_POD}")

    def context(self, *arguments: str, pxctl: str = "good") -> Run:
        return self.site.pxauth(*self.words(*arguments, pxctl=pxctl))

    def words(self, *arguments: str, pxctl: str = "good") -> list[str]:
        there = [
            "--portworx-namespace",
            self.site.namespace,
            "--pxctl",
            f"{_PROGRAMS}/{pxctl}/pxctl",
        ]
        return ["context", *arguments, *there]

    def fails(self, *arguments: str, pxctl: str = "good") -> str:
        """Run it where it can't go well; returns the one line on the node."""
        done = self.context(*arguments, pxctl=pxctl)
        assert (done.code, done.out) == (1, "")
        (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert f"node {self.node}" in line
        return line


@pytest.fixture
def portworx(site: Site) -> Portworx:
    return Portworx(site)


@pytest.fixture
def running(portworx: Portworx) -> Portworx:
    portworx.start()
    portworx.wait_until("condition=Ready")
    return portworx


def test_a_context_is_saved_listed_chosen_and_deleted(running: Portworx) -> None:
    done = running.context("create", "admin")
    assert (done.code, done.out) == (0, "context/admin saved on node node\n"), done.err
    saved = running.site.done("exec", _POD, "--", "sh", "-c", "cat ~/.pxctl/contextconfig")
    (kept,) = json.loads(saved)["configurations"]
    mine = running.site.home / "token"
    mine.write_text(kept["token"])
    verdict = running.site.pxauth("verify", "--token-file", mine)
    assert verdict.code == 0, verdict.out
    assert running.context("set", "admin").code == 0
    (listed,) = json.loads(running.context("list", "-o", "json").out)["items"]
    assert (listed["node"], listed["context"], listed["current"]) == ("node", "admin", True)
    assert running.context("delete", "admin").code == 0
    assert running.context("list").err == "No contexts found.\n"


def test_a_silent_pxctl_is_given_up(running: Portworx) -> None:
    line = running.fails("create", "admin", "--request-timeout", "10s", pxctl="silent")
    assert "no end within 10 s" in line


def test_the_end_of_what_a_failing_pxctl_says_is_kept(running: Portworx) -> None:
    line = running.fails("create", "admin", pxctl="failing")
    assert line.endswith(_CAUSE)


def test_a_pxctl_that_is_not_there(running: Portworx) -> None:
    line = running.fails("list", pxctl="missing")
    assert "no such file or directory" in line


def test_a_container_without_a_shell(portworx: Portworx) -> None:
    portworx.start(PAUSE)
    portworx.wait_until("condition=Ready")
    line = portworx.fails("create", "admin")
    assert 'exec: "sh": executable file not found in $PATH' in line


def test_a_pod_that_is_killed_meanwhile(running: Portworx) -> None:
    words = running.words("create", "admin", pxctl="silent")
    with subprocess.Popen(
        [BIN / "kubectl", "pxauth", *words],
        env=running.site.popen_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as create:
        ps = ("exec", _POD, "--", "sh", "-c", "cat /proc/[0-9]*/cmdline")
        eventually(lambda: "sleep\x00600" in running.site.done(*ps), "a pxctl that runs")
        running.site.done("delete", "pod", _POD, "--now")
        out, errors = create.communicate(timeout=120)
    assert (create.returncode, out) == (1, "")
    assert "node node: " in errors
    assert "exit code 137" in errors or "the connection broke before the command ended" in errors


def test_a_pod_that_is_not_ready(portworx: Portworx) -> None:
    portworx.start(readinessProbe={"exec": {"command": ["false"]}})
    portworx.wait_until("jsonpath={.status.phase}=Running")
    assert "is not ready" in portworx.fails("create", "admin")


def test_a_node_that_is_frozen(running: Portworx, cluster: Cluster) -> None:
    with _frozen(cluster):
        line = running.fails("create", "admin", "--request-timeout", "10s")
        listed = running.context("list", "--request-timeout", "10s")
    assert cluster.plane.server not in line
    assert "no answer in 10 s from the kubelet of its node" in line
    assert (listed.code, listed.out) == (1, "")
    assert "No contexts found" not in listed.err
    eventually(lambda: running.context("create", "admin").code == 0, "a node that is back")


def test_a_node_without_a_kubelet(running: Portworx, cluster: Cluster) -> None:
    cluster.node.kubelet.stop()
    try:
        line = running.fails("create", "admin")
    finally:
        cluster.node.start_kubelet()
    assert cluster.plane.server not in line
    assert line.endswith("connection refused")
    eventually(lambda: running.context("create", "admin").code == 0, "a kubelet that is back")


@contextmanager
def _frozen(cluster: Cluster) -> Iterator[None]:
    cluster.node.kubelet.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.node.kubelet.send_signal(signal.SIGCONT)


def _pxctl() -> str:
    """The stand-in for pxctl, for the pod's Python."""
    return "#!/usr/bin/python3\n" + (Path(__file__).parents[1] / "pxctl.py").read_text()

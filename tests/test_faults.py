"""Every command meets every fault of the network, and no invariant breaks.

Nothing hangs longer than kubectl, no run ends in a bug, none that exits with 0 has left its work
undone, and none that fails hides a write that was done. A part of the cells is run each time; with
FAULTS=FILE all are, and their outcomes are kept in the file, of which

    python -m tests.test_faults FILE docs/faults.md

makes the table.
"""

import base64
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from tests.conftest import SHARED_SECRET, Portworx, Shell, claims_of, forge
from tests.fault_proxy import (
    Alter,
    Answer,
    BadConnection,
    CloseAfter,
    Cut,
    Fault,
    FaultProxy,
    Reply,
    Reset,
    Stall,
    Trickle,
    instead,
    refusal,
    status,
    zipped,
)

_SECONDS = 100  # far more than any of these takes; what hangs takes for ever
_NO_NAMESPACE = ("doctor", "discover", "--shared-secret-from", "default", "kube-system")
_SHARE = 15  # one cell of so many is run each time: all commands, and nearly all faults


@dataclass(frozen=True)
class Command:
    """A command line, {} being its namespace; what is made ready for it, and what it has to do.

    reads and writes are the requests to spoil, writes as a method and a path. done is a command
    line of kubectl with what it prints where the work is done. reads is None where it has none.
    """

    line: str
    reads: str | None
    writes: tuple[str, str] | None = None
    before: Callable[[Shell], None] = lambda _: None
    done: tuple[str, str] | None = None
    fails: bool = False
    in_pods: bool = False

    @property
    def name(self) -> str:
        return self.line.partition(" --shared")[0].replace("{}", "NAMESPACE")


def _token(shell: Shell) -> None:
    """A token that ends soon."""
    name = f"px-k8s-user.{shell.namespace}@portworx.com"
    claims = claims_of(name, days=1) | {"name": f"px-k8s-user.{shell.namespace}"}
    shell.keep("px-k8s-user", forge(claims | {"email": name}))


def _one_key(shell: Shell) -> None:
    """Of the keys that a cluster has, it has the shared secret alone."""
    others = json.dumps({"data": {"system-secret": None, "stork-secret": None}})
    shell.kubectl("patch", "secret", "pxkeys", "-n", "kube-system", "--type=merge", "-p", others)


def _own_key(shell: Shell) -> None:
    shell.create({"metadata": {"name": "keys"}, "stringData": {"shared-secret": "k" * 64}})
    shell.keep("mine", forge(claims_of("mine"), b"k" * 64))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _scheduled(shell: Shell) -> None:
    done = shell.pxauth("schedule", "-n", shell.namespace, "--image=i")
    assert done.code == 0, done.err


_SECRET = "get secret px-k8s-user -o=name"
_ISSUER = "get secret px-k8s-user -o=jsonpath={.metadata.annotations.kubectl-pxauth/issuer}"
_PATH = r"/secrets/px-k8s-user"
_LIST = r"/secrets\?"
_PODS = r"/pods\?"
_EXEC = ("GET|POST", "/pods/portworx-node-a/exec")

COMMANDS = (
    Command(
        "issue kubernetes",
        _PATH,
        ("POST", _LIST),
        done=(_SECRET, "secret/px-k8s-user\n"),
    ),
    Command(
        "issue kubernetes --duration=2y", _PATH, ("PATCH", _PATH), _token, (_ISSUER, "portworx.com")
    ),
    Command(
        "issue kubernetes -n {} -n default",
        r"namespaces/test.*" + _PATH,
        ("POST", r"namespaces/test.*/secrets\?"),
        done=(_SECRET, "secret/px-k8s-user\n"),
    ),
    Command(
        "storageclass c-{}",
        "/storageclasses/c-",
        ("POST", r"/storageclasses\?"),
        _token,
        ("get storageclass c-{} -o=name", "storageclass.storage.k8s.io/c-{}\n"),
    ),
    Command("token kubernetes", "/secrets/pxkeys"),
    Command("list", _LIST, before=_token),
    Command("renew --all", _LIST, ("PATCH", _PATH), _token, (_ISSUER, "portworx.com")),
    Command(
        "schedule --image=i",
        "/cronjobs/",
        ("PATCH", "/cronjobs/.*fieldManager=[^&]*$"),
        done=(
            "get cronjob pxauth-renew-{} -n kube-system -o=name",
            "cronjob.batch/pxauth-renew-{}\n",
        ),
    ),
    Command(
        "unschedule",
        r"/cronjobs\?",
        ("DELETE", "/cronjobs/"),
        _scheduled,
        ("get cronjobs -A -l kubectl-pxauth/job=pxauth-renew-{} -o=name", ""),
    ),
    Command("inspect px-k8s-user", _PATH, before=_token),
    Command("verify px-k8s-user", _PATH, before=_token),
    Command("doctor", r"/v1/secrets\?", fails=True),
    Command("discover", "/daemonsets"),
    Command(
        "keys create -n kube-system",
        "/secrets/pxkeys",
        ("PATCH", "/secrets/pxkeys"),
        _one_key,
        ("get secret pxkeys -n kube-system -o=jsonpath={.data.stork-secret}", "not "),
    ),
    Command(
        "keys rotate --shared-secret-from={}/keys",
        "/secrets/keys",
        ("PATCH", "/secrets/keys.*fieldManager=[^&]*$"),
        _own_key,
        ("get secret keys -o=jsonpath={.data.shared-secret}", f"not {_base64(b'k' * 64)}"),
    ),
    Command("pxctl -- status", _PODS, _EXEC, in_pods=True),
    Command(
        "context create admin",
        _PODS,
        _EXEC,
        done=("exec portworx-node-a -- cat .pxctl/contextconfig", "not "),
        in_pods=True,
    ),
    Command("context list", _PODS, _EXEC, in_pods=True),
)
KUBECTL = (
    Command("get secret px-k8s-user", _PATH, before=_token),
    Command("create secret generic new", None, ("POST", _LIST)),
    Command("label secret px-k8s-user a=b", _PATH, ("PATCH", _PATH), _token),
    Command("exec portworx-node-a -- true", "/pods/portworx-node-a$", _EXEC, in_pods=True),
)


def _redirect(there: str) -> Answer:
    return Answer(Reply(302, headers=(("Location", there),)))


_NONE = "none"
FAULTS: dict[str, Fault | BadConnection] = {
    _NONE: Alter(lambda reply: reply),
    "reset before the request is handed on": Reset(),
    "reset, the request done": Reset(done=True),
    "ended, the request done": Reset(done=True, end=True),
    "reset in the answer": Cut(),
    "ended in the answer": Cut(end=True),
    "closed after the answer": CloseAfter(),
    "429": refusal(429),
    "429, Retry-After 1": refusal(429, Retry_After="1"),
    "429, Retry-After -5": refusal(429, Retry_After="-5"),
    "429, Retry-After a date": refusal(429, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
    "429, Retry-After 3600": refusal(429, Retry_After="3600"),
    "500": refusal(500),
    "500, Retry-After 1": refusal(500, Retry_After="1"),
    "502 in HTML": refusal(502, html=True),
    "503, Retry-After 1": refusal(503, html=True, Retry_After="1"),
    "504 in HTML, the request done": Answer(refusal(504, html=True).reply, done=True),
    "409": Answer(Reply(409, status(409, "Conflict", "spoilt with 409"))),
    "410": Answer(Reply(410, status(410, "Expired", "spoilt with 410"))),
    "garbage": instead(b"\x00\xff\x01"),
    "garbage, the request done": instead(b"\x00\xff\x01", done=True),
    "nothing": instead(b""),
    "an HTML page": instead(b"<html>sign in</html>", kind="text/html"),
    "another kind": instead({"kind": "Lease", "apiVersion": "v1", "metadata": {"name": "x"}}),
    "a Status with 200": Answer(Reply(200, status(200, "", "fine"))),
    "metadata: null": Alter(lambda reply: _without(reply, "metadata")),
    "items: null": Alter(lambda reply: _without(reply, "items")),
    "an array": instead([]),
    "200,000 levels": instead(b"[" * 200_000),
    "gzip": Alter(lambda reply: replace(zipped(reply.body).reply, status=reply.status)),
    "a gigabyte of blanks in gzip": Answer(
        Reply(200, gzip.compress(b" " * (1 << 20)) * 1024, zipped(b"").reply.headers)
    ),
    "a byte a second": Trickle(),
    "no answer": Stall(),
    "no answer, the request done": Stall(done=True),
    "redirect to another host": _redirect("https://elsewhere.invalid/"),
    "redirect in a circle": _redirect("/api/v1/namespaces/a/secrets/b"),
    "the first connection reset": BadConnection("reset"),
    "the second connection reset": BadConnection("reset", first=2),
    "the first connection no TLS": BadConnection("garbage"),
    "the first connection silent": BadConnection("stall"),
}
FOR_EVER = (
    "reset before the request is handed on",
    "503, Retry-After 1",
    "500",
    "no answer",
    "410",
)


def _without(reply: Reply, key: str) -> Reply:
    said = json.loads(reply.body)
    return Reply(reply.status, json.dumps(said | {key: None}).encode())


@dataclass(frozen=True)
class Cell:
    """A command that meets a fault, in its reads, in its writes or in its connections."""

    command: Command
    fault: str
    place: str
    for_ever: bool = False

    @property
    def row(self) -> str:
        return f"{self.place}: {self.fault}{', for ever' if self.for_ever else ''}"

    def spoil(self, proxy: FaultProxy) -> None:
        fault = FAULTS[self.fault]
        if isinstance(fault, BadConnection):
            proxy.spoil_connections(fault)
            return
        method, path = "GET", self.command.reads or ""
        if self.place == "write" and self.command.writes:
            method, path = self.command.writes
        proxy.spoil(fault, method=method, path=path, times=None if self.for_ever else 1)


def _cells(commands: tuple[Command, ...]) -> Iterator[Cell]:
    for command in commands:
        for fault, spoiling in FAULTS.items():
            if isinstance(spoiling, BadConnection):
                yield Cell(command, fault, "connection")
                continue
            places = {"read": command.reads, "write": command.writes}
            if command.in_pods and isinstance(spoiling, Alter | Cut | CloseAfter):
                del places["write"]  # a stream has no answer to spoil
            for place in (place for place, requests in places.items() if requests):
                yield Cell(command, fault, place)
                if fault in FOR_EVER:
                    yield Cell(command, fault, place, for_ever=True)


def _chosen() -> list[tuple[Cell, bool]]:
    cells = [(cell, False) for cell in _cells(COMMANDS)]
    if "FAULTS" in os.environ:
        return cells + [(cell, True) for cell in _cells(KUBECTL)]
    return cells[::_SHARE]


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane) as running:
        yield running


@pytest.mark.parametrize(
    ("cell", "of_kubectl"),
    _chosen(),
    ids=lambda value: f"{value.command.name}: {value.row}" if isinstance(value, Cell) else "",
)
def test_a_fault(
    shell: Shell,
    proxy: FaultProxy,
    cell: Cell,
    of_kubectl: bool,
    request: pytest.FixtureRequest,
) -> None:
    command = cell.command
    command.before(shell)
    cell.spoil(proxy)
    line = command.line.replace("{}", shell.namespace).split()
    flags = ["--request-timeout=4s"]
    if command.in_pods:
        portworx: Portworx = request.getfixturevalue("portworx")
        flags += [] if of_kubectl else ["--pxctl", str(portworx.pxctl), *portworx.there]
    elif not line[-1].startswith(_NO_NAMESPACE):
        flags += ["-n", shell.namespace]
    began = time.monotonic()
    through = proxy.shell(shell)
    run = through.kubectl if of_kubectl else through.pxauth
    try:
        # Behind the first word, as what stands behind `--` is the pod's.
        done = run(line[0], *flags, *line[1:])
    except subprocess.TimeoutExpired:
        assert of_kubectl
        _keep(cell, "hangs")
        return
    seconds = time.monotonic() - began
    is_done = None
    if command.done:
        question, answer = (text.replace("{}", shell.namespace) for text in command.done)
        found = shell.kubectl(*question.split()).out
        is_done = found == answer or (answer.startswith("not ") and found != answer[4:])
    _keep(cell, _outcome(done.code, done.err))
    if of_kubectl:
        return
    assert seconds < _SECONDS
    assert done.code in (0, 1), done.err
    assert done.code == 0 or command.fails or cell.fault != _NONE, done.err
    if done.code == 0:
        assert is_done is not False, done.err
    elif not command.fails:
        assert "error: " in done.err
        said = "not known" in done.err or "may be written" in done.err or done.out
        assert not is_done or said or cell.place == "read", done.err
    assert not any(key in done.err for key in (SHARED_SECRET.decode(), "k" * 64))


def _outcome(code: int, err: str) -> str:
    if code == 0:
        return "done"
    return "in doubt" if "may be written" in err or "not known" in err else "error"


def _keep(cell: Cell, outcome: str) -> None:
    if file := os.environ.get("FAULTS"):
        kept = [cell.row, cell.command.name, outcome]
        with Path(file).open("a") as lines:
            lines.write(json.dumps(kept) + "\n")


def table(results: list[list[str]], day: datetime) -> str:
    """A row for each fault, a column for each command; day is when they were found."""
    outcomes = {(row, command): outcome for row, command, outcome in results}
    mine = [command.name for command in COMMANDS]
    theirs = [command.name for command in KUBECTL]
    rows = dict.fromkeys(cell.row for cell in _cells(COMMANDS + KUBECTL))
    lines = [_HEAD.format(day=day)]
    for place in ("read", "write", "connection"):
        first = "the first connection reset" if place == "connection" else "500"
        names = [name for name in mine + theirs if (f"{place}: {first}", name) in outcomes]
        columns = [f"kubectl {name}" if name in theirs else name for name in names]
        lines += ["", f"## In a {place}", "", f"| Fault | {' | '.join(columns)} |"]
        lines.append(f"| --- |{' --- |' * len(names)}")
        for row in rows:
            if row.startswith(f"{place}: "):
                found = (outcomes.get((row, name), "") for name in names)
                lines.append(f"| {row.removeprefix(f'{place}: ')} | {' | '.join(found)} |")
    return "\n".join(lines) + "\n"


_HEAD = """# What becomes of faults in the network

Each command meets each fault once, or for ever, in the request that matters most to it; all with
`--request-timeout=4s`, against a real API server. `done` is exit code 0, and the cluster was asked
whether it is so; `error` is exit code 1, and nothing was written; `in doubt` is exit code 1, and
the error says that it is not known whether the object was written, as the server could not be
asked.

Where kubectl says `error` to a write whose answer was lost, it does not look whether the server did
it.

For `pxctl` and `context create` the write is the request that runs pxctl in the pod of one node.
`kubectl exec` goes on to its second protocol after any answer that opens no stream, even if the
command may run by then; the plugin asks again only where the server has put the request off (429).
`hangs` is what has not ended after two minutes. A cell is empty where a stream can't meet the
fault.

Last run: {day:%-d %B %Y}."""


if __name__ == "__main__":
    kept = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    Path(sys.argv[2]).write_text(table(kept, datetime.now(UTC)))

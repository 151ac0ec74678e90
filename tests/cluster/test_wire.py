"""Where kubectl gets through to a server that has its moments, so does the plugin."""

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from typer.main import get_command

from controlplane.run import ControlPlane
from kubectl_pxauth.cli import head_start
from kubectl_pxauth.cli.app import application
from kubectl_pxauth.cli.flags import ConnectionFlags
from tests.conftest import BIN, Run, Shell, claims_of, forge, judge
from tests.fault_proxy import (
    Alter,
    Answer,
    BadConnection,
    CloseAfter,
    Cut,
    Fault,
    FaultProxy,
    First,
    Reply,
    Reset,
    Stall,
    Trickle,
    instead,
    refusal,
    status,
    zipped,
)

SECRET = "/secrets/px-k8s-user"
SECRETS = r"/secrets(\?|$)"
ISSUE = ("issue", "kubernetes")


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane) as running:
        yield running


def issue(shell: Shell, proxy: FaultProxy, *flags: str) -> Run:
    return proxy.shell(shell).pxauth(*ISSUE, "-n", shell.namespace, *flags)


@pytest.mark.parametrize(
    "fault",
    [
        Reset(),
        Reset(done=True),
        Reset(end=True),
        Cut(),
        Cut(end=True),
        CloseAfter(),
        refusal(429, Retry_After="1"),
        refusal(500, Retry_After="0"),
        refusal(503, html=True, Retry_After="-5"),
        Answer(
            Reply(307, headers=(("Location", "/api/v1/namespaces/kube-system/secrets/pxkeys"),))
        ),
    ],
)
def test_a_read_that_is_spoilt_once(shell: Shell, proxy: FaultProxy, fault: Fault) -> None:
    proxy.spoil(fault, method="GET", path="/secrets/pxkeys")
    done = issue(shell, proxy)
    assert (done.code, done.err) == (0, "")
    assert proxy.met == [fault]
    assert judge(shell.token())["accepted"]


@pytest.mark.parametrize("times", [3, 10])
def test_a_read_is_sent_again_ten_times(shell: Shell, proxy: FaultProxy, times: int) -> None:
    proxy.spoil(refusal(503, Retry_After="0"), method="GET", path="/pxkeys", times=times)
    assert issue(shell, proxy).code == 0
    proxy.spoil(refusal(503, Retry_After="0"), method="GET", path="/pxkeys", times=None)
    done = issue(shell, proxy)
    assert (done.code, done.err) == (1, "error: spoilt with 503\n")


@pytest.mark.parametrize(
    "fault",
    [
        refusal(429),
        refusal(429, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
        refusal(500),
        refusal(502, html=True),
        refusal(409),
        instead(b"\x00\xff garbage"),
        instead(b""),
        instead(b"<html>sign in</html>", kind="text/html"),
        instead({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "pxkeys"}}),
        Answer(Reply(200, status(200, "Success", "fine"))),
        instead({"kind": "Secret", "apiVersion": "v1", "metadata": None}),
        instead({}),
        instead([]),
        instead(b"[" * 200_000 + b"]" * 200_000),
        instead(b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
        zipped(b" " * (1 << 28)),
        Answer(Reply(302, headers=(("Location", "https://elsewhere.invalid/"),))),
        Answer(
            Reply(302, headers=(("Location", "/api/v1/namespaces/kube-system/secrets/pxkeys"),))
        ),
    ],
)
def test_a_read_that_is_answered_with_something_else(
    shell: Shell, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.spoil(fault, method="GET", path="/secrets/pxkeys", times=None)
    done = proxy.shell(shell).refused(*ISSUE, "-n", shell.namespace)
    assert len(done.err) < 400
    assert shell.kubectl("get", "secret", "px-k8s-user").code == 1


def test_an_object_that_is_deleted_while_it_is_applied(shell: Shell, proxy: FaultProxy) -> None:
    """The API server calls it a conflict, as it does a field of somebody else's."""
    schedule = ("schedule", "-n", shell.namespace, "--image=i:1", "-q")
    try:
        for times, code in ((2, 0), (None, 1)):
            proxy.spoil(refusal(409), method="PATCH", path="/rolebindings/", times=times)
            done = proxy.shell(shell).pxauth(*schedule)
            assert done.code == code, done.err
    finally:
        shell.pxauth("unschedule", "-n", shell.namespace)


def test_no_other_server_is_shown_whom_this_one_knows(shell: Shell, proxy: FaultProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as never_called:
        never_called.setblocking(False)
        there = f"https://127.0.0.1:{never_called.getsockname()[1]}/"
        elsewhere = Answer(Reply(307, headers=(("Location", there),)))
        proxy.spoil(elsewhere, method="GET", path="/secrets/pxkeys")
        done = proxy.shell(shell).refused(*ISSUE, "-n", shell.namespace, "--request-timeout=5s")
        with pytest.raises(BlockingIOError):
            never_called.accept()
    assert "redirects to https://127.0.0.1 (HTTP status 307)" in done.err


WRITES = {"POST": SECRETS, "PATCH": SECRET}
DONE = [
    Reset(done=True),
    Reset(done=True, end=True),
    Cut(),
    CloseAfter(),
    Answer(refusal(504, html=True).reply, done=True),
    Answer(refusal(503, Retry_After="1").reply, done=True),
    instead({}, done=True),
    instead(b"garbage", done=True),
    instead({"kind": "Secret", "apiVersion": "v1", "metadata": None}, done=True),
    Stall(done=True),
]
NOT_DONE = [
    Reset(),
    refusal(500),
    refusal(502, html=True),
    instead({"kind": "Secret", "apiVersion": "v1", "metadata": None}),
    Answer(Reply(307, headers=(("Location", "/elsewhere"),))),
]


@pytest.mark.parametrize("fault", DONE)
@pytest.mark.parametrize("method", WRITES)
def test_a_write_that_was_done_is_said_to_be(
    shell: Shell, proxy: FaultProxy, method: str, fault: Fault
) -> None:
    if method == "PATCH":
        shell.issue("kubernetes", "--duration=1d")
    proxy.spoil(fault, method=method, path=WRITES[method])
    done = issue(shell, proxy, "--request-timeout=4s", "--duration=1y")
    assert done.code == 0, done.err
    change = "created" if method == "POST" else "configured"
    assert done.out.startswith(f"secret/px-k8s-user {change}")
    assert proxy.met == [fault]
    # It was done once, and not again.
    assert [seen.method for seen in proxy.requests if seen.method != "GET"] == [method]
    claims = shell.claims()
    assert claims["exp"] - claims["iat"] > 300 * 86400


@pytest.mark.parametrize("fault", NOT_DONE)
@pytest.mark.parametrize("method", WRITES)
def test_a_write_that_was_not_done_is_an_error_or_done(
    shell: Shell, proxy: FaultProxy, method: str, fault: Fault
) -> None:
    if method == "PATCH":
        shell.issue("kubernetes", "--duration=1d")
    proxy.spoil(fault, method=method, path=WRITES[method])
    done = issue(shell, proxy, "--duration=1y")
    if isinstance(fault, Reset):
        assert done.code == 0
        assert shell.claims()["exp"] > time.time() + 300 * 86400
        return
    assert (done.code, done.out) == (1, "")
    if method == "PATCH":
        assert shell.claims()["exp"] < time.time() + 2 * 86400
    else:
        assert shell.kubectl("get", "secret", "px-k8s-user").code == 1


def test_a_write_that_is_put_off_is_written_later(shell: Shell, proxy: FaultProxy) -> None:
    for code in (429, 503):
        proxy.spoil(refusal(code, Retry_After="1"), method="POST", path=SECRETS, times=2)
    assert issue(shell, proxy).code == 0
    assert [seen.method for seen in proxy.requests].count("POST") == 5


def test_another_write_that_came_first_is_heeded(shell: Shell, proxy: FaultProxy) -> None:
    """The answer is lost, and when we look somebody else's token lies there."""
    theirs = forge(claims_of("theirs"), b"another key")
    shell.keep("px-k8s-user", theirs)
    nothing = Answer(Reply(404, status(404, "NotFound", "not there yet")))
    proxy.spoil(nothing, method="GET", path=SECRET)
    proxy.spoil(refusal(502), method="POST", path=SECRETS)
    done = issue(shell, proxy)
    assert done.code == 1
    assert "was meanwhile given a token of another key" in done.err
    assert shell.token() == theirs


def test_a_write_that_came_in_between_is_heeded(shell: Shell, proxy: FaultProxy) -> None:
    shell.issue("kubernetes")
    theirs = forge(claims_of("theirs"), b"another key")
    change = shell.home / "change"
    change.write_text(json.dumps({"stringData": {"auth-token": theirs}}))
    patch = ("patch", "secret", "px-k8s-user", "-n", shell.namespace, "--patch-file", change)
    proxy.spoil(First(lambda: shell.kubectl(*patch)), method="PATCH", path=SECRET)
    done = issue(shell, proxy)
    assert done.code == 1
    assert "was meanwhile given a token of another key" in done.err
    assert shell.token() == theirs


def test_what_can_not_be_looked_up_is_said(shell: Shell, proxy: FaultProxy) -> None:
    proxy.spoil(Reset(done=True), method="POST", path=SECRETS)
    proxy.spoil(refusal(500), method="GET", path=SECRET, first=2, times=None)
    done = issue(shell, proxy)
    assert done.code == 1
    assert f"Secret {shell.namespace}/px-k8s-user may be written or not" in done.err


def test_objects_that_are_applied_and_deleted(shell: Shell, proxy: FaultProxy) -> None:
    flags = ["--namespace", shell.namespace, "--image", "example.com/pxauth"]
    through = proxy.shell(shell)
    proxy.spoil(Reset(done=True), method="PATCH", path="^(?!.*dryRun)", times=None)
    done = through.pxauth("schedule", *flags)
    assert done.code == 0, done.err
    job = (f"cronjob/pxauth-renew-{shell.namespace}", "-n", "kube-system")
    assert shell.kubectl("get", *job).code == 0
    proxy.forget()
    rehearsed = done.out.count(" created")  # each deletion is tried as a dry run before
    proxy.spoil(Reset(), method="DELETE", first=rehearsed + 1, times=2)
    proxy.spoil(Reset(done=True), method="DELETE", first=rehearsed + 1, times=None)
    done = through.pxauth("unschedule", "--namespace", shell.namespace)
    assert done.code == 0, done.err
    assert shell.kubectl("get", *job).code == 1


def test_storage_classes(shell: Shell, proxy: FaultProxy) -> None:
    shell.issue("kubernetes")
    through, name = proxy.shell(shell), f"class-{shell.namespace}"
    for flags, word in ([], "created"), (["--default"], "configured"), (["--default"], "unchanged"):
        proxy.forget()
        proxy.spoil(Reset(done=True), method="POST|PATCH", path="/storageclasses")
        done = through.pxauth("storageclass", name, "-n", shell.namespace, *flags)
        assert (done.code, done.out) == (0, f"storageclass.storage.k8s.io/{name} {word}\n"), (
            done.err
        )
    shell.kubectl("delete", "storageclass", name)


def test_a_secret_that_is_deleted_before_the_write_is_made_again(
    shell: Shell, proxy: FaultProxy
) -> None:
    shell.issue("kubernetes")
    delete = ("delete", "secret", "px-k8s-user", "-n", shell.namespace)
    proxy.spoil(First(lambda: shell.kubectl(*delete)), method="PATCH", path=SECRET)
    done = issue(shell, proxy)
    assert done.code == 0, done.err
    assert done.out.startswith("secret/px-k8s-user created, expires ")
    assert judge(shell.token())["accepted"]


def test_an_object_that_was_replaced_is_not_deleted(shell: Shell, proxy: FaultProxy) -> None:
    """What was read is not what has that name now: the uid tells them apart."""
    shell.pxauth("schedule", "-n", shell.namespace, "--image=i")
    job = ("cronjob", f"pxauth-renew-{shell.namespace}", "-n", "kube-system")
    theirs = json.loads(shell.kubectl("get", *job, "-o=json").out)
    theirs["metadata"]["labels"] = {}

    def replace() -> None:
        assert shell.kubectl("delete", *job).code == 0
        assert shell.kubectl("create", "-f", "-", stdin=json.dumps(theirs)).code == 0

    proxy.spoil(First(replace), method="DELETE", path="/cronjobs/")
    done = proxy.shell(shell).pxauth("unschedule", "-n", shell.namespace)
    assert done.code == 0, done.err
    assert "cronjob" not in done.out  # it is nobody's that has our labels
    assert shell.kubectl("get", *job).code == 0


@pytest.mark.parametrize(("flags", "count"), [([], 5), (["--shared-secret-from=pxkeys"], 4)])
def test_connections_are_opened_ahead(
    shell: Shell, proxy: FaultProxy, flags: list[str], count: int
) -> None:
    """As many as requests that are sent at once, while a user file is still waited for."""
    fifo = shell.home / "user.yaml"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [BIN / "kubectl-pxauth", "issue", "kubernetes", "-f", fifo, *flags],
        env={"HOME": str(shell.home)} | proxy.shell(shell).environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with fifo.open("w") as file:  # returns once the plugin opens the other end
        deadline = time.monotonic() + 60
        while proxy.connections < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert proxy.requests == []
        file.write(f"name: a\nemail: {shell.namespace}\n")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    # One more for the user: whether another token has it.
    assert count <= proxy.connections <= count + 1
    assert {request.connection for request in proxy.requests} >= set(range(1, count + 1))


def test_flags_that_need_another_connection_are_no_head_start() -> None:
    """Each of ConnectionFlags stops it, whatever is added to them."""
    app: Any = get_command(application(["issue"]))
    flags = [
        flag
        for parameter in app.commands["issue"].params
        if parameter.name in {field.name for field in fields(ConnectionFlags)}
        for flag in parameter.opts
    ]
    assert "--request-timeout" in flags
    assert [flag for flag in flags if not flag.startswith(head_start._NO_HEAD_START)] == []


@pytest.mark.parametrize("kind", ["reset", "garbage"])
@pytest.mark.parametrize("first", [1, 2, 5])
def test_a_connection_that_goes_wrong(
    shell: Shell, proxy: FaultProxy, kind: str, first: int
) -> None:
    proxy.spoil_connections(BadConnection(kind, first))
    assert issue(shell, proxy).code == 0


def test_a_handshake_has_a_bound(shell: Shell, proxy: FaultProxy) -> None:
    proxy.spoil_connections(BadConnection("stall", times=9))
    started = time.monotonic()
    done = issue(shell, proxy, "--shared-secret-from=pxkeys")
    assert time.monotonic() - started < 25
    assert done.code == 1
    assert "can't be reached" in done.err


@pytest.mark.parametrize(
    "fault",
    [Stall(), Trickle(0.5), refusal(503, Retry_After="3600"), refusal(429, Retry_After="2")],
)
def test_a_request_has_a_bound(shell: Shell, proxy: FaultProxy, fault: Fault) -> None:
    proxy.spoil(fault, method="GET", path="/secrets/pxkeys", times=None)
    started = time.monotonic()
    done = proxy.shell(shell).refused(*ISSUE, "-n", shell.namespace, "--request-timeout=3s")
    assert time.monotonic() - started < 8
    assert "did not answer in 3 s" in done.err or "spoilt" in done.err


@pytest.mark.parametrize("fault", [Stall(seconds=7), refusal(429, Retry_After="7"), Trickle(0.015)])
def test_what_is_waited_for_long_is_told(shell: Shell, proxy: FaultProxy, fault: Fault) -> None:
    proxy.spoil(fault, method="GET", path="/secrets/pxkeys")
    done = issue(shell, proxy)
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert line.startswith("still waiting: ")
    assert "/api/v1/namespaces/kube-system/secrets/pxkeys" in line


def test_a_list_goes_on_after_an_expired_token(shell: Shell, proxy: FaultProxy) -> None:
    names = [f"token-{number}" for number in range(4)]
    for name in names:
        shell.issue("kubernetes", "--secret", name)
    through = proxy.shell(shell)

    def cut(reply: Reply) -> Reply:
        """The first page is all but the last item, whose token the server will not know."""
        whole = json.loads(reply.body)
        whole["items"] = whole["items"][:-1]
        whole["metadata"]["continue"] = "forgotten"
        return Reply(200, json.dumps(whole).encode())

    whole = through.kubectl("get", "--raw", f"/api/v1/namespaces/{shell.namespace}/secrets").out
    last = json.loads(whole)
    last["items"] = last["items"][-1:]
    gone = status(410, "Expired", "too old", metadata={"continue": "newer"})
    proxy.spoil(Alter(cut), method="GET", path=SECRETS)
    proxy.spoil(Answer(Reply(410, gone)), method="GET", path="continue=forgotten")
    proxy.spoil(instead(last), method="GET", path="continue=newer")
    listed = through.pxauth("list", "-n", shell.namespace, "-o=name", "--issuer=portworx.com")
    assert listed.out.split() == [f"secret/{name}" for name in names]
    proxy.forget()
    proxy.spoil(Alter(cut), method="GET", path=SECRETS)
    proxy.spoil(Answer(Reply(410, gone)), method="GET", path="continue=", times=None)
    assert "too old" in through.refused("list", "-n", shell.namespace).err
    proxy.forget()
    proxy.spoil(Alter(cut), method="GET", path=SECRETS)
    proxy.spoil(refusal(410), method="GET", path="continue=", times=None)
    assert "spoilt with 410" in through.refused("list", "-n", shell.namespace).err


@pytest.mark.parametrize(
    "page",
    [
        {"kind": "SecretList", "apiVersion": "v1", "metadata": {}},
        {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": None},
        {"kind": "SecretList", "apiVersion": "v1", "items": []},
        {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": [{}]},
        {"kind": "Secret", "apiVersion": "v1", "metadata": {}, "items": []},
    ],
)
def test_a_list_without_items_is_not_none(
    shell: Shell, proxy: FaultProxy, page: dict[str, object]
) -> None:
    proxy.spoil(instead(page), method="GET", path=SECRETS)
    done = proxy.shell(shell).refused("list", "-n", shell.namespace)
    assert "answered GET" in done.err


def test_a_list_that_the_server_can_not_decrypt(shell: Shell, proxy: FaultProxy) -> None:
    """As the API server answers while one Secret of the cluster can't be decrypted."""
    shell.issue("kubernetes")
    broken = Answer(
        Reply(
            429,
            status(429, "TooManyRequests", "storage is (re)initializing: unable to transform key"),
            (("Content-Type", "application/json"), ("Retry-After", "30")),
        )
    )
    proxy.spoil(broken, method="GET", path="/secrets.*fieldSelector", times=None)
    inner = refusal(500)
    proxy.spoil(inner, method="GET", path=r"/api/v1/secrets\?limit", times=None)
    started = time.monotonic()
    assert "spoilt with 500" in proxy.shell(shell).refused("list", "-A").err
    here = proxy.shell(shell).pxauth("list", "-n", shell.namespace, "-o=name")
    assert here.out == "secret/px-k8s-user\n"
    assert time.monotonic() - started < 10
    # Nobody chose all of them, and what Helm keeps is left out here as well.
    chosen = proxy.shell(shell).refused("list", "-n", shell.namespace, "-l=team=red")
    assert "storage is (re)initializing" in chosen.err
    shell.kubectl("label", "secret", "px-k8s-user", "-n", shell.namespace, "owner=helm")
    helms = {"name": "release", "labels": {"owner": "helm"}}
    data = shell.secret()["data"]
    shell.create({"metadata": helms, "type": "helm.sh/release.v1", "data": data})
    again = proxy.shell(shell).pxauth("list", "-n", shell.namespace, "-o=name")
    assert again.out == "secret/px-k8s-user\n"


@pytest.mark.parametrize("command", ["list -o=name", "renew --all -o=name"])
def test_large_secrets_fit_a_small_memory(shell: Shell, proxy: FaultProxy, command: str) -> None:
    """A hundred Secrets, each with a due token and, behind the proxy, a megabyte more."""
    names = [f"s-{i:02}" for i in range(100)]
    tokens = {
        name: forge(claims_of(f"{shell.namespace}-{name}", days=90, age_days=80)) for name in names
    }
    secrets = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": shell.namespace},
            "stringData": {"auth-token": token},
        }
        for name, token in tokens.items()
    ]
    shell.create({"kind": "List", "metadata": {}, "items": secrets})

    def inflate(reply: Reply) -> Reply:
        said = json.loads(reply.body)
        for item in said.get("items", [said]):
            if "data" in item:
                item["data"]["more"] = "A" * (1 << 20)
        return replace(reply, body=json.dumps(said).encode())

    proxy.spoil(Alter(inflate), path="/secrets(/s-|[?]|$)", times=None)
    memory = shell.home / "memory"
    through = proxy.shell(shell)
    script = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[2:], check=True);"
        "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))"
    )
    plugin = [str(BIN / "kubectl-pxauth"), *command.split(), "-n", shell.namespace]
    ended = subprocess.run(
        [BIN / "python", "-c", script, memory, *plugin],
        env=through.environment | {"HOME": str(shell.home)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert sorted(ended.stdout.split()) == [f"secret/{name}" for name in names]
    there = json.loads(shell.kubectl("get", "secrets", "-n", shell.namespace, "-o", "json").out)[
        "items"
    ]
    now = {item["metadata"]["name"]: item["data"]["auth-token"] for item in there}
    kept = [name for name in names if now[name] == base64.b64encode(tokens[name].encode()).decode()]
    assert kept == ([] if "renew" in command else names)
    assert int(memory.read_text()) < 150 * 1024

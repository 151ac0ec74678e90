"""`kubectl pxauth context`, on pods whose commands run for real behind the API server."""

import json
import os
import re
import select
import shlex
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Portworx, Run, Shell, claims_of, decode, forge, judge
from tests.fault_proxy import FaultProxy, Stall, refusal
from tests.terminal import run_on_terminal

NODES = Portworx.nodes


def script(folder: Path, *lines: str) -> Path:
    """A program to be called instead of pxctl."""
    file = folder / "other" / "pxctl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)
    return file


def failures(done: Run) -> dict[str, str]:
    """What `error:` lines say, by the node."""
    assert done.code == 1
    found = [re.fullmatch(r"error: node (\S+): (.*)", line) for line in done.err.splitlines()]
    return {match[1]: match[2] for match in found if match}


def saved(done: Run, context: str = "admin") -> list[str]:
    """The nodes that have the context, as the output has it."""
    found = re.findall(rf"^context/{re.escape(context)} saved on node (.*)$", done.out, re.M)
    assert len(found) == len(done.out.splitlines())
    return sorted(found)


def test_a_token_goes_to_every_node_and_into_no_secret(portworx: Portworx) -> None:
    before = portworx.shell.kubectl("get", "secrets", "-A", "-o", "name").out
    done = portworx.context("create", "admin", "-n", "portworx")
    unset = "current context: none (kubectl pxauth context set admin)\n3 saved\n"
    assert (done.code, done.err, saved(done)) == (0, unset, list(NODES))
    (token,) = {portworx.token(node) for node in NODES}
    assert token
    assert judge(token)["accepted"]
    claims = decode(token)
    assert (claims["sub"], claims["roles"]) == (
        "px-admin-token.portworx@portworx.com",
        ["system.admin"],
    )
    assert portworx.shell.kubectl("get", "secrets", "-A", "-o", "name").out == before


def test_the_words_of_issue_make_the_token(portworx: Portworx, tmp_path: Path) -> None:
    file = tmp_path / "alice.yaml"
    file.write_text("name: Alice\nemail: alice@example.com\nsub: alice\nroles: [system.view]\n")
    flags = ["-f", str(file), "--duration", "1h", "--issuer", "other.com", "--node", "node-b"]
    assert saved(portworx.context("create", "alice", *flags), "alice") == ["node-b"]
    claims = decode(portworx.token("node-b", "alice") or "")
    assert (claims["iss"], claims["sub"], claims["roles"]) == (
        "other.com",
        "alice",
        ["system.view"],
    )
    assert claims["exp"] - claims["iat"] == 3600 + 600
    assert saved(portworx.context("create", "k8s", "kubernetes", "--node", "node-b,node-c"), "k8s")
    assert decode(portworx.token("node-c", "k8s") or "")["groups"] == ["kubernetes"]
    assert portworx.token("node-a", "k8s") is None


def test_a_repeat_renews_the_token_and_passes_the_endpoint_on(portworx: Portworx) -> None:
    assert portworx.context("create", "admin", "--duration", "1h").code == 0
    first = portworx.token("node-a")
    assert portworx.context("create", "admin", "--endpoint", "https://px:9001").code == 0
    assert portworx.token("node-a") not in (first, None)
    items = json.loads(portworx.context("list", "-o", "json").out)["items"]
    assert [item["endpoint"] for item in items] == ["https://px:9001"] * len(NODES)


@pytest.mark.parametrize(
    "name", ["two words", "$(touch pwned)", "`touch pwned`", "a'; touch pwned; '\"", "ä*?"]
)
def test_no_name_is_read_by_a_shell(portworx: Portworx, name: str) -> None:
    done = portworx.context("create", name, "--node", "node-a", "--endpoint", f"http://{name}")
    assert saved(done, name) == ["node-a"], done.err
    assert f"(kubectl pxauth context set {shlex.quote(name)})\n" in done.err
    assert portworx.token("node-a", name)
    lacking = portworx.context("set", name, "--node", "node-b")
    assert f"(kubectl pxauth context create {shlex.quote(name)})\n" in lacking.err
    assert sorted(path.name for path in portworx.home("node-a").iterdir()) == [".pxctl"]
    assert portworx.context("delete", name, "--node", "node-a").code == 0
    assert portworx.token("node-a", name) is None


@pytest.mark.parametrize("name", ["", "-x", "--token", "a\nb"])
def test_names_that_pxctl_would_misread_are_refused(offline: Shell, name: str) -> None:
    for command in ("create", "delete", "set"):
        offline.refused("context", command, "--", name, code=2)


def test_list_shows_context_subject_and_expiry(portworx: Portworx) -> None:
    sub = "a-rather-long-subject-of-somebody/who-has-it-from-a-directory@example.com"
    portworx.context("create", "admin", "-n", "portworx", "--duration", "1d")
    portworx.context("create", "long", "--sub", sub, "--node", "node-c")
    subprocess.run(
        [portworx.pxctl, "context", "set", "long"],
        env=os.environ | {"HOME": str(portworx.home("node-c"))},
        check=True,
    )
    done = portworx.context("list")
    assert (done.code, done.err) == (0, "")
    heading, *rows = [line.split() for line in done.out.splitlines()]
    assert heading == ["NODE", "CONTEXT", "CURRENT", "SUBJECT", "EXPIRES", "DAYS"]
    assert [row[:3] for row in rows[:3]] == [[node, "admin", "no"] for node in NODES]
    assert rows[3][:4] == ["node-c", "long", "yes", sub]
    assert rows[3][5] == "364"
    items = json.loads(portworx.context("list", "-o", "json").out)["items"]
    assert [(item["node"], item["context"], item["current"]) for item in items] == [
        *((node, "admin", False) for node in NODES),
        ("node-c", "long", True),
    ]
    assert items[0]["subject"] == "px-admin-token.portworx@portworx.com"
    assert items[3]["subject"] == sub
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", items[0]["expiresAt"])
    assert "eyJ" not in done.out + json.dumps(items)
    assert "subject: px-admin-token" in portworx.context("list", "-o", "yaml").out
    assert portworx.context("list", "-o", "name").out == "context/admin\ncontext/long\n"
    portworx.context("create", "far", "--endpoint", "http://px.example", "--node", "node-a")
    wide = portworx.context("list", "--node", "node-a", "-o", "wide").out.splitlines()
    assert [line.split()[-1] for line in wide] == [
        "ENDPOINT",
        "http://localhost:9001",
        "http://px.example",
    ]
    bare = portworx.context("list", "--node", "node-a", "--no-headers").out.splitlines()
    assert [line.split()[1] for line in bare] == ["admin", "far"]


def test_lists_that_hide_the_token_or_are_none(portworx: Portworx, tmp_path: Path) -> None:
    flags = ["--node", "node-a"]
    assert portworx.context("list", *flags).err == "No contexts found.\n"
    assert json.loads(portworx.context("list", *flags, "-o", "json").out)["items"] == []
    item = "{context: u, token: XXXX, identity: {subject: s}}"
    hidden = script(tmp_path, f"echo 'contextconfig: {{current: u, configurations: [{item}]}}'")
    done = portworx.context("list", *flags, "-o", "json", pxctl=hidden)
    (item,) = json.loads(done.out)["items"]
    assert (item["subject"], item["expiresAt"], item["current"]) == ("s", None, True)
    for text in ("[1", "nothing here", "contextconfig: 1"):
        odd = portworx.context("list", *flags, pxctl=script(tmp_path, f"echo '{text}'"))
        assert "is not the YAML" in failures(odd)["node-a"]


def test_set_makes_it_the_current_one_on_every_node(portworx: Portworx) -> None:
    portworx.context("create", "old")
    portworx.context("create", "admin", "--node", "node-a,node-b")
    done = portworx.context("set", "admin")
    assert sorted(done.out.splitlines()) == [
        f"context/admin set on node {node}" for node in ("node-a", "node-b")
    ]
    assert failures(done) == {
        "node-c": 'there is no context "admin" (kubectl pxauth context create admin)'
    }
    assert portworx.context("set", "old", "--node", "node-c").code == 0
    items = json.loads(portworx.context("list", "-o", "json").out)["items"]
    assert {item["node"]: item["context"] for item in items if item["current"]} == {
        "node-a": "admin",
        "node-b": "admin",
        "node-c": "old",
    }
    again = portworx.context("create", "admin")
    assert again.err == (
        "current context: admin on node-a, node-b; old on node-c (kubectl pxauth context set"
        " admin)\n3 saved\n"
    )
    assert portworx.context("create", "admin", "--node", "node-a").err == (
        "admin is the current context\n1 saved\n"
    )


def test_nodes_that_can_not_be_asked_are_not_nodes_without_contexts(
    portworx: Portworx, tmp_path: Path
) -> None:
    broken = script(tmp_path, "exit 1")
    none = portworx.context("list", pxctl=broken)
    assert list(failures(none)) == list(NODES)
    assert "No contexts" not in none.err
    deleted = portworx.context("delete", "admin", pxctl=broken)
    assert sorted(failures(deleted)) == list(NODES)
    assert "there is no context" not in deleted.err
    one = script(tmp_path, '[ "$(basename "$HOME")" = node-b ] && exit 1', "echo '{}'")
    some = portworx.context("list", pxctl=one)
    assert list(failures(some)) == ["node-b"]
    assert "No contexts found on node-a, node-c.\n" in some.err


def test_of_a_long_error_the_end_is_told(portworx: Portworx, tmp_path: Path) -> None:
    long = script(tmp_path, "yes usage | head -n 500 >&2", "echo the cause >&2", "exit 1")
    said = failures(portworx.context("list", "--node", "node-a", pxctl=long))["node-a"]
    assert said.startswith("…")
    assert said.endswith("usage the cause")
    assert len(said) < 320


def test_a_token_of_a_secret_is_saved_as_it_is(portworx: Portworx) -> None:
    shell = portworx.shell
    shell.issue("admin", "--duration", "1d")
    kept = shell.token("px-admin-token")
    where = f"{shell.namespace}/px-admin-token"
    done = portworx.context("create", "admin", "--from-secret", where)
    assert saved(done) == list(NODES)
    assert re.match(r"the token ends 20\d\d-\d\d-\d\d \d\d:\d\d UTC\n", done.err)
    assert {portworx.token(node) for node in NODES} == {kept}
    assert saved(portworx.context("create", "b", "--from-secret", "px-admin-token:auth-token"), "b")
    for secret, says in (
        ("nope", f"Secret {shell.namespace}/nope not found"),
        ("px-admin-token:other", 'has no key "other"; its keys: auth-token'),
        ("kube-system/pxkeys:shared-secret", "holds no token"),
    ):
        refused = portworx.context("create", "admin", "--from-secret", secret)
        assert (refused.code, says in refused.err) == (1, True), refused.err
    shell.keep("late", forge(claims_of("late", days=10, age_days=11)))
    late = portworx.context("create", "admin", "--from-secret", "late")
    assert f'the token in Secret {shell.namespace}/late key "auth-token" has ended: 20' in late.err
    for flags in (
        *(["--duration", "1d"], ["--sub", "a"], ["--issuer", "a"], ["-f", "user.yaml"]),
        ["kubernetes"],
    ):
        assert portworx.context("create", "a", "--from-secret", where, *flags).code == 2


def test_delete(portworx: Portworx) -> None:
    portworx.context("create", "admin")
    portworx.context("create", "other", "--node", "node-a")
    assert portworx.context("delete", "admin", "--node", "node-a").code == 0
    done = portworx.context("delete", "admin")
    assert (done.code, sorted(done.out.splitlines())) == (
        0,
        [f"context/admin deleted on node {node}" for node in NODES[1:]],
    )
    assert {"2 deleted", "1 not there"} == set(done.err.strip().split(", "))
    assert [portworx.token(node) for node in NODES] == [None] * len(NODES)
    assert portworx.token("node-a", "other")
    again = portworx.context("delete", "admin")
    assert (again.code, again.out) == (1, "")
    assert again.err == 'error: there is no context "admin" on node-a, node-b, node-c\n'


def test_one_node_that_fails_does_not_stop_the_others(portworx: Portworx) -> None:
    (portworx.home("node-b") / ".pxctl" / "contextconfig").mkdir(parents=True)
    for command in ("create", "delete"):
        done = portworx.context(command, "admin")
        assert failures(done) == {
            "node-b": f"Failed to read {portworx.home('node-b')}/.pxctl/contextconfig:"
            " Is a directory"
        }
        assert len(done.out.splitlines()) == 2
        assert "1 failed" in done.err.splitlines()[-1]
    assert portworx.context("create", "admin").code == 1
    listed = portworx.context("list", "-o", "json")
    assert list(failures(listed)) == ["node-b"]
    assert [item["node"] for item in json.loads(listed.out)["items"]] == ["node-a", "node-c"]


def test_a_pod_that_is_not_ready(portworx: Portworx) -> None:
    shell = portworx.shell
    status = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    pod = ("pod", "portworx-node-b", "-n", shell.namespace)
    patched = shell.kubectl("patch", *pod, "--subresource=status", "-p", json.dumps(status))
    assert patched.code == 0, patched.err
    done = portworx.context("create", "admin")
    assert saved(done) == ["node-a", "node-c"]
    assert failures(done) == {"node-b": f"pod {shell.namespace}/portworx-node-b is not ready"}
    spec = {"containers": [{"name": "portworx", "image": "portworx"}]}
    shell.create(
        {
            "kind": "Pod",
            "metadata": {"name": "waiting", "labels": {"name": "portworx"}},
            "spec": spec,
        }
    )
    waiting = f"pod {shell.namespace}/waiting"
    listed = portworx.context("list")
    assert f"error: node of {waiting}: {waiting} is not ready" in listed.err.splitlines()


def test_a_node_without_portworx(portworx: Portworx) -> None:
    done = portworx.context("create", "admin", "--node", "node-z", "--node", "node-a")
    assert saved(done) == ["node-a"]
    assert failures(done) == {"node-z": "no Portworx pod is there"}


def test_what_pxctl_says_is_told_but_no_token_in_it(portworx: Portworx, tmp_path: Path) -> None:
    refused = portworx.context("create", "admin", "--endpoint", "nowhere")
    assert failures(refused) == dict.fromkeys(NODES, "Invalid endpoint nowhere for token [token]")
    echo = script(tmp_path, 'echo "unknown flag: $*" | fold -w 50 >&2', "exit 3")
    done = portworx.context("create", "admin", "--node", "node-a", pxctl=echo)
    assert failures(done)["node-a"].startswith("unknown flag: context create admin --token=")
    assert not re.search(r"[\w-]{20}", failures(done)["node-a"])
    silent = portworx.context("create", "admin", pxctl=script(tmp_path, "exit 7"))
    assert failures(silent)["node-c"].endswith("other/pxctl failed: exit code 7")


def test_without_a_pxctl_or_a_container(portworx: Portworx) -> None:
    nowhere = portworx.shell.pxauth(
        "context", "create", "admin", "--node", "node-a", *portworx.there
    )
    assert "/opt/pwx/bin/pxctl: not found" in failures(nowhere)["node-a"]
    listed = portworx.shell.pxauth("context", "list", "--node", "node-a", *portworx.there)
    assert "/opt/pwx/bin/pxctl" in failures(listed)["node-a"]
    other = portworx.context("create", "admin", "--node", "node-a", "--container", "other")
    assert "container other is not valid for pod portworx-node-a" in failures(other)["node-a"]


def test_a_pxctl_that_does_not_end(portworx: Portworx, tmp_path: Path) -> None:
    slow = script(tmp_path, '[ "$(basename "$HOME")" != node-b ] || exec sleep 30')
    done = portworx.context("create", "admin", "--request-timeout", "3s", pxctl=slow)
    assert saved(done) == ["node-a", "node-c"]
    name = f"{portworx.shell.namespace}/portworx-node-b"
    late = f"pod {name}: no end within 3 s (give it more time with --request-timeout)"
    assert failures(done) == {"node-b": late}


def test_a_kubelet_that_does_not_answer(portworx: Portworx, plane: ControlPlane) -> None:
    with FaultProxy(plane) as proxy:
        proxy.spoil(Stall(), path="/pods/portworx-node-b/exec", times=None)
        through = replace(portworx, shell=proxy.shell(portworx.shell))
        done = through.context("create", "admin", "--request-timeout", "3s")
    assert saved(done) == ["node-a", "node-c"]
    name = f"{portworx.shell.namespace}/portworx-node-b"
    silent = f"pod {name}: no answer in 3 s from the kubelet of its node, which the API server asks"
    assert failures(done) == {"node-b": f"{silent} (kubectl get node node-b)"}


def test_nodes_are_done_side_by_side(portworx: Portworx, tmp_path: Path) -> None:
    together = script(
        tmp_path,
        "touch started",
        f"until [ $(ls {portworx.homes}/*/started | wc -l) = 3 ]; do sleep 0.05; done",
    )
    done = portworx.context("create", "admin", "--request-timeout", "20s", pxctl=together)
    assert saved(done) == list(NODES), done.err


def test_no_pod(portworx: Portworx) -> None:
    shell = portworx.shell
    none = shell.refused("context", "list", "--pod-selector", "name=px")
    assert "no pod with the labels name=px in any namespace" in none.err
    none = shell.refused("context", "list", "--portworx-namespace", "portworx")
    assert "no pod with the labels name=portworx in namespace portworx" in none.err


def test_a_token_does_not_go_to_whoever_takes_the_label(portworx: Portworx) -> None:
    shell = portworx.shell
    create = ("context", "create", "admin", "--pxctl", portworx.pxctl)
    alone = shell.refused(*create)
    assert (
        f"pods that are labelled as Portworx' are in namespace {shell.namespace}, where nothing"
        " says that Portworx runs\n" in alone.err
    )
    assert "hint: say which namespace is Portworx' own: --portworx-namespace NAME" in alone.err
    spec = {"nodeName": "node-a", "containers": [{"name": "portworx", "image": "portworx"}]}
    usual = {"name": "portworx-node-a", "namespace": "portworx", "labels": {"name": "portworx"}}
    shell.create({"kind": "Pod", "metadata": usual, "spec": spec})
    try:
        both = shell.refused(*create)
        assert f"are in namespaces portworx, {shell.namespace}\n" in both.err
        shell.kubectl("delete", "pods", "--all", "-n", shell.namespace)
        # Whoever owns a namespace of that name owns the pods in it, too.
        assert "where nothing says that Portworx runs" in shell.refused(*create).err
        assert portworx.token("node-a") is None
    finally:
        shell.kubectl("delete", "pod", "portworx-node-a", "-n", "portworx")


def test_the_pods_of_kube_system_are_nobodys(portworx: Portworx) -> None:
    shell = portworx.shell
    shell.kubectl("delete", "pods", "--all", "-n", shell.namespace)
    spec = {"nodeName": "node-a", "containers": [{"name": "portworx", "image": "portworx"}]}
    usual = {"name": "portworx-node-a", "namespace": "kube-system", "labels": {"name": "portworx"}}
    shell.create({"kind": "Pod", "metadata": usual, "spec": spec})
    try:
        ready = ("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
        assert shell.kubectl(*ready, "-n", "kube-system").code == 0
        done = shell.pxauth("context", "create", "admin", "--pxctl", portworx.pxctl)
        assert saved(done) == ["node-a"]
    finally:
        shell.kubectl("delete", "pod", "portworx-node-a", "-n", "kube-system")


def daemon_set(namespace: str, **content: Any) -> dict[str, Any]:
    labels = {"name": "portworx"}
    containers = [{"name": "portworx", "image": "portworx", **content}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "portworx", "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def test_a_daemon_set_anywhere_says_nothing_of_where_portworx_runs(portworx: Portworx) -> None:
    shell = portworx.shell
    create = ("context", "create", "admin", "--pxctl", portworx.pxctl)
    shell.create(daemon_set(shell.namespace))
    try:
        assert "where nothing says that Portworx runs" in shell.refused(*create).err
        assert portworx.token("node-a") is None
        # It names no key, so authorization is off there unless one is named.
        key = ("--shared-secret-from", "pxkeys")
        assert saved(portworx.context("create", "admin", *key)) == list(NODES)
        elsewhere = ["--as", "nobody", "--shared-secret-file", "key", "--issuer", "portworx.com"]
        (shell.home / "key").write_text("k" * 64)
        assert "may not list pods" in shell.refused(*create, *elsewhere).err
    finally:
        shell.kubectl("delete", "daemonset", "portworx", "-n", shell.namespace)


def test_a_namespace_of_the_usual_name_gets_tokens_of_its_own_key_alone(
    portworx: Portworx,
) -> None:
    shell = portworx.shell
    create = ("context", "create", "admin", "--pxctl", portworx.pxctl)
    shell.kubectl("delete", "pods", "--all", "-n", shell.namespace)
    spec = {"nodeName": "node-a", "containers": [{"name": "portworx", "image": "portworx"}]}
    usual = {"name": "portworx-node-a", "namespace": "portworx", "labels": {"name": "portworx"}}
    key = "the-tenants-own-key-0123456789abcdef"
    try:
        shell.create({"kind": "Pod", "metadata": usual, "spec": spec})
        ready = ("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
        assert shell.kubectl(*ready, "-n", "portworx").code == 0
        # It names no key, so the one of kube-system is found by its name.
        shell.create(daemon_set("portworx", args=["-jwt_issuer", "portworx.com"]))
        said = shell.refused(*create).err
        assert "is not known to be started with the key that signed the token" in said
        shell.kubectl("delete", "daemonset", "portworx", "-n", "portworx")
        env = [{"name": "PORTWORX_AUTH_JWT_SHAREDSECRET", "value": key}]
        shell.create(daemon_set("portworx", env=env))
        given = ("--shared-secret-from", "kube-system/pxkeys")
        refused = shell.pxauth(*create, *given)
        assert refused.code == 1
        assert "is not known to be started with the key" in refused.err
        assert portworx.token("node-a") is None
        assert saved(shell.pxauth(*create)) == ["node-a"]
        token = portworx.token("node-a") or ""
        assert judge(token, shared_secret=key.encode())["accepted"]
    finally:
        shell.kubectl("delete", "pod", "portworx-node-a", "-n", "portworx")
        shell.kubectl("delete", "daemonset", "portworx", "-n", "portworx")


def user(shell: Shell, name: str, namespace: str, *rules: dict[str, Any]) -> list[str]:
    """Flags to act as a user who has these rights in the namespace."""
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": list(rules)}
    group = "rbac.authorization.k8s.io"
    for manifest in (
        rbac | {"metadata": {"name": name, "namespace": namespace}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
        },
    ):
        shell.create(manifest)
    return ["--as", name]


def rule(verb: str, *resources: str) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": list(resources), "verbs": [verb]}


def test_a_server_that_puts_it_off_is_asked_again(portworx: Portworx, plane: ControlPlane) -> None:
    """With `kubectl exec` one gets through as well, by another protocol."""
    with FaultProxy(plane) as proxy:
        proxy.spoil(refusal(429, Retry_After="1"), path="/pods/portworx-node-b/exec")
        through = replace(portworx, shell=proxy.shell(portworx.shell))
        assert saved(through.context("create", "admin")) == list(NODES)
        assert len(proxy.met) == 1
        proxy.spoil(refusal(429, Retry_After="1"), path="/exec", times=None)
        done = through.context("list", "--request-timeout=2s")
    assert done.code == 1
    assert done.err.count("spoilt with 429") == len(NODES)


def test_rights(portworx: Portworx, tmp_path: Path) -> None:
    shell = portworx.shell
    key = tmp_path / "key"
    key.write_text("k" * 64)
    there = ["--portworx-namespace", shell.namespace, "--shared-secret-file", str(key)]
    lists = rule("list", "pods")
    nosy = user(shell, "nosy", shell.namespace, lists)
    done = portworx.context("create", "admin", *there, *nosy)
    assert set(failures(done)) == set(NODES)
    assert 'verb "get" on resource "pods/exec"' in done.err
    half = user(shell, "half", shell.namespace, lists, rule("get", "pods/exec"))
    done = portworx.context("create", "admin", *there, *half)
    assert set(failures(done)) == set(NODES)
    assert 'verb "create" on resource "pods/exec"' in done.err
    flags = user(
        shell, "exec", shell.namespace, lists, rule("create", "pods/exec"), rule("get", "pods/exec")
    )
    assert saved(portworx.context("create", "admin", *there, *flags)) == list(NODES)
    nobody = portworx.context("create", "admin", *there, "--as", "nobody")
    assert (nobody.code, nobody.out) == (1, "")
    assert 'error: user "nobody" may not list pods' in nobody.err


def test_who_may_not_list_all_pods_gets_the_usual_namespaces(portworx: Portworx) -> None:
    shell = portworx.shell
    nobody = shell.refused("context", "list", "--as", "nobody")
    assert 'verb "list" on resource "pods" in all namespaces is forbidden' in nobody.err
    flags = user(shell, "local", "kube-system", rule("list", "pods"))
    done = shell.refused("context", "list", *flags)
    assert (
        "no pod with the labels name=portworx in namespace kube-system, and pods of other"
        in done.err
    )


def test_a_bearer_token_of_the_api_server(portworx: Portworx, tmp_path: Path) -> None:
    shell = portworx.shell
    shell.kubectl("create", "serviceaccount", "robot", "-n", shell.namespace)
    shell.kubectl(
        *("create", "rolebinding", "robot", "-n", shell.namespace, "--clusterrole=cluster-admin"),
        f"--serviceaccount={shell.namespace}:robot",
    )
    bearer = shell.kubectl("create", "token", "robot", "-n", shell.namespace).out.strip()
    config = json.loads(Path(shell.environment["KUBECONFIG"]).read_text())
    config["users"][0]["user"] = {"token": bearer}
    (tmp_path / "config").write_text(json.dumps(config))
    robot = replace(portworx, shell=shell.with_environment(KUBECONFIG=str(tmp_path / "config")))
    key = tmp_path / "key"
    key.write_text("k" * 64)
    there = ["--portworx-namespace", shell.namespace, "--shared-secret-file", str(key)]
    assert saved(robot.context("create", "admin", *there)) == list(NODES)


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that wants a password, and a list of what it was asked for."""
    asked: list[str] = []

    class Tunnel(StreamRequestHandler):
        def handle(self) -> None:
            request = self.rfile.readline().decode()
            headers = list(iter(self.rfile.readline, b"\r\n"))
            host, port = request.split()[1].split(":")
            asked.append(request)
            if b"Proxy-Authorization: Basic dTpwQA==\r\n".lower() not in map(bytes.lower, headers):
                self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            with socket.create_connection((host, int(port))) as there:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                ends = {self.connection: there, there: self.connection}
                while True:
                    for end in select.select(list(ends), [], [])[0]:
                        data = end.recv(65536)
                        if not data:
                            return
                        ends[end].sendall(data)

    with ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://u:p%40@127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_through_the_kubeconfigs_proxy(
    portworx: Portworx, proxy: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = proxy
    shell = portworx.shell
    config = json.loads(Path(shell.environment["KUBECONFIG"]).read_text())
    config["clusters"][0]["cluster"]["proxy-url"] = url
    (tmp_path / "config").write_text(json.dumps(config))
    away = replace(portworx, shell=shell.with_environment(KUBECONFIG=str(tmp_path / "config")))
    done = away.context("create", "admin")
    assert saved(done) == list(NODES), done.err
    assert len(asked) >= 1 + len(NODES)


@pytest.mark.parametrize(
    "flags", [["--node", ""], ["--node", ","], ["--node="], ["--pod-selector", ""]]
)
def test_an_empty_value_does_not_widen_where_a_token_goes(offline: Shell, flags: list[str]) -> None:
    refused = offline.refused("context", "create", "admin", *flags, code=2)
    assert " is empty, and would " in refused.err


def test_local(offline: Shell, pxctl: Path) -> None:
    local = ["--local", "--pxctl", str(pxctl)]
    done = offline.pxauth("context", "create", "admin", *local)
    unset = "current context: none (kubectl pxauth context set admin)\n1 saved\n"
    assert (done.code, done.err) == (0, unset)
    file = offline.home / ".pxctl" / "contextconfig"
    (item,) = json.loads(file.read_text())["configurations"]
    assert judge(item["token"])["accepted"]
    assert json.loads(offline.pxauth("context", "list", *local, "-o", "json").out)["items"]
    refused = offline.pxauth("context", "create", "admin", *local, "--endpoint", "nowhere")
    assert "Invalid endpoint nowhere for token [token]\n" in refused.err
    assert offline.pxauth("context", "delete", "admin", *local).code == 0
    assert json.loads(file.read_text())["configurations"] == []
    missing = offline.pxauth("context", "list", "--local")
    assert missing.err.endswith("/opt/pwx/bin/pxctl: No such file or directory\n")
    slow = script(offline.home, "exec sleep 30")
    late = offline.pxauth("context", "list", "--local", "--pxctl", slow, "--request-timeout=1s")
    assert "no end within 1 s" in late.err
    offline.refused("context", "list", "--local", "--node", "a", code=2)


def test_a_terminal_sees_a_progress_bar(portworx: Portworx) -> None:
    flags = ["--pxctl", str(portworx.pxctl), *portworx.there]
    done, text = run_on_terminal(
        portworx.shell, "pxauth", "context", "create", "admin", *flags, stream="stderr"
    )
    assert saved(done) == list(NODES)
    assert "context admin" in text
    assert "3/3" in text
    assert "eyJ" not in text

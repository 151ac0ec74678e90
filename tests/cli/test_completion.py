"""Completion as the shell gets it: asked of kubectl, which asks the plugin."""

import json
import socket
import time
from pathlib import Path

import pytest

from kubectl_pxauth.cli.app import COMMANDS
from tests.conftest import BIN, Shell


def candidates(shell: Shell, *words: str) -> list[str]:
    done = shell.kubectl("__complete", "pxauth", *words)
    assert done.code == 0, done.err
    *lines, directive = done.out.splitlines()
    assert directive in (":0", ":4")
    return [line.partition("\t")[0] for line in lines]


def test_commands(offline: Shell) -> None:
    assert set(candidates(offline, "")) == {name.partition(" ")[0] for name in COMMANDS}
    assert candidates(offline, "is") == ["issue"]


def test_flags_and_their_values(offline: Shell) -> None:
    assert candidates(offline, "issue", "--dr") == ["--dry-run"]
    assert candidates(offline, "issue", "--dry-run", "") == ["none", "client", "server"]
    assert candidates(offline, "issue", "-o", "j") == ["json"]
    assert candidates(offline, "list", "--sort-by", "ex") == ["expiresAt"]


@pytest.mark.parametrize("command", ["issue", "token", "schedule --issue", "pxctl --profile"])
def test_profiles(offline: Shell, command: str) -> None:
    assert candidates(offline, *command.split(), "") == ["kubernetes", "admin"]


def test_files_are_left_to_the_shell(offline: Shell) -> None:
    assert offline.kubectl("__complete", "pxauth", "issue", "-f", "").out.endswith(":0\n")


def test_under_kubectls_name_for_it_the_program_completes(offline: Shell) -> None:
    (offline.home / "kubectl_complete-pxauth").symlink_to(BIN / "kubectl-pxauth")
    linked = offline.with_environment(PATH=f"{offline.home}:{BIN}:/usr/bin:/bin")
    assert candidates(linked, "is") == ["issue"]


def test_what_is_no_file_is_not_left_to_the_shell(offline: Shell) -> None:
    for words in (["issue", "kubernetes", ""], ["issue", "--duration", ""], ["issue", "-n", ""]):
        assert offline.kubectl("__complete", "pxauth", *words).out == ":4\n"


def test_namespaces(shell: Shell) -> None:
    for flags in (["-n"], ["--namespace"], ["-n", "x", "-n"], ["--portworx-namespace"]):
        assert candidates(shell, "issue", *flags, "kube-s") == ["kube-system"]
    assert candidates(shell, "schedule", "--job-namespace", "kube-s") == ["kube-system"]
    for flag in ("-n=kube-s", "--namespace=kube-s"):
        assert candidates(shell, "issue", flag) == ["kube-system"]
    assert {"default", shell.namespace} <= set(candidates(shell, "schedule", "-n", ""))


def test_secrets(shell: Shell) -> None:
    """Those of the namespace that is typed, or else the current one, whose type can be a token's.

    Nothing that they hold is asked for.
    """
    shell.issue("kubernetes")
    shell.create({"metadata": {"name": "helm"}, "type": "helm.sh/release.v1"})
    assert candidates(shell, "renew", "") == ["px-k8s-user"]
    assert candidates(shell, "renew", "px-k8s-user", "px") == ["px-k8s-user"]
    for words in (["issue", "--secret"], ["storageclass", "--secret"], ["inspect"], ["verify"]):
        assert candidates(shell, *words, "") == ["px-k8s-user"]
    for flag in (["-n", "kube-system"], ["-n=kube-system"], ["--namespace=kube-system"]):
        assert "pxkeys" in candidates(shell, "renew", *flag, "")
        assert "pxkeys" in candidates(shell, "issue", *flag, "--secret", "")
        assert candidates(shell, "renew", *flag, "px-k8s") == []
    assert candidates(shell, "renew", "--as", "nobody", "") == []


def test_storage_classes(shell: Shell) -> None:
    made = shell.pxauth("storageclass", shell.namespace)
    assert made.code == 0, made.err
    assert candidates(shell, "storageclass", shell.namespace) == [shell.namespace]
    assert shell.kubectl("delete", "storageclass", shell.namespace).code == 0


def test_kubeconfig(shell: Shell, tmp_path: Path) -> None:
    config = {
        "clusters": [{"name": "far", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "mary", "user": {"token": "t"}}],
        "contexts": [{"name": "away", "context": {"cluster": "far", "user": "mary"}}],
    }
    (tmp_path / "other").write_text(json.dumps(config))
    assert candidates(shell, "list", "--context", "") == ["test"]
    other = ["list", "--kubeconfig", "other"]
    for flag, name in (("--context", "away"), ("--cluster", "far"), ("--user", "mary")):
        assert candidates(shell, *other, flag, "") == [name]
        assert candidates(shell, *other, f"{flag}=") == [name]
    assert candidates(shell, *other, "--context", "away", "-n", "") == []


def test_who_can_not_be_asked_is_not_waited_for(shell: Shell, tmp_path: Path) -> None:
    """A server that takes connections and says nothing, a login that never ends, no kubeconfig."""
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["60"]}
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"https://127.0.0.1:{server.getsockname()[1]}"
        config = {
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {"exec": login | {"interactiveMode": "Never"}}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
        (tmp_path / "slow").write_text(json.dumps(config))
        for flags in (
            ["-s", address],
            ["--kubeconfig", "slow", "--context", "c"],
            ["--kubeconfig", "missing"],
        ):
            started = time.monotonic()
            done = shell.kubectl("__complete", "pxauth", "list", *flags, "-n", "")
            assert done.out == ":4\n"
            assert "rror" not in done.err
            assert time.monotonic() - started < 6

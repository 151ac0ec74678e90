"""The plugin talks to the server that kubectl would talk to, as the user that kubectl would be."""

import base64
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Shell, judge
from tests.pod import needs_pods_files, pods_files


def user_that_kubectl_is(shell: Shell, *flags: str) -> str:
    done = shell.kubectl("auth", "whoami", "-o", "json", *flags)
    assert done.code == 0, done.err
    name: str = json.loads(done.out)["status"]["userInfo"]["username"]
    return name


def user_that_pxauth_is(shell: Shell, *flags: str) -> str:
    """A user without rights is named in the refusal."""
    done = shell.refused("issue", "kubernetes", *flags)
    assert 'may not get Secret kube-system/pxkeys: verb "get" on resource "secrets"' in done.err
    return done.err.split('"')[1]


def write(path: Path, config: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"} | config))
    return path


@pytest.fixture
def parts(plane: ControlPlane, tmp_path: Path) -> dict[str, Any]:
    """A kubeconfig of two users without rights, to take apart."""
    users = []
    for name in ("alice", "bob"):
        certificate, key = plane.client_cert(name)
        users.append(
            {"name": name, "user": {"client-certificate": str(certificate), "client-key": str(key)}}
        )
    cluster = {"server": plane.server, "certificate-authority": str(plane.ca_file)}
    return {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": users,
        "contexts": [
            {"name": "alice", "context": {"cluster": "c", "user": "alice", "namespace": "ns-a"}},
            {"name": "bob", "context": {"cluster": "c", "user": "bob"}},
        ],
        "current-context": "alice",
    }


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--context", "bob"],
        ["--user", "bob"],
        ["--context", "bob", "--cluster", "c"],
        ["--insecure-skip-tls-verify"],
        ["--tls-server-name", "localhost"],
        ["--request-timeout", "30s"],
        ["--request-timeout", "30"],
    ],
)
def test_flags_choose_the_same_user(
    parts: dict[str, Any], tmp_path: Path, flags: list[str]
) -> None:
    shell = Shell("x", tmp_path, {"KUBECONFIG": str(write(tmp_path / "config", parts))})
    if "--insecure-skip-tls-verify" in flags:
        parts["clusters"][0]["cluster"].pop("certificate-authority")
        write(tmp_path / "config", parts)
    assert user_that_pxauth_is(shell, *flags) == user_that_kubectl_is(shell, *flags)


def test_several_files_merge_as_kubectl_merges_them(parts: dict[str, Any], tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "one", parts | {"clusters": []})
    other = {"current-context": "bob", "clusters": parts["clusters"], "users": []}
    second = write(tmp_path / "b" / "two", parts | other)
    for paths in ([first, second], [second, first], [tmp_path / "missing", first, second]):
        shell = Shell("x", tmp_path, {"KUBECONFIG": os.pathsep.join(map(str, paths))})
        assert user_that_pxauth_is(shell) == user_that_kubectl_is(shell)


def test_relative_files_are_meant_from_the_kubeconfig(
    plane: ControlPlane, parts: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    for section, kind in (("clusters", "cluster"), ("users", "user")):
        for item in parts[section]:
            for key, value in item[kind].items():
                if value.startswith("/"):
                    item[kind][key] = os.path.relpath(value, folder)
    shell = Shell("x", tmp_path, {"KUBECONFIG": str(write(folder / "config", parts))})
    assert user_that_pxauth_is(shell) == user_that_kubectl_is(shell) == "alice"


def test_the_home_folder_is_the_default(parts: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", parts)
    assert user_that_pxauth_is(Shell("x", tmp_path)) == "alice"


def test_the_current_namespace_is_the_contexts(parts: dict[str, Any], tmp_path: Path) -> None:
    shell = Shell("x", tmp_path, {"KUBECONFIG": str(write(tmp_path / "config", parts))})
    flags = ["--dry-run=client", "-o", "json", "--shared-secret-file", "-"]
    for more, namespace in ([], "ns-a"), (["--context", "bob"], "default"):
        done = shell.pxauth("issue", "kubernetes", *flags, *more, stdin="k" * 40)
        assert json.loads(done.out)["metadata"]["namespace"] == namespace


def test_impersonation_by_flag_and_by_kubeconfig(shell: Shell, plane: ControlPlane) -> None:
    flags = ["--as", "carol", "--as-uid", "7", "--as-group", "g1", "--as-group", "g2"]
    assert user_that_pxauth_is(shell, *flags) == user_that_kubectl_is(shell, *flags) == "carol"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"g2-{shell.namespace}"},
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": ""},
        "subjects": [{"kind": "Group", "name": f"g2-{shell.namespace}", "apiGroup": ""}],
    }
    binding["roleRef"]["apiGroup"] = "rbac.authorization.k8s.io"  # type: ignore[index]
    binding["subjects"][0]["apiGroup"] = "rbac.authorization.k8s.io"  # type: ignore[index]
    assert shell.kubectl("create", "-f", "-", stdin=json.dumps(binding)).code == 0
    config = json.loads(Path(shell.environment["KUBECONFIG"]).read_text())
    config["users"][0]["user"] |= {
        "as": "carol",
        "as-groups": ["g1", f"g2-{shell.namespace}"],
        "as-user-extra": {"example.com/Reason": ["test", "more"]},
    }
    able = shell.with_environment(KUBECONFIG=str(write(shell.home / "as", config)))
    assert user_that_kubectl_is(able) == "carol"
    able.issue("kubernetes")
    lonely = shell.refused("issue", "kubernetes", "--as-group", "g1")
    assert "--as" in lonely.err
    assert shell.kubectl("auth", "whoami", "--as-group", "g1").code == 1


@pytest.fixture
def service_account(shell: Shell) -> str:
    """A bearer token of a service account without rights."""
    shell.kubectl("create", "serviceaccount", "robot", "-n", shell.namespace)
    done = shell.kubectl("create", "token", "robot", "-n", shell.namespace)
    assert done.code == 0, done.err
    return done.out.strip()


def test_bearer_tokens(
    shell: Shell, plane: ControlPlane, service_account: str, tmp_path: Path
) -> None:
    robot = f"system:serviceaccount:{shell.namespace}:robot"
    bare = Shell("x", tmp_path)
    flags = ["-s", plane.server, "--certificate-authority", str(plane.ca_file)]
    token = ["--token", service_account]
    assert user_that_pxauth_is(bare, *flags, *token) == robot
    assert user_that_kubectl_is(bare, *flags, *token) == robot
    (tmp_path / "file").write_text(f"{service_account}\n")
    cluster = {"server": plane.server, "certificate-authority": str(plane.ca_file)}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "wrong", "tokenFile": "file"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    filed = bare.with_environment(KUBECONFIG=str(write(tmp_path / "config", config)))
    assert user_that_pxauth_is(filed) == user_that_kubectl_is(filed) == robot
    refused = bare.refused("issue", "kubernetes", *flags, "--token", "wrong")
    assert "does not accept the credentials: Unauthorized" in refused.err


def test_the_login_of_an_auth_provider(
    shell: Shell, plane: ControlPlane, service_account: str, tmp_path: Path
) -> None:
    def shell_with(provider: dict[str, Any]) -> Shell:
        cluster = {"server": plane.server, "certificate-authority": str(plane.ca_file)}
        config = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"auth-provider": provider}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        path = write(tmp_path / provider["name"] / "config", config)
        return Shell("x", tmp_path, {"KUBECONFIG": str(path)})

    login = {"idp-issuer-url": "https://nowhere.invalid", "client-id": "c", "refresh-token": "r"}
    valid = shell_with({"name": "oidc", "config": login | {"id-token": service_account}})
    assert user_that_pxauth_is(valid) == user_that_kubectl_is(valid)
    payload = base64.urlsafe_b64encode(b'{"exp": 1}').decode().rstrip("=")
    expired = shell_with({"name": "oidc", "config": login | {"id-token": f"e.{payload}.e"}})
    done = expired.refused("issue", "kubernetes")
    assert "the login of the user's auth-provider has expired" in done.err
    assert "hint: any command of kubectl renews it" in done.err


def test_a_head_start_only_where_no_flag_names_another_server(
    shell: Shell, parts: dict[str, Any], tmp_path: Path
) -> None:
    elsewhere = {"name": "elsewhere", "context": {"cluster": "elsewhere"}}
    with socket.create_server(("127.0.0.1", 0)) as never_called:
        never_called.setblocking(False)
        address = f"https://127.0.0.1:{never_called.getsockname()[1]}"
        parts["clusters"].append({"name": "elsewhere", "cluster": {"server": address}})
        parts["contexts"].append(elsewhere)
        path = write(tmp_path / "config", parts | {"current-context": "elsewhere"})
        other = shell.with_environment(KUBECONFIG=str(path))
        for flags in (["--context", "bob"], ["--context=bob"], ["--cluster=c", "--user=bob"]):
            other.refused("issue", "kubernetes", *flags)
            with pytest.raises(BlockingIOError):
                never_called.accept()


def test_client_certificate_flags(plane: ControlPlane, tmp_path: Path) -> None:
    certificate, key = plane.client_cert("dora")
    flags = ["-s", plane.server, "--certificate-authority", str(plane.ca_file)]
    flags += ["--client-certificate", str(certificate), "--client-key", str(key)]
    bare = Shell("x", tmp_path)
    assert user_that_pxauth_is(bare, *flags) == user_that_kubectl_is(bare, *flags) == "dora"


PLUGIN = """#!/bin/sh
printf '%s' "$KUBERNETES_EXEC_INFO" > "$SEEN"
cat credential
exit $CODE
"""


@pytest.mark.parametrize("kind", ["token", "certificate"])
def test_credential_plugins(
    shell: Shell, plane: ControlPlane, service_account: str, tmp_path: Path, kind: str
) -> None:
    certificate, key = plane.client_cert("eve")
    status = {"token": service_account}
    if kind == "certificate":
        status = {
            "clientCertificateData": certificate.read_text(),
            "clientKeyData": key.read_text(),
        }
    api = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": api, "kind": "ExecCredential", "status": status}
    (tmp_path / "credential").write_text(json.dumps(credential))
    plugin = tmp_path / "bin" / "plugin"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    authority = base64.b64encode(plane.ca_file.read_bytes()).decode()
    exec_entry: dict[str, Any] = {
        "apiVersion": api,
        "command": "bin/plugin",
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": True,
        "env": [{"name": "SEEN", "value": str(tmp_path / "seen")}, {"name": "CODE", "value": "0"}],
    }
    cluster = {"server": plane.server, "certificate-authority-data": authority}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"exec": exec_entry}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = write(tmp_path / "config", config)
    run = Shell("x", tmp_path, {"KUBECONFIG": str(path)})
    assert user_that_pxauth_is(run) == user_that_kubectl_is(run)
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["spec"]["cluster"]["server"] == plane.server
    run.refused("issue", "kubernetes")
    assert json.loads((tmp_path / "seen").read_text()) == seen
    exec_entry["env"][1]["value"] = "3"
    write(path, config)
    assert "failed with exit code 3" in run.refused("issue", "kubernetes").err
    exec_entry |= {"command": "no-such-plugin", "installHint": "install it"}
    write(path, config)
    assert "hint: install it" in run.refused("issue", "kubernetes").err


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_servers_that_can_not_be_reached(shell: Shell, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    refused = shell.refused("issue", "kubernetes", "-s", f"https://127.0.0.1:{port}")
    assert f"https://127.0.0.1:{port} can't be reached: Connection refused" in refused.err
    unknown = shell.refused("issue", "kubernetes", "-s", "https://nowhere.invalid")
    assert "https://nowhere.invalid can't be reached" in unknown.err
    key = tmp_path / "key"
    key.write_text("k" * 40)
    with silent_server() as port:
        late = shell.refused(
            *("issue", "kubernetes", "-s", f"https://127.0.0.1:{port}", "--request-timeout", "1s"),
            *("-n", "px", "--shared-secret-file", str(key), "--issuer", "portworx.com"),
        )
        assert "did not answer in 1 s: GET /api/v1/namespaces/px/secrets/px-k8s-user" in late.err


def test_a_certificate_of_another_authority(shell: Shell, plane: ControlPlane) -> None:
    certificate, _ = plane.client_cert("mallory")
    done = shell.refused("issue", "kubernetes", "--certificate-authority", str(certificate))
    assert "certificate verify failed" in done.err
    other = shell.refused("issue", "kubernetes", "--tls-server-name", "other.example")
    assert "can't be reached" in other.err


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "users: {a: b}",
        "current-context: nope",
        "contexts: [1]",
        "clusters: [{name: c, cluster: [1]}]",
        "clusters: [{name: c, cluster: {server: 5}}]",
        "users: [{name: u, user: {exec: [1]}}]",
        "users: [{name: u, user: {token: 12345}}]",
    ],
)
def test_broken_kubeconfigs_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)
    done = Shell("x", tmp_path).refused("issue", "kubernetes", "--kubeconfig", "config")
    assert "kubeconfig" in done.err


def test_a_token_that_no_header_can_hold_is_not_shown(plane: ControlPlane, tmp_path: Path) -> None:
    flags = ["-s", plane.server, "--certificate-authority", str(plane.ca_file)]
    for token, words in {"very\nsecret": "HTTP header", "very sécret ✓": "Unauthorized"}.items():
        done = Shell("x", tmp_path).refused("issue", "kubernetes", *flags, "--token", token)
        assert "very" not in done.err
        assert words in done.err


def test_verbosity_logs_requests_and_nothing_secret(shell: Shell) -> None:
    done = shell.issue("kubernetes", "-v", "9")
    lines = done.err.splitlines()
    # StorageClusters, DaemonSets, two Secrets with a usual name, the token's, and the key again.
    assert [line.split()[0] for line in lines] == [*5 * ["GET"], "POST", "GET"]
    assert "/api/v1/namespaces/kube-system/secrets/pxkeys 200" in done.err
    assert judge(shell.token())["accepted"]


def test_rights_that_are_missing_are_named(shell: Shell, plane: ControlPlane) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader"},
        "roleRef": {
            "kind": "Role",
            "name": "reader",
            "apiGroup": "rbac.authorization.k8s.io",
        },
        "subjects": [{"kind": "User", "name": "frank", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    for manifest in (role, binding):
        shell.create(manifest)
    frank = shell.with_environment(
        KUBECONFIG=str(plane.kubeconfig("frank", (), namespace=shell.namespace)),
        PORTWORX_AUTH_SHARED_SECRET="k" * 40,
    )
    create = frank.refused("issue", "kubernetes")
    assert f'user "frank" may not create Secret {shell.namespace}/px-k8s-user' in create.err
    shell.issue("kubernetes")
    patch = frank.refused("issue", "kubernetes", "--change-identity")
    assert f'user "frank" may not patch Secret {shell.namespace}/px-k8s-user' in patch.err


@needs_pods_files
def test_a_pods_own_service_account(
    shell: Shell, plane: ControlPlane, service_account: str, tmp_path: Path
) -> None:
    with pods_files(plane, service_account, shell.namespace) as variables:
        pod = Shell("x", tmp_path, variables)
        robot = f"system:serviceaccount:{shell.namespace}:robot"
        assert user_that_pxauth_is(pod) == user_that_kubectl_is(pod) == robot
        done = pod.pxauth(
            *("issue", "kubernetes", "--dry-run=client", "-o", "json"),
            *("--shared-secret-file", "-"),
            stdin="k" * 40,
        )
        assert json.loads(done.out)["metadata"]["namespace"] == shell.namespace

"""Each kubeconfig makes the plugin the user that it makes kubectl, or stops both."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from controlplane.run import ControlPlane
from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, read_kubeconfig
from tests.conftest import Shell
from tests.kubeconfigs import CLUSTER, USER, users, write_kubeconfig
from tests.leaks import LeakWatch

DATA = "server: SERVER\ncertificate-authority-data: "
CERTIFICATE = "client-certificate-data: CERT64\nclient-key-data: "
TOKEN_FILE = "tokenFile: token-file"
PLUGIN = "client.authentication.k8s.io/v1"

ROWS = [
    # The authority's data: lines are left out, and nothing else.
    (DATA + "CA64", USER),
    (DATA + "|\n  CALINES", USER),
    (DATA + "|-\n  CALINES", USER),
    (DATA + '"CAQUOTED"', USER),
    (DATA + '"CAQUOTED\\r\\n"', USER),
    (DATA + ">\n  CALINES", USER),
    (DATA + "\n  CALINES", USER),
    (DATA + '" CA64"', USER),
    (DATA + '"CA64 "', USER),
    (DATA + '"CA64\\t"', USER),
    (DATA + "CA64=", USER),
    (DATA + "CA64!", USER),
    (DATA + "!!binary CATWICE", USER),
    (DATA + "!!binary |\n  CATWICE", USER),
    (DATA + "!!binary CA64", USER),
    (DATA + "aGVsbG8=", USER),
    (DATA + "''", USER),
    (DATA + "null", USER),
    (DATA + "12345", USER),
    ("<CR>\n".join(CLUSTER.split("\n")) + "<CR>", USER),
    (CLUSTER + "\ncertificate-authority-data: CA64", USER),
    (CLUSTER + "\ninsecure-skip-tls-verify: true", USER),
    (CLUSTER + "\ninsecure-skip-tls-verify: false", USER),
    (CLUSTER + '\ninsecure-skip-tls-verify: "false"', USER),
    ("server: SERVER\ninsecure-skip-tls-verify: true", USER),
    ("server: SERVER\ninsecure-skip-tls-verify: yes", USER),
    ("server: SERVER\ninsecure-skip-tls-verify: 1", USER),
    ("server: SERVER\ncertificate-authority: /nonexistent/ca.crt", USER),
    ("server: SERVER\ncertificate-authority: /", USER),
    ("server: SERVER\ncertificate-authority: KEYFILE", USER),
    ("server: SERVER", USER),
    ("server: SERVER\ncertificate-authority: CERTFILE", USER),
    ("server: SERVER\ncertificate-authority: commented.crt", USER),
    # The server's address.
    (CLUSTER.replace("SERVER", "HTTPSERVER"), USER),
    (CLUSTER.replace("SERVER", "SERVER/"), USER),
    (CLUSTER.replace("SERVER", "SERVER/?a=b#c"), USER),
    (CLUSTER.replace("SERVER", "HOST"), USER),
    (CLUSTER.replace("SERVER", "//HOST"), USER),
    (CLUSTER.replace("SERVER", "ftp://HOST"), USER),
    (CLUSTER.replace("SERVER", '"SERVER "'), USER),
    (CLUSTER.replace("SERVER", '" SERVER"'), USER),
    (CLUSTER.replace("SERVER", '"SERVER\\n"'), USER),
    (CLUSTER.replace("SERVER", "''"), USER),
    (CLUSTER.replace("SERVER", "https://joe:hidden@HOST"), USER),
    (CLUSTER.replace("SERVER", "https://joe:hidden@HOST"), "token: ROBOT"),
    (CLUSTER.replace("SERVER", "https://[HOST"), USER),
    (CLUSTER + "\ntls-server-name: localhost", USER),
    (CLUSTER + "\ntls-server-name: elsewhere.example", USER),
    (CLUSTER + "\ntls-server-name: 127.0.0.1", USER),
    # Client certificates.
    (CLUSTER, CERTIFICATE + "KEY64"),
    (CLUSTER, "client-certificate-data: |\n  CERTLINES\nclient-key-data: |\n  KEYLINES"),
    (CLUSTER, "client-certificate-data: !!binary CERTTWICE\nclient-key-data: !!binary KEYTWICE"),
    (CLUSTER, CERTIFICATE + '"KEY64 "'),
    (CLUSTER, CERTIFICATE + "CERT64"),
    (CLUSTER, CERTIFICATE + "CA64"),
    (CLUSTER, "client-certificate-data: CERT64"),
    (CLUSTER, "client-certificate-data: CERT64\nclient-key: KEYFILE"),
    (CLUSTER, "client-certificate: CERTFILE\nclient-key-data: KEY64"),
    (CLUSTER, "client-certificate: CERTFILE\nclient-key: /nonexistent"),
    (CLUSTER, USER + "\nclient-key-data: KEY64"),
    (CLUSTER, USER + "\nclient-certificate-data: CERT64"),
    (CLUSTER, "client-key: KEYFILE\ntoken: ROBOT"),
    (CLUSTER, "client-certificate: CERTFILE\nclient-key: encrypted.key"),
    # Tokens.
    (CLUSTER, "token: ROBOT"),
    (CLUSTER, 'token: "ROBOT\\n"'),
    (CLUSTER, 'token: "ROBOT\\r\\n"'),
    (CLUSTER, "token: |\n  ROBOT"),
    (CLUSTER, "token: |-\n  ROBOT"),
    (CLUSTER, "token: >-\n  ROBOT"),
    (CLUSTER, "token: >-\n  ROBOT\n  ROBOT"),
    (CLUSTER, 'token: " ROBOT"'),
    (CLUSTER, 'token: "ROBOT "'),
    (CLUSTER, 'token: "ROBOT\\t"'),
    (CLUSTER, 'token: "ROB\\0OT"'),
    (CLUSTER, "token: !!binary BINARYROBOT"),
    (CLUSTER, "token: 2026-01-01"),
    (CLUSTER, "token: 12345"),
    (CLUSTER, "token: wrong\nusername: joe\npassword: hidden"),
    (CLUSTER, "username: joe\npassword: hidden"),
    (CLUSTER, TOKEN_FILE),
    (CLUSTER, TOKEN_FILE + "\ntoken: wrong"),
    (CLUSTER, "token: ROBOT\ntokenFile: /nonexistent"),
    (CLUSTER, "tokenFile: /nonexistent"),
    (CLUSTER, "token: ROBOT\ntokenFile: empty"),
    (CLUSTER, "tokenFile: empty"),
    (CLUSTER, USER + "\ntoken: wrong"),
    (CLUSTER, USER + "\ntoken: ROBOT"),
    # Whom to be beside that.
    (CLUSTER, USER + "\nas-uid: '7'"),
    (CLUSTER, USER + "\nas-groups: [g]"),
    (CLUSTER, USER + "\nas-user-extra: {a: [b]}"),
    (CLUSTER, USER + "\nas-groups: g"),
    # Logins that kubectl knows no more, and one that it does.
    *((CLUSTER, f"auth-provider: {{name: {name}}}") for name in ("gcp", "azure", "openstack", "x")),
    (CLUSTER, "auth-provider: {name: gcp, config: {access-token: ROBOT}}\ntoken: ROBOT"),
    (CLUSTER, "auth-provider: {name: azure}\n" + USER),
    (CLUSTER, "auth-provider: null\ntoken: ROBOT"),
    (CLUSTER, "auth-provider: {}\ntoken: ROBOT"),
    (CLUSTER, f"auth-provider: {{}}\nexec: {{apiVersion: {PLUGIN}, command: x}}"),
    (CLUSTER, f"auth-provider: {{name: oidc}}\nexec: {{apiVersion: {PLUGIN}, command: x}}"),
]
FLAGS = [
    ("token: wrong", ["--token", "ROBOT"]),
    ("token: ROBOT", ["--token", "wrong"]),
    (TOKEN_FILE, ["--token", "wrong"]),
    ("tokenFile: /nonexistent", ["--token", "ROBOT"]),
    ("auth-provider: {name: gcp}", ["--token", "ROBOT"]),
    ("username: a\npassword: b", ["--token", "ROBOT"]),
    (f"exec: {{apiVersion: {PLUGIN}, command: x}}", ["--token", "ROBOT"]),
    (
        f"exec: {{apiVersion: {PLUGIN}, command: x, interactiveMode: Never}}",
        ["--token", "ROBOT"],
    ),
    ("client-certificate-data: x", ["--client-certificate", "CERTFILE", "--client-key", "KEYFILE"]),
    (CERTIFICATE + "CA64", ["--client-certificate", "CERTFILE", "--client-key", "KEYFILE"]),
    (CERTIFICATE + "KEY64", ["--client-certificate", "CERTFILE"]),
    (CERTIFICATE + "KEY64", ["--client-key", "KEYFILE"]),
    (USER, ["--certificate-authority", "KEYFILE"]),
    (USER, ["--insecure-skip-tls-verify"]),
    (USER, ["--insecure-skip-tls-verify", "--certificate-authority", "CAFILE"]),
    (USER, ["--insecure-skip-tls-verify=false"]),
    (USER, ["--server", "HOST"]),
    (USER, ["--server", "SERVER/", "--tls-server-name", "localhost"]),
    (USER, ["--as-user-extra", "a=b"]),
    (USER, ["--as-uid", "7"]),
]


def filled(shell: Shell, plane: ControlPlane, text: str) -> str:
    robot = (shell.home / "token-file").read_text().strip()
    return (
        text.replace("HTTPSERVER", plane.server.replace("https", "HTTPS"))
        .replace("HOST", plane.server.removeprefix("https://"))
        .replace("BINARYROBOT", base64.b64encode(robot.encode()).decode())
        .replace("ROBOT", robot)
    )


@pytest.fixture
def place(plane: ControlPlane, shell: Shell) -> Shell:
    """A shell with the files that the rows name."""
    home = shell.home
    assert shell.kubectl("create", "serviceaccount", "robot", "-n", shell.namespace).code == 0
    token = shell.kubectl("create", "token", "robot", "-n", shell.namespace).out
    (home / "token-file").write_text(token)
    (home / "empty").write_text("\n")
    comment = (
        "# Autorité de certification\n-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    )
    (home / "commented.crt").write_text(comment + plane.ca_file.read_text())
    _, key = plane.client_cert("alice")
    encrypted = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hidden"),
    )
    (home / "encrypted.key").write_bytes(encrypted)
    return shell


@pytest.mark.parametrize(("cluster", "user"), ROWS)
def test_the_user_is_kubectls(plane: ControlPlane, place: Shell, cluster: str, user: str) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, filled(place, plane, cluster), filled(place, plane, user))
    found = users(place.with_environment(KUBECONFIG=str(path)))
    assert found["pxauth"] == found["kubectl"]


@pytest.mark.parametrize(("user", "flags"), FLAGS)
def test_flags_go_before_the_kubeconfig_as_kubectls_do(
    plane: ControlPlane, place: Shell, user: str, flags: list[str]
) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, filled(place, plane, user))
    certificate, key = plane.client_cert("bob")
    files = {"CERTFILE": str(certificate), "KEYFILE": str(key), "CAFILE": str(plane.ca_file)}
    given = [files.get(flag, filled(place, plane, flag)) for flag in flags]
    given = [flag.replace("SERVER", plane.server) for flag in given]
    found = users(place.with_environment(KUBECONFIG=str(path)), *given)
    assert found["pxauth"] == found["kubectl"]


def test_the_name_of_a_server_is_not_that_of_another(plane: ControlPlane, place: Shell) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER + "\ntls-server-name: elsewhere.example", USER)
    shell = place.with_environment(KUBECONFIG=str(path))
    assert users(shell) == {"kubectl": None, "pxauth": None}
    assert users(shell, "--server", plane.server) == {"kubectl": "alice", "pxauth": "alice"}


def test_whoever_names_a_thing_first_wins(plane: ControlPlane, place: Shell) -> None:
    home = place.home
    first = write_kubeconfig(home / "first", plane, CLUSTER, USER)
    robot = filled(place, plane, "token: ROBOT")
    second = write_kubeconfig(home / "second", plane, "server: https://127.0.0.1:1", robot)
    third = home / "third"
    third.write_text(
        second.read_text().replace("current-context: c", "").replace("{name: c,", "{name: d,")
    )
    for files in ([first, second], [second, first], [first, second, first], [third, first]):
        shell = place.with_environment(KUBECONFIG=":".join(map(str, files)))
        found = users(shell)
        assert found["pxauth"] == found["kubectl"]
        found = users(shell, "--context", "d")
        assert found["pxauth"] == found["kubectl"]
    broken = home / "broken"
    broken.write_text("{")
    found = users(place.with_environment(KUBECONFIG=f"{first}:{broken}"))
    assert found == {"kubectl": None, "pxauth": None}


@pytest.mark.parametrize(
    "flags",
    [
        ["--as", "carol", "--as-user-extra", "reason=a"],
        ["--as", "carol", "--as-user-extra", "reason=a", "--as-user-extra=reason=b"],
        ["--as", "carol", "--as-user-extra", "example.com/Reason=a=b", "--as-user-extra", "x="],
        ["--as", "carol", "--as-user-extra", "kept=over"],
        ["--as", "carol", "--as-group", "g", "--as-uid", "7", "--as-user-extra", "reason=ü"],
        ["--as", "cärol"],
    ],
)
def test_extra_fields_are_impersonated(leaks: LeakWatch, shell: Shell, flags: list[str]) -> None:
    """The server's audit log says whom it saw."""
    config = json.loads(Path(shell.environment["KUBECONFIG"]).read_text())
    config["users"][0]["user"] |= {"as": "dan", "as-user-extra": {"kept": ["1", "2"]}}
    path = shell.home / "config"
    path.write_text(json.dumps(config))
    run = shell.with_environment(KUBECONFIG=str(path))
    seen = json.loads(run.kubectl("auth", "whoami", "-o", "json", *flags).out)["status"]["userInfo"]
    assert seen["extra"]["kept"]
    name = f"{shell.namespace}-reader"
    run.refused("issue", "kubernetes", "-n", name, *flags)
    audited = [
        json.loads(line)["impersonatedUser"]
        for line in leaks.audit_log.read_text().splitlines()
        if f"/namespaces/{name}/" in line and "impersonatedUser" in line
    ]
    assert {key: seen[key] for key in ("username", "groups")} == {
        key: audited[0][key] for key in ("username", "groups")
    }
    assert audited[0]["extra"] == {
        key: value for key, value in seen["extra"].items() if not key.startswith("authentication.")
    }


@pytest.mark.parametrize(
    "entry",
    [
        {"as-user-extra": {"a": "bcd"}},
        {"as-user-extra": {"a": 1}},
        {"as-user-extra": {"a": [1]}},
        {"as-user-extra": {"a": ["b", ["c"]]}},
        {"as-user-extra": {"a": {"b": "c"}}},
        {"as-user-extra": {"a": None}},
        {"as-user-extra": {"a": ["b", "c"]}},
        {"as-groups": [1]},
        {"as-groups": [["g"]]},
        {"as-groups": ["g"]},
        {"auth-provider": {"name": ["oidc"]}},
        {"auth-provider": {"name": "oidc", "config": ["id-token"]}},
        {"auth-provider": {"name": "oidc", "config": {"id-token": 1}}},
        {"exec": {"apiVersion": PLUGIN, "command": "x", "args": [1]}},
        {"exec": {"apiVersion": PLUGIN, "command": "x", "env": ["a"]}},
        {"exec": {"apiVersion": PLUGIN, "command": "x", "env": [{"name": "a", "value": 1}]}},
        {"expires": "x"},
    ],
    ids=str,
)
def test_what_is_in_an_entrys_lists_and_mappings(shell: Shell, entry: dict[str, Any]) -> None:
    """A kubeconfig that kubectl refuses is refused, and sends nothing."""
    config = json.loads(Path(shell.environment["KUBECONFIG"]).read_text())
    config["users"][0]["user"] |= {"as": "carol", **entry}
    path = shell.home / "config"
    path.write_text(json.dumps(config))
    run = shell.with_environment(KUBECONFIG=str(path))
    taken = run.kubectl("auth", "whoami").code == 0
    said = run.refused("issue", "kubernetes").err
    assert ('"carol" may not get' in said) == taken, said
    assert "has a bug" not in said


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("", "has no credentials"),
        ("{}", "has no credentials"),
        ("as: carol", "has no credentials"),
        ('token: ""', "has no credentials"),
        ("exec: {}", "exec names no command"),
        ("exec: {command: x}", "exec names no apiVersion"),
    ],
)
def test_nobody_goes_on_as_nobody(plane: ControlPlane, place: Shell, user: str, says: str) -> None:
    shell = place.with_environment(
        KUBECONFIG=str(write_kubeconfig(place.home / "config", plane, CLUSTER, user))
    )
    assert shell.kubectl("auth", "whoami").code == 1
    assert says in shell.refused("issue", "kubernetes").err


@pytest.mark.parametrize("section", ["clusters", "contexts", "users"])
def test_a_name_stands_once_in_a_file(shell: Shell, section: str) -> None:
    config = json.loads(Path(shell.environment["KUBECONFIG"]).read_text())
    name = config[section][0]["name"]
    config[section] *= 2
    path = shell.home / "config"
    path.write_text(json.dumps(config))
    run = shell.with_environment(KUBECONFIG=str(path))
    assert run.kubectl("auth", "whoami").code == 1
    assert f'two {section} are "{name}"' in run.refused("issue", "kubernetes").err


def test_an_extra_field_without_a_value_is_misuse(shell: Shell) -> None:
    done = shell.refused("issue", "kubernetes", "--as", "x", "--as-user-extra", "y", code=2)
    assert "KEY=VALUE" in done.err


def test_a_password_in_the_servers_address_is_not_shown(plane: ControlPlane, place: Shell) -> None:
    """It is sent, as kubectl sends it, and does not come from a log or an error."""
    path = place.home / "config"
    for host in (
        "https://joe:hidden@127.0.0.1:1",
        "https://joe:hidden@HOST",
        "joe:hidden@HOST/x",
    ):
        cluster = filled(place, plane, CLUSTER.replace("SERVER", host))
        write_kubeconfig(path, plane, cluster, "token: wrong")
        run = place.with_environment(KUBECONFIG=str(path))
        done = run.pxauth("issue", "kubernetes", "-v6")
        assert done.code == 1
        assert "hidden" not in done.err + done.out
        assert "joe" not in done.err + done.out


def test_the_pods_own_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_pxauth.cluster.kubeconfig._SERVICE_ACCOUNT", tmp_path)
    (tmp_path / "token").write_text("of the pod\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for host, server in (
        ("10.0.0.1", "https://10.0.0.1:443"),
        ("fd00::1", "https://[fd00::1]:443"),
    ):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        target = read_kubeconfig(ConnectionOptions(), {}).target()
        assert (target.server, target.user["token"]) == (server, "of the pod")
    target = read_kubeconfig(ConnectionOptions(token="another"), {}).target()
    assert target.user["token"] == "another"
    (tmp_path / "namespace").write_text("red\n")
    for variables, namespace in ({}, "red"), ({"POD_NAMESPACE": "blue"}, "blue"):
        inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
        assert read_kubeconfig(ConnectionOptions(), inside | variables).namespace == namespace
    # client-go asks whether this is a pod with an account's token: tools/clientcmd,
    # inClusterClientConfig.Possible.
    (tmp_path / "token").unlink()
    inside |= {"POD_NAMESPACE": "blue"}
    assert read_kubeconfig(ConnectionOptions(), inside).namespace == "default"


@pytest.mark.parametrize(
    "entry",
    [
        {"cluster": {"certificate-authority": "a\0b"}},
        {"user": {"client-certificate": "a\0b", "client-key": "k"}},
        {"user": {"tokenFile": "a\0b"}},
    ],
)
def test_a_files_name_with_a_null_byte(tmp_path: Path, entry: dict[str, dict[str, str]]) -> None:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://127.0.0.1:1"} | entry.get("cluster", {})}
        ],
        "users": [{"name": "u", "user": entry.get("user", {})}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    said = Shell("x", tmp_path).refused("list", "--kubeconfig", "config").err
    assert "holds a null byte" in said


def test_without_the_variable_no_home_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's user may have none at all, and asking for it is an error."""
    config = tmp_path / ".kube" / "config"
    config.parent.mkdir()
    config.write_text(
        "clusters: [{name: c, cluster: {server: https://c}}]\n"
        "contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_kubeconfig(ConnectionOptions(), {"HOME": str(tmp_path)}).cluster
    assert read_kubeconfig(ConnectionOptions(), {}).cluster is None

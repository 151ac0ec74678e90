"""A credential plugin runs where kubectl runs it, gets what kubectl gives it, and not the key."""

import json
import os
import pty
import subprocess

import pytest
import yaml

from controlplane.run import ControlPlane
from tests.conftest import BIN, SHARED_SECRET, Shell
from tests.kubeconfigs import CLUSTER, USER, user_of_plugin, write_kubeconfig

V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
# It tells what it was given, and is a token's if nothing else is asked for.
PLUGIN = """#!/bin/sh
env > "$0.env"
printf '%s\\n' "$@" > "$0.args"
[ -t 0 ] && echo terminal > "$0.stdin"
[ "$EXIT" ] && exit "$EXIT"
cat {credential}
"""


@pytest.fixture
def place(plane: ControlPlane, shell: Shell) -> Shell:
    """A shell with plugins in bin/, which its PATH names, and in its own folder."""
    assert shell.kubectl("create", "serviceaccount", "robot", "-n", shell.namespace).code == 0
    token = shell.kubectl("create", "token", "robot", "-n", shell.namespace).out.strip()
    certificate, key = plane.client_cert("eve")
    answers: dict[str, dict[str, object]] = {
        "token": {"token": token},
        "certificate": {
            "clientCertificateData": certificate.read_text(),
            "clientKeyData": key.read_text(),
        },
        "half": {"token": token, "clientKeyData": key.read_text()},
        "mixed": {"clientCertificateData": certificate.read_text(), "clientKeyData": "x"},
        "nothing": {},
        "number": {"token": 5},
    }
    answers["both"] = answers["token"] | answers["certificate"]
    credentials = {
        name: json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})
        for name, status in answers.items()
    }
    credentials["beta"] = credentials["token"].replace(V1, V1BETA1)
    credentials["yaml"] = yaml.safe_dump(json.loads(credentials["token"]))
    credentials["other"] = credentials["token"].replace("ExecCredential", "Secret")
    credentials["text"] = "log in first"
    credentials["list"] = "[]"
    credentials["none"] = credentials["token"]
    for name, text in credentials.items():
        (shell.home / name).write_text(text)
    for folder in ("bin", "."):
        for name in credentials:
            if name == "none" and folder == "bin":
                continue
            program = shell.home / folder / f"plugin-{name}"
            program.parent.mkdir(exist_ok=True)
            program.write_text(PLUGIN.format(credential=shell.home / name))
            program.chmod(0o755)
    (shell.home / "bin" / "plugin-text-only").write_text("#!/bin/sh\n")
    # With a locale named Python adds none of its own.
    names = f"{shell.home}/bin:{BIN}:/usr/bin:/bin"
    return shell.with_environment(PATH=names, LC_ALL="C.UTF-8")


def entry(command: str, **more: object) -> str:
    found = {"apiVersion": V1, "command": command, "interactiveMode": "Never"} | more
    return json.dumps({"exec": {key: value for key, value in found.items() if value is not ...}})


ROWS = [
    *(entry(f"plugin-{name}") for name in ("token", "certificate", "both", "half", "mixed")),
    *(entry(f"plugin-{name}") for name in ("nothing", "number", "yaml", "other", "text", "list")),
    # The version that is asked for and answered.
    entry("plugin-beta"),
    entry("plugin-beta", apiVersion=V1BETA1),
    entry("plugin-token", apiVersion=V1BETA1),
    entry("plugin-token", apiVersion="client.authentication.k8s.io/v1alpha1"),
    entry("plugin-token", apiVersion=None),
    # May it ask?
    entry("plugin-token", interactiveMode=...),
    entry("plugin-token", interactiveMode=None),
    entry("plugin-token", interactiveMode=""),
    entry("plugin-token", interactiveMode="never"),
    entry("plugin-token", interactiveMode="IfAvailable"),
    entry("plugin-token", interactiveMode="Always"),
    entry("plugin-beta", apiVersion=V1BETA1, interactiveMode=...),
    entry("plugin-beta", apiVersion=V1BETA1, interactiveMode="Always"),
    # Where it is looked for.
    entry("./plugin-none"),
    entry("bin/plugin-token"),
    entry("./bin/../bin/plugin-token"),
    entry("HOME/bin/plugin-token"),
    entry("plugin-none"),
    entry("plugin-text-only"),
    entry("bin/plugin-text-only"),
    entry("HOME/bin"),
    entry("no-such-plugin", installHint="install it"),
    entry("./no-such-plugin"),
    entry(""),
    entry("..."),
    # What it is given.
    entry("plugin-token", args=None, env=None),
    entry("plugin-token", args=[], env=[]),
    entry("plugin-token", args=["a", "", "b c"]),
    entry("plugin-token", args=[1]),
    entry("plugin-token", env=[{"name": "A"}]),
    entry("plugin-token", env=[{"name": "A", "value": ""}, {"name": "B", "value": None}]),
    entry("plugin-token", env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
    entry("plugin-token", env=[{"name": "HOME", "value": "/elsewhere"}]),
    entry("plugin-token", env=[{"name": "PATH", "value": "/usr/bin:/bin"}]),
    entry("plugin-token", env=[{"value": "x"}]),
    entry("plugin-token", env=[{"name": "", "value": "x"}]),
    entry("plugin-token", env=[{"name": "A", "value": 5}]),
    entry("plugin-token", env=[{"name": "EXIT", "value": "3"}]),
    entry("plugin-token", env=[{"name": "KUBERNETES_EXEC_INFO", "value": "x"}]),
    entry("plugin-token", provideClusterInfo=True),
    entry("plugin-token", provideClusterInfo=False),
    entry("plugin-token", provideClusterInfo="true"),
]
# What the plugin is told of the cluster.
CLUSTERS = [
    "server: SERVER\ncertificate-authority-data: |\n  CALINES",
    "server: SERVER\ninsecure-skip-tls-verify: true",
    "server: SERVER/\ncertificate-authority: CAFILE\ntls-server-name: localhost",
    "server: SERVER\ncertificate-authority: CAFILE\ndisable-compression: true",
    CLUSTER
    + "\nextensions:\n- {name: client.authentication.k8s.io/exec, extension: {audience: a}}",
    CLUSTER + "\nextensions:\n- {name: other, extension: {audience: a}}",
    "server: SERVER\ncertificate-authority: /nonexistent/ca.crt",
    "server: SERVER\ncertificate-authority: /",
]


def seen(place: Shell) -> dict[str, object]:
    """What the plugins of this place were given since this was asked last."""
    found: dict[str, object] = {}
    for file in [*place.home.glob("plugin-*.*"), *place.home.glob("bin/plugin-*.*")]:
        found[file.name] = file.read_text()
        if file.suffix == ".env":
            given = dict(line.partition("=")[::2] for line in file.read_text().splitlines() if line)
            found[file.name] = {
                name: json.loads(value) if name == "KUBERNETES_EXEC_INFO" else value
                for name, value in given.items()
                if name not in ("_", "KUBECTL_PATH") and not name.startswith("KUBECTL_PLUGINS_")
            }
        file.unlink()
    return found


def check_as_kubectl(place: Shell, *flags: str) -> None:
    done = {"kubectl": place.kubectl("auth", "whoami", "-o", "json", *flags)}
    given = {"kubectl": seen(place)}
    name = None
    if done["kubectl"].code == 0:
        name = json.loads(done["kubectl"].out)["status"]["userInfo"]["username"]
    assert user_of_plugin(place, *flags) == name
    assert seen(place) == given["kubectl"]


@pytest.mark.parametrize("user", ROWS)
def test_a_plugin_is_run_as_kubectl_runs_it(plane: ControlPlane, place: Shell, user: str) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, user.replace("HOME/", f"{place.home}/"))
    check_as_kubectl(place.with_environment(KUBECONFIG=str(path)))


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_plugin_is_told_of_the_cluster_what_kubectl_tells_it(
    plane: ControlPlane, place: Shell, cluster: str
) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, cluster, entry("plugin-token", provideClusterInfo=True))
    check_as_kubectl(place.with_environment(KUBECONFIG=str(path)))


@pytest.mark.parametrize("more", [USER, "username: joe\npassword: hidden", "token: wrong"])
def test_no_plugin_is_run_where_the_user_has_other_credentials(
    plane: ControlPlane, place: Shell, more: str
) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, f"exec: {entry('plugin-token')[9:-1]}\n{more}")
    check_as_kubectl(place.with_environment(KUBECONFIG=str(path)))
    write_kubeconfig(path, plane, "server: http://127.0.0.1:1", entry("plugin-token"))
    check_as_kubectl(place.with_environment(KUBECONFIG=str(path)))


@pytest.mark.parametrize("folder", ["", ".", "./bin", "bin", "/nonexistent"])
def test_no_plugin_is_taken_from_a_folder_that_path_does_not_name_in_full(
    plane: ControlPlane, place: Shell, folder: str
) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, entry("plugin-token"))
    for names in (f"{folder}:{BIN}:/usr/bin:/bin", f"{BIN}:/usr/bin:/bin:{folder}"):
        check_as_kubectl(place.with_environment(KUBECONFIG=str(path), PATH=names))


def test_a_plugin_does_not_get_the_shared_secret(plane: ControlPlane, place: Shell) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, entry("plugin-token"))
    secret = SHARED_SECRET.decode()
    run = place.with_environment(KUBECONFIG=str(path), PORTWORX_AUTH_SHARED_SECRET=secret)
    assert '"system:serviceaccount' in run.refused("issue", "kubernetes").err
    given = seen(run)["plugin-token.env"]
    assert isinstance(given, dict)
    assert "PORTWORX_AUTH_SHARED_SECRET" not in given


FROZEN = """
import sys
sys.frozen = True
from kubectl_pxauth.cli import main
main()
"""


def test_from_the_archive_other_programs_get_the_users_own_library_path(
    plane: ControlPlane, place: Shell
) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, entry("plugin-token"))
    pxctl = place.home / "bin" / "plugin-pxctl"
    pxctl.write_text(PLUGIN.format(credential="/dev/null"))
    pxctl.chmod(0o755)
    for given in ({"LD_LIBRARY_PATH_ORIG": "/own"}, {}):
        for arguments in (
            ["issue", "kubernetes"],
            ["context", "list", "--local", "--pxctl", str(pxctl)],
        ):
            subprocess.run(
                [BIN / "python", "-c", FROZEN, *arguments],
                capture_output=True,
                cwd=place.home,
                env=place.environment
                | {"KUBECONFIG": str(path), "HOME": str(place.home), "LD_LIBRARY_PATH": "/archive"}
                | given,
            )
            (environment,) = (found for name, found in seen(place).items() if name.endswith(".env"))
            assert isinstance(environment, dict)
            assert environment.get("LD_LIBRARY_PATH") == given.get("LD_LIBRARY_PATH_ORIG")
            assert "LD_LIBRARY_PATH_ORIG" not in environment


def test_a_plugin_that_insists_on_a_terminal_has_it(plane: ControlPlane, place: Shell) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, entry("plugin-token", interactiveMode="Always"))
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [BIN / "kubectl-pxauth", "issue", "kubernetes"],
            stdin=slave,
            capture_output=True,
            text=True,
            env=place.environment | {"KUBECONFIG": str(path), "HOME": str(place.home)},
        )
    finally:
        os.close(master)
        os.close(slave)
    assert '"system:serviceaccount' in done.stderr
    assert seen(place)["plugin-token.stdin"] == "terminal\n"


PREFERENCE = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"
ALPHA = PREFERENCE.replace("v1beta1", "v1alpha1")
LIST = "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n"
POLICIES = [
    PREFERENCE,
    PREFERENCE + "credentialPluginPolicy: AllowAll",
    PREFERENCE + "credentialPluginPolicy: DenyAll",
    PREFERENCE + "credentialPluginPolicy: ''",
    PREFERENCE + "credentialPluginPolicy: denyall",
    PREFERENCE + "credentialPluginPolicy: 5",
    PREFERENCE + "credentialPluginPolicy: DenyAll\nunknown: x",
    ALPHA + "credentialPluginPolicy: DenyAll",
    PREFERENCE.replace("v1beta1", "v9") + "credentialPluginPolicy: DenyAll",
    PREFERENCE.replace("Preference", "Other") + "credentialPluginPolicy: DenyAll",
    "---\n" + PREFERENCE.replace("v1beta1", "v9") + "---\n" + PREFERENCE
    + "credentialPluginPolicy: DenyAll",
    PREFERENCE + "---\n" + PREFERENCE + "credentialPluginPolicy: DenyAll",
    *(
        PREFERENCE + LIST + f"- {item}"
        for item in (
            *("command: plugin-token", "command: HOME/bin/plugin-token", "name: plugin-token"),
            *("command: HOME/plugin-token", "command: other", "command: ./plugin-token", "{}"),
            *("{command: plugin-token, name: plugin-token}", "command: ''", "plugin-token"),
            *("command: /nonexistent/plugin-token", "command: other\n- command: plugin-token"),
            "command: HOME/bin/../bin/plugin-token",
        )
    ),
    PREFERENCE + "credentialPluginPolicy: Allowlist",
    PREFERENCE + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: []",
    PREFERENCE + "credentialPluginAllowlist: []",
    PREFERENCE + "credentialPluginAllowlist:\n- command: plugin-token",
    PREFERENCE + "credentialPluginPolicy: DenyAll\ncredentialPluginAllowlist:\n- command: x",
    "",
    "{",
    "[]",
]  # fmt: skip
WAYS: list[tuple[dict[str, str], list[str]]] = [
    ({}, []),
    ({"KUBERC": "off"}, []),
    ({"KUBERC": "HOME/.kube/kuberc"}, []),
    ({"KUBERC": "HOME/nonexistent"}, []),
    ({"KUBERC": "HOME/nonexistent"}, ["--kuberc", "HOME/preferences"]),
    ({}, ["--kuberc=HOME/preferences"]),
    ({}, ["--kuberc", "HOME/nonexistent"]),
    ({"KUBERC": "off"}, ["--kuberc", "HOME/preferences"]),
    ({"KUBECTL_KUBERC": "False"}, []),
    ({"KUBERC": "HOME/.kube/kuberc", "KUBECTL_KUBERC": "true"}, []),
]


@pytest.mark.parametrize(
    ("policy", "command"),
    [
        *((policy, "plugin-token") for policy in POLICIES),
        *(
            (PREFERENCE + LIST + f"- command: {allowed}", "./bin/plugin-token")
            for allowed in ("plugin-token", "HOME/bin/plugin-token", "HOME/plugin-token")
        ),
        (PREFERENCE + LIST + "- command: no-such-plugin", "no-such-plugin"),
    ],
)
def test_kubercs_policy_counts(
    plane: ControlPlane, place: Shell, policy: str, command: str
) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, entry(command))
    (place.home / ".kube").mkdir()
    (place.home / ".kube" / "kuberc").write_text(policy.replace("HOME", str(place.home)))
    check_by_itself(place.with_environment(KUBECONFIG=str(path)))


@pytest.mark.parametrize(("variables", "flags"), WAYS)
def test_kuberc_is_kubectls(
    plane: ControlPlane, place: Shell, variables: dict[str, str], flags: list[str]
) -> None:
    path = place.home / "config"
    write_kubeconfig(path, plane, CLUSTER, entry("plugin-token"))
    (place.home / ".kube").mkdir()
    for policy in ("DenyAll", "AllowAll"):
        for file in (place.home / ".kube" / "kuberc", place.home / "preferences"):
            file.write_text(f"{PREFERENCE}credentialPluginPolicy: {policy}")
        filled = {name: value.replace("HOME", str(place.home)) for name, value in variables.items()}
        given = [flag.replace("HOME", str(place.home)) for flag in flags]
        check_by_itself(place.with_environment(KUBECONFIG=str(path), **filled), *given)


def check_by_itself(place: Shell, *flags: str) -> None:
    """As kubectl, without kubectl before it, which may refuse already."""
    done = place.kubectl("auth", "whoami", "-o", "json", *flags)
    given = seen(place)
    alone = subprocess.run(
        [BIN / "kubectl-pxauth", "issue", "kubernetes", *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=place.home,
        env={"HOME": str(place.home)} | place.environment,
    )
    assert ('"system:serviceaccount' in alone.stderr) == (done.code == 0), alone.stderr
    assert [line.partition(":")[0] for line in alone.stderr.splitlines()][:1] == ["error"]
    assert seen(place) == given


@pytest.fixture
def logins(place: Shell) -> Shell:
    """A plugin that answers with what is in first, and from then on with what is in then."""
    program = place.home / "bin" / "plugin-logins"
    program.write_text(
        f"#!/bin/sh\ncd {place.home}\necho >> times\n[ -e asked ] && exec cat then\n"
        "touch asked\ncat first\n"
    )
    program.chmod(0o755)
    return place


def _answer(place: Shell, name: str, **status: object) -> None:
    whole = {"apiVersion": V1, "kind": "ExecCredential", "status": status}
    (place.home / name).write_text(json.dumps(whole))


def _status(place: Shell, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((place.home / name).read_text())["status"]
    return found


PAST, FUTURE = "2001-01-01T00:00:00Z", "2999-01-01T00:00:00+01:00"


@pytest.mark.parametrize("then", ["token", "certificate"])
@pytest.mark.parametrize(
    ("first", "runs"),
    [
        ({"token": "refused"}, 2),
        ({"token": "refused", "expirationTimestamp": FUTURE}, 2),
        ({"expirationTimestamp": PAST}, 2),
        ({"expirationTimestamp": FUTURE}, 1),
    ],
)
def test_credentials_that_ended_are_asked_for_again(
    plane: ControlPlane, logins: Shell, then: str, first: dict[str, object], runs: int
) -> None:
    good = _status(logins, then)
    _answer(logins, "first", **(first if "token" in first else good | first))
    _answer(logins, "then", **good)
    write_kubeconfig(logins.home / "config", plane, CLUSTER, entry("plugin-logins"))
    shell = logins.with_environment(KUBECONFIG=str(logins.home / "config"))
    name = "eve" if then == "certificate" else f"system:serviceaccount:{shell.namespace}:robot"
    # A refusal by RBAC: whom the server sees is somebody.
    assert f'user "{name}" may not' in shell.pxauth("list").err
    assert (logins.home / "times").read_text() == "\n" * runs


def test_credentials_that_stay_refused_are_asked_for_twice(
    plane: ControlPlane, logins: Shell
) -> None:
    for name in ("first", "then"):
        _answer(logins, name, token="refused")
    write_kubeconfig(logins.home / "config", plane, CLUSTER, entry("plugin-logins"))
    shell = logins.with_environment(KUBECONFIG=str(logins.home / "config"))
    assert "does not accept the credentials" in shell.pxauth("list").err
    assert (logins.home / "times").read_text() == "\n\n"

"""Credentials from a kubeconfig's exec plugin, as kubectl asks for them.

The kubernetes package runs such plugins too, but logs a plugin's failure and goes on without
credentials, hides its prompts, and runs it in the kubeconfig's folder.
Sources: Kubernetes docs, reference/access-authn-authz/authentication, client-go credential plugins;
kubernetes/client-go, plugin/pkg/client/auth/exec/exec.go, rest/exec.go and
tools/clientcmd/validation.go.
"""

import json
import math
import os
import subprocess
import sys
from base64 import b64encode
from datetime import datetime
from typing import Any

from kubectl_pxauth.cluster.kubeconfig import Credentials, Entry, read_yaml
from kubectl_pxauth.cluster.plugin_policy import check_policy, find_program
from kubectl_pxauth.errors import ClusterError

_V1, _V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
_MODES = ("Never", "IfAvailable", "Always")
_CLUSTER_KEYS = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "proxy-url",
    "disable-compression",
)
_CONFIG_EXTENSION = "client.authentication.k8s.io/exec"


def check_plugin(plugin: Entry) -> None:
    """Raise ClusterError for what kubectl refuses before it would run the plugin."""
    command, version = plugin.get("command") or "", plugin.get("apiVersion")
    name = f'credential plugin "{command}"'
    if not command:
        raise ClusterError("kubeconfig: exec names no command")
    if not version:
        raise ClusterError(f"{name}: exec names no apiVersion: {_V1} or {_V1BETA1}")
    if version not in (_V1, _V1BETA1):
        raise ClusterError(f'{name}: apiVersion "{version}" is not one of {_V1}, {_V1BETA1}')
    if _mode(plugin) is None:
        raise ClusterError(
            f"{name}: the kubeconfig's exec has no interactiveMode, which {_V1} asks for",
            hint=f"set it to one of {', '.join(_MODES)}",
        )
    if _mode(plugin) not in _MODES:
        raise ClusterError(f"{name}: interactiveMode is not one of {', '.join(_MODES)}")
    if not all(variable.get("name") for variable in plugin.get("env") or []):
        raise ClusterError(f"{name}: env has an item without a name")


def _mode(plugin: Entry) -> str | None:
    """The interactiveMode, which only the first version lets be left out."""
    return plugin.get("interactiveMode") or (
        "IfAvailable" if plugin["apiVersion"] == _V1BETA1 else None
    )


def run_plugin(
    plugin: Entry, cluster: Entry, authority: bytes | None, kuberc: str | None
) -> Credentials:
    """The plugin's credentials; authority is the cluster's certificate authority.

    The plugin may ask on standard error, and on a terminal read standard input.
    Raises ClusterError where it may not run, is missing, fails, or answers something else.
    """
    command = os.path.normpath(plugin["command"])
    check_policy(command, kuberc)
    interactive = _may_ask(plugin, command)
    environment = dict(os.environ) | {
        item["name"]: item.get("value") or "" for item in plugin.get("env") or []
    }
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(
        {
            "apiVersion": plugin["apiVersion"],
            "kind": "ExecCredential",
            "spec": {"interactive": interactive} | _cluster_info(plugin, cluster, authority),
        }
    )
    try:
        done = subprocess.run(  # noqa: S603 - the command is the kubeconfig's own
            [command, *(plugin.get("args") or [])],
            executable=find_program(command),
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment,
            check=False,
        )
    except ClusterError as error:
        raise ClusterError(str(error), hint=plugin.get("installHint")) from None
    except OSError as error:
        raise ClusterError(
            f'credential plugin "{command}": {error.strerror}', hint=plugin.get("installHint")
        ) from None
    except ValueError:
        raise ClusterError(
            f'credential plugin "{command}": an argument or a variable holds a null byte'
        ) from None
    if done.returncode:
        raise ClusterError(f'credential plugin "{command}" failed with exit code {done.returncode}')
    return _credentials(done.stdout, command, plugin["apiVersion"])


def _may_ask(plugin: Entry, command: str) -> bool:
    mode = _mode(plugin)
    interactive = mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if mode == "Always" and not interactive:
        raise ClusterError(f'credential plugin "{command}" wants to ask, and there is no terminal')
    return interactive


def _cluster_info(plugin: Entry, cluster: Entry, authority: bytes | None) -> Entry:
    if not plugin.get("provideClusterInfo"):
        return {}
    info = {key: cluster[key] for key in _CLUSTER_KEYS if key in cluster} | {"config": None}
    if authority:
        info["certificate-authority-data"] = b64encode(authority).decode()
    for extension in cluster.get("extensions") or []:
        if isinstance(extension, dict) and extension.get("name") == _CONFIG_EXTENSION:
            info["config"] = extension.get("extension")
    return {"cluster": info}


def _credentials(output: bytes, command: str, api_version: str) -> Credentials:
    # What the plugin printed may hold a token, so no error repeats it.
    try:
        answer = _parsed(output)
        matches = answer["kind"] == "ExecCredential" and answer["apiVersion"] == api_version
        status = answer["status"]
        texts = [
            status.get(key) or "" for key in ("token", "clientCertificateData", "clientKeyData")
        ]
        token, certificate, key = (text.encode() for text in texts)
        expiry = status.get("expirationTimestamp")
        expires = datetime.fromisoformat(expiry).timestamp() if expiry else math.inf
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ClusterError(f'credential plugin "{command}" printed no ExecCredential') from None
    if not matches:
        raise ClusterError(
            f'credential plugin "{command}" printed no ExecCredential of {api_version}'
        )
    if bool(certificate) != bool(key) or not (token or certificate):
        raise ClusterError(
            f'credential plugin "{command}" gave neither a token nor a certificate with its key'
        )
    return Credentials(
        token=texts[0] or None,
        certificate=certificate or None,
        key=key or None,
        by_plugin=True,
        expires=expires,
    )


def _parsed(output: bytes) -> Any:
    """What the plugin printed: JSON, or YAML as kubectl takes it too."""
    import yaml

    try:
        return json.loads(output)
    except ValueError:
        try:
            return read_yaml(output)
        except yaml.YAMLError:
            raise ValueError from None

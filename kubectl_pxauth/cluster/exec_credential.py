"""Credentials from a kubeconfig's exec plugin, as kubectl asks for them.

The kubernetes package runs such plugins too, but logs a plugin's failure and goes on without
credentials, hides its prompts, and runs it in the kubeconfig's folder.
Source: Kubernetes docs, reference/access-authn-authz/authentication, client-go credential plugins.
"""

import json
import os
import subprocess
import sys
from typing import Any

from kubectl_pxauth.errors import ClusterError

_API_VERSIONS = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)
_CLUSTER_KEYS = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
    "disable-compression",
)
_CONFIG_EXTENSION = "client.authentication.k8s.io/exec"


def run_plugin(plugin: dict[str, Any], cluster: dict[str, Any]) -> dict[str, str]:
    """The plugin's credentials, as keys of a kubeconfig's user.

    The plugin may ask on standard error, and on a terminal read standard input.
    Raises ClusterError where it is missing, fails, or answers something else.
    """
    command = str(plugin.get("command") or "")
    api_version = plugin.get("apiVersion")
    if not command or api_version not in _API_VERSIONS:
        raise ClusterError(
            f'credential plugin "{command}": apiVersion "{api_version}" is not one of'
            f" {', '.join(_API_VERSIONS)}"
        )
    interactive = _may_ask(plugin, command)
    environment = _own_environment() | {
        item["name"]: item["value"] for item in plugin.get("env") or []
    }
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(
        {
            "apiVersion": api_version,
            "kind": "ExecCredential",
            "spec": {"interactive": interactive} | _cluster_info(plugin, cluster),
        }
    )
    try:
        done = subprocess.run(  # noqa: S603 - the command is the kubeconfig's own
            [command, *(str(argument) for argument in plugin.get("args") or [])],
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise ClusterError(
            f'credential plugin "{command}": {error.strerror}', hint=plugin.get("installHint")
        ) from None
    if done.returncode:
        raise ClusterError(f'credential plugin "{command}" failed with exit code {done.returncode}')
    return _credentials(done.stdout, command, api_version)


def _own_environment() -> dict[str, str]:
    """The environment that this process was given.

    In the archive the launcher points LD_LIBRARY_PATH at the archive's own libraries, which no
    other program may load. Source: PyInstaller's manual, "Run-time information".
    """
    environment = dict(os.environ)
    if getattr(sys, "frozen", False):
        environment.pop("LD_LIBRARY_PATH", None)
        if (given := environment.pop("LD_LIBRARY_PATH_ORIG", None)) is not None:
            environment["LD_LIBRARY_PATH"] = given
    return environment


def _may_ask(plugin: dict[str, Any], command: str) -> bool:
    mode = plugin.get("interactiveMode", "IfAvailable")
    interactive = mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if mode == "Always" and not interactive:
        raise ClusterError(f'credential plugin "{command}" wants to ask, and there is no terminal')
    return interactive


def _cluster_info(plugin: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    if not plugin.get("provideClusterInfo"):
        return {}
    info = {key: cluster[key] for key in _CLUSTER_KEYS if key in cluster} | {"config": None}
    if "certificate-authority" in cluster and "certificate-authority-data" not in info:
        import base64
        from pathlib import Path

        authority = Path(cluster["certificate-authority"]).read_bytes()
        info["certificate-authority-data"] = base64.b64encode(authority).decode()
    for extension in cluster.get("extensions") or []:
        if extension.get("name") == _CONFIG_EXTENSION:
            info["config"] = extension.get("extension")
    return {"cluster": info}


def _credentials(output: bytes, command: str, api_version: str) -> dict[str, str]:
    # What the plugin printed may hold a token, so no error repeats it.
    try:
        answer = json.loads(output)
        matches = answer["kind"] == "ExecCredential" and answer["apiVersion"] == api_version
        status = answer["status"]
        token = status.get("token")
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
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
    credentials = {}
    if token:
        credentials["token"] = token
    if certificate:
        import base64

        credentials["client-certificate-data"] = base64.b64encode(certificate.encode()).decode()
        credentials["client-key-data"] = base64.b64encode(key.encode()).decode()
    return credentials

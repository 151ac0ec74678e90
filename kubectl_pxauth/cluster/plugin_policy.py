"""Which credential plugins may run: the policy in kubectl's file of preferences, kuberc.

Sources: kubernetes/kubectl, pkg/kuberc (kuberc.go, marshal.go) and pkg/config/v1beta1/types.go;
kubernetes/client-go, plugin/pkg/client/auth/exec/exec.go.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubectl_pxauth.cluster.kubeconfig import read_yaml
from kubectl_pxauth.errors import ClusterError, UsageError

_GROUP = "kubectl.config.k8s.io"


def find_program(command: str, environ: Mapping[str, str] = os.environ) -> str:
    """The program that a command names, as Go finds it; raises ClusterError where there is none.

    What lies in the working directory is refused, even if PATH names that.
    """
    if Path(command).name != command:
        if found := shutil.which(command):
            return found
        raise ClusterError(_not_found(command))
    for folder in environ.get("PATH", "").split(os.pathsep):
        if found := shutil.which(str(Path(folder or ".") / command)):
            if not Path(found).is_absolute():
                raise ClusterError(
                    f'credential plugin "{command}" is not run from a folder that is relative to'
                    " the current one"
                )
            return found
    raise ClusterError(_not_found(command))


def check_policy(command: str, kuberc: str | None, environ: Mapping[str, str] = os.environ) -> None:
    """Raise ClusterError where kubectl would not run this credential plugin either."""
    path, named = _kuberc(kuberc, environ)
    preference = _read(path, named=named) if path else {}
    policy = preference.get("credentialPluginPolicy") or "AllowAll"
    entries = preference.get("credentialPluginAllowlist")
    refusal = ClusterError(
        f'credential plugin "{command}" is not run: credentialPluginPolicy in {path} is {policy}'
    )
    if policy == "Allowlist":
        if not _allowed(command, _commands(entries, path), environ):
            raise refusal
    elif policy == "DenyAll":
        raise refusal
    elif policy != "AllowAll":
        raise ClusterError(f'{path}: credentialPluginPolicy "{policy}" is not known')
    elif entries is not None:
        raise ClusterError(f"{path}: credentialPluginAllowlist takes the policy Allowlist")


def _kuberc(flag: str | None, environ: Mapping[str, str]) -> tuple[Path | None, bool]:
    """The file, and whether somebody named it: then it has to be there."""
    variable = environ.get("KUBERC")
    if environ.get("KUBECTL_KUBERC", "").lower() == "false":
        return None, False
    if variable == "off":
        if flag:
            raise UsageError("--kuberc and KUBERC=off can't be used together")
        return None, False
    if named := flag or variable:
        return Path(named), True
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return (Path(home) / ".kube" / "kuberc" if home else None), False


def _read(path: Path, *, named: bool) -> dict[str, Any]:
    """The first preferences in the file; none where nobody named it and it is not usable."""
    import yaml

    try:
        documents = re.split(rb"^---.*$", path.read_bytes(), flags=re.MULTILINE)
    except OSError as error:
        if named:
            raise ClusterError(f"kuberc {path}: {error.strerror}") from None
        return {}
    documents = [document for document in documents if document.strip()]
    for document in documents:
        try:
            found = read_yaml(document)
        except (yaml.YAMLError, ValueError):
            continue
        if isinstance(found, dict) and _is_preference(found):
            return found if found["apiVersion"] != f"{_GROUP}/v1alpha1" else {}
    if documents and named:
        raise ClusterError(f"kuberc {path} holds no preferences of kubectl")
    return {}


def _is_preference(found: dict[str, Any]) -> bool:
    entries = found.get("credentialPluginAllowlist")
    return (
        found.get("kind") == "Preference"
        and found.get("apiVersion") in (f"{_GROUP}/v1beta1", f"{_GROUP}/v1alpha1")
        and isinstance(found.get("credentialPluginPolicy"), str | None)
        and isinstance(entries, list | None)
        and all(
            isinstance(entry, dict) and isinstance(entry.get(key), str | None)
            for entry in entries or []
            for key in ("command", "name")
        )
    )


def _commands(entries: list[dict[str, str]] | None, path: Path | None) -> list[str]:
    commands = []
    for entry in entries or []:
        command = entry.get("command") or entry.get("name")
        if not command or os.path.normpath(command) != command:
            raise ClusterError(f"{path}: credentialPluginAllowlist has an entry without a command")
        commands.append(command)
    if not commands:
        raise ClusterError(f"{path}: the policy Allowlist takes a credentialPluginAllowlist")
    return commands


def _allowed(command: str, commands: list[str], environ: Mapping[str, str]) -> bool:
    if command in commands:
        return True
    program = find_program(command, environ)
    for allowed in commands:
        try:
            if program in (allowed, find_program(allowed, environ)):
                return True
        except ClusterError:  # it is not installed
            continue
    return False


def _not_found(command: str) -> str:
    return f'credential plugin "{command}" is not there, or is no program'

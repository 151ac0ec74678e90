"""Which server to talk to, as whom: kubectl's rules for kubeconfig files and their flags.

The kubernetes package's own merge differs from kubectl's where several files name a current
context, reads the files' token with its newline, and knows no overrides and no impersonation,
so files and flags are brought down to one plain entry here before that package gets it.
Source: client-go, tools/clientcmd.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from kubectl_pxauth.errors import ClusterError, UsageError

Entry = dict[str, Any]

_CLUSTER_FILES = ("certificate-authority",)
_USER_FILES = ("client-certificate", "client-key", "tokenFile")
_TEXTS = {
    *_CLUSTER_FILES,
    *_USER_FILES,
    *("as", "as-uid", "certificate-authority-data", "client-certificate-data"),
    *("client-key-data", "cluster", "namespace", "password", "proxy-url", "server"),
    *("tls-server-name", "token", "user", "username"),
}
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class ConnectionOptions:
    """kubectl's connection flags; None, empty or False where a flag is not given."""

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
    as_uid: str | None = None
    token: str | None = field(default=None, repr=False)
    server: str | None = None
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    request_timeout: timedelta | None = None


@dataclass(frozen=True)
class Target:
    """One server and one user: the kubeconfig's two entries, with the flags applied."""

    cluster: Entry
    user: Entry = field(repr=False)
    context: str | None


@dataclass(frozen=True)
class Kubeconfig:
    """The entries that the current context and the flags choose, where there are any."""

    cluster: Entry | None
    user: Entry | None = field(repr=False)
    context: str | None
    namespace: str
    options: ConnectionOptions

    def target(self) -> Target:
        """The server and user to talk to; raises ClusterError where there is none."""
        cluster, user = self.cluster, self.user
        if cluster is None and not self.options.server:
            cluster, user = _in_cluster(os.environ)
        return Target(
            cluster=_with_cluster_flags(cluster or {}, self.options),
            user=_with_user_flags(user or {}, self.options),
            context=self.context,
        )


def read_kubeconfig(
    options: ConnectionOptions, environ: Mapping[str, str] = os.environ
) -> Kubeconfig:
    """Read what kubectl would read; raises ClusterError for files and names that are wrong.

    No credential plugin runs and no connection is made. No kubeconfig at all is no error here.
    """
    config = _merged(_kubeconfig_files(options, environ))
    context_name = options.context or config["current-context"] or None
    context = _named(config, "contexts", context_name) or {}
    user = _named(config, "users", options.user or context.get("user"), options.user is not None)
    return Kubeconfig(
        cluster=_named(config, "clusters", options.cluster or context.get("cluster")),
        user=user,
        context=context_name,
        namespace=str(context.get("namespace") or _in_cluster_namespace(environ) or "default"),
        options=options,
    )


def names_in_kubeconfig(
    section: str, options: ConnectionOptions, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """The names of all clusters, contexts or users; raises ClusterError as read_kubeconfig."""
    return list(_merged(_kubeconfig_files(options, environ))[section])


def parse_timeout(text: str) -> timedelta | None:
    """Read kubectl's --request-timeout: a Go duration or whole seconds; None for no limit."""
    if text == "0":
        return None
    import durationpy

    try:
        timeout = durationpy.from_str(f"{text}s" if text.isdecimal() else text)
    except (durationpy.DurationError, ValueError, OverflowError):
        raise UsageError(
            f'"{text}" is not a timeout', hint="use a number and a unit: 1s, 2m or 3h"
        ) from None
    if timeout < timedelta():
        raise UsageError(f'the timeout "{text}" is negative')
    return timeout or None


def _kubeconfig_files(options: ConnectionOptions, environ: Mapping[str, str]) -> list[Path]:
    if options.kubeconfig:
        path = Path(options.kubeconfig)
        if not path.exists():
            raise ClusterError(f"kubeconfig {path} does not exist")
        return [path]
    if paths := environ.get("KUBECONFIG"):
        return [Path(path) for path in paths.split(os.pathsep) if path and Path(path).exists()]
    # By the variables alone, as kubectl: a container's user has no home and no entry in passwd.
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not home:
        return []
    path = Path(home) / ".kube" / "config"
    return [path] if path.exists() else []


def _merged(paths: list[Path]) -> Entry:
    """Several kubeconfig files as one: whoever names a thing first wins."""
    merged: Entry = {"clusters": {}, "contexts": {}, "users": {}, "current-context": ""}
    for path in paths:
        content = _read(path)
        for section, singular, files in (
            ("clusters", "cluster", _CLUSTER_FILES),
            ("contexts", "context", ()),
            ("users", "user", _USER_FILES),
        ):
            for item in _items(content, section, path):
                if item["name"] not in merged[section]:
                    entry = _entry(item, singular, path)
                    merged[section][item["name"]] = _absolute(entry, files, path.parent)
        merged["current-context"] = merged["current-context"] or content.get("current-context")
    return merged


def _read(path: Path) -> Entry:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise ClusterError(f"kubeconfig {path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ClusterError(f"kubeconfig {path}{line} is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ClusterError(f"kubeconfig {path} is not YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ClusterError(f"kubeconfig {path} does not hold a mapping")
    return content


def _items(content: Entry, section: str, path: Path) -> list[Entry]:
    items = content.get(section) or []
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and "name" in item for item in items
    ):
        raise ClusterError(f"kubeconfig {path}: {section} is not a list of named entries")
    return items


def _entry(item: Entry, kind: str, path: Path) -> Entry:
    where = f'kubeconfig {path}: {kind} "{item["name"]}"'
    entry = item.get(kind) or {}
    if not isinstance(entry, dict) or not isinstance(entry.get("exec") or {}, dict):
        raise ClusterError(f"{where} is not a mapping")
    for key in _TEXTS & entry.keys():
        if not isinstance(entry[key], str | None):
            raise ClusterError(f"{where}: {key} is not text")
    return dict(entry)


def _absolute(entry: Entry, files: tuple[str, ...], folder: Path) -> Entry:
    """The entry with its relative files meant from where they stand, as kubectl does."""
    for key in files:
        if entry.get(key):
            entry[key] = str(folder.absolute() / entry[key])
    plugin = entry.get("exec")
    if plugin and os.sep in str(plugin.get("command", "")):
        entry["exec"] = {**plugin, "command": str(folder.absolute() / plugin["command"])}
    return entry


def _named(config: Entry, section: str, name: str | None, required: bool = True) -> Entry | None:
    if not name:
        return None
    entry: Entry | None = config[section].get(name)
    if entry is None and required:
        raise ClusterError(
            f'{section.removesuffix("s")} "{name}" does not exist in the kubeconfig',
            hint=f"kubectl config get-{section}",
        )
    return entry


def _in_cluster_namespace(environ: Mapping[str, str]) -> str:
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        return ""
    file = _SERVICE_ACCOUNT / "namespace"
    return environ.get("POD_NAMESPACE") or (file.read_text().strip() if file.exists() else "")


def _in_cluster(environ: Mapping[str, str]) -> tuple[Entry, Entry]:
    """The pod's own service account, where this runs in one; raises ClusterError elsewhere."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not (host and port and (_SERVICE_ACCOUNT / "token").exists()):
        raise ClusterError(
            "no cluster is configured: there is no kubeconfig with a current context",
            hint="kubectl config get-contexts shows them; choose one with --context",
        )
    host = f"[{host}]" if ":" in host else host
    cluster = {
        "server": f"https://{host}:{port}",
        "certificate-authority": str(_SERVICE_ACCOUNT / "ca.crt"),
    }
    return cluster, {"tokenFile": str(_SERVICE_ACCOUNT / "token")}


def _with_cluster_flags(cluster: Entry, options: ConnectionOptions) -> Entry:
    cluster = {key: value for key, value in cluster.items() if value not in (None, "")}
    if options.server:
        cluster["server"] = options.server
        cluster.pop("tls-server-name", None)
    if options.insecure_skip_tls_verify or options.certificate_authority:
        for key in (
            "certificate-authority",
            "certificate-authority-data",
            "insecure-skip-tls-verify",
        ):
            cluster.pop(key, None)
    if options.insecure_skip_tls_verify:
        cluster["insecure-skip-tls-verify"] = True
    if options.certificate_authority:
        cluster["certificate-authority"] = options.certificate_authority
    if options.tls_server_name:
        cluster["tls-server-name"] = options.tls_server_name
    insecure = bool(cluster.get("insecure-skip-tls-verify"))
    has_authority = any(
        cluster.get(key) for key in ("certificate-authority", "certificate-authority-data")
    )
    if not cluster.get("server"):
        raise ClusterError("the kubeconfig's cluster names no server")
    if "://" not in cluster["server"]:
        scheme = "https" if has_authority or insecure else "http"
        cluster["server"] = f"{scheme}://{cluster['server']}"
    if insecure and has_authority:
        raise ClusterError(
            "a certificate authority and insecure-skip-tls-verify exclude each other"
        )
    return cluster


def _with_user_flags(user: Entry, options: ConnectionOptions) -> Entry:
    user = {key: value for key, value in user.items() if value not in (None, "")}
    if token_file := user.pop("tokenFile", None):
        try:
            user["token"] = Path(token_file).read_text().strip()
        except OSError as error:
            if not user.get("token"):
                raise ClusterError(f"token file {token_file}: {error.strerror}") from None
    flags = {
        "token": options.token,
        "client-certificate": options.client_certificate,
        "client-key": options.client_key,
        "as": options.as_user,
        "as-uid": options.as_uid,
        "as-groups": list(options.as_groups),
    }
    for key, value in flags.items():
        if value:
            user[key] = value
            user.pop(f"{key}-data", None)
    if user.get("token"):
        user.pop("exec", None)
        user.pop("auth-provider", None)
    if not user.get("as") and any(user.get(f"as-{key}") for key in ("uid", "groups", "user-extra")):
        raise ClusterError(
            "a uid, groups or extra fields to impersonate need a user to impersonate",
            hint="name the user with --as",
        )
    return user

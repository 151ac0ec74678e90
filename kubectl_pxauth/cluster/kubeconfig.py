"""Which server to talk to, as whom: kubectl's rules for kubeconfig files and their flags.

The kubernetes package's own loader differs from kubectl's where several files name a current
context, writes client keys to temporary files, and knows no overrides and no impersonation.
Sources: kubernetes/client-go, tools/clientcmd (loader.go, merge.go, client_config.go,
validation.go) and rest/url_utils.go; kubernetes/cli-runtime, pkg/genericclioptions/config_flags.go.
"""

import math
import os
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kubectl_pxauth.errors import ClusterError, NoClusterError, UsageError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.imports import compiling_later

Entry = dict[str, Any]

_CLUSTER_FILES = ("certificate-authority",)
_USER_FILES = ("client-certificate", "client-key", "tokenFile")
_DATA = {"certificate-authority-data", "client-certificate-data", "client-key-data"}
_TEXTS = {
    *_CLUSTER_FILES,
    *_USER_FILES,
    *_DATA,
    *("apiVersion", "as", "as-uid", "cluster", "command", "installHint", "interactiveMode"),
    *(
        "namespace",
        "password",
        "proxy-url",
        "server",
        "tls-server-name",
        "token",
        "user",
        "username",
    ),
}
_SWITCHES = {"disable-compression", "insecure-skip-tls-verify", "provideClusterInfo"}
_LISTS = {"env", "extensions"}
_TEXT_LISTS = {"args", "as-groups"}
_MAPPINGS = {"as-user-extra", "auth-provider", "config", "exec"}
_TYPES: tuple[tuple[set[str], type, str], ...] = (
    (_TEXTS, str, "text"),
    (_SWITCHES, bool, "true or false"),
    (_LISTS, list, "a list"),
    (_MAPPINGS, dict, "a mapping"),
)
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
    as_user_extra: tuple[tuple[str, str], ...] = ()
    token: str | None = field(default=None, repr=False)
    server: str | None = None
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None
    kuberc: str | None = None
    request_timeout: timedelta | None = None


@dataclass(frozen=True)
class Credentials:
    """What authenticates a user: a token, a name and a password, a certificate with its key in PEM.

    None where there is no such. by_plugin is whether a credential plugin gave them, and expires is
    until when, in seconds since 1970.
    """

    token: str | None = field(default=None, repr=False)
    password: tuple[str, str] | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    by_plugin: bool = False
    expires: float = math.inf


@dataclass(frozen=True)
class Target:
    """One server and one user: the kubeconfig's two entries, with the flags applied.

    server is the address that requests go to, without the name and password that may be in it;
    address_user is those. kuberc is the flag that names kubectl's file of preferences.
    """

    server: str
    address_user: tuple[str, str] | None = field(repr=False)
    cluster: Entry = field(repr=False)
    user: Entry = field(repr=False)
    context: str | None
    kuberc: str | None = None


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
            if self.options.token:
                user = {}
        cluster = _with_cluster_flags(cluster or {}, self.options)
        server, address_user = _address(cluster["server"])
        return Target(
            server=server,
            address_user=address_user,
            cluster=cluster,
            user=_with_user_flags(user or {}, self.options),
            context=self.context,
            kuberc=self.options.kuberc,
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


def read_yaml(data: bytes) -> Any:
    """The first document, with the types that Go's YAML gives it; raises yaml.YAMLError.

    Go knows neither dates nor base-60 numbers, and what is tagged !!binary is its bytes as text.
    Source: sigs.k8s.io/yaml, goyaml.v2 (resolve.go, decode.go).
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def get_text(self, node: yaml.ScalarNode) -> str:
            return str(self.construct_yaml_binary(node).decode(errors="replace"))

    Loader.yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in forms if not tag.endswith(":timestamp")]
        for first, forms in Loader.yaml_implicit_resolvers.items()
    }
    Loader.add_constructor("tag:yaml.org,2002:binary", Loader.get_text)
    loader = Loader(data)
    try:
        return loader.get_data()
    finally:
        loader.dispose()


def _kubeconfig_files(options: ConnectionOptions, environ: Mapping[str, str]) -> list[Path]:
    if options.kubeconfig:
        path = Path(options.kubeconfig)
        if not path.exists():
            raise ClusterError(f"kubeconfig {path} does not exist")
        return [path]
    if paths := environ.get("KUBECONFIG"):
        return [Path(path) for path in dict.fromkeys(paths.split(os.pathsep)) if path]
    # By the variables alone, as kubectl: a container's user has no home and no entry in passwd.
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return [Path(home) / ".kube" / "config"] if home else []


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
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ClusterError(f"kubeconfig {path}: {error.strerror}") from None
    if not data:  # such as /dev/null: then nothing has to be loaded that reads YAML
        return {}
    with compiling_later():
        import yaml
    try:
        content = read_yaml(data)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ClusterError(f"kubeconfig {path}{line} is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ClusterError(f"kubeconfig {path} is not YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ClusterError(f"kubeconfig {path} does not hold a mapping")
    if not isinstance(content.get("current-context"), str | None):
        raise ClusterError(f"kubeconfig {path}: current-context is not text")
    return content


def _items(content: Entry, section: str, path: Path) -> list[Entry]:
    items = content.get(section) or []
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in items
    ):
        raise ClusterError(f"kubeconfig {path}: {section} is not a list of named entries")
    names = [item["name"] for item in items]
    if len(set(names)) < len(names):  # which kubectl refuses as well
        twice = max(names, key=names.count)
        raise ClusterError(f'kubeconfig {path}: two {section} are "{twice}"')
    return items


def _entry(item: Entry, kind: str, path: Path) -> Entry:
    where = f'kubeconfig {path}: {kind} "{item["name"]}"'
    entry = item.get(kind) or {}
    if not isinstance(entry, dict):
        raise ClusterError(f"{where} is not a mapping")
    _check_types(entry, where)
    if plugin := entry.get("exec"):
        _check_types(plugin, f"{where}: exec")
        for variable in plugin.get("env") or []:
            if not isinstance(variable, dict) or not (
                isinstance(variable.get("name"), str)
                and isinstance(variable.get("value"), str | None)
            ):
                raise ClusterError(f"{where}: exec: env is not a list of names and values")
    if provider := entry.get("auth-provider"):
        _check_types(provider, f"{where}: auth-provider")
    for key, values in (entry.get("as-user-extra") or {}).items():
        _check_texts(values, f"{where}: as-user-extra: {key}")
    return entry | {
        key: _decoded(entry[key], f"{where}: {key}") for key in _DATA & entry.keys() if entry[key]
    }


def _decoded(text: str, name: str) -> bytes:
    """The bytes of base64, of which lines are left out and nothing else, as Go does."""
    try:
        return b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError:
        raise ClusterError(f"{name} is not base64") from None


def _check_types(entry: Entry, where: str) -> None:
    for keys, kind, words in _TYPES:
        for key in keys & entry.keys():
            if not isinstance(entry[key], kind | None):
                raise ClusterError(f"{where}: {key} is not {words}")
    for key in _TEXT_LISTS & entry.keys():
        _check_texts(entry[key], f"{where}: {key}")
    for key in (*_CLUSTER_FILES, *_USER_FILES):
        if "\0" in (entry.get(key) or ""):
            raise ClusterError(f"{where}: {key} holds a null byte")


def _check_texts(found: object, name: str) -> None:
    texts = [] if found is None else found
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ClusterError(f"{name} is not a list of texts")


def _absolute(entry: Entry, files: tuple[str, ...], folder: Path) -> Entry:
    """The entry with its relative files meant from where they stand, as kubectl does."""
    for key in files:
        if entry.get(key):
            entry[key] = os.path.normpath(folder.absolute() / entry[key])
    plugin = entry.get("exec")
    if plugin and os.sep in (plugin.get("command") or ""):
        command = os.path.normpath(folder.absolute() / plugin["command"])
        entry["exec"] = {**plugin, "command": command}
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
    if not _server_of_pods(environ):
        return ""
    file = _SERVICE_ACCOUNT / "namespace"
    return environ.get("POD_NAMESPACE") or (file.read_text().strip() if file.exists() else "")


def _server_of_pods(environ: Mapping[str, str]) -> str:
    """The API server's address in a pod that has a service account's token; empty elsewhere."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not (host and port and (_SERVICE_ACCOUNT / "token").exists()):
        return ""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _in_cluster(environ: Mapping[str, str]) -> tuple[Entry, Entry]:
    """The pod's own service account, where this runs in one; raises NoClusterError elsewhere."""
    server = _server_of_pods(environ)
    if not server:
        raise NoClusterError(
            "no cluster is configured: there is no kubeconfig with a current context",
            hint="kubectl config get-contexts shows them; choose one with --context",
        )
    cluster = {
        "server": server,
        "certificate-authority": str(_SERVICE_ACCOUNT / "ca.crt"),
    }
    return cluster, {"tokenFile": str(_SERVICE_ACCOUNT / "token")}


def _with_cluster_flags(cluster: Entry, options: ConnectionOptions) -> Entry:
    cluster = {key: value for key, value in cluster.items() if value}
    authorities = {"certificate-authority", "certificate-authority-data"}
    if options.server:
        cluster["server"] = options.server
        cluster.pop("tls-server-name", None)
    if options.insecure_skip_tls_verify or options.certificate_authority:
        for key in (*authorities, "insecure-skip-tls-verify"):
            cluster.pop(key, None)
    if options.insecure_skip_tls_verify:
        cluster["insecure-skip-tls-verify"] = True
    flags = {
        "certificate-authority": options.certificate_authority,
        "tls-server-name": options.tls_server_name,
        "proxy-url": options.proxy_url,
    }
    cluster |= {key: value for key, value in flags.items() if value}
    if not cluster.get("server"):
        raise ClusterError("the kubeconfig's cluster names no server")
    given = [
        key for key in ("certificate-authority", "certificate-authority-data") if key in cluster
    ]
    if len(given) > 1:
        raise ClusterError(f"kubeconfig: {' and '.join(given)} can't be used together")
    if given and cluster.get("insecure-skip-tls-verify"):
        raise ClusterError(
            "a certificate authority and insecure-skip-tls-verify can't be used together"
        )
    return cluster


def _address(server: str) -> tuple[str, tuple[str, str] | None]:
    """Where requests go to, and the name and password that the address may hold."""
    wrong = ClusterError("the server's address is not a URL", hint="https://HOST:PORT is one")
    try:
        parts = urlsplit(server)
        if not (parts.scheme and parts.netloc):  # HOST:PORT alone, as kubectl
            parts = urlsplit(f"http://{server}")
        host = parts.netloc.rpartition("@")[2]
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:
        raise wrong from None
    if not server.isprintable() or " " in server:
        raise wrong
    user = None
    if parts.username is not None:
        user = (unquote(parts.username), unquote(parts.password or ""))
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}", user


def _with_user_flags(user: Entry, options: ConnectionOptions) -> Entry:
    # An exec or auth-provider without content is one, which kubectl refuses.
    user = {key: value for key, value in user.items() if value or value == {}}
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
    if options.as_user_extra:
        user["as-user-extra"] = (user.get("as-user-extra") or {}) | _lists(options.as_user_extra)
    if token_file := user.pop("tokenFile", None):
        # What is in the file goes before any token, even the flag's.
        user["token"] = _file_token(token_file) or user.get("token", "")
        if not user["token"]:
            raise ClusterError(f"token file {token_file} can't be read, or is empty")
    _check_user(user)
    return user


def _file_token(file: str) -> str:
    """The token in a file; empty where there is none that could be read, as kubectl has it."""
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _check_user(user: Entry) -> None:
    """Raise ClusterError for what kubectl refuses too, whether or not it would be used."""
    if user.get("token") and (user.get("username") or user.get("password")):
        raise ClusterError("kubeconfig: the user has both a token and a name with a password")
    if user.get("client-certificate") or user.get("client-certificate-data"):
        for key in ("client-certificate", "client-key"):
            if key in user and f"{key}-data" in user:
                raise ClusterError(f"kubeconfig: {key} and {key}-data can't be used together")
        if not (user.get("client-key") or user.get("client-key-data")):
            raise ClusterError("kubeconfig: the user has a client-certificate and no client-key")
    if "exec" in user and "auth-provider" in user:
        raise ClusterError("kubeconfig: the user's exec and auth-provider can't be used together")
    if not user.get("as") and any(user.get(f"as-{key}") for key in ("uid", "groups", "user-extra")):
        raise ClusterError(
            "a uid, groups or extra fields to impersonate need a user to impersonate",
            hint="name the user with --as",
        )


def _lists(pairs: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found

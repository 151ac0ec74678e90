"""The way to one API server: proxy, TLS, and what each request says of its user.

The kubernetes package's own loader would import OAuth libraries, write client keys to files, and
go on without credentials where it does not know what the kubeconfig asks for.
"""

import os
import threading
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kubectl_pxauth.cluster.kubeconfig import Credentials, Entry, Target
from kubectl_pxauth.cluster.proxy import find_proxy
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.imports import compiling_later, register_without_init

if TYPE_CHECKING:
    import socket
    import ssl

    import urllib3

    from kubectl_pxauth.parallel import Background

_OIDC_LEEWAY = 10  # seconds, as client-go's plugin/pkg/client/auth/oidc

# Source: kubernetes/client-go, plugin/pkg/client/auth/azure and gcp.
_REMOVED_PROVIDERS = {
    "azure": "use the credential plugin kubelogin, https://github.com/Azure/kubelogin",
    "gcp": "use the credential plugin gke-gcloud-auth-plugin",
}


class Transport:
    """Pools of connections to one API server, and the headers of each request.

    route is where they go, in words for a person.
    """

    pools: "urllib3.PoolManager"
    route: str
    logins: int
    """How often the user's credentials have been asked for."""

    def __init__(self, target: Target) -> None:
        """Authenticate as the target's user, which may run a credential plugin.

        Raises ClusterError for what the kubeconfig has wrong; no connection is made.
        """
        # Before anything of them is imported.
        register_without_init(
            "kubernetes", "kubernetes.client", "kubernetes.utils", "urllib3.http2"
        )
        with compiling_later():
            import urllib3  # noqa: F401
        cluster = target.cluster
        self._target, self._authority = target, _content(cluster, "certificate-authority")
        self._secure = target.server.startswith("https://")
        proxy = find_proxy(target.server, cluster.get("proxy-url"), os.environ)
        self.route = (
            f"{target.server} (through the proxy {proxy.address})" if proxy else target.server
        )
        from kubectl_pxauth.cluster.pools import new_pools

        self.logins = 0
        self._lock = threading.Lock()
        self._log_in()
        tls = self._tls() if self._secure else None
        self.pools = new_pools(proxy, tls, cluster.get("tls-server-name"))

    def headers(self) -> "urllib3.HTTPHeaderDict":
        """What a request says of its user; runs a credential plugin again whose answer expired."""
        with self._lock:
            if time.time() >= self._credentials.expires:
                self._log_in_again()
            return self._headers.copy()

    def log_in_again(self, logins: int) -> bool:
        """Run the credential plugin again, where the server refused what so many logins gave.

        client-go does so too, for later requests. Returns whether there are other credentials now:
        not where no plugin gives them.
        """
        with self._lock:
            if not self._credentials.by_plugin:
                return False
            if self.logins == logins:  # else another thread was here before
                self._log_in_again()
            return True

    def _log_in(self) -> None:
        # kubectl sends credentials over TLS alone.
        self._credentials = (
            _credentials(self._target, self._authority) if self._secure else Credentials()
        )
        if self._secure and self._credentials == Credentials() and not self._target.address_user:
            # kubectl would ask for a name and a password: it never goes on as nobody. Source:
            # canIdentifyUser of kubernetes/client-go, tools/clientcmd/client_config.go.
            raise ClusterError(
                "kubeconfig: the user has no credentials",
                hint="kubectl config view --minify shows the user, and kubectl config"
                " set-credentials gives it some",
            )
        self._headers = _headers(self._target, self._credentials)
        self.logins += 1

    def _log_in_again(self) -> None:
        self._log_in()
        if self._credentials.certificate:
            # Another context is another pool: what is open shows the certificate that there was.
            self.pools.connection_pool_kw["ssl_context"] = self._tls()

    def _tls(self) -> "ssl.SSLContext":
        from kubectl_pxauth.cluster.tls import (
            new_context,
            show_certificate,
            trust,
            trust_everybody,
            trust_the_system,
        )

        context = new_context()
        if self._target.cluster.get("insecure-skip-tls-verify"):
            trust_everybody(context)
        elif self._authority:
            trust(context, self._authority)
        else:
            trust_the_system(context, os.environ)
        if self._credentials.certificate:
            show_certificate(context, self._credentials.certificate, self._credentials.key or b"")
        return context

    def connections_ahead(
        self, number: int, sockets: "Sequence[Background[socket.socket]]"
    ) -> list[Callable[[], None]]:
        """Functions that open a connection each, for requests that come later and find it open."""
        from kubectl_pxauth.cluster.pools import connections_ahead

        return connections_ahead(self._pool(), number, sockets)

    def socket(self) -> "socket.socket":
        """A connection of its own, for what is no HTTP once it has begun."""
        from kubectl_pxauth.cluster.pools import new_socket

        return new_socket(self._pool())

    def _pool(self) -> Any:
        return self.pools.connection_from_url(self._target.server)


def _content(entry: Entry, file: str) -> bytes | None:
    """The content of a file of the entry, which may have it as data; None where it has neither.

    Raises ClusterError that names the file.
    """
    data: bytes | None = entry.get(f"{file}-data")
    if data or not (path := entry.get(file)):
        return data
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ClusterError(f"kubeconfig: {file} {path}: {error.strerror}") from None


def _credentials(target: Target, authority: bytes | None) -> Credentials:
    """The user's, from wherever its entry has them: a plugin's answer, files, a login's token."""
    user = target.user
    password = (user.get("username") or "", user.get("password") or "")
    own = Credentials(
        token=user.get("token"),
        password=password if any(password) else None,
        certificate=_content(user, "client-certificate"),
        key=_content(user, "client-key"),
    )
    if "auth-provider" in user:
        login = _login(user["auth-provider"])
        return replace(own, token=own.token or login)
    if "exec" in user:
        from kubectl_pxauth.cluster.exec_credential import check_plugin, run_plugin

        check_plugin(user["exec"])
        if not (own.token or own.password or own.certificate):
            return run_plugin(user["exec"], target.cluster, authority, target.kuberc)
    return own


def _login(provider: Entry) -> str:
    """The token of a login that another program made, where it is still good.

    It is not renewed: that takes writing the kubeconfig, and kubectl does it as well.
    Source: kubernetes/client-go, plugin/pkg/client/auth.
    """
    name = provider.get("name") or ""
    if name != "oidc":
        hint = _REMOVED_PROVIDERS.get(str(name))
        gone = "has been removed from Kubernetes" if hint else "is not known"
        raise ClusterError(f'kubeconfig: the auth-provider "{name}" {gone}', hint=hint)
    token = str((provider.get("config") or {}).get("id-token") or "")
    if not token or _expiry(token) < time.time() + _OIDC_LEEWAY:
        raise ClusterError(
            "kubeconfig: the login of the user's auth-provider has expired",
            hint="any command of kubectl renews it: kubectl cluster-info",
        )
    return token


def _expiry(token: str) -> float:
    """When a JWT ends, in seconds since 1970; 0 where it does not say so."""
    import json

    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (ValueError, LookupError, TypeError):
        return 0


def _headers(target: Target, credentials: Credentials) -> "urllib3.HTTPHeaderDict":
    """What each request says of the user; raises ClusterError for what no header can hold."""
    from urllib3 import HTTPHeaderDict

    headers = HTTPHeaderDict()
    headers["User-Agent"] = "kubectl-pxauth"
    if password := target.address_user or credentials.password:
        basic = b64encode(":".join(password).encode()).decode()
        headers["Authorization"] = f"Basic {basic}"
    elif credentials.token:
        headers["Authorization"] = _header_value(f"Bearer {credentials.token}")
    for key, value in _impersonation(target.user):
        headers.add(key, _header_value(value))
    return headers


def _impersonation(user: Entry) -> Iterator[tuple[str, str]]:
    if not user.get("as"):
        return
    yield "Impersonate-User", user["as"]
    for group in user.get("as-groups") or []:
        yield "Impersonate-Group", group
    if user.get("as-uid"):
        yield "Impersonate-Uid", user["as-uid"]
    for key, values in (user.get("as-user-extra") or {}).items():
        for value in values or []:
            yield f"Impersonate-Extra-{quote(str(key), safe='')}", value


def _header_value(text: str) -> str:
    """The text as it is sent, in UTF-8, as Go sends it; the error does not show it."""
    if any(character < " " or character == "\x7f" for character in text.replace("\t", " ")):
        raise ClusterError(
            "kubeconfig: the token or the user to impersonate has characters that an HTTP header"
            " can't hold"
        )
    return text.encode(errors="surrogateescape").decode("latin-1")

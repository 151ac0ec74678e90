"""The way to one API server: proxy, TLS, and what each request says of its user.

The kubernetes package's own loader would import OAuth libraries, write client keys to files, and
go on without credentials where it does not know what the kubeconfig asks for.
"""

import math
import os
import threading
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kubectl_pxauth.cluster.kubeconfig import Entry, Target
from kubectl_pxauth.cluster.proxy import find_proxy
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.imports import register_without_init

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
        cluster = _with_bytes(target.cluster, "certificate-authority")
        self._target, self._cluster = target, cluster
        self._secure = target.server.startswith("https://")
        proxy = find_proxy(target.server, cluster.get("proxy-url"), os.environ)
        self.route = (
            f"{target.server} (through the proxy {proxy.address})" if proxy else target.server
        )
        from kubectl_pxauth.cluster.pools import new_pools

        self.logins = 0
        self._lock = threading.Lock()
        user = self._log_in()
        tls = _tls(cluster, user) if self._secure else None
        self.pools = new_pools(proxy, tls, cluster.get("tls-server-name"))

    def headers(self) -> "urllib3.HTTPHeaderDict":
        """What a request says of its user; runs a credential plugin again whose answer expired."""
        with self._lock:
            if time.time() >= self._expires:
                self._log_in_again()
            return self._headers.copy()

    def log_in_again(self, logins: int) -> bool:
        """Run the credential plugin again, where the server refused what so many logins gave.

        client-go does so too, for later requests. Returns whether there are other credentials now:
        not where no plugin gives them.
        """
        with self._lock:
            if not self._by_plugin:
                return False
            if self.logins == logins:  # else another thread was here before
                self._log_in_again()
            return True

    def _log_in(self) -> Entry:
        # kubectl sends credentials over TLS alone.
        user = _credentials(self._target, self._cluster) if self._secure else {}
        self._by_plugin = "expires" in user
        self._expires = user.get("expires", math.inf)
        self._headers = _headers(self._target, user)
        self.logins += 1
        return user

    def _log_in_again(self) -> None:
        user = self._log_in()
        if user.get("client-certificate"):
            # Another context is another pool: what is open shows the certificate that there was.
            self.pools.connection_pool_kw["ssl_context"] = _tls(self._cluster, user)

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


def _with_bytes(entry: Entry, *files: str) -> Entry:
    """The entry with the bytes of each of these files under its key, whichever way it has them.

    Raises ClusterError that names the file.
    """
    found = dict(entry)
    for key in files:
        if data := found.pop(f"{key}-data", None):
            found[key] = data
        elif path := found.get(key):
            try:
                found[key] = Path(path).read_bytes()
            except OSError as error:
                raise ClusterError(f"kubeconfig: {key} {path}: {error.strerror}") from None
    return found


def _credentials(target: Target, cluster: Entry) -> Entry:
    """The user's entry with all that it refers to: a plugin's answer, files, a login's token."""
    user = _with_bytes(target.user, "client-certificate", "client-key")
    if provider := user.get("auth-provider"):
        user.setdefault("token", _login(provider))
    elif "exec" in user:
        from kubectl_pxauth.cluster.exec_credential import check_plugin, run_plugin

        check_plugin(user["exec"])
        own = ("token", "username", "password", "client-certificate")
        if not any(user.get(key) for key in own):
            user |= run_plugin(user["exec"], cluster, target.kuberc)
    return user


def _login(provider: Entry) -> str:
    """The token of a login that another program made, where it is still good.

    It is not renewed: that takes writing the kubeconfig, and kubectl does it as well.
    Source: kubernetes/client-go, plugin/pkg/client/auth.
    """
    name = provider.get("name")
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


def _headers(target: Target, user: Entry) -> "urllib3.HTTPHeaderDict":
    """What each request says of the user; raises ClusterError for what no header can hold."""
    from urllib3 import HTTPHeaderDict

    headers = HTTPHeaderDict()
    headers["User-Agent"] = "kubectl-pxauth"
    name_and_password = target.address_user
    if not name_and_password and (user.get("username") or user.get("password")):
        name_and_password = (user.get("username") or "", user.get("password") or "")
    if name_and_password:
        basic = b64encode(":".join(name_and_password).encode()).decode()
        headers["Authorization"] = f"Basic {basic}"
    elif user.get("token"):
        headers["Authorization"] = _header_value(f"Bearer {user['token']}")
    for key, value in _impersonation(target.user):
        headers.add(key, _header_value(value))
    return headers


def _impersonation(user: Entry) -> Iterator[tuple[str, str]]:
    if not user.get("as"):
        return
    yield "Impersonate-User", user["as"]
    for group in user.get("as-groups") or []:
        yield "Impersonate-Group", str(group)
    if user.get("as-uid"):
        yield "Impersonate-Uid", user["as-uid"]
    for key, values in (user.get("as-user-extra") or {}).items():
        for value in values:
            yield f"Impersonate-Extra-{quote(key, safe='')}", str(value)


def _header_value(text: str) -> str:
    """The text as it is sent, in UTF-8, as Go sends it; the error does not show it."""
    if any(character < " " or character == "\x7f" for character in text.replace("\t", " ")):
        raise ClusterError(
            "kubeconfig: the token or the user to impersonate has characters that an HTTP header"
            " can't hold"
        )
    return text.encode(errors="surrogateescape").decode("latin-1")


def _tls(cluster: Entry, user: Entry) -> "ssl.SSLContext":
    from kubectl_pxauth.cluster.tls import (
        new_context,
        show_certificate,
        trust,
        trust_everybody,
        trust_the_system,
    )

    context = new_context()
    if cluster.get("insecure-skip-tls-verify"):
        trust_everybody(context)
    elif authority := cluster.get("certificate-authority"):
        trust(context, authority)
    else:
        trust_the_system(context, os.environ)
    if user.get("client-certificate"):
        show_certificate(context, user["client-certificate"], user["client-key"])
    return context

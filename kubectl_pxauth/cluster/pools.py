"""Connections to one API server, over which requests are sent: kept open, and bounded in time.

The kubernetes package's RESTClientObject makes such pools as well, of a Configuration that imports
multiprocessing, and has each connection load the certificates again.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from kubernetes.utils.keepalive import tcp_keepalive_socket_options
from urllib3 import PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError

from kubectl_pxauth.cluster.ahead import CONNECT_SECONDS
from kubectl_pxauth.cluster.proxy import Proxy
from kubectl_pxauth.parallel import Background

# Both are client-go's.
_HANDSHAKE_SECONDS = 10
_SOCKET_OPTIONS = tcp_keepalive_socket_options()

_MOST_CONNECTIONS = 256


class _Connection(HTTPSConnection):
    """A connection whose TLS handshake has a bound of its own."""

    begun: Background[socket.socket] | None = None
    """A socket that is being connected already."""

    @property
    def is_connected(self) -> bool:
        """Whether the server has not ended it.

        urllib3 takes whatever waits to be read for the end. On a connection that is new and was not
        used yet those are TLS 1.3's session tickets, and it would be opened a second time.
        """
        if super().is_connected or self.sock is None:
            return self.sock is not None
        before = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            self.sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        finally:
            self.sock.settimeout(before)
        return False  # what is no answer to anything, or the end

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self.timeout)

    def _new_conn(self) -> socket.socket:
        made = self._begun_socket() or super()._new_conn()
        made.settimeout(min(made.gettimeout() or _HANDSHAKE_SECONDS, _HANDSHAKE_SECONDS))
        return made

    def _begun_socket(self) -> socket.socket | None:
        begun, self.begun = self.begun, None
        if begun is None:
            return None
        try:
            made = begun.result()
            for option in self.socket_options or ():
                made.setsockopt(*option)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"no answer from {self.host}") from error
        except (OSError, UnicodeError):  # the usual way says what is wrong, if it still is
            return None
        return made


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


def new_pools(
    proxy: Proxy | None, tls: ssl.SSLContext | None, tls_server_name: str | None
) -> PoolManager:
    """Pools of connections, through the proxy if there is one; tls is None where there is none."""
    options: dict[str, Any] = {"maxsize": _MOST_CONNECTIONS, "socket_options": _SOCKET_OPTIONS}
    if tls:
        options |= {"ssl_context": tls, "cert_reqs": tls.verify_mode}
    if tls_server_name:
        options["server_hostname"] = tls_server_name
    if proxy and proxy.socks:
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy.address_with_user, **options)
    if proxy:
        user = make_headers(proxy_basic_auth=":".join(proxy.user)) if proxy.user else None
        pools: PoolManager = ProxyManager(
            proxy.address, proxy_headers=user, proxy_ssl_context=tls, **options
        )
    else:
        pools = PoolManager(**options)
    pools.pool_classes_by_scheme = {**pools.pool_classes_by_scheme, "https": _Pool}
    return pools


def connections_ahead(
    pool: Any, number: int, sockets: Sequence[Background[socket.socket]]
) -> list[Callable[[], None]]:
    """Functions that open a connection of the pool each, for requests that come later."""
    # All are taken before the first is open: the pool would give that one out again.
    connections = [pool._get_conn() for _ in range(number)]  # noqa: SLF001
    for connection, begun in zip(connections, sockets, strict=False):
        connection.begun = begun

    def opening(connection: Any) -> Callable[[], None]:
        return lambda: pool._put_conn(_opened(pool, connection))  # noqa: SLF001

    return [opening(connection) for connection in connections]


def new_socket(pool: Any) -> socket.socket:
    """A connection that no request of the pool's uses."""
    found: socket.socket = _opened(pool, pool._new_conn()).sock  # noqa: SLF001
    return found


def _opened(pool: Any, connection: Any) -> Any:
    """The pool's connection, open before there is a request."""
    connection.timeout = CONNECT_SECONDS
    if pool.proxy and pool.scheme == "https":
        pool._prepare_proxy(connection)  # noqa: SLF001 - connects through it
    else:
        connection.connect()
    return connection

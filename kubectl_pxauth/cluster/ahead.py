"""TCP connections that are begun before the modules that speak TLS and HTTP are imported.

Importing those takes about as long as a server 40 ms away takes to answer.
"""

import os
import socket
from functools import partial
from urllib.parse import urlsplit

from kubectl_pxauth.cluster.kubeconfig import Target
from kubectl_pxauth.cluster.proxy import find_proxy
from kubectl_pxauth.parallel import Background

CONNECT_SECONDS = 30  # as client-go
_HTTPS = 443


def begin(target: Target, number: int) -> list[Background[socket.socket]]:
    """So many sockets that are being connected to the server; none without TLS or with a proxy.

    Raises ClusterError for a proxy that kubectl refuses, ValueError for what is no address.
    """
    proxy = find_proxy(target.server, target.cluster.get("proxy-url"), os.environ)
    if proxy or not target.server.startswith("https://"):
        return []
    server = urlsplit(target.server)
    address = (server.hostname or "", server.port or _HTTPS)
    connect = partial(socket.create_connection, address, CONNECT_SECONDS)
    return [Background(connect) for _ in range(number)]

"""A proxy for tests, over HTTP, HTTPS or SOCKS 5, that resolves every name to this host."""

import contextlib
import select
import socket
import ssl
import threading
from base64 import b64decode
from pathlib import Path
from typing import Self

_LOOPBACK = "127.0.0.1"
_CANNED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class ProxyServer:
    """A proxy on a port of its own; asked lists the HOST:PORT that it was asked for."""

    def __init__(
        self, *, socks: bool = False, user: str = "", certificate: tuple[Path, Path] | None = None
    ) -> None:
        """Take NAME:PASSWORD to insist on, if any, and the certificate of an HTTPS proxy."""
        self._socks, self._user = socks, user
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self.asked: list[str] = []
        self._listener = socket.create_server((_LOOPBACK, 0))
        self.host_and_port = f"{_LOOPBACK}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client:
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            with client:
                target = self._by_socks(client) if self._socks else self._by_http(client)
                if target:
                    with socket.create_connection((_LOOPBACK, target)) as server:
                        _carry(client, server)

    def _by_http(self, client: socket.socket) -> int | None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1) or _ended()
        method, address, *_ = head.decode().split(" ")
        lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
        fields = {name.lower(): value for name, _, value in lines}
        kind, _, user = fields.get("proxy-authorization", "").partition(" ")
        if self._user and (kind, b64decode(user).decode()) != ("Basic", self._user):
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        self.asked.append(address)
        if method != "CONNECT":
            client.sendall(_CANNED)
            return None
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return int(address.rpartition(":")[2])

    def _by_socks(self, client: socket.socket) -> int:
        """Source: RFC 1928, and RFC 1929 for the name and password."""
        _, methods = _take(client, 2)
        _take(client, methods)
        client.sendall(b"\x05\x02" if self._user else b"\x05\x00")
        if self._user:
            _, length = _take(client, 2)
            name = _take(client, length)
            password = _take(client, _take(client, 1)[0])
            right = f"{name.decode()}:{password.decode()}" == self._user
            client.sendall(b"\x01\x00" if right else b"\x01\x01")
        _, _, _, kind = _take(client, 4)
        if kind == 3:
            host = _take(client, _take(client, 1)[0]).decode()
        else:
            family, length = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _take(client, length))
        port = int.from_bytes(_take(client, 2), "big")
        self.asked.append(f"{host}:{port}")
        client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        return port


def _take(client: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += client.recv(length - len(data)) or _ended()
    return data


def _ended() -> bytes:
    raise ConnectionError


def _carry(client: socket.socket, server: socket.socket) -> None:
    ends = {client: server, server: client}
    while True:
        waiting = isinstance(client, ssl.SSLSocket) and client.pending()
        ready = [client] if waiting else select.select(list(ends), [], [])[0]
        for end in ready:
            data = end.recv(65536)
            if not data:
                return
            ends[end].sendall(data)

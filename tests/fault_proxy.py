"""A proxy between the plugin and the API server that spoils chosen requests.

TLS ends here and begins again towards the real server, so that what is not spoilt is real:

    with FaultProxy(plane) as proxy:
        proxy.spoil(Reset(done=True), method="PATCH", path=r"/secrets/px-k8s-user")
        shell = proxy.shell(shell)  # the same namespace, through the proxy

spoils the first PATCH of that Secret: the server does it, and the client never hears of it. `first`
and `times` choose other requests than the first. Whoever connects to the proxy is the user that the
proxy is made for: client certificates end where TLS ends.
"""

import contextlib
import gzip
import http.client
import json
import os
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

from controlplane.run import ControlPlane
from tests.conftest import Shell

_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive"}
_UNTIL_ENDED = 10**9  # seconds
_PATIENCE = 20  # seconds


@dataclass(frozen=True)
class Reply:
    """What a server answers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Answer:
    """Another answer in the place of the server's; done, where the server did the request."""

    reply: Reply
    done: bool = False

    def meet(self, exchange: "Exchange") -> None:
        if self.done:
            exchange.ask()
        exchange.answer(self.reply)


@dataclass(frozen=True)
class Alter:
    """The server's own answer, altered."""

    alter: Callable[[Reply], Reply]

    def meet(self, exchange: "Exchange") -> None:
        exchange.answer(self.alter(exchange.ask()))


@dataclass(frozen=True)
class First:
    """Something that somebody else does just before the server gets the request."""

    act: Callable[[], object]

    def meet(self, exchange: "Exchange") -> None:
        self.act()
        exchange.answer(exchange.ask())


@dataclass(frozen=True)
class Reset:
    """A connection that is reset, or ended, in the place of an answer."""

    done: bool = False
    end: bool = False

    def meet(self, exchange: "Exchange") -> None:
        if self.done:
            exchange.ask()
        exchange.leave(reset=not self.end)


@dataclass(frozen=True)
class Cut:
    """An answer that is broken off in the middle of its body."""

    end: bool = False

    def meet(self, exchange: "Exchange") -> None:
        reply = exchange.ask()
        exchange.answer(reply, only=len(reply.body) // 2)
        exchange.leave(reset=not self.end)


@dataclass(frozen=True)
class CloseAfter:
    """A whole answer, and then a connection that is closed without a word."""

    def meet(self, exchange: "Exchange") -> None:
        exchange.answer(exchange.ask())
        exchange.leave(reset=False)


@dataclass(frozen=True)
class Trickle:
    """An answer whose body comes byte by byte."""

    seconds: float = 1

    def meet(self, exchange: "Exchange") -> None:
        reply = exchange.ask()
        exchange.answer(reply, only=0)
        for byte in reply.body:
            exchange.wait(self.seconds)
            exchange.send(bytes([byte]))


@dataclass(frozen=True)
class Stall:
    """No answer, for ever or for so many seconds."""

    done: bool = False
    seconds: float = _UNTIL_ENDED

    def meet(self, exchange: "Exchange") -> None:
        reply = exchange.ask() if self.done else None
        exchange.wait(self.seconds)
        exchange.answer(reply or exchange.ask())


@dataclass(frozen=True)
class Gate:
    """No answer before so many requests wait for one, side by side; then all go on."""

    width: int
    waiting: list[str] = field(default_factory=list)
    """The paths of those that wait, or have waited."""
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def meet(self, exchange: "Exchange") -> None:
        with self._changed:
            self.waiting.append(exchange.path.partition("?")[0])
            self._changed.notify_all()
            # One that waits for too long stands alone: it lets all go, and the test sees it.
            if not self._changed.wait_for(self._is_open, _PATIENCE):
                self.waiting.clear()
                self.waiting.extend(["nobody came"] * self.width)
                self._changed.notify_all()
        exchange.answer(exchange.ask())

    def _is_open(self) -> bool:
        return len(self.waiting) >= self.width


@dataclass(frozen=True)
class Hold:
    """A request that is held back until it is let go; came is set when it has come."""

    came: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def meet(self, exchange: "Exchange") -> None:
        self.came.set()
        while not self.go.is_set():
            exchange.wait(0.01)
        exchange.answer(exchange.ask())


Fault = Answer | Alter | First | Reset | Cut | CloseAfter | Trickle | Stall | Gate | Hold


@dataclass(frozen=True)
class BadConnection:
    """What meets a client that connects, before TLS: reset, stall, or bytes that are no TLS."""

    kind: str
    first: int = 1
    times: int = 1


@dataclass(frozen=True)
class Seen:
    """A request that came to the proxy."""

    method: str
    path: str
    connection: int


@dataclass
class _Rule:
    fault: Fault
    method: str
    path: str
    first: int
    times: int | None
    matches: int = 0

    def takes(self, method: str, path: str) -> bool:
        """Whether this request is to be spoilt; counts those that it could be."""
        if not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        self.matches += 1
        return self.matches >= self.first and (
            self.times is None or self.matches < self.first + self.times
        )


class FaultProxy:
    """Takes requests while its `with` block lasts."""

    def __init__(
        self,
        plane: ControlPlane,
        user: str = "admin",
        groups: tuple[str, ...] = ("system:masters",),
    ) -> None:
        """Take the control plane, and the user that each client of the proxy is to be."""
        self.plane = plane
        self.requests: list[Seen] = []
        """Each request, in the order of their coming."""
        self.connections = 0
        """How many connections there have been."""
        self.met: list[Fault] = []
        """The faults that requests have met so far."""
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._bad_connections: list[BadConnection] = []
        self.to_server = ssl.create_default_context(cafile=str(plane.ca_file))
        self.to_server.load_cert_chain(*plane.client_cert(user, groups))
        self.to_client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.to_client.load_cert_chain(*plane.server_cert())
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.proxy = self
        self.address = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def spoil(
        self,
        fault: Fault,
        *,
        method: str = ".*",
        path: str = "",
        first: int = 1,
        times: int | None = 1,
    ) -> None:
        """Let requests meet the fault: times of them, the first-th and those after; None is all.

        method is a regular expression for the whole of it, path for a part of path and query. A
        request that meets one fault is not counted for those that were asked for later.
        """
        self._rules.append(_Rule(fault, method, path, first, times))

    def spoil_connections(self, bad: BadConnection) -> None:
        """Let connections meet what meets them before TLS."""
        self._bad_connections.append(bad)

    def forget(self) -> None:
        """Let everything through from now on, and forget what came."""
        with self._lock:
            self._rules.clear()
            self._bad_connections.clear()
            self.requests.clear()
            self.met.clear()
            self.connections = 0

    def shell(self, shell: Shell) -> Shell:
        """The shell, with a kubeconfig that leads through the proxy."""
        kubeconfig = self.plane.kubeconfig(
            namespace=shell.namespace, server=self.address, path=shell.home / "proxy.kubeconfig"
        )
        return shell.with_environment(KUBECONFIG=str(kubeconfig))

    def took_connection(self) -> tuple[int, str | None]:
        """The number of a new connection, and what is to meet it."""
        with self._lock:
            self.connections += 1
            for bad in self._bad_connections:
                if bad.first <= self.connections < bad.first + bad.times:
                    return self.connections, bad.kind
            return self.connections, None

    def took_request(self, seen: Seen) -> Fault | None:
        """Note a request; returns what is to meet it."""
        with self._lock:
            self.requests.append(seen)
            for rule in self._rules:
                if rule.takes(seen.method, seen.path):
                    self.met.append(rule.fault)
                    return rule.fault
            return None


class _LeftError(Exception):
    """The connection is over."""


class Exchange(BaseHTTPRequestHandler):
    """One connection, request by request: what a fault can do to it."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        self.proxy = self.server.proxy
        self.number, bad = self.proxy.took_connection()
        self.connection = self.request
        self._upstream: http.client.HTTPSConnection | None = None
        if bad == "reset":
            self.leave(reset=True)
        if bad == "stall":
            self.proxy.over.wait()
        if bad == "garbage":
            self.request.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            self.leave(reset=False)
        self.request = self.proxy.to_client.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.request.close()
        if self._upstream:
            self._upstream.close()

    def handle_any(self) -> None:
        """Read a request whole, and let it meet its fault or the server."""
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(self.command, unquote(self.path), self.number)
        fault = self.proxy.took_request(seen)
        if fault:
            fault.meet(self)
        elif self.headers.get("Upgrade"):
            self._tunnel()
        else:
            self.answer(self.ask())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def ask(self) -> Reply:
        """Let the server do the request; returns its answer."""
        host = self.proxy.plane.server.removeprefix("https://")
        if self._upstream is None:
            self._upstream = http.client.HTTPSConnection(host, context=self.proxy.to_server)
        headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
        self._upstream.request(self.command, self.path, self._body, headers)
        answer = self._upstream.getresponse()
        kept = [item for item in answer.getheaders() if item[0].lower() not in _HOP_BY_HOP]
        return Reply(answer.status, answer.read(), tuple(kept))

    def answer(self, reply: Reply, *, only: int | None = None) -> None:
        """Send an answer; only so many bytes of its body, if given."""
        self.send_response_only(reply.status)
        for key, value in reply.headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.send(reply.body[:only])

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.wfile.write(data)

    def leave(self, *, reset: bool) -> None:
        """End the connection, or reset it."""
        if reset:
            now = struct.pack("ii", 1, 0)
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        os.close(self.request.detach())
        raise _LeftError

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than the proxy is there."""
        if self.proxy.over.wait(seconds):
            raise _LeftError

    def _tunnel(self) -> None:
        """Hand a connection that becomes another protocol's to the server, and bytes both ways."""
        host, port = self.proxy.plane.server.removeprefix("https://").split(":")
        raw = socket.create_connection((host, int(port)))
        with self.proxy.to_server.wrap_socket(raw, server_hostname=host) as upstream:
            upstream.sendall(f"{self.requestline}\r\n".encode() + bytes(self.headers) + self._body)
            back = threading.Thread(target=_copy, args=(upstream, self.request), daemon=True)
            back.start()
            _copy(self.request, upstream)
            back.join()
        raise _LeftError

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    proxy: FaultProxy
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        """A client that leaves, or that was left, is what the proxy is for."""


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def status(code: int, reason: str, message: str, **more: Any) -> bytes:
    """A Status object, as the API server answers with one."""
    kind = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return json.dumps(kind | {"code": code, "reason": reason, "message": message} | more).encode()


def refusal(code: int, *, html: bool = False, **headers: str) -> Answer:
    """A refusal in a Status, or in HTML as a load balancer has it; Retry_After="1" is a header."""
    kind = "text/html" if html else "application/json"
    page = f"<html><body><h1>{code} from the balancer</h1></body></html>".encode()
    body = page if html else status(code, "Spoilt", f"spoilt with {code}")
    named = [(key.replace("_", "-"), value) for key, value in headers.items()]
    return Answer(Reply(code, body, (("Content-Type", kind), *named)))


def instead(body: object, *, done: bool = False, kind: str = "application/json") -> Answer:
    """A 200 with another body in the server's answer's place: bytes, or an object as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(Reply(200, data, (("Content-Type", kind),)), done)


def zipped(body: bytes) -> Answer:
    """A 200 with that body, packed by gzip."""
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    return Answer(Reply(200, gzip.compress(body, 1), headers))

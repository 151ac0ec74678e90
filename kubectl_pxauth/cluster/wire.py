"""One request and its answer: how long it may take, and when it is sent again.

The rules are client-go's where it has one (kubernetes/client-go: rest/request.go,
rest/with_retry.go, transport/cache.go).
"""

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from http.client import IncompleteRead
from urllib.parse import urljoin, urlsplit

from urllib3 import BaseHTTPResponse, HTTPHeaderDict, PoolManager, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from kubectl_pxauth.cluster.ahead import CONNECT_SECONDS
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background

_ATTEMPTS = 11  # client-go sends a request again ten times
_SECONDS_BETWEEN = 1  # client-go's, where a connection was lost
_PATIENT_SECONDS = 5  # what is waited for longer is told
_PIECE = 1 << 16
_REDIRECT, _REFUSED, _BUSY, _BROKEN = 300, 400, 429, 500

# A cache of the API server that stays out of order asks for this many seconds when it has been
# so for a minute: one object that can't be decrypted is enough, and no waiting helps. Source:
# kubernetes/kubernetes, pkg/storage/cacher of apiserver, ready.go and util.go.
_OUT_OF_ORDER = b"storage is (re)initializing"
_OUT_OF_ORDER_SECONDS = 30


class TooLargeError(ClusterError):
    """An answer is larger than it may be."""


@dataclass(frozen=True)
class Request:
    """What is to be sent; repeatable where it writes nothing, so that it can be sent again."""

    method: str
    url: str
    headers: HTTPHeaderDict = field(repr=False)
    body: bytes | None = field(repr=False)
    repeatable: bool
    most_bytes: int


@dataclass(frozen=True)
class Answer:
    """What came back; warnings are those that the server says beside its answer."""

    status: int
    body: bytes = field(repr=False)
    retry_after: int | None
    location: str | None
    warnings: tuple[str, ...] = ()

    @property
    def out_of_order(self) -> bool:
        """Whether the server's cache of that resource is, and will stay so."""
        return self.status == _BUSY and _OUT_OF_ORDER in self.body

    @property
    def put_off(self) -> bool:
        """Whether the server has not begun with the request."""
        return self.status == _BUSY

    @property
    def wait(self) -> int | None:
        """After how many seconds the server wants to be asked again, if it does."""
        if self.status != _BUSY and self.status < _BROKEN:
            return None
        if self.out_of_order and (self.retry_after or 0) >= _OUT_OF_ORDER_SECONDS:
            return None
        return self.retry_after


class Wire:
    """Sends requests to one server, over the connections of a pool."""

    def __init__(
        self, pools: PoolManager, timeout: float | None, tell: Callable[[str], None] | None
    ) -> None:
        """Take seconds for a whole request, if bounded; tell is told what is waited for long."""
        self._pools = pools
        self._timeout = timeout
        self._waits = _Waits(tell) if tell else None

    def send(self, request: Request) -> Answer:
        """The answer to a request, which is sent again where that may be.

        What writes nothing is sent again as client-go does with a GET: where a connection was
        lost, also in the middle of an answer, and where the server says when to come again. A
        write is sent again only where the server has put it off (429). Raises urllib3's errors,
        OSErrors, and TimeoutError where the whole takes too long.
        """
        deadline = time.monotonic() + self._timeout if self._timeout else None
        what = f"{request.method} {urlsplit(request.url).path}"
        with self._waiting(f"no answer yet to {what}") as wait:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    answer = self._attempt(request, deadline)
                except (HTTPError, OSError) as error:
                    # What was closed while nobody used it is opened again at once.
                    seconds = 0 if attempt == 1 else _SECONDS_BETWEEN
                    again = is_lost(error) or (attempt == 1 and _is_no_tls(error))
                    may = request.repeatable and attempt < _ATTEMPTS and again
                    if not may or _is_over(deadline, seconds):
                        raise
                    told = f"the connection is lost again and again: {what}"
                else:
                    if request.repeatable and (there := _elsewhere(request, answer)):
                        request = replace(request, url=there)
                        seconds = 0
                    elif answer.wait is None or not (request.repeatable or answer.put_off):
                        return answer
                    else:
                        seconds = answer.wait
                    if attempt == _ATTEMPTS or _is_over(deadline, seconds):
                        return answer
                    told = f"{answer.status} from the server, asked again in {seconds} s: {what}"
                if seconds > 0:
                    before, wait.what = wait.what, told
                    time.sleep(seconds)
                    wait.what = before
        raise AssertionError  # the last attempt returns or raises

    def pause(self, seconds: float, why: str) -> None:
        """Wait, and tell why if it is long."""
        with self._waiting(why):
            time.sleep(max(0, seconds))

    @contextmanager
    def _waiting(self, what: str) -> Iterator["_Wait"]:
        wait = _Wait(what)
        if self._waits is None:
            yield wait
            return
        self._waits.begin(wait)
        try:
            yield wait
        finally:
            self._waits.end(wait)

    def _attempt(self, request: Request, deadline: float | None) -> Answer:
        if deadline is None:
            return self._exchange(request, Timeout(connect=CONNECT_SECONDS, read=None))
        # urllib3's timeouts start again with each byte.
        left = max(0.001, deadline - time.monotonic())
        timeout = Timeout(connect=min(left, CONNECT_SECONDS), read=left)
        return Background(lambda: self._exchange(request, timeout)).result(left)

    def _exchange(self, request: Request, timeout: Timeout) -> Answer:
        response = self._pools.urlopen(
            request.method,
            request.url,
            redirect=False,
            retries=False,
            headers=request.headers,
            body=request.body,
            timeout=timeout,
            preload_content=False,
        )
        return Answer(
            response.status,
            _read(response, request.most_bytes),
            seconds_of(response.headers.get("Retry-After", "")),
            response.headers.get("Location"),
            tuple(_warnings(response.headers.getlist("Warning"))),
        )


def _warnings(headers: Iterable[str]) -> Iterator[str]:
    """The texts of warnings that are meant for a person.

    Source: kubernetes/apimachinery, pkg/util/net/http.go, ParseWarningHeaders.
    """
    for header in headers:
        for text in re.findall(r'\b299 \S+ "((?:[^"\\]|\\.)*)"', header):
            yield re.sub(r"\\(.)", r"\1", text)


def is_lost(error: Exception) -> bool:
    """Whether the connection was reset or ended, before the answer or in it."""
    return any(
        isinstance(
            cause,
            ConnectionResetError
            | ConnectionAbortedError
            | BrokenPipeError
            | IncompleteRead
            | ssl.SSLEOFError,
        )
        for cause in _causes(error)
    )


def _is_no_tls(error: Exception) -> bool:
    """Whether a handshake failed, but not over the server's certificate: it may have been noise."""
    return any(
        isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError)
        for cause in _causes(error)
    )


def was_not_sent(error: Exception) -> bool:
    """Whether there was no connection that a request could have been sent over."""
    return isinstance(error, NewConnectionError | ConnectTimeoutError) or any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    # urllib3 has the cause among the arguments.
    for cause in (*error.args, error.__cause__):
        if isinstance(cause, BaseException) and cause is not error:
            yield from _causes(cause)


def _elsewhere(request: Request, answer: Answer) -> str | None:
    """Where the server redirects to, if that is the same server."""
    if not _REDIRECT <= answer.status < _REFUSED or not answer.location:
        return None
    there = urljoin(request.url, answer.location)
    return there if urlsplit(there)[:2] == urlsplit(request.url)[:2] else None


def _is_over(deadline: float | None, seconds: float) -> bool:
    """Whether a wait would outlive the request."""
    return deadline is not None and time.monotonic() + seconds >= deadline


def seconds_of(retry_after: str) -> int | None:
    """How long to wait; None for a date, which client-go does not heed either."""
    try:
        return int(retry_after)
    except ValueError:
        return None


def _read(response: BaseHTTPResponse, most_bytes: int) -> bytes:
    body = bytearray()
    for piece in response.stream(_PIECE):
        body += piece
        if len(body) > most_bytes:
            response.close()
            raise TooLargeError(f"the server's answer has more than {most_bytes >> 20} MiB")
    return bytes(body)


class _Wait:
    """Something that is waited for; it may become another."""

    def __init__(self, what: str) -> None:
        self.since = time.monotonic()
        self.what = what
        self.told = False


class _Waits:
    """Tells what is waited for longer than a person likes; once for all that wait together."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._all: set[_Wait] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, wait: _Wait) -> None:
        with self._lock:
            self._all.add(wait)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                with suppress(RuntimeError):  # the system gives no more: then nothing is told
                    self._thread.start()

    def end(self, wait: _Wait) -> None:
        with self._lock:
            self._all.discard(wait)

    def _watch(self) -> None:
        while True:
            time.sleep(1)
            late = time.monotonic() - _PATIENT_SECONDS
            with self._lock:
                new = [wait for wait in self._all if wait.since < late and not wait.told]
            for wait in new:
                wait.told = True
            if new:
                others = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
                self._tell(f"still waiting: {new[0].what}{others}")

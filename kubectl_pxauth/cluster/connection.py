"""Requests to one API server, over the kubernetes package's authentication and transport."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from kubectl_pxauth.cluster.answers import misfit
from kubectl_pxauth.cluster.kubeconfig import Target
from kubectl_pxauth.errors import (
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NoAnswerError,
    NotFoundError,
    OutOfOrderError,
    UnansweredError,
)
from kubectl_pxauth.parallel import Background

if TYPE_CHECKING:
    from socket import socket

    from websocket import WebSocket

    from kubectl_pxauth.cluster.wire import Answer

_PAGE = 250
_MOST_BYTES = 16 << 20  # of an answer; what holds more is asked for in smaller pages
_MOST_EXPIRED = 10  # continue tokens in sequence that the server has forgotten
_JSON = "application/json"
_METADATA = f"{_JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MERGE_PATCH = "application/merge-patch+json"

WHOLE = _JSON
METADATA = f"{_JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""What a write may be answered with: the object, or its metadata alone."""

_REDIRECT, _REFUSED, _UNAUTHORIZED, _BROKEN = 300, 400, 401, 500  # HTTP's own bounds

_UNKNOWN_AUTHORITY = (
    "issuer certificate|self.signed certificate|signature failure"  # OpenSSL's words
)

Log = Callable[[str], None]


class Cluster:
    """An open door to one API server; each method is one round trip."""

    def __init__(
        self,
        target: Target,
        timeout: timedelta | None = None,
        log: Log | None = None,
        tell: Log | None = None,
        warn: Log | None = None,
    ) -> None:
        """Authenticate as the target's user.

        timeout is for each request, with all that comes of it. log, if given, gets a line for each
        request, tell one where something is waited for long, and warn each warning of the server's
        about what is written, once.
        """
        self._target = target
        from kubectl_pxauth.cluster.transport import Transport

        self._transport = Transport(target)
        self.request_timeout = timeout
        # Imports of the kubernetes package, which Transport has made cheap.
        from kubectl_pxauth.cluster.wire import Wire

        seconds = timeout.total_seconds() if timeout else None
        self._wire = Wire(self._transport.pools, seconds, tell)
        self._log, self._warn = log, warn
        self._warned: set[str] = set()
        self.written: list[str] = []
        """The objects that were written, in their order."""
        self._ahead: list[Background[None]] = []

    def connect_ahead(self, number: int, sockets: "Sequence[Background[socket]]" = ()) -> None:
        """Start to open connections, for requests that come later and will find them open.

        sockets are being connected to the server already, one for each. A connection that is lost
        on the way is of no account: such a request opens one of its own.
        """
        if self.server.startswith("https://"):
            opening = self._transport.connections_ahead(number, sockets)
            self._ahead = [Background(open_one) for open_one in opening]

    @property
    def server(self) -> str:
        """The server's URL, as the kubeconfig or the flag has it, but for a password in it."""
        return self._target.server

    def get(self, *path: str, **query: str) -> dict[str, Any]:
        """Read an object or a list; raises NotFoundError and the other ClusterErrors."""
        return self._request("GET", path, query)

    def items(self, *path: str, **query: str) -> Iterator[dict[str, Any]]:
        """The items of a list, read page by page, so that no list fills the memory."""
        return self._items(path, query, _JSON)

    def metadata(self, *path: str, **query: str) -> Iterator[dict[str, Any]]:
        """The metadata of what is in a list; the server sends nothing else."""
        for item in self._items(path, query, _METADATA):
            yield item["metadata"]

    def names(self, *path: str, **query: str) -> Iterator[str]:
        """The names in a list."""
        return (metadata["name"] for metadata in self.metadata(*path, **query))

    def _items(
        self, path: tuple[str, ...], query: dict[str, str], accept: str
    ) -> Iterator[dict[str, Any]]:
        from kubectl_pxauth.cluster.wire import TooLargeError

        limit, rest, expired = _PAGE, query, 0
        while True:
            try:
                page = self._request("GET", path, rest | {"limit": str(limit)}, accept=accept)
            except TooLargeError:
                if limit == 1:
                    raise
                limit = max(1, limit // 8)
                continue
            except ExpiredError as error:
                # The server has forgotten that moment, and goes on with what is there now.
                expired += 1
                if expired == _MOST_EXPIRED:
                    raise
                rest = query | {"continue": error.continue_token}
                continue
            limit, expired = min(_PAGE, limit * 2), 0
            token = page["metadata"].get("continue")
            items = (page.pop("items", None) or [])[::-1]
            while items:
                yield items.pop()  # nothing of a page is kept while the next one is read
            if not token:
                return
            rest = query | {"continue": token}

    def post(self, *path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Create an object; raises ConflictError where it exists."""
        return self._request("POST", path, query, body, _JSON)

    def review(self, *path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Let the server answer a question that has to be posted; nothing is written."""
        return self._request("POST", path, {}, body, _JSON, writes=False)

    def merge_patch(
        self, *path: str, body: dict[str, Any], answer: str = WHOLE, **query: str
    ) -> dict[str, Any]:
        """Change what the body names; raises ConflictError where its resourceVersion is old.

        With METADATA for an answer the server sends nothing else of the object.
        """
        return self._request("PATCH", path, query, body, _MERGE_PATCH, accept=answer)

    def apply(self, *path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Make the object or change it, by server-side apply.

        Raises ConflictError where another field manager holds one of the fields otherwise.
        """
        # JSON is YAML.
        return self._request("PATCH", path, query, body, "application/apply-patch+yaml")

    def delete(self, *path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Delete an object; raises ConflictError where the body's preconditions do not hold."""
        return self._request("DELETE", path, {}, body, _JSON)

    def pause(self, seconds: float, why: str) -> None:
        """Wait, and say why if it is long."""
        self._wire.pause(seconds, why)

    def open_stream(
        self,
        *path: str,
        query: Sequence[tuple[str, str]],
        protocols: Sequence[str],
        timeout: timedelta,
    ) -> "WebSocket":
        """Open a WebSocket, as a pod's exec wants it; again where the server puts it off (429).

        Raises NoAnswerError where the server is reached and the way on from it is not open in time,
        NotFoundError and other ClusterErrors.
        """
        import urllib3
        import websocket

        from kubectl_pxauth.cluster.stream import BoundedWebSocket
        from kubectl_pxauth.cluster.wire import Answer, seconds_of

        url = self._url(path, query)
        stream = BoundedWebSocket(_MOST_BYTES)
        headers = self._transport.headers()
        started = time.monotonic()
        reached = False
        try:
            socket = self._transport.socket()
            reached = True
            stream.connect(  # type: ignore[no-untyped-call]
                "ws" + url.removeprefix("http"),
                header=[f"{key}: {value}" for key, value in headers.items()],
                subprotocols=list(protocols),
                suppress_origin=True,
                redirect_limit=0,
                timeout=timeout.total_seconds(),
                socket=socket,
            )
            status = 101
        except websocket.WebSocketBadStatusException as error:
            status = error.status_code
            retry_after = seconds_of((error.resp_headers or {}).get("retry-after", ""))
            wait = max(1, retry_after or 0)
            left = timeout.total_seconds() - (time.monotonic() - started) - wait
            answer = Answer(status, error.resp_body or b"", retry_after, None)
            if not answer.put_off or retry_after is None or left <= 0:
                said = _json_object(answer.body) or {}
                raise _refusal(self._target, answer, said) from None
        except (websocket.WebSocketException, urllib3.exceptions.HTTPError, OSError) as error:
            status = 0
            if reached and isinstance(error, (websocket.WebSocketTimeoutException, TimeoutError)):
                raise NoAnswerError(f"no answer in {timeout.total_seconds():g} s") from None
            asked = f"GET {urlsplit(url).path}"
            raise _unreachable(self._transport.route, asked, error, None) from None
        else:
            return stream
        finally:
            self._log_request("GET", url, status, started)
        self.pause(wait, f"{status} from the server, asked again in {wait} s: {urlsplit(url).path}")
        return self.open_stream(
            *path, query=query, protocols=protocols, timeout=timedelta(seconds=left)
        )

    def _url(self, path: Sequence[str], query: Sequence[tuple[str, str]]) -> str:
        url = self.server + "".join(f"/{quote(part, safe='')}" for part in path)
        return f"{url}?{urlencode(query)}" if query else url

    def _log_request(self, method: str, url: str, status: int, started: float) -> None:
        if self._log:
            milliseconds = (time.monotonic() - started) * 1000
            self._log(f"{method} {url} {status} in {milliseconds:.0f} milliseconds")

    def _request(
        self,
        method: str,
        path: tuple[str, ...],
        query: dict[str, str],
        body: dict[str, Any] | None = None,
        content_type: str | None = None,
        *,
        accept: str = _JSON,
        writes: bool | None = None,
    ) -> dict[str, Any]:
        """One request; a write whose answer is lost, or is none, raises an UnansweredError."""
        if writes is None:
            writes = method != "GET" and "dryRun" not in query and not (body or {}).get("dryRun")
        url = self._url(path, list(query.items()))
        own = {"Accept": accept} | ({"Content-Type": content_type} if content_type else {})
        started, logins = time.monotonic(), self._transport.logins
        answer = self._send(method, url, own, body, writes=writes)
        if answer.status == _UNAUTHORIZED and self._transport.log_in_again(logins):
            answer = self._send(method, url, own, body, writes=writes)
        status = answer.status
        self._log_request(method, url, status, started)
        for text in () if method == "GET" else answer.warnings:
            if self._warn and text not in self._warned:
                self._warned.add(text)
                self._warn(text)
        said = _json_object(answer.body)
        if status >= _REDIRECT or said is None:
            refused = _refusal(self._target, answer, said or {}, query.get("labelSelector"))
            if writes and (status >= _BROKEN or status < _REDIRECT):
                raise UnansweredError(str(refused), answer.wait)
            raise refused
        if problem := misfit(said, method, path):
            words = (
                f"the server {self.server} answered {method} {urlsplit(url).path} with {problem}"
            )
            raise UnansweredError(words) if writes else ClusterError(words)
        return said

    def _await_connection(self) -> None:
        """Wait for a connection that was begun ahead; raises what every other would raise."""
        import urllib3

        try:
            connection = self._ahead.pop()
        except IndexError:  # each is waited for once
            return
        try:
            connection.result()
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
            raise
        except (urllib3.exceptions.HTTPError, OSError):
            return

    def _send(
        self,
        method: str,
        url: str,
        own_headers: dict[str, str],
        body: dict[str, Any] | None,
        *,
        writes: bool,
    ) -> "Answer":
        import urllib3

        from kubectl_pxauth.cluster.wire import Request, is_lost, was_not_sent

        headers = self._transport.headers()
        headers.update(own_headers)
        data = None if body is None else json.dumps(body).encode()
        request = Request(method, url, headers, data, repeatable=not writes, most_bytes=_MOST_BYTES)
        try:
            self._await_connection()
            return self._wire.send(request)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            asked = f"{method} {urlsplit(url).path}"
            found = _unreachable(self._transport.route, asked, error, self.request_timeout)
            if writes and not was_not_sent(error):
                raise UnansweredError(str(found), 0 if is_lost(error) else None) from None
            raise found from None


def _json_object(data: bytes) -> dict[str, Any] | None:
    """The object that the server answered with, or None where it is none."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _refusal(
    target: Target, answer: "Answer", said: dict[str, Any], selector: str | None = None
) -> ClusterError:
    """The error for an answer that is none; said is a Status object or empty."""
    status = answer.status
    message = _one_line(said.get("message") or _without_words(target, answer))
    match status:
        case 401:
            who = f' (context "{target.context}")' if target.context else ""
            return ClusterError(
                f"the server {target.server} does not accept the credentials{who}: Unauthorized",
                hint="log in again, or choose another user with --context or --user;"
                " `kubectl auth whoami` shows whom the server sees",
            )
        case 400 if selector and message.startswith("unable to parse requirement"):
            return ClusterError(f'the label selector "{selector}" is not valid: {message}')
        case 410 if token := _continue_token(said):
            return ExpiredError(message, token)
        case _ if answer.out_of_order:
            return OutOfOrderError(message)
    kinds = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError}
    return kinds.get(status, ClusterError)(message)


def _continue_token(said: dict[str, Any]) -> str | None:
    metadata = said.get("metadata")
    token = metadata.get("continue") if isinstance(metadata, dict) else None
    return token if isinstance(token, str) else None


def _without_words(target: Target, answer: "Answer") -> str:
    server = target.server
    if answer.status < _REDIRECT:
        return f"the server {server} answered with what is no JSON object"
    if answer.status < _REFUSED:
        there = urlsplit(answer.location or "")
        where = f" to {there.scheme}://{there.hostname}" if there.hostname else ""
        return f"the server {server} redirects{where} (HTTP status {answer.status})"
    return f"the server {server} answered with HTTP status {answer.status}"


def _unreachable(
    route: str, asked: str, error: Exception, timeout: timedelta | None
) -> ClusterError:
    import urllib3

    from kubectl_pxauth.cluster.wire import TooLargeError, is_lost

    if isinstance(error, TooLargeError):
        return error
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason:
        error = error.reason
    if timeout and isinstance(error, (urllib3.exceptions.TimeoutError, TimeoutError)):
        seconds = f"{timeout.total_seconds():g} s"
        return ClusterError(f"the server {route} did not answer in {seconds}: {asked}")
    cause = error.__cause__ or error.__context__ or error
    reason = getattr(cause, "strerror", None) or _one_line(cause)
    if is_lost(error):
        return ClusterError(f"the connection to the server {route} was lost: {reason}: {asked}")
    hint = None
    if re.search(_UNKNOWN_AUTHORITY, str(error)):
        hint = "the kubeconfig's certificate-authority is not the one of this server"
    elif isinstance(error, urllib3.exceptions.NewConnectionError):
        hint = "`kubectl cluster-info` asks the same server"
    return ClusterError(f"the server {route} can't be reached: {reason}", hint=hint)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())

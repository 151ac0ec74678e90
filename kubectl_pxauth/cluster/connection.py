"""Requests to one API server, over the kubernetes package's authentication and transport."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from kubectl_pxauth.cluster.kubeconfig import Target
from kubectl_pxauth.cluster.transport import CONNECT_SECONDS, Transport
from kubectl_pxauth.errors import (
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
)
from kubectl_pxauth.parallel import Background

if TYPE_CHECKING:
    import urllib3
    from websocket import WebSocket

_PAGE = 250
_JSON = "application/json"
_METADATA = f"{_JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_RETRIES_WHEN_BUSY = 10  # as client-go: only where the server itself says Retry-After

Log = Callable[[str], None]


class Cluster:
    """An open door to one API server; each method is one round trip."""

    def __init__(
        self, target: Target, timeout: timedelta | None = None, log: Log | None = None
    ) -> None:
        """Authenticate as the target's user; log, if given, gets a line for each request."""
        self._target = target
        self._transport = Transport(target, _retries())
        self.request_timeout = timeout
        self._timeout = timeout.total_seconds() if timeout else (CONNECT_SECONDS, None)
        self._log = log
        self._ahead: list[Background[None]] = []

    def connect_ahead(self, connections: int) -> None:
        """Start to open connections, for requests that come later and will find them open.

        What goes wrong on the way is the first request's error.
        """
        if self.server.startswith("https://"):
            self._ahead = [Background(self._transport.connect) for _ in range(connections)]

    @property
    def server(self) -> str:
        """The server's URL, as the kubeconfig or the flag has it, but for a password in it."""
        return self._target.server

    def get(self, *path: str, **query: str) -> dict[str, Any]:
        """Read an object or a list; raises NotFoundError and the other ClusterErrors."""
        return self._request("GET", path, query)

    def pages(self, *path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Read a list page by page, each a round trip, so that no list fills the memory."""
        return self._pages(path, query, _JSON)

    def names(self, *path: str, **query: str) -> Iterator[str]:
        """The names in a list, of which the server sends nothing but metadata."""
        for page in self._pages(path, query, _METADATA):
            for item in page["items"]:
                yield item["metadata"]["name"]

    def _pages(
        self, path: tuple[str, ...], query: dict[str, str], accept: str
    ) -> Iterator[dict[str, Any]]:
        rest: dict[str, str] = {"limit": str(_PAGE)}
        while rest:
            try:
                page = self._request("GET", path, query | rest, accept=accept)
            except ExpiredError as error:
                # The server has forgotten that moment, and goes on with what is there now.
                rest["continue"] = error.continue_token
                continue
            yield page
            token = page["metadata"].get("continue")
            rest = rest | {"continue": token} if token else {}

    def post(self, *path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Create an object; raises ConflictError where it exists."""
        return self._request("POST", path, query, body, _JSON)

    def merge_patch(self, *path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Change what the body names; raises ConflictError where its resourceVersion is old."""
        return self._request("PATCH", path, query, body, "application/merge-patch+json")

    def apply(self, *path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Make the object or change it, by server-side apply.

        Raises ConflictError where another field manager holds one of the fields otherwise.
        """
        # JSON is YAML.
        return self._request("PATCH", path, query, body, "application/apply-patch+yaml")

    def delete(self, *path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Delete an object; raises ConflictError where the body's preconditions do not hold."""
        return self._request("DELETE", path, {}, body, _JSON)

    def open_stream(
        self,
        *path: str,
        query: Sequence[tuple[str, str]],
        protocols: Sequence[str],
        timeout: timedelta,
    ) -> "WebSocket":
        """Open a WebSocket, as a pod's exec wants it; raises NotFoundError and others."""
        import urllib3
        import websocket

        url = self._url(path, query)
        stream = websocket.WebSocket()
        headers = self._transport.headers
        started = time.monotonic()
        try:
            stream.connect(  # type: ignore[no-untyped-call]
                "ws" + url.removeprefix("http"),
                header=[f"{key}: {value}" for key, value in headers.items()],
                subprotocols=list(protocols),
                suppress_origin=True,
                redirect_limit=0,
                timeout=timeout.total_seconds(),
                socket=self._transport.socket(),
            )
            status = 101
        except websocket.WebSocketBadStatusException as error:
            status = error.status_code
            raise _refusal(self._target, status, _json_object(error.resp_body or b"")) from None
        except (websocket.WebSocketException, urllib3.exceptions.HTTPError, OSError) as error:
            status = 0
            raise _unreachable(self.server, error) from None
        finally:
            self._log_request("GET", url, status, started)
        return stream

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
    ) -> dict[str, Any]:
        url = self._url(path, list(query.items()))
        headers = self._transport.headers.copy()
        headers["Accept"] = accept
        if content_type:
            headers["Content-Type"] = content_type
        started = time.monotonic()
        status, data = self._send(method, url, headers, body)
        self._log_request(method, url, status, started)
        answer = _json_object(data)
        if status >= 400 or not answer:  # noqa: PLR2004 - HTTP's own bound
            raise _refusal(self._target, status, answer)
        return answer

    def _send(
        self, method: str, url: str, headers: "urllib3.HTTPHeaderDict", body: dict[str, Any] | None
    ) -> tuple[int, bytes]:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        try:
            for connection in self._ahead:
                connection.result()
            response = self._transport.rest.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body, _request_timeout=self._timeout
            )
            return response.status, response.read()
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise _unreachable(self.server, error) from None


def _retries() -> "urllib3.Retry":
    from urllib3 import Retry

    return Retry(
        total=_RETRIES_WHEN_BUSY,
        connect=0,
        read=0,
        other=0,
        redirect=0,
        allowed_methods=None,
        raise_on_status=False,
    )


def _json_object(data: bytes) -> dict[str, Any]:
    """The object that the server answered with; empty where it is none."""
    try:
        answer = json.loads(data)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(target: Target, status: int, answer: dict[str, Any]) -> ClusterError:
    """The error for an answer that is none; answer is a Status object or empty."""
    message = _one_line(answer.get("message") or f"the server answered with HTTP status {status}")
    match status:
        case 401:
            who = f' (context "{target.context}")' if target.context else ""
            return ClusterError(
                f"the server {target.server} does not accept the credentials{who}: Unauthorized",
                hint="log in again, or choose another user with --context or --user;"
                " `kubectl auth whoami` shows whom the server sees",
            )
        case 403:
            return ForbiddenError(message)
        case 404:
            return NotFoundError(message)
        case 409:
            return ConflictError(message)
        case 410 if token := (answer.get("metadata") or {}).get("continue"):
            return ExpiredError(message, token)
    return ClusterError(message)


def _unreachable(server: str, error: Exception) -> ClusterError:
    import urllib3

    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason:
        error = error.reason
    cause = error.__cause__ or error.__context__ or error
    reason = getattr(cause, "strerror", None) or _one_line(cause)
    hint = None
    if "certificate verify failed" in str(error):
        hint = "the kubeconfig's certificate-authority is not the one of this server"
    elif isinstance(error, urllib3.exceptions.NewConnectionError):
        hint = "`kubectl cluster-info` asks the same server"
    return ClusterError(f"the server {server} can't be reached: {reason}", hint=hint)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())

"""Requests to one API server, over the kubernetes package's authentication and transport."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from kubectl_pxauth.cluster.exec_credential import run_plugin
from kubectl_pxauth.cluster.kubeconfig import Target
from kubectl_pxauth.errors import (
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
)
from kubectl_pxauth.imports import register_without_init, stub_modules
from kubectl_pxauth.parallel import Background

if TYPE_CHECKING:
    import urllib3
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from websocket import WebSocket

_CONNECT_SECONDS = 30  # what client-go gives a connection
_PAGE = 250
_JSON = "application/json"
_METADATA = f"{_JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MOST_CONNECTIONS = 256
_RETRIES_WHEN_BUSY = 10  # as client-go: only where the server itself says Retry-After

Log = Callable[[str], None]


class Cluster:
    """An open door to one API server; each method is one round trip."""

    def __init__(
        self, target: Target, timeout: timedelta | None = None, log: Log | None = None
    ) -> None:
        """Authenticate as the target's user; log, if given, gets a line for each request."""
        if plugin := target.user.get("exec"):
            credentials = run_plugin(plugin, target.cluster)
            kept = {key: value for key, value in target.user.items() if key != "exec"}
            target = replace(target, user=kept | credentials)
        self._target = target
        self._configuration = _configuration(target)
        self._rest = _transport(self._configuration)
        self._impersonation = _impersonation(target.user)
        self.request_timeout = timeout
        self._timeout = timeout.total_seconds() if timeout else (_CONNECT_SECONDS, None)
        self._log = log
        self._ahead: list[Background[None]] = []

    def connect_ahead(self, connections: int) -> None:
        """Start to open connections, for requests that come later and will find them open.

        What goes wrong on the way is the first request's error.
        """
        if self.server.startswith("https://") and not self._configuration.proxy:
            self._ahead = [Background(self._connect) for _ in range(connections)]

    def _connect(self) -> None:
        pool = self._rest.pool_manager.connection_from_url(self.server)
        connection = pool._get_conn()  # noqa: SLF001 - urllib3 has no other way to open one
        connection.timeout = _CONNECT_SECONDS
        connection.connect()
        pool._put_conn(connection)  # noqa: SLF001

    @property
    def server(self) -> str:
        """The server's address, as the kubeconfig or the flag has it."""
        return str(self._target.cluster["server"])

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
        import websocket

        url = self._url(path, query)
        stream = websocket.WebSocket(
            sslopt={
                "context": self._rest.pool_manager.connection_pool_kw.get("ssl_context"),
                "server_hostname": self._configuration.tls_server_name,
            }
        )
        headers = self._headers()
        started = time.monotonic()
        try:
            stream.connect(  # type: ignore[no-untyped-call]
                "ws" + url.removeprefix("http"),
                header=[f"{key}: {value}" for key, value in headers.items()],
                subprotocols=list(protocols),
                suppress_origin=True,
                redirect_limit=0,
                timeout=timeout.total_seconds(),
                **_stream_proxy(self._configuration),
            )
            status = 101
        except websocket.WebSocketBadStatusException as error:
            status = error.status_code
            raise _refusal(self._target, status, _json_object(error.resp_body or b"")) from None
        except (websocket.WebSocketException, OSError) as error:
            status = 0
            raise _unreachable(self.server, error) from None
        finally:
            self._log_request("GET", url, status, started)
        return stream

    def _url(self, path: Sequence[str], query: Sequence[tuple[str, str]]) -> str:
        url = self.server.rstrip("/") + "".join(f"/{quote(part, safe='')}" for part in path)
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
        headers = self._headers()
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

    def _headers(self) -> "urllib3.HTTPHeaderDict":
        from urllib3 import HTTPHeaderDict

        headers = HTTPHeaderDict({"User-Agent": "kubectl-pxauth"})
        # kubectl sends credentials over TLS alone.
        if self.server.startswith("https://"):
            authorization = self._configuration.get_api_key_with_prefix("BearerToken")
            if authorization:
                headers["Authorization"] = authorization
        headers.extend(self._impersonation)
        return headers

    def _send(
        self, method: str, url: str, headers: "urllib3.HTTPHeaderDict", body: dict[str, Any] | None
    ) -> tuple[int, bytes]:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        try:
            for connection in self._ahead:
                connection.result()
            response = self._rest.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body, _request_timeout=self._timeout
            )
            return response.status, response.read()
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise _unreachable(self.server, error) from None
        except ValueError:
            # http.client's words would repeat the header, which may be a token.
            raise ClusterError(
                "kubeconfig: the token or the user to impersonate has characters that an HTTP"
                " header can't hold"
            ) from None


def _configuration(target: Target) -> "Configuration":
    """The kubernetes package's own configuration for the target."""
    config_loader, configuration_type = _kubernetes()
    configuration: Configuration = configuration_type()
    configuration.retries = _retries()
    configuration.connection_pool_maxsize = _MOST_CONNECTIONS
    cluster = {key: value for key, value in target.cluster.items() if not key.endswith("-data")}
    if data := target.cluster.get("certificate-authority-data"):
        # Given as data it needs no temporary file.
        configuration.ca_cert_data = _decoded(data, "certificate-authority-data").decode()
        cluster.pop("certificate-authority", None)
    kubeconfig = {
        "current-context": "the",
        "contexts": [{"name": "the", "context": {"cluster": "the", "user": "the"}}],
        "clusters": [{"name": "the", "cluster": cluster}],
        "users": [{"name": "the", "user": target.user}],
    }
    from kubernetes.config.config_exception import ConfigException

    try:
        config_loader(kubeconfig, config_base_path="").load_and_set(configuration)
    except (ConfigException, ValueError) as error:
        raise ClusterError(f"kubeconfig: {_one_line(error)}") from None
    if user := _proxy_user(configuration):
        from urllib3 import make_headers

        configuration.proxy_headers = make_headers(proxy_basic_auth=":".join(user))
    return configuration


def _kubernetes() -> tuple[Any, Any]:
    """The package's kubeconfig loader and Configuration, without its models and OAuth stack."""
    register_without_init(
        "kubernetes", "kubernetes.client", "kubernetes.config", "kubernetes.utils"
    )
    register_without_init("urllib3.http2")
    stub_modules("oauthlib", "oauthlib.oauth2", "requests_oauthlib")
    import kubernetes.client
    import requests_oauthlib
    from kubernetes.client.configuration import Configuration

    kubernetes.client.Configuration = Configuration  # type: ignore[misc]
    kubernetes.client.ApiClient = _login_has_expired  # type: ignore[misc, assignment]
    requests_oauthlib.OAuth2Session = None
    from kubernetes.config.kube_config import KubeConfigLoader

    return KubeConfigLoader, Configuration


def _login_has_expired(**_: object) -> None:
    """Stand where the package would refresh an auth-provider's OpenID Connect token.

    It would not check the provider's certificate, and would forget the new refresh token that
    the provider may insist on: kubectl does both right, and saves what it gets.
    """
    raise ClusterError(
        "kubeconfig: the login of the user's auth-provider has expired",
        hint="any command of kubectl renews it: kubectl cluster-info",
    )


def _transport(configuration: "Configuration") -> "RESTClientObject":
    from kubernetes.client.rest import RESTClientObject

    rest = RESTClientObject(configuration)
    if configuration.host.startswith("https://"):
        pool = rest.pool_manager.connection_pool_kw
        # One context for all connections: urllib3 would load the certificates into it again for
        # each connection, which is slow, and goes wrong where two are opened at once.
        for key in ("ca_certs", "ca_cert_data", "cert_file", "key_file"):
            pool.pop(key, None)
        pool["ssl_context"] = _tls(configuration)
    return rest


def _tls(configuration: "Configuration") -> ssl.SSLContext:
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    # Python 3.13 asks for X.509 extensions that Kubernetes' own authorities often lack, and that
    # kubectl does not ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        if not configuration.verify_ssl:
            import urllib3

            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif configuration.ca_cert_data or configuration.ssl_ca_cert:
            context.load_verify_locations(
                cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data
            )
        else:
            context.load_default_certs()
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
    except (OSError, ValueError) as error:
        raise ClusterError(f"kubeconfig: a certificate or key can't be used: {error}") from None
    return context


def _stream_proxy(configuration: "Configuration") -> dict[str, Any]:
    """The proxy of all requests, as websocket-client takes it; of itself it knows the variables."""
    if not configuration.proxy:
        return {}
    proxy = urlsplit(configuration.proxy)
    return {
        "proxy_type": proxy.scheme,
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port or 80,
        "http_proxy_auth": _proxy_user(configuration),
        "http_no_proxy": (configuration.no_proxy or "").split(","),
    }


def _proxy_user(configuration: "Configuration") -> tuple[str, str] | None:
    """The name and the password that the proxy's address holds."""
    proxy = urlsplit(configuration.proxy or "")
    return (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None


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


def _impersonation(user: dict[str, Any]) -> list[tuple[str, str]]:
    headers = []
    if user.get("as"):
        headers.append(("Impersonate-User", str(user["as"])))
        headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or []]
        if user.get("as-uid"):
            headers.append(("Impersonate-Uid", str(user["as-uid"])))
        for key, values in (user.get("as-user-extra") or {}).items():
            headers += [(f"Impersonate-Extra-{quote(key, safe='')}", str(v)) for v in values]
    return headers


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
                f"the server {target.cluster['server']} does not accept the credentials{who}:"
                " Unauthorized",
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


def _decoded(data: str, key: str) -> bytes:
    import base64

    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        raise ClusterError(f"kubeconfig: {key} is not base64") from None


def _one_line(text: object) -> str:
    return " ".join(str(text).split())

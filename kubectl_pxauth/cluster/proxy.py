"""Which proxy leads to a server: Go's rules for the variables, kubectl's for a kubeconfig.

Python's own rules differ: they know ALL_PROXY, send what is for localhost through a proxy, and
want a scheme before the proxy's host.
Sources: golang.org/x/net, http/httpproxy/proxy.go; Go's net/http/transport.go;
kubernetes/client-go, tools/clientcmd/helpers.go.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote, unquote, urlsplit

from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.frozen import dataclass

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
# Compiled where they are used, which most runs do not.
_URL = (
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?:(?P<user>[^@/?#]*)@)?"
    r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:@/?#\[\]]*)(?::(?P<port>\d*))?(?:[/?#].*)?"
)
_NETWORK = r"[0-9a-fA-F.:]+/\d+"

_Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Proxy:
    """A proxy; scheme is http, https or socks5h, whose names the proxy resolves."""

    scheme: str
    host: str
    port: int
    user: tuple[str, str] | None = field(repr=False)

    @property
    def socks(self) -> bool:
        """Whether it is asked in SOCKS 5, not in HTTP."""
        return self.scheme == "socks5h"

    @property
    def address(self) -> str:
        """The proxy's URL, without the name and password that it asks for."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def address_with_user(self) -> str:
        """The same with them, if there are any."""
        if not self.user:
            return self.address
        name, password = (quote(part, safe="") for part in self.user)
        return f"{self.scheme}://{name}:{password}@{self.host}:{self.port}"


def find_proxy(server: str, proxy_url: str | None, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy to the server's URL: the kubeconfig's, else the environment's, if any.

    Raises ClusterError for a proxy-url that kubectl refuses, and for HTTP_PROXY in a CGI program.
    """
    if proxy_url:
        # What the kubeconfig names counts, whatever NO_PROXY says.
        found = _parsed(proxy_url)
        if not found or not found.host or found.scheme not in ("http", "https", "socks5"):
            raise ClusterError("kubeconfig: proxy-url is not an http, https or socks5 URL")
        return _proxy(found)
    address = urlsplit(server)
    variable = f"{address.scheme}_PROXY".upper()
    value = _value(variable, environ)
    if not value:
        return None
    found = _parsed(value)
    if not found or not found.host:
        found = _parsed(f"http://{value}")
    if not found:
        return None  # as Go: what can't be read is no proxy
    if variable == "HTTP_PROXY" and environ.get("REQUEST_METHOD"):
        # A CGI program's HTTP_PROXY may be what a request's header said.
        raise ClusterError("HTTP_PROXY is not used in a CGI environment (REQUEST_METHOD is set)")
    port = address.port or _PORTS[address.scheme]
    if _goes_direct(address.hostname or "", str(port), environ):
        return None
    return _proxy(found)


@dataclass(frozen=True)
class _Parts:
    scheme: str
    user: str | None = field(repr=False)
    host: str
    port: str


def _parsed(text: str) -> _Parts | None:
    found = re.fullmatch(_URL, text)
    if not found or not text.isprintable():
        return None
    return _Parts(found["scheme"].lower(), found["user"], found["host"], found["port"] or "")


def _proxy(parts: _Parts) -> Proxy:
    user = None
    if parts.user is not None:
        name, _, password = parts.user.partition(":")
        user = (unquote(name), unquote(password))
    # Go lets a socks5 proxy resolve names, and takes any scheme that it does not know as http.
    schemes = {"https": "https", "socks5": "socks5h", "socks5h": "socks5h"}
    port = int(parts.port) if parts.port else _PORTS.get(parts.scheme, 80)
    return Proxy(schemes.get(parts.scheme, "http"), parts.host, port, user)


def _value(variable: str, environ: Mapping[str, str]) -> str:
    """The variable's value, or that of its name in small letters.

    In this order as of Go 1.26, which kubectl 1.37 is built with; golang.org/x/net has it turned
    since.
    """
    return environ.get(variable) or environ.get(variable.lower()) or ""


def _goes_direct(host: str, port: str, environ: Mapping[str, str]) -> bool:
    """Whether NO_PROXY, or that this is the server's own host, keeps the proxy out of it."""
    address = _ip(host)
    if host == "localhost" or (address and address.is_loopback):
        return True
    excluded = _value("NO_PROXY", environ).lower().split(",")
    return any(_matches(entry, host, port, address) for entry in excluded)


def _matches(entry: str, host: str, port: str, address: _Address | None) -> bool:
    entry = entry.strip()
    if entry == "*":
        return True
    if re.fullmatch(_NETWORK, entry):
        return _holds(entry, address)
    name, its_port = _host_and_port(entry)
    if its_port not in ("", port) or not name:
        return False
    if only := _ip(name):
        return only == address
    if address:
        return False
    if name.startswith("*."):
        name = name[1:]
    return host.endswith(name if name.startswith(".") else f".{name}") or host == name


def _holds(network: str, address: _Address | None) -> bool:
    try:
        return bool(address and re.fullmatch(_NETWORK, network)) and address in ip_network(
            network, strict=False
        )
    except ValueError:
        return False


def _host_and_port(entry: str) -> tuple[str, str]:
    """HOST:PORT or [HOST]:PORT apart, else the whole."""
    found = re.fullmatch(r"\[([^\[\]]*)\]:([^:]*)|([^:\[\]]*):([^:]*)", entry)
    if not found:
        return entry, ""
    return (found[1] or found[3] or ""), (found[2] or found[4] or "")


def _ip(host: str) -> _Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

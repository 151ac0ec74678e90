"""The same proxy as kubectl, for each way to name one and to keep one out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Portworx, Shell
from tests.proxy_server import ProxyServer


@pytest.fixture
def http_proxy() -> Iterator[ProxyServer]:
    """One for each test: what the test before asked for may come late."""
    with ProxyServer() as proxy:
        yield proxy


def kubeconfig(
    plane: ControlPlane, folder: Path, server: str = "", **cluster: Any
) -> tuple[Path, str]:
    """A kubeconfig of a user without rights, and the API server's port."""
    port = plane.server.rpartition(":")[2]
    certificate, key = plane.client_cert("alice")
    entry = {
        "server": (server or "https://127.0.0.1:PORT").replace("PORT", port),
        "certificate-authority": str(plane.ca_file),
        "tls-server-name": "localhost",
        **cluster,
    }
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    path = folder / "config"
    config = {
        "clusters": [{"name": "c", "cluster": entry}],
        "users": [{"name": "alice", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "alice"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"} | config))
    return path, port


def ways(shell: Shell, proxy: ProxyServer, *flags: str) -> dict[str, tuple[bool, str]]:
    """For kubectl and for us: whether it reached the server, and whom it asked the proxy for."""
    found = {}
    for tool in ("kubectl", "pxauth"):
        proxy.asked.clear()
        if tool == "kubectl":
            reached = shell.kubectl("get", "--raw", "/version", *flags).code == 0
        else:
            reached = '"alice" may not get' in shell.refused("issue", "kubernetes", *flags).err
        asked = proxy.asked[0] if proxy.asked else ""
        # Without TLS the proxy answers by itself; what it is asked then has a path.
        plain = asked.startswith("http://")
        found[tool] = reached and not plain, "/".join(asked.split("/")[:3])
    return found


NAME, IP = "https://api.corp.example:PORT", "https://127.0.0.1:PORT"
ROWS: list[tuple[str, dict[str, str]]] = [
    # Which variable counts.
    (NAME, {"HTTPS_PROXY": "http://PROXY"}),
    (NAME, {"https_proxy": "http://PROXY"}),
    (NAME, {"https_proxy": "http://PROXY", "HTTPS_PROXY": "http://127.0.0.1:1"}),
    (NAME, {"HTTPS_PROXY": "http://PROXY", "https_proxy": "http://127.0.0.1:1"}),
    (NAME, {"HTTPS_PROXY": "http://PROXY", "https_proxy": ""}),
    (NAME, {"HTTP_PROXY": "http://PROXY"}),
    (NAME, {"ALL_PROXY": "http://PROXY"}),
    (NAME, {"all_proxy": "socks5://PROXY"}),
    (IP, {"ALL_PROXY": "http://127.0.0.1:1"}),
    # How a proxy is written.
    (NAME, {"https_proxy": "PROXY"}),
    (NAME, {"HTTPS_PROXY": "PROXY/"}),
    (NAME, {"HTTPS_PROXY": "HTTP://PROXY"}),
    (NAME, {"HTTPS_PROXY": "http://PROXY/path"}),
    (NAME, {"HTTPS_PROXY": "name:p%40ss@PROXY"}),
    (NAME, {"HTTPS_PROXY": "foo://PROXY"}),
    (NAME, {"HTTPS_PROXY": " http://PROXY"}),
    (NAME, {"HTTPS_PROXY": "http://PROXY "}),
    (NAME, {"HTTPS_PROXY": "http://proxy:port"}),
    (NAME, {"HTTPS_PROXY": "://"}),
    (NAME, {"HTTPS_PROXY": "http://"}),
    # What never goes through one.
    (IP, {"HTTPS_PROXY": "http://PROXY"}),
    ("https://localhost:PORT", {"HTTPS_PROXY": "http://PROXY"}),
    ("https://127.8.8.8:PORT", {"HTTPS_PROXY": "http://PROXY"}),
    ("https://[::ffff:127.0.0.1]:PORT", {"HTTPS_PROXY": "http://PROXY"}),
    ("https://api.localhost.example:PORT", {"HTTPS_PROXY": "http://PROXY"}),
    # What NO_PROXY keeps out.
    *(
        (NAME, {"HTTPS_PROXY": "http://PROXY", "NO_PROXY": excluded})
        for excluded in (
            *("*", "*,other", "x, *", "corp.example", ".corp.example", "*.corp.example"),
            *("api.corp.example", ".api.corp.example", "*.api.corp.example", "API.Corp.Example"),
            *("api.corp.example:PORT", "api.corp.example:1", "corp.example:PORT", ":PORT"),
            *("example", ".example", "orp.example", "*corp.example", "api.*", "corp.example."),
            *(" corp.example ", "other,corp.example", "other corp.example", "10.0.0.0/8", ",,"),
            *("https://api.corp.example", "[api.corp.example]:PORT", "api.corp.example:"),
        )
    ),
    (NAME, {"HTTPS_PROXY": "http://PROXY", "no_proxy": "corp.example"}),
    (NAME, {"HTTPS_PROXY": "http://PROXY", "no_proxy": "other", "NO_PROXY": "corp.example"}),
    (NAME, {"HTTPS_PROXY": "http://PROXY", "no_proxy": "corp.example", "NO_PROXY": "other"}),
    *(
        ("https://192.0.2.7:PORT", {"HTTPS_PROXY": "http://PROXY"} | excluded)
        for excluded in (
            {},
            *({"NO_PROXY": entry} for entry in ("192.0.2.7", "192.0.2.7:PORT", "192.0.2.7:1")),
            *({"NO_PROXY": entry} for entry in ("192.0.2.0/24", "192.0.3.0/24", "192.0.2.9/24")),
            *({"NO_PROXY": entry} for entry in ("192.0.2", ".0.2.7", "0.0.0.0/0", "2001:db8::/32")),
            *({"NO_PROXY": entry} for entry in ("192.0.2.0/255.255.255.0", "192.0.2.7/32,x")),
            {"NO_PROXY": "192.0.2.0/24", "no_proxy": "other"},
            {"no_proxy": "192.0.2.7", "NO_PROXY": "other"},
            {"NO_PROXY": "192.0.2.7", "no_proxy": "other"},
        )
    ),
    *(
        ("https://[2001:db8::7]:PORT", {"HTTPS_PROXY": "http://PROXY", "NO_PROXY": excluded})
        for excluded in ("", "2001:db8::7", "[2001:db8::7]:PORT", "[2001:db8::7]", "2001:db8::/32")
    ),
    # A server without TLS.
    ("http://api.corp.example", {"HTTP_PROXY": "http://PROXY"}),
    ("http://api.corp.example", {"http_proxy": "PROXY"}),
    ("http://api.corp.example", {"HTTPS_PROXY": "http://PROXY"}),
    ("http://api.corp.example", {"HTTP_PROXY": "http://PROXY", "NO_PROXY": "corp.example:80"}),
    ("http://api.corp.example", {"HTTP_PROXY": "http://PROXY", "REQUEST_METHOD": "GET"}),
    (NAME, {"HTTPS_PROXY": "http://PROXY", "REQUEST_METHOD": "GET"}),
]  # fmt: skip


@pytest.mark.parametrize(("server", "variables"), ROWS)
def test_the_environments_proxy_is_kubectls(
    plane: ControlPlane,
    http_proxy: ProxyServer,
    tmp_path: Path,
    server: str,
    variables: dict[str, str],
) -> None:
    path, port = kubeconfig(plane, tmp_path, server)
    filled = {
        name: value.replace("PROXY", http_proxy.host_and_port).replace("PORT", port)
        for name, value in variables.items()
    }
    shell = Shell("x", tmp_path, {"KUBECONFIG": str(path)} | filled)
    found = ways(shell, http_proxy)
    if server.startswith("http://"):  # where nothing but the proxy answers
        assert found["pxauth"][1] == found["kubectl"][1]
    else:
        assert found["pxauth"] == found["kubectl"]


@pytest.mark.parametrize(
    ("kind", "proxy_url", "variables"),
    [
        ("http", "http://PROXY", {}),
        ("http", "HTTP://PROXY/", {"NO_PROXY": "*"}),
        ("http", "http://PROXY", {"NO_PROXY": "corp.example", "HTTPS_PROXY": "http://127.0.0.1:1"}),
        ("http", "PROXY", {}),
        ("http", "socks5h://PROXY", {}),
        ("http", "http://proxy:port", {}),
        ("http", "http://", {}),
        ("user", "http://name:p%40ss@PROXY", {}),
        ("user", "http://name:wrong@PROXY", {}),
        ("user", "http://PROXY", {}),
        ("https", "https://PROXY", {}),
        ("socks", "socks5://PROXY", {}),
        ("socks", "SOCKS5://PROXY", {"NO_PROXY": "*"}),
        ("socks", "socks4://PROXY", {}),
        ("socks user", "socks5://name:p%40ss@PROXY", {}),
        ("socks user", "socks5://name:wrong@PROXY", {}),
        ("http", "", {"HTTPS_PROXY": "http://name@PROXY"}),
        ("https", "", {"HTTPS_PROXY": "https://PROXY"}),
        ("socks", "", {"HTTPS_PROXY": "socks5://PROXY"}),
        ("socks", "", {"https_proxy": "socks5h://PROXY"}),
    ],
)
def test_each_kind_of_proxy(
    plane: ControlPlane, tmp_path: Path, kind: str, proxy_url: str, variables: dict[str, str]
) -> None:
    with server_of(kind, plane) as proxy:
        proxy_url, *values = (
            value.replace("PROXY", proxy.host_and_port)
            for value in (proxy_url, *variables.values())
        )
        named = dict(zip(variables, values, strict=True))
        # A name that the proxy resolves, and this host itself, which no variable sends there.
        for server in (NAME, IP):
            shell = Shell("x", tmp_path, {"KUBECONFIG": str(tmp_path / "config")} | named)
            kubeconfig(plane, tmp_path, server, **({"proxy-url": proxy_url} if proxy_url else {}))
            found = ways(shell, proxy)
            assert found["pxauth"] == found["kubectl"]
            kubeconfig(plane, tmp_path, server, **{"proxy-url": "http://127.0.0.1:1"})
            if proxy_url:
                found = ways(shell, proxy, "--proxy-url", proxy_url)
                assert found["pxauth"] == found["kubectl"]


def server_of(kind: str, plane: ControlPlane) -> ProxyServer:
    """A proxy server of a kind; the certificate of an HTTPS proxy is of the cluster's authority."""
    return ProxyServer(
        socks="socks" in kind,
        user="name:p@ss" if "user" in kind else "",
        certificate=plane.server_cert() if kind == "https" else None,
    )


@pytest.mark.parametrize(
    ("kind", "proxy_url"),
    [
        ("http user", "http://name:p%40ss@PROXY"),
        ("https", "https://PROXY"),
        ("socks", "socks5://PROXY"),
        ("socks user", "socks5://name:p%40ss@PROXY"),
    ],
)
def test_commands_in_pods_run_through_the_proxy(
    plane: ControlPlane, portworx: Portworx, kind: str, proxy_url: str
) -> None:
    config = json.loads(Path(portworx.shell.environment["KUBECONFIG"]).read_text())
    port = plane.server.rpartition(":")[2]
    with server_of(kind, plane) as proxy:
        config["clusters"][0]["cluster"] |= {
            "server": f"https://api.corp.example:{port}",
            "tls-server-name": "localhost",
            "proxy-url": proxy_url.replace("PROXY", proxy.host_and_port),
        }
        path = portworx.shell.home / "proxied"
        path.write_text(json.dumps(config))
        shell = portworx.shell.with_environment(KUBECONFIG=str(path))
        done = shell.pxauth(
            "context", "create", "admin", *portworx.there, "--pxctl", portworx.pxctl
        )
        assert done.code == 0, done.err
        assert set(proxy.asked) == {f"api.corp.example:{port}"}
    assert all(portworx.token(node) for node in portworx.nodes)


def test_an_error_names_the_proxy_and_not_its_password(plane: ControlPlane, tmp_path: Path) -> None:
    for proxy_url, named in {
        "http://joe:hidden@127.0.0.1:1": "through the proxy http://127.0.0.1:1",
        "socks5://joe:hidden@127.0.0.1:1": "through the proxy socks5h://127.0.0.1:1",
        "x://joe:hidden@h": "proxy-url is not",
    }.items():
        path, _ = kubeconfig(plane, tmp_path, **{"proxy-url": proxy_url})
        done = Shell("x", tmp_path, {"KUBECONFIG": str(path)}).pxauth("issue", "kubernetes", "-v6")
        assert done.code == 1
        assert named in done.err
        assert "hidden" not in done.err

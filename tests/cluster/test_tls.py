"""Whom TLS trusts is whom kubectl trusts, and a client's key is on no disk."""

import datetime
import ipaddress
import ssl
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.run import ControlPlane
from kubectl_pxauth.cluster.pools import new_pools, new_socket
from kubectl_pxauth.cluster.tls import new_context, trust
from tests.conftest import BIN, Shell
from tests.kubeconfigs import USER, users, write_kubeconfig
from tests.proxy_server import ProxyServer


@pytest.fixture
def place(plane: ControlPlane, tmp_path: Path) -> Shell:
    """A shell whose kubeconfig names no authority, and folders of authorities."""
    write_kubeconfig(tmp_path / "config", plane, "server: SERVER", USER)
    authority = plane.ca_file.read_text()
    folders = {
        "right": {"ca.crt": authority},
        "broken": {"a.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        "words": {"README": "none here"},
        "empty": {},
    }
    folders["mixed"] = folders["broken"] | folders["words"] | folders["right"]
    folders["one"] = {"all.pem": folders["broken"]["a.pem"] + f"# Autorité\n{authority}"}
    for folder, files in folders.items():
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "ca.crt").symlink_to("../right/ca.crt")
    (tmp_path / "linked" / "again.crt").symlink_to("ca.crt")
    return Shell("x", tmp_path, {"KUBECONFIG": str(tmp_path / "config")})


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SSL_CERT_FILE": "right/ca.crt"},
        {"SSL_CERT_FILE": "one/all.pem"},
        {"SSL_CERT_FILE": "words/README"},
        {"SSL_CERT_FILE": "nonexistent"},
        {"SSL_CERT_FILE": "right"},
        {"SSL_CERT_FILE": ""},
        {"SSL_CERT_DIR": "right"},
        {"SSL_CERT_DIR": "mixed"},
        {"SSL_CERT_DIR": "linked"},
        {"SSL_CERT_DIR": "empty"},
        {"SSL_CERT_DIR": "empty:right"},
        {"SSL_CERT_DIR": "nonexistent:right"},
        {"SSL_CERT_DIR": "nonexistent"},
        {"SSL_CERT_DIR": ""},
        {"SSL_CERT_FILE": "nonexistent", "SSL_CERT_DIR": "right"},
        {"SSL_CERT_FILE": "right/ca.crt", "SSL_CERT_DIR": "empty"},
    ],
)
def test_the_systems_authorities_are_where_kubectl_finds_them(
    place: Shell, variables: dict[str, str]
) -> None:
    found = users(place.with_environment(**variables))
    assert found["pxauth"] == found["kubectl"]


def test_an_authority_in_the_kubeconfig_goes_before_the_systems(
    plane: ControlPlane, place: Shell
) -> None:
    other = authority(place.home)[0]
    write_kubeconfig(
        place.home / "config", plane, f"server: SERVER\ncertificate-authority: {other}", USER
    )
    found = users(place.with_environment(SSL_CERT_FILE=str(plane.ca_file)))
    assert found == {"kubectl": None, "pxauth": None}


def test_a_certificate_that_no_authority_need_have_signed(
    plane: ControlPlane, place: Shell
) -> None:
    """The server's own, or one between it and the authority, is as good to kubectl."""
    host, _, port = plane.server.removeprefix("https://").partition(":")
    (place.home / "server.crt").write_text(ssl.get_server_certificate((host, int(port))))
    cluster = "server: SERVER\ncertificate-authority: server.crt"
    write_kubeconfig(place.home / "config", plane, cluster, USER)
    assert users(place) == {"kubectl": "alice", "pxauth": "alice"}


def authority(folder: Path) -> tuple[Path, Path, Path]:
    """An authority as openssl makes it by hand, and a server's certificate and key of it.

    Neither says what it may be used for, which Python 3.13 and later would insist on.
    """
    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    files = []
    for subject, key in zip(("bare", "server"), keys, strict=True):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("bare"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=7))
        )
        if subject == "bare":
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        else:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), False)
        certificate = builder.sign(keys[0], hashes.SHA256())
        files.append(folder / f"{subject}.crt")
        files[-1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.append(folder / "server.key")
    files[-1].write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return files[0], files[1], files[2]


def test_an_authority_that_does_not_say_what_it_is_for(plane: ControlPlane, place: Shell) -> None:
    bare, certificate, key = authority(place.home)
    with ProxyServer(certificate=(certificate, key)) as server:
        cluster = f"server: https://{server.host_and_port}\ncertificate-authority: {bare}"
        write_kubeconfig(place.home / "config", plane, cluster, USER)
        assert place.kubectl("get", "--raw", "/version").code == 0
        assert "certificate" not in place.refused("issue", "kubernetes").err
        assert server.asked
    with ProxyServer(certificate=plane.server_cert()) as server:
        cluster = f"server: https://{server.host_and_port}\ncertificate-authority: {bare}"
        write_kubeconfig(place.home / "config", plane, cluster, USER)
        assert "certificate verify failed" in place.refused("issue", "kubernetes").err


WATCHED = """
import os, sys
def watch(event, arguments):
    if event == "open" and arguments[2] and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        print("written:", arguments[0], file=sys.stderr)
    if event in ("os.remove", "os.rename", "os.mkdir"):
        print(event, arguments[0], file=sys.stderr)
sys.addaudithook(watch)
sys.dont_write_bytecode = True
from kubectl_pxauth.cli import main
sys.argv = ["kubectl-pxauth", "issue", "kubernetes"]
main()
"""


def test_a_clients_key_is_written_to_no_disk(plane: ControlPlane, place: Shell) -> None:
    cluster = "server: SERVER\ncertificate-authority-data: CA64"
    user = "client-certificate-data: CERT64\nclient-key-data: KEY64"
    write_kubeconfig(place.home / "config", plane, cluster, user)
    done = subprocess.run(
        [BIN / "python", "-c", WATCHED],
        capture_output=True,
        text=True,
        cwd="/",
        env={"KUBECONFIG": str(place.home / "config"), "TMPDIR": "/nonexistent"},
    )
    assert '"alice" may not get' in done.stderr
    written = [line for line in done.stderr.splitlines() if line.startswith(("written:", "os."))]
    assert all(line.startswith("written: <") or line.split()[1].isdigit() for line in written)


def test_no_connection_changes_what_the_others_share(plane: ControlPlane) -> None:
    """OpenSSL would free the protocols while another thread's handshake reads them."""
    context = new_context()
    trust(context, plane.ca_file.read_bytes())
    pool = new_pools(None, context, None).connection_from_url(plane.server)
    changed: list[Iterable[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl.SSLContext, "set_alpn_protocols", lambda _, said: changed.append(said))
        connection = new_socket(pool)
    assert isinstance(connection, ssl.SSLSocket)
    assert connection.selected_alpn_protocol() == "http/1.1"
    assert changed == []
    connection.close()

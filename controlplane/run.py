"""Start and stop etcd and kube-apiserver on this host's loopback."""

import contextlib
import ctypes
import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controlplane import build

_START_SECONDS = 120
_POLL_SECONDS = 0.05


class ControlPlane:
    """etcd and kube-apiserver with RBAC, alive inside its `with` block."""

    def __init__(self, *, audit_log: Path | None = None, arguments: Sequence[str] = ()) -> None:
        """audit_log is the file for the API server's audit log; arguments are more of its flags."""
        self._arguments = list(arguments)
        self._audit_log = audit_log
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="controlplane-"))
            self.folder = Path(folder)
            self._authority = _Authority(self.folder)
            self.ca_file = self._authority.certificate_file
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def kubeconfig(
        self,
        user: str = "admin",
        groups: Sequence[str] = ("system:masters",),
        *,
        namespace: str | None = None,
        server: str | None = None,
    ) -> Path:
        """A kubeconfig file for a user with a client certificate, new at every call."""
        certificate, key = self.client_certificate(user, groups)
        context = {"cluster": "test", "user": user} | ({"namespace": namespace} if namespace else {})
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": context}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": server or self.server,
                        "certificate-authority-data": _base64(self.ca_file),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(certificate),
                        "client-key-data": _base64(key),
                    },
                }
            ],
        }
        descriptor, name = tempfile.mkstemp(".kubeconfig", dir=self.folder)
        with os.fdopen(descriptor, "w") as file:
            json.dump(config, file)
        return Path(name)

    def client_certificate(self, user: str, groups: Sequence[str] = ()) -> tuple[Path, Path]:
        """The files of a client certificate and its key for a user in these groups."""
        return self._authority.issue(user, groups)

    def _start(self, stack: contextlib.ExitStack) -> None:
        programs = build.assets()
        etcd_port, peer_port, port = _free_ports(3)
        etcd = f"http://127.0.0.1:{etcd_port}"
        self.server = f"https://127.0.0.1:{port}"
        self._run(
            stack,
            programs / "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        server_certificate, server_key = self._authority.issue("kube-apiserver", server=True)
        arguments = [
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={server_certificate}",
            f"--tls-private-key-file={server_key}",
            f"--client-ca-file={self.ca_file}",
            f"--service-account-key-file={self._authority.key_file}",
            f"--service-account-signing-key-file={self._authority.key_file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--enable-priority-and-fairness=true",
        ]
        if self._audit_log:
            policy = self.folder / "audit-policy.yaml"
            policy.write_text(
                "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"
            )
            arguments += [f"--audit-policy-file={policy}", f"--audit-log-path={self._audit_log}"]
        log, process = self._run(
            stack, programs / "kube-apiserver", *arguments, *self._arguments
        )
        certificate, key = self.client_certificate("admin", ["system:masters"])
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(certificate, key)

        def answers(path: str) -> bool:
            try:
                with urllib.request.urlopen(self.server + path, context=context, timeout=5):
                    return True
            except (urllib.error.URLError, OSError):
                return False

        for path in ("/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system"):
            _wait_for(lambda path=path: answers(path), path, process, log)  # type: ignore[misc]

    def _run(
        self, stack: contextlib.ExitStack, program: Path, *arguments: str
    ) -> tuple[Path, "subprocess.Popen[bytes]"]:
        log = self.folder / f"{program.name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, *arguments], stdout=output, stderr=output, preexec_fn=_die_with_parent
            )
        stack.callback(_stop, process)
        return log, process


def _wait_for(
    ready: Callable[[], bool], what: str, process: "subprocess.Popen[bytes]", log: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"no answer from {what}:\n{log.read_text()[-4000:]}")
        time.sleep(_POLL_SECONDS)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.kill()  # nothing that it holds is to last
    process.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class _Authority:
    """A certificate authority for one control plane."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("controlplane")
        certificate = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate_file, self.key_file = self._write("ca", certificate, self._key)

    def issue(
        self, user: str, groups: Sequence[str] = (), *, server: bool = False
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _certificate(_name(user, groups), self._name, key.public_key()).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if server:
            loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            names = [x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc"), loopback]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._count += 1
        return self._write(f"{self._count}", builder.sign(self._key, hashes.SHA256()), key)

    def _write(
        self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> tuple[Path, Path]:
        certificate_file = self._folder / f"{name}.crt"
        key_file = self._folder / f"{name}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file


def _name(user: str, groups: Sequence[str] = ()) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
            x509.NameAttribute(NameOID.COMMON_NAME, user),
        ]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=7))
    )


def _base64(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()

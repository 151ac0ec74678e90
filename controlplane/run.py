"""Start and stop etcd and kube-apiserver on this host's loopback."""

import contextlib
import datetime
import ipaddress
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controlplane import build

_START_SECONDS = 240
_SERVICE_ADDRESS = "10.0.0.1"  # the first of --service-cluster-ip-range, always the API server's
_POLL_SECONDS = 0.05
_READY = ("/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system")


class ControlPlane:
    """etcd and kube-apiserver with RBAC, alive inside the `with` block.

    There are no nodes: a pod can be made, but nothing runs it before `start_kubelet`.
    """

    server: str
    """The API server's URL."""
    ca_file: Path
    """The certificate authority of both the server and its clients."""

    def __init__(
        self,
        *,
        audit_log: Path | None = None,
        arguments: Sequence[str] = (),
        address: str = "127.0.0.1",
        controllers: bool = False,
    ) -> None:
        """Take the file for the API server's audit log, and more of its command-line arguments.

        It listens on the address. With controllers, kube-controller-manager and kube-scheduler run
        beside it, pods get service accounts, and real nodes may join.
        """
        self.audit_log = audit_log
        self._address = address
        self._controllers = controllers
        self._arguments = arguments
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start both, and wait until the API server is ready."""
        programs = build.assets()
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="controlplane-"))
            self.folder = Path(folder)
            self._authority = _Authority(self.folder)
            self.ca_file = self._authority.certificate_file
            etcd_port, peer_port, port = _free_ports(3)
            self.server = f"https://{self._address}:{port}"
            self._commands: dict[str, list[str | Path]] = {}
            self._processes: dict[str, subprocess.Popen[bytes]] = {}
            for program, arguments in (
                ("etcd", self._etcd_arguments(etcd_port, peer_port)),
                ("kube-apiserver", self._apiserver_arguments(etcd_port, port)),
            ):
                self._commands[program] = [programs / program, *arguments]
                self._start(program)
                stack.callback(self._stop, program)
            self._wait_until_ready(self._processes, [self.server + path for path in _READY])
            if self._controllers:
                self._start_controllers(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both; nothing of them is left."""
        self._stack.close()

    def restart_server(self) -> None:
        """Kill the API server, start it again, and wait until it is ready."""
        self._stop("kube-apiserver")
        self._start("kube-apiserver")
        self._wait_until_ready(self._processes, [self.server + path for path in _READY])

    @contextlib.contextmanager
    def standing_still(self, program: str) -> Iterator[None]:
        """Let etcd or kube-apiserver do nothing while the block lasts."""
        self._processes[program].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._processes[program].send_signal(signal.SIGCONT)

    def _start(self, program: str) -> None:
        self._processes[program] = start(self._commands[program], self._log(program))

    def _stop(self, program: str) -> None:
        stop(self._processes[program])

    def start_kubelet(self, homes: Mapping[str, Path]) -> None:
        """Let kwok make every node and every pod ready.

        What is executed in a pod runs on this host, with the home folder of the pod's name.
        """
        (port,) = _free_ports(1)
        config = self.folder / "kwok.yaml"
        documents = [json.dumps(_exec_rule(pod, home)) for pod, home in homes.items()]
        documents += [stage.read_text() for stage in build.kwok_stages()]
        config.write_text("\n---\n".join(documents))
        arguments = [
            f"--config={config}",
            f"--kubeconfig={self.kubeconfig('kwok')}",
            "--manage-all-nodes",
            "--node-ip=127.0.0.1",
            f"--node-port={port}",
            f"--server-address=127.0.0.1:{port}",
        ]
        process = start([build.kwok(), *arguments], self._log("kwok"))
        self._stack.callback(stop, process)
        health = f"http://127.0.0.1:{port}/healthz"
        self._wait_until_ready({"kwok": process}, [health])

    def kubeconfig(
        self,
        user: str = "admin",
        groups: Sequence[str] = ("system:masters",),
        *,
        namespace: str | None = None,
        server: str | None = None,
        path: Path | None = None,
    ) -> Path:
        """Write a kubeconfig for any user; a server to name instead must reach this one."""
        certificate, key = self.client_cert(user, groups)
        cluster = {
            "server": server or self.server,
            "certificate-authority-data": _base64(self.ca_file),
        }
        credentials = {
            "client-certificate-data": _base64(certificate),
            "client-key-data": _base64(key),
        }
        context = {"cluster": "test", "user": user, "namespace": namespace or "default"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": context}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
        }
        path = path or certificate.with_suffix(".kubeconfig")
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=2))
        return path

    def client_cert(self, user: str, groups: Sequence[str] = ()) -> tuple[Path, Path]:
        """Write the client certificate and the key of a user; returns both files."""
        return self._authority.issue(user, groups)

    def server_cert(self) -> tuple[Path, Path]:
        """Write a certificate and the key of a server; returns both files.

        It is for loopback, the API server's own address, and the one that pods know it by.
        """
        addresses = dict.fromkeys(["127.0.0.1", self._address, _SERVICE_ADDRESS])
        return self._authority.issue("kube-apiserver", addresses=[*addresses])

    def _etcd_arguments(self, port: int, peer_port: int) -> list[str]:
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{port}",
            f"--advertise-client-urls=http://127.0.0.1:{port}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver_arguments(self, etcd_port: int, port: int) -> list[str]:
        certificate, key = self.server_cert()
        arguments = [
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            f"--bind-address={self._address}",
            f"--secure-port={port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.ca_file}",
            f"--service-account-key-file={self._authority.key_file}",
            f"--service-account-signing-key-file={self._authority.key_file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
        ]
        if self._controllers:
            kubelets_client, kubelets_key = self.client_cert("kube-apiserver", ["system:masters"])
            arguments += [
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged",
                f"--advertise-address={self._address}",
                f"--kubelet-client-certificate={kubelets_client}",
                f"--kubelet-client-key={kubelets_key}",
                "--kubelet-preferred-address-types=InternalIP",
            ]
        else:
            arguments += [
                "--authorization-mode=RBAC",
                "--endpoint-reconciler-type=none",
                # No controller makes the service account that a pod would need.
                "--disable-admission-plugins=ServiceAccount",
            ]
        if self.audit_log:
            policy = self.folder / "audit-policy.json"
            rules = [{"level": "Metadata"}]
            kind = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
            policy.write_text(json.dumps(kind | {"rules": rules}))
            arguments += [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]
        return [*arguments, *self._arguments]

    def _start_controllers(self, stack: contextlib.ExitStack) -> None:
        for program, more in (
            (
                "kube-controller-manager",
                [
                    "--use-service-account-credentials",
                    f"--service-account-private-key-file={self._authority.key_file}",
                    f"--root-ca-file={self.ca_file}",
                ],
            ),
            ("kube-scheduler", []),
        ):
            arguments = [
                f"--kubeconfig={self.kubeconfig(f'system:{program}', [])}",
                "--leader-elect=false",
                "--secure-port=0",
                *more,
            ]
            process = start([build.tool(program), *arguments], self._log(program))
            stack.callback(stop, process)

    def _wait_until_ready(
        self, processes: dict[str, subprocess.Popen[bytes]], urls: Sequence[str]
    ) -> None:
        deadline = time.monotonic() + _START_SECONDS
        waiting = list(urls)
        with self._pool() as pool:
            while waiting:
                with contextlib.suppress(urllib3.exceptions.HTTPError):
                    answer = pool.request("GET", waiting[0], retries=False, timeout=5)
                    if answer.status == HTTPStatus.OK:
                        waiting.pop(0)
                        continue
                dead = [name for name, process in processes.items() if process.poll() is not None]
                if dead or time.monotonic() > deadline:
                    name = dead[0] if dead else list(processes)[-1]
                    log = self._log(name).read_text()[-4000:]
                    problem = f"{name} does not start, its log ends with:\n{log}"
                    raise RuntimeError(problem)
                time.sleep(_POLL_SECONDS)

    def wait_for(
        self, path: str, done: Callable[[Mapping[str, Any]], bool] = lambda _: True
    ) -> None:
        """Wait until an object is there and as it is wanted; raises TimeoutError."""
        deadline = time.monotonic() + _START_SECONDS
        said = "no answer"
        with self._pool() as pool:
            while time.monotonic() < deadline:
                with contextlib.suppress(urllib3.exceptions.HTTPError):  # the machine is busy
                    answer = pool.request("GET", self.server + path, retries=False, timeout=5)
                    if answer.status == HTTPStatus.OK and done(answer.json()):
                        return
                    said = answer.data.decode()
                time.sleep(_POLL_SECONDS)
        problem = f"{path} is not as it is wanted: {said}"
        raise TimeoutError(problem)

    def _pool(self) -> urllib3.PoolManager:
        """Make connections for an administrator."""
        certificate, key = self.client_cert("admin", ["system:masters"])
        return urllib3.PoolManager(
            ca_certs=str(self.ca_file), cert_file=str(certificate), key_file=str(key)
        )

    def _log(self, program: str) -> Path:
        return self.folder / f"{program}.log"


def _exec_rule(pod: str, home: Path) -> dict[str, Any]:
    local = {"workDir": str(home), "envs": [{"name": "HOME", "value": str(home)}]}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterExec",
        "metadata": {"name": pod},
        "spec": {"selector": {"matchNames": [pod]}, "execs": [{"local": local}]},
    }


def start(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that dies with this one, with more of an environment; its log is a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=build.die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and wait for its end."""
    process.kill()  # nothing that it holds is to last
    process.wait()


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
            self._certificate(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_CA_USAGE, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate_file, self.key_file = self._write("ca", certificate, self._key)

    def issue(
        self, user: str, groups: Sequence[str] = (), *, addresses: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Write a certificate, a server's where it has addresses, and its key; returns both."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if addresses else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = self._certificate(_name(user, groups), key.public_key()).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if addresses:
            names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            alternatives = x509.SubjectAlternativeName([x509.DNSName("localhost"), *names])
            builder = builder.add_extension(alternatives, critical=False)
        self._count += 1
        return self._write(f"{self._count}", builder.sign(self._key, hashes.SHA256()), key)

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=7))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer, critical=False)
        )

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


_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(user: str, groups: Sequence[str] = ()) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
            x509.NameAttribute(NameOID.COMMON_NAME, user),
        ]
    )


def _base64(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()

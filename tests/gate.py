"""A gate in front of an API server, that shows which requests are under way side by side."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import urllib3

from controlplane.run import ControlPlane

_PATIENCE_SECONDS = 20


@dataclass
class Gate:
    """Lets requests through once so many of them wait before it, or after a while."""

    url: str
    width: int
    together: set[str] = field(default_factory=set)
    """The paths of those that waited side by side."""
    _open: threading.Condition = field(default_factory=threading.Condition)

    def pass_through(self, path: str) -> None:
        """Wait at the gate; once it has opened it stays open."""
        with self._open:
            if len(self.together) == self.width:
                return
            self.together.add(path)
            self._open.notify_all()
            if not self._open.wait_for(lambda: len(self.together) == self.width, _PATIENCE_SECONDS):
                self.together.discard(path)

    def kubeconfig(self, folder: Path, namespace: str) -> Path:
        """A kubeconfig whose server is the gate."""
        path = folder / "gate.kubeconfig"
        path.write_text(
            f"""{{"apiVersion": "v1", "kind": "Config", "current-context": "gate",
            "clusters": [{{"name": "gate", "cluster": {{"server": "{self.url}"}}}}],
            "contexts": [{{"name": "gate", "context":
                {{"cluster": "gate", "user": "", "namespace": "{namespace}"}}}}]}}"""
        )
        return path


@contextmanager
def gate(plane: ControlPlane, width: int) -> Iterator[Gate]:
    """A gate of that width; behind it everybody is the cluster's administrator."""
    certificate, key = plane.client_cert("admin", ["system:masters"])
    server = urllib3.PoolManager(
        ca_certs=str(plane.ca_file), cert_file=str(certificate), key_file=str(key), maxsize=32
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.pass_through(self.path.partition("?")[0])
            self.forward()

        def forward(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            names = [name for name in ("Accept", "Content-Type") if name in self.headers]
            answer = server.request(
                self.command,
                plane.server + self.path,
                body=self.rfile.read(size) or None,
                headers={name: self.headers[name] for name in names},
                retries=False,
            )
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.data)))
            self.end_headers()
            self.wfile.write(answer.data)

        def do_POST(self) -> None:
            self.forward()

        def log_message(self, *_: object) -> None:
            pass

    with server, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as front:
        made = Gate(f"http://127.0.0.1:{front.server_port}", width)
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            front.shutdown()
            thread.join()

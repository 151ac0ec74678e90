"""A stand-in for what the Portworx operator does to its Secret with the key in each of its rounds.

Written from drivers/storage/portworx/component/auth.go (getPrivateKeyOrGenerate) and
pkg/util/k8s/k8s.go (CreateOrAppendToSecret) of libopenstorage/operator: the key is read, then the
Secret, and if it has more data than that key, or other annotations than the operator's own, it is
written as it was read, with the operator's labels and annotations, and with no resourceVersion.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from typing import Any

from controlplane.run import ControlPlane

_ANNOTATIONS = {"stork.libopenstorage.org/skip-resource": "true"}


class Operator:
    """One operator, whose rounds come one after the other."""

    def __init__(
        self,
        plane: ControlPlane,
        name: str = "pxkeys",
        namespace: str = "kube-system",
        before_request: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the Secret that it keeps; before_request is called before each of its requests."""
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self._name, self._namespace = name, namespace
        self._before_request = before_request
        context = ssl.create_default_context(cafile=str(plane.ca_file))
        context.load_cert_chain(*plane.client_cert("admin", ["system:masters"]))
        host = plane.server.removeprefix("https://")
        self._connection = HTTPSConnection(host, context=context)
        self.rounds = 0

    def close(self) -> None:
        """End its connection."""
        self._connection.close()

    def round(self) -> None:
        """Do one round; where the Secret has no key yet it makes none: that is not of interest."""
        key = self._read()
        found = self._read()
        if key is None or found is None or "shared-secret" not in (key.get("data") or {}):
            return
        data = {"shared-secret": key["data"]["shared-secret"]}
        annotations = found["metadata"].get("annotations")
        if data != found["data"] or annotations != _ANNOTATIONS:
            metadata = {"name": self._name, "namespace": self._namespace}
            self._send(
                "PUT",
                f"{self._path}/{self._name}",
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": metadata | {"annotations": _ANNOTATIONS},
                    "data": data | found["data"],
                },
            )
        self.rounds += 1

    @contextmanager
    def at_work(self, seconds: float = 0.01) -> Iterator["Operator"]:
        """Round after round, with so much time between them."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(seconds):
                self.round()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()
            self.close()

    def _read(self) -> dict[str, Any] | None:
        return self._send("GET", f"{self._path}/{self._name}")

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        self._before_request()
        headers = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self._connection.getresponse()
        read: dict[str, Any] = json.loads(answer.read())
        return read if answer.status < 400 else None

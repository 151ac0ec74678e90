"""What a pod finds in its container, laid down on this host."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from controlplane.run import ControlPlane

_MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_OURS = "laid-down-by-a-test"
_LOCK = Path(tempfile.gettempdir()) / "kubectl-pxauth-service-account.lock"

Test = TypeVar("Test", bound=Callable[..., None])


def needs_pods_files(test: Test) -> Test:
    """Mark a test that lays them down: a host has one such folder."""
    root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay down a pod's files")
    marked: Test = root(pytest.mark.xdist_group("service-account-mount")(test))
    return marked


@contextmanager
def pods_files(plane: ControlPlane, token: str, namespace: str) -> Iterator[dict[str, str]]:
    """The files of a service account; gives the environment variables of its pods."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_empty = _MOUNT.exists() and not any(_MOUNT.iterdir())
        if is_empty or (_MOUNT / _OURS).exists():  # a run that was killed left it
            shutil.rmtree(_MOUNT)
        _MOUNT.mkdir(parents=True)
        (_MOUNT / _OURS).touch()
        try:
            (_MOUNT / "token").write_text(token)
            (_MOUNT / "ca.crt").write_bytes(plane.ca_file.read_bytes())
            (_MOUNT / "namespace").write_text(namespace)
            host, _, port = plane.server.removeprefix("https://").partition(":")
            yield {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        finally:
            shutil.rmtree(_MOUNT)

"""Candidates for the shell that are known only in the cluster or the kubeconfig."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubectl_pxauth.cli.connection import Connection

_SECONDS = 2  # nobody waits longer for a key that is to save time

Flags = Mapping[str, Any]
"""The values of the flags and arguments that are typed so far, by their parameters' names."""


def _connection(flags: Flags) -> "Connection":
    from dataclasses import fields, replace

    from kubectl_pxauth.cli.flags import ConnectionFlags

    given = {
        field.name: flags[field.name] for field in fields(ConnectionFlags) if flags.get(field.name)
    }
    return replace(ConnectionFlags(), **given | {"request_timeout": f"{_SECONDS}s"}).connection()


def _in_kubeconfig(section: str) -> Callable[[Flags], list[str]]:
    def names(flags: Flags) -> list[str]:
        from kubectl_pxauth.cluster.kubeconfig import names_in_kubeconfig

        return names_in_kubeconfig(section, _connection(flags).options)

    return names


def _in_cluster(*path: str) -> Callable[[Flags], list[str]]:
    return lambda flags: list(_connection(flags).open().names(*path))


def _secrets(flags: Flags) -> list[str]:
    """Those that can hold a token: Helm's releases and service accounts' tokens are of a type."""
    connection = _connection(flags)
    namespaces = flags.get("namespace") or connection.kubeconfig.namespace
    # `issue` takes several.
    namespace = namespaces if isinstance(namespaces, str) else namespaces[-1]
    path = ("api", "v1", "namespaces", namespace, "secrets")
    return list(connection.open().names(*path, fieldSelector="type=Opaque"))


_namespaces = _in_cluster("api", "v1", "namespaces")
_storage_classes = _in_cluster("apis", "storage.k8s.io", "v1", "storageclasses")

_BY_PARAMETER: dict[str, Callable[[Flags], list[str]]] = {
    "namespace": _namespaces,
    "portworx_namespace": _namespaces,
    "secret": _secrets,
    "secrets": _secrets,
    "node": _in_cluster("api", "v1", "nodes"),
    "context": _in_kubeconfig("contexts"),
    "cluster": _in_kubeconfig("clusters"),
    "user": _in_kubeconfig("users"),
    "job_namespace": _namespaces,
    "storageclass name": _storage_classes,
    "snapshotclass name": _in_cluster(
        "apis", "snapshot.storage.k8s.io", "v1", "volumesnapshotclasses"
    ),
}
"""What each parameter of any command is completed with; `command parameter` is of one command."""


def find_candidates(command: str, parameter: str, flags: Flags) -> Iterable[str] | None:
    """The names for a command's parameter, None where they are not for here to know.

    There are none where they can't be read, or not in time.
    """
    find = _BY_PARAMETER.get(f"{command} {parameter}") or _BY_PARAMETER.get(parameter)
    if find is None:
        return None
    from kubectl_pxauth.errors import PxauthError
    from kubectl_pxauth.parallel import Background

    # A credential plugin must not ask for anything in the middle of a command line.
    sys.stdin = None
    with _no_process_left():
        try:
            return Background(lambda: find(flags)).result(_SECONDS)
        except (PxauthError, TimeoutError):
            return ()


@contextmanager
def _no_process_left() -> Iterator[None]:
    """End what is still running at the end of the block: a credential plugin that takes too long.

    Whoever waits for the end of our output would wait for its end as well.
    """
    if sys.platform == "win32":
        yield
        return
    with suppress(PermissionError):  # we lead a session, and so a group, already
        os.setpgrp()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTERM)

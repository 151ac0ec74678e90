"""One cluster with a real node for the whole run, and shells to work on it."""

import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane import node_images
from controlplane.node import Cluster
from tests.conftest import furnish
from tests.e2e.portworx import sidecars, storage
from tests.leaks import LeakWatch
from tests.operator_round import Operator
from tests.portworx_site import Site

__all__ = ["sidecars", "storage"]  # fixtures

_COUNTER = itertools.count()

# Also a run that is ended from outside removes what it made.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def cluster(leaks: LeakWatch) -> Iterator[Cluster]:
    """A control plane and a node, with the shared secret where the Portworx docs have it.

    All the while a stand-in does to its Secret what the Portworx operator does to its own.
    """
    with Cluster(audit_log=leaks.audit_log) as running:
        furnish(running.plane)
        running.node.load(node_images.shell())
        with Operator(running.plane).at_work(seconds=0.5) as operator:
            yield running
        assert operator.rounds


@pytest.fixture(scope="session")
def pxauth_image(cluster: Cluster) -> str:
    """The name of the project's own image, which the node has then."""
    cluster.node.load(node_images.pxauth())
    return node_images.PXAUTH


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    """A shell of an administrator, in a namespace of its own that is deleted after the test."""
    site = Site(f"e2e-{next(_COUNTER)}", tmp_path)
    kubeconfig = cluster.plane.kubeconfig(namespace=site.namespace)
    site.environment["KUBECONFIG"] = str(kubeconfig)
    site.done("create", "namespace", site.namespace)
    yield site
    site.kubectl("delete", "namespace", site.namespace, "--wait=false", "--ignore-not-found")


def items(site: Site, kind: str, namespace: str, *flags: str) -> list[dict[str, Any]]:
    """Read all objects of a kind in a namespace."""
    listed = json.loads(site.done("get", kind, "-n", namespace, "-o", "json", *flags))
    found: list[dict[str, Any]] = listed["items"]
    return found

"""Namespaces that are deleted for real: what goes with them, and what is said meanwhile."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from controlplane.node_images import PXAUTH
from tests.e2e.waiting import eventually, kubectl_until_done
from tests.portworx_site import Site

_KINDS = "cronjobs,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"


def test_a_tenants_job_goes_with_the_namespace(site: Site) -> None:
    site.issue("kubernetes")
    done = site.pxauth("schedule", "-n", site.namespace, "--image", PXAUTH)
    assert done.code == 0, done.err
    label = f"kubectl-pxauth/job=pxauth-renew-{site.namespace}"
    assert _left(site, label)
    kubectl_until_done(site, "delete", "namespace", site.namespace, "--ignore-not-found")
    eventually(lambda: not _left(site, label), "nothing of the job is left")
    again = site.pxauth("unschedule", "-n", site.namespace)
    assert again.code == 0, again.err


def test_the_rights_of_all_namespaces_go_with_the_jobs_own(site: Site) -> None:
    there = ["--job-namespace", site.namespace, "--image", PXAUTH]
    done = site.pxauth("schedule", "-A", *there)
    assert done.code == 0, done.err
    label = "kubectl-pxauth/job=pxauth-renew"
    assert _left(site, label)
    kubectl_until_done(site, "delete", "namespace", site.namespace, "--ignore-not-found")
    eventually(lambda: not _left(site, label), "nothing of the job is left")


def test_a_namespace_that_is_being_deleted_gets_no_token(site: Site) -> None:
    label = f"e2e={site.namespace}"
    site.done("label", "namespace", site.namespace, label)
    with _held(site):
        site.done("delete", "namespace", site.namespace, "--wait=false")
        done = site.pxauth("issue", "kubernetes", "--namespace-selector", label)
        assert (done.code, done.err) == (0, "No namespaces found\n")
        done = site.refused("issue", "kubernetes", "-n", site.namespace)
        assert f"namespace {site.namespace} because it is being terminated" in done.err
    kubectl_until_done(site, "wait", "--for=delete", f"namespace/{site.namespace}")


def _left(site: Site, label: str) -> str:
    return site.done("get", _KINDS, "-A", "-l", label, "-o", "name")


@contextmanager
def _held(site: Site) -> Iterator[None]:
    """Hold back the end of the site's namespace, by an object that does not go."""
    holder = {"name": "holder", "finalizers": ["example.com/held"]}
    site.create({"kind": "ConfigMap", "metadata": holder})
    try:
        yield
    finally:
        patch = json.dumps({"metadata": {"finalizers": None}})
        site.done("patch", "configmap", "holder", "--type=merge", f"--patch={patch}")

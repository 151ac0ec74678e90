"""Which Secrets volumes of the old provisioner can be mounted with, and what classes need."""

import pytest

from kubectl_pxauth.portworx.volumes import Purpose, in_tree_doubt, is_direct_access, purposes

TENANTS = "${pvc.namespace}"


@pytest.mark.parametrize(
    ("version", "namespace", "name", "says"),
    [
        ("v1.30.9", "portworx", "px-k8s-user", None),
        ("v1.29.4+rke2r1", "portworx", "px-k8s-user", None),
        ("v1.31.0", "portworx", "px-k8s-user", "may not be read when a volume is mounted"),
        ("v1.37.2", "portworx", "px-k8s-user", "may not be read when a volume is mounted"),
        ("v2.0.0", "portworx", "px-k8s-user", "may not be read when a volume is mounted"),
        ("v1.37.2", "portworx", "px-user-token", None),
        ("v1.37.2", "portworx", "px-admin-token", None),
        ("v1.37.2", TENANTS, "px-user-token", "may not be read when a volume is mounted"),
        ("v1.30.9", TENANTS, "px-user-token", "leaves it to Portworx whether"),
        ("of an unknown version", "portworx", "px-k8s-user", "may not be read"),
    ],
)
def test_who_reads_the_old_provisioners_secret(
    version: str, namespace: str, name: str, says: str | None
) -> None:
    doubt = in_tree_doubt(namespace, name, version)
    assert (doubt is None) is (says is None)
    assert (says or "") in (doubt or "")
    assert doubt is None or doubt.startswith(f"Secret {namespace}/{name}")


def test_what_a_class_needs() -> None:
    usual = (Purpose.MAKE, Purpose.MOUNT, Purpose.GROW)
    assert purposes(expands=True, direct_access=False) == usual
    assert purposes(expands=False, direct_access=False) == usual[:2]
    assert purposes(expands=True, direct_access=True) == (*usual, Purpose.STAGE, Purpose.ATTACH)


@pytest.mark.parametrize(
    ("backend", "direct"),
    [
        ("pure_block", True),
        ("pure_file", True),
        ("pure_fa_file", True),
        ("proxy", False),
        (None, False),
    ],
)
def test_direct_access(backend: str | None, direct: bool) -> None:
    assert is_direct_access({"backend": backend} if backend else {}) is direct

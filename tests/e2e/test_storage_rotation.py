"""The shared secret is rotated while volumes are made, mounted, grown and deleted.

Wherever the restart of Portworx comes, some calls are refused until it has come and all tokens are
signed again; Kubernetes repeats them. In the end all is as it was asked for.
"""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import eventually
from tests.e2e.portworx import Storage, sidecars, storage

__all__ = ["sidecars", "storage"]  # fixtures

Step = Callable[[Storage], object]

_TENANT = "green"
_OWNER = f"px-k8s-user.{_TENANT}@portworx.com"


def _key(storage: Storage) -> None:
    storage.pxauth("keys", "rotate", "--phase=key")


def _tokens(storage: Storage) -> None:
    storage.pxauth("keys", "rotate", "--phase=tokens")


def _all_at_once(storage: Storage) -> None:
    storage.pxauth("keys", "rotate")


def _restart(storage: Storage) -> None:
    storage.restart()


def _all_while_portworx_starts(storage: Storage) -> None:
    storage.site.done("delete", "pods", "-l=name=portworx", "-n", "kube-system", "--wait=false")
    storage.pxauth("keys", "rotate")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([_key, _restart, _tokens], id="the restart comes between the halves"),
        pytest.param([_key, _tokens, _restart], id="the restart comes after both halves"),
        pytest.param([_all_at_once, _restart], id="all at once"),
        pytest.param([_all_while_portworx_starts, _restart], id="Portworx restarts by itself"),
    ],
)
def test_keys_rotate_under_volumes(storage: Storage, steps: list[Step]) -> None:
    storage.namespace(_TENANT)
    storage.pxauth("issue", "kubernetes", "-n", _TENANT)
    storage.pxauth("storageclass", "px-green", "-n", _TENANT)
    moments = range(len(steps))
    for moment in moments:
        for claim in ("mounted", "grown", "deleted"):
            storage.claim(f"{claim}-{moment}", _TENANT, "px-green")
    for moment in moments:
        for claim in ("mounted", "grown", "deleted"):
            assert storage.bound(f"{claim}-{moment}", _TENANT) == _OWNER
    deleted = [storage.handle(f"deleted-{moment}", _TENANT) for moment in moments]

    for moment, step in enumerate(steps):
        storage.claim(f"made-{moment}", _TENANT, "px-green")
        storage.run_pod(f"pod-{moment}", _TENANT, f"mounted-{moment}")
        storage.grow(f"grown-{moment}", _TENANT, "2Gi")
        storage.site.done("delete", f"pvc/deleted-{moment}", "-n", _TENANT, "--wait=false")
        step(storage)

    for moment in moments:
        assert storage.bound(f"made-{moment}", _TENANT) == _OWNER
        storage.pod_runs(f"pod-{moment}", _TENANT)
        storage.has_grown(f"grown-{moment}", _TENANT, "2Gi")
    eventually(lambda: not any(map(storage.is_there, deleted)), "what was deleted is gone")
    status = storage.pxauth("keys", "status")
    assert "Rotation:        none" in status
    storage.pxauth("verify", "-n", _TENANT)
    storage.pxauth("doctor")

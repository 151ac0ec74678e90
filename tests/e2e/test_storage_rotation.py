"""The shared secret is rotated while volumes are made, mounted, grown and deleted.

Wherever the restart of Portworx comes, some calls are refused until it has come and all tokens are
signed again; Kubernetes repeats them. In the end all is as it was asked for.
"""

import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import BIN
from tests.e2e.portworx import Storage, volume_claim
from tests.e2e.waiting import eventually

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


def _killed_halfway(storage: Storage) -> None:
    command = [str(BIN / "kubectl"), "pxauth", "keys", "rotate"]
    environment = storage.site.popen_environment
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as run:
        assert run.stdout
        assert b"is new" in run.stdout.readline()  # and no token is signed with it yet
        run.kill()
    assert run.returncode == -signal.SIGKILL
    assert "Rotation:        none" not in storage.pxauth("keys", "status")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([_key, _restart, _tokens], id="the restart comes between the halves"),
        pytest.param([_key, _tokens, _restart], id="the restart comes after both halves"),
        pytest.param([_all_at_once, _restart], id="all at once"),
        pytest.param([_all_while_portworx_starts, _restart], id="Portworx restarts by itself"),
        pytest.param([_killed_halfway, _restart, _all_at_once, _restart], id="a run is killed"),
    ],
)
def test_keys_rotate_under_volumes(storage: Storage, steps: list[Step]) -> None:
    storage.namespace(_TENANT)
    storage.pxauth("issue", "kubernetes", "-n", _TENANT)
    storage.pxauth("storageclass", "px-green", "-n", _TENANT)
    moments = range(len(steps))
    names = [f"{kind}-{moment}" for kind in ("mounted", "grown", "deleted") for moment in moments]
    storage.create(*(volume_claim(name, "px-green") for name in names), namespace=_TENANT)
    before = storage.all_bound(_TENANT)

    for moment, step in enumerate(steps):
        storage.claim(f"made-{moment}", _TENANT, "px-green")
        storage.run_pod(f"pod-{moment}", _TENANT, f"mounted-{moment}")
        storage.grow(f"grown-{moment}", _TENANT, "2Gi")
        storage.site.done("delete", f"pvc/deleted-{moment}", "-n", _TENANT, "--wait=false")
        step(storage)

    after = storage.all_bound(_TENANT)
    made = [after[f"made-{moment}"] for moment in moments]
    assert {storage.owner(handle) for handle in made} == {_OWNER}
    for moment in moments:
        storage.pod_runs(f"pod-{moment}", _TENANT)
        storage.has_grown(f"grown-{moment}", _TENANT, "2Gi")
    deleted = [before[f"deleted-{moment}"] for moment in moments]
    eventually(lambda: not any(map(storage.is_there, deleted)), "what was deleted is gone")
    status = storage.pxauth("keys", "status")
    assert "Rotation:        none" in status
    storage.pxauth("verify", "-n", _TENANT)
    storage.pxauth("doctor")

"""What tokens are for: volumes that tenants get, mount and snapshot, and no one else touches."""

from tests.e2e.portworx import DRIVER, Storage
from tests.e2e.waiting import eventually

_TOKEN = "px-k8s-user"


def test_four_commands_from_nothing_to_a_volume_in_a_pod(storage: Storage) -> None:
    # An installation as it is at first: Portworx waits for its keys.
    storage.site.done("delete", "secret", "pxkeys", "-n", "kube-system")
    storage.site.done("delete", "pods", "-l", "name=portworx", "-n", "kube-system")
    storage.namespace("shop")

    storage.pxauth("keys", "create")
    storage.pxauth("issue", "kubernetes", "-n", "portworx")
    storage.started()
    storage.pxauth("context", "create", "admin")
    storage.pxauth("storageclass", "px-sc", "-n", "portworx")

    storage.claim("data", "shop", "px-sc")
    assert storage.bound("data", "shop") == f"{_TOKEN}.portworx@portworx.com"
    storage.run_pod("baker", "shop", "data")
    storage.pod_runs("baker", "shop")
    storage.sh("baker", "shop", "echo bread > /data/list")
    handle = storage.handle("data", "shop")
    assert (storage.data(handle) / "list").read_text() == "bread\n"

    healthy = storage.pxauth("doctor")
    assert "warning" not in healthy
    storage.site.done("delete", "pod/baker", "pvc/data", "-n", "shop")
    eventually(lambda: not storage.is_there(handle), "the volume is deleted with its claim")


def test_no_tenant_touches_the_volume_of_another(storage: Storage) -> None:
    tenants = [f"tenant-{number}" for number in range(10)]
    storage.namespace(*tenants)
    storage.pxauth("issue", "kubernetes", "--namespace-selector", "px-tenant=true")
    storage.pxauth("storageclass", "px-tenants", "--multitenant")
    for tenant in tenants:
        storage.claim("data", tenant, "px-tenants")
    owners = {tenant: storage.bound("data", tenant) for tenant in tenants}
    assert owners == {tenant: f"{_TOKEN}.{tenant}@portworx.com" for tenant in tenants}

    # Volumes that an administrator mixed up: each is a tenant's, for the volume of the next one.
    handles = {tenant: storage.handle("data", tenant) for tenant in tenants}
    for tenant, neighbour in zip(tenants, tenants[1:] + tenants[:1], strict=True):
        storage.create(_volume_of_another(tenant, handles[neighbour]))
        storage.claim("theirs", tenant, "px-tenants", volumeName=f"theirs-{tenant}")
    storage.run_pod("thief", "tenant-0", "theirs")
    storage.told("tenant-0", "thief", f"Access denied to volume {handles['tenant-1']}")
    storage.site.done("delete", "pod/thief", "-n", "tenant-0")
    for tenant in tenants:
        storage.site.done("delete", "pvc/theirs", "-n", tenant)
    for tenant in tenants:
        storage.told("default", f"theirs-{tenant}", "Access denied to volume")
    assert all(storage.is_there(handle) for handle in handles.values())

    let_go = '{"metadata":{"finalizers":null},"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
    for tenant in tenants:
        storage.site.done("patch", "pv", f"theirs-{tenant}", "-p", let_go)
        storage.site.done("delete", "pv", f"theirs-{tenant}", "--ignore-not-found")
    for tenant in tenants:
        storage.site.done("delete", "pvc/data", "-n", tenant)
    gone = "each tenant's own token deletes its volume"
    eventually(lambda: not any(map(storage.is_there, handles.values())), gone)


def test_a_token_ends_and_renew_heals_what_hangs(storage: Storage) -> None:
    storage.namespace("red")
    storage.pxauth("issue", "kubernetes", "-n", "red")
    storage.pxauth("storageclass", "px-red", "-n", "red")
    storage.claim("first", "red", "px-red")
    owner = storage.bound("first", "red")

    storage.pxauth("issue", "kubernetes", "-n", "red", "--duration", "1s")
    eventually(lambda: storage.site.pxauth("verify", "-n", "red").code == 1, "the token ends")
    storage.claim("second", "red", "px-red")
    storage.run_pod("reader", "red", "first")
    storage.told("red", "second", "Unable to authenticate token")
    storage.told("red", "reader", "Unable to authenticate token")
    found = storage.site.pxauth("doctor")
    assert found.code == 1
    assert "problem  tokens" in found.out
    assert "PersistentVolumeClaim red/second is Pending" in found.out
    assert f"kubectl pxauth renew {_TOKEN} -n red" in found.out

    storage.pxauth("renew", _TOKEN, "-n", "red", "--duration", "30d")
    assert storage.bound("second", "red") == owner
    storage.pod_runs("reader", "red")


def test_a_volume_outlives_its_namespace_until_the_tenants_token_is_there_again(
    storage: Storage,
) -> None:
    storage.namespace("brown")
    storage.pxauth("issue", "kubernetes", "-n", "brown")
    storage.pxauth("storageclass", "px-tenants", "--multitenant")
    storage.claim("data", "brown", "px-tenants")
    storage.bound("data", "brown")
    handle = storage.handle("data", "brown")
    volume = storage.show("pvc", "data", "brown", "{.spec.volumeName}")

    # The Secret goes with the namespace as the claim does, and here before it.
    holder = '{"metadata":{"finalizers":["example.com/held"]}}'
    storage.site.done("patch", "pvc", "data", "-n", "brown", "--type=merge", "-p", holder)
    storage.site.done("delete", "namespace", "brown", "--wait=false")
    storage.wait("brown", "delete", f"secret/{_TOKEN}")
    let_go = '{"metadata":{"finalizers":null}}'
    storage.site.done("patch", "pvc", "data", "-n", "brown", "--type=merge", "-p", let_go)
    storage.wait("", "delete", "namespace/brown")
    storage.told("default", volume, f"Access denied to volume {handle}")
    assert storage.is_there(handle)
    found = storage.site.pxauth("doctor")
    assert found.code == 1
    assert f"PersistentVolume {volume} (claim brown/data) can't be" in found.out

    storage.namespace("brown")
    storage.pxauth("issue", "kubernetes", "-n", "brown")
    eventually(lambda: not storage.is_there(handle), "the volume is deleted with its user's token")
    assert volume not in storage.site.done("get", "pv", "-o", "name")


def test_snapshots_are_taken_with_the_tenants_token(storage: Storage) -> None:
    storage.namespace("blue")
    storage.pxauth("issue", "kubernetes", "-n", "blue")
    storage.pxauth("storageclass", "px-tenants", "--multitenant")
    storage.pxauth("snapshotclass", "px-snapshots", "--multitenant")
    storage.claim("data", "blue", "px-tenants")
    owner = storage.bound("data", "blue")
    (storage.data(storage.handle("data", "blue")) / "list").write_text("bread\n")

    storage.create(_snapshot("monday"), namespace="blue")
    storage.snapshot_ready("monday", "blue")
    source = {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": "monday",
    }
    storage.claim("restored", "blue", "px-tenants", dataSource=source)
    assert storage.bound("restored", "blue") == owner
    restored = storage.data(storage.handle("restored", "blue"))
    assert (restored / "list").read_text() == "bread\n"

    storage.pxauth("issue", "kubernetes", "-n", "blue", "--duration", "1s")
    eventually(lambda: storage.site.pxauth("verify", "-n", "blue").code == 1, "the token ends")
    storage.create(_snapshot("tuesday"), namespace="blue")
    refused = "{.status.error.message}"

    def said() -> bool:
        shown = storage.show("volumesnapshot", "tuesday", "blue", refused)
        return "Unable to authenticate token" in shown

    eventually(said, "the snapshot says why it is not taken")
    assert storage.site.pxauth("doctor").code == 1
    storage.pxauth("renew", _TOKEN, "-n", "blue", "--duration", "30d")
    storage.snapshot_ready("tuesday", "blue")


def _volume_of_another(tenant: str, handle: str) -> dict[str, object]:
    secret = {"name": _TOKEN, "namespace": tenant}
    annotations = {
        "pv.kubernetes.io/provisioned-by": DRIVER,
        "volume.kubernetes.io/provisioner-deletion-secret-name": _TOKEN,
        "volume.kubernetes.io/provisioner-deletion-secret-namespace": tenant,
    }
    csi = {"driver": DRIVER, "volumeHandle": handle, "nodePublishSecretRef": secret}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"theirs-{tenant}", "annotations": annotations},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "csi": csi,
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": "px-tenants",
        },
    }


def _snapshot(name: str) -> dict[str, object]:
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {"name": name},
        "spec": {
            "source": {"persistentVolumeClaimName": "data"},
            "volumeSnapshotClassName": "px-snapshots",
        },
    }

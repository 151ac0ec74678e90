"""`kubectl pxauth doctor` on what names Secrets: classes, claims, snapshots, volumes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import claims_of, forge
from tests.patient import Patient, Said, bare, claim, patient, plane_arguments, storage_class, token
from tests.portworx_site import (
    OPERATOR,
    OTHERS,
    OURS,
    SECRET_VARIABLE,
    csi,
    from_secret,
    self_signed,
)
from tests.snapshots import SNAPSHOT_CRD, group_snapshot_crd, wait_for_snapshot_classes
from tests.storks import API_VERSIONS, stork_crd, stork_object

__all__ = ["bare", "patient", "plane_arguments"]  # fixtures

pytestmark = pytest.mark.xdist_group("doctor-neighbours")

IN_TREE = {"provisioner": "kubernetes.io/portworx-volume"}
AUTH = "openstorage.io/auth-secret"
LATE = forge(claims_of("late", days=10, age_days=11), OURS)
PENDING = "PersistentVolumeClaim px/data is Pending: StorageClass"


def pair(step: str, secret: str, namespace: str = "px") -> dict[str, str]:
    prefix = step if "/" in step else f"csi.storage.k8s.io/{step}-secret"
    return {f"{prefix}-name": secret, f"{prefix}-namespace": namespace}


def volume(name: str, claimed: str = "", **spec: Any) -> dict[str, Any]:
    """A PersistentVolume of Portworx's; its Secrets and annotations are among the spec."""
    annotations = spec.pop("annotations", {})
    refs = {
        f"{step}SecretRef": {"namespace": place.split("/")[0], "name": place.split("/")[1]}
        for step, place in spec.pop("secrets", {}).items()
    }
    source = {"csi": {"driver": spec.pop("driver", "pxd.portworx.com"), "volumeHandle": "1"} | refs}
    if claimed:
        namespace, of = claimed.split("/")
        spec["claimRef"] = {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": of}
    whole = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]} | source | spec
    whole = {key: value for key, value in whole.items() if value is not None}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": annotations},
        "spec": whole,
    }


def let_guests_in(patient: Patient, access: str) -> None:
    """Put an operator's Portworx in the place of the DaemonSet."""
    patient.remove("daemonset", "portworx", "-n", "kube-system")
    patient.lay_secret("px/px-keys")
    signed = {"sharedSecret": "px-keys", "issuer": "portworx.com"}
    auth = {"selfSigned": signed, "guestAccess": access}
    patient.storage_cluster("px/cluster", security={"enabled": True, "auth": auth})


def well(patient: Patient, *kinds: str) -> list[str]:
    """What the doctor says of these checks, where all is well."""
    found = patient.doctor()
    assert [one for one in found if not one.kind.startswith("ok ")] == []
    return [one.message for one in found if one.kind.removeprefix("ok ") in kinds]


def test_a_default_pair_stands_for_each_that_is_not_there(patient: Patient) -> None:
    patient.lay(storage_class("default", pair("csi.storage.k8s.io/secret", "px-k8s-user")))
    assert "StorageClass default: Secret px/px-k8s-user" in well(patient, "classes")


@pytest.mark.parametrize("step", ["node-expand", "controller-modify", "node-stage"])
def test_half_a_pair_is_a_problem_whatever_it_is_for(patient: Patient, step: str) -> None:
    half = {f"csi.storage.k8s.io/{step}-secret-name": "px-k8s-user"}
    patient.lay(storage_class("half", csi("px") | half))
    assert patient.ill("problem classes").message == (
        f"StorageClass half has no parameter csi.storage.k8s.io/{step}-secret-namespace"
    )


def test_a_pair_with_nothing_in_it_makes_no_volume(bare: Patient) -> None:
    """Whether or not Portworx asks for tokens: the CSI provisioner fails."""
    bare.daemon_set(args=["-c", "cluster"])
    bare.lay(storage_class("empty", pair("provisioner", "", "")))
    assert bare.ill("problem classes").message == (
        "StorageClass empty has parameters csi.storage.k8s.io/provisioner-secret-… with nothing in"
        " them: no volume is made"
    )


def test_the_old_names_of_parameters(patient: Patient) -> None:
    old = {
        f"csi{step}Secret{part}": value
        for step in ("Provisioner", "NodePublish")
        for part, value in (("Name", "px-k8s-user"), ("Namespace", "px"))
    }
    patient.lay(storage_class("old", old, allowVolumeExpansion=False))
    assert "StorageClass old: Secret px/px-k8s-user" in well(patient, "classes")
    del old["csiNodePublishSecretName"]
    patient.lay(storage_class("half", old, allowVolumeExpansion=False))
    assert patient.ill("problem classes").message == (
        "StorageClass half has no parameter csi.storage.k8s.io/node-publish-secret-name"
    )


def test_direct_access_volumes_want_two_pairs_more(patient: Patient) -> None:
    direct = csi("px") | {"backend": "pure_block"} | pair("node-stage", "px-k8s-user")
    patient.lay(storage_class("direct", direct))
    said = patient.ill("warning classes")
    assert said.message == (
        "StorageClass direct has no parameter csi.storage.k8s.io/controller-publish-secret-name and"
        " no csi.storage.k8s.io/controller-publish-secret-namespace: Direct Access volumes are"
        " attached and detached without a token"
    )
    patient.remove("storageclass", "direct")
    assert patient.pxauth("storageclass", "direct", "-p", "backend=pure_block").code == 0
    well(patient)


@pytest.mark.parametrize(
    ("namespace", "name", "wrong"),
    [
        ("${pvc.name}", "a", "${pvc.name} in its namespace"),
        ("px", "${pvc.labels['a']}", "${pvc.labels['a']} in its name"),
        ("px", "$name", "$ in its name"),
    ],
)
def test_a_template_that_nothing_fills_in(
    patient: Patient, namespace: str, name: str, wrong: str
) -> None:
    patient.lay(storage_class("odd", csi(namespace, name)))
    found = [one for one in patient.doctor(code=1) if one.kind == "problem classes"]
    assert found[0].message == (
        f"StorageClass odd has {wrong} of csi.storage.k8s.io/provisioner-secret, which nothing"
        " fills in: no volume is made"
    )


def test_a_claim_without_the_annotation_that_its_class_takes(patient: Patient) -> None:
    patient.lay(
        storage_class("teams", csi("px", "${pvc.annotations['example.com/team']}")),
        claim("px/data", "teams"),
    )
    assert patient.ill("problem claims").message == (
        f"{PENDING} teams takes Secret px/${{pvc.annotations['example.com/team']}}, and the claim"
        " has no such annotation"
    )


def test_a_secret_for_each_claim(patient: Patient) -> None:
    steps = pair("provisioner", "${pvc.name}", "${pvc.namespace}")
    steps |= pair("node-publish", "${pvc.name}", "${pvc.namespace}")
    each = storage_class("each", steps, allowVolumeExpansion=False)
    patient.lay(each, claim("red/orders", "each"), token("red/orders"))
    assert "StorageClass each: Secret ${pvc.namespace}/${pvc.name}; claims use 1 of these" in well(
        patient, "classes"
    )
    patient.remove("secret", "orders", "-n", "red")
    found = {one.kind: one.message for one in patient.doctor(code=1)}
    assert found["problem claims"].endswith("Secret red/orders does not exist")


def encrypted(**content: Any) -> list[dict[str, Any]]:
    """A class for encryption, as the Portworx docs have it, and its Secret without a token."""
    secret = token("px/px-secret", "x")
    secret["stringData"] = {"SECRET_NAME": "s", "SECRET_KEY": "k", "SECRET_CONTEXT": "px"}
    del secret["data"]
    steps = pair("provisioner", "px-secret") | pair("node-publish", "px-secret")
    return [secret, storage_class("encrypted", {"secure": "true"} | steps, **content)]


def test_a_class_for_encryption_where_security_is_off(bare: Patient) -> None:
    bare.daemon_set(args=["-c", "cluster"])
    bare.lay(*encrypted(), claim("px/data", "encrypted"))
    found = bare.doctor()
    assert [one.message for one in found if one.kind.endswith((" classes", " claims"))] == [
        "StorageClass encrypted: Secret px/px-secret",
        "none is Pending because of a token",
    ]


def test_a_class_for_encryption_where_nobody_says_whether_security_is_on(patient: Patient) -> None:
    patient.restarted(args=["-jwt_issuer", "portworx.com"])
    patient.lay(*encrypted())
    found = patient.doctor()
    assert "StorageClass encrypted: Secret px/px-secret" in [one.message for one in found]


def test_a_class_for_encryption_where_security_is_on(patient: Patient) -> None:
    patient.lay(*encrypted(allowVolumeExpansion=False))
    said = patient.ill("problem classes")
    assert said.message == (
        'StorageClass encrypted: Secret px/px-secret has no token: it has no key "auth-token";'
        " its keys: SECRET_CONTEXT, SECRET_KEY, SECRET_NAME"
    )
    assert said.hint
    patient.done(*said.hint.split()[1:])
    well(patient)


def test_a_class_for_encryption_where_guests_are_let_in(patient: Patient) -> None:
    """Its volumes are a guest's, as those of a class without any Secret."""
    let_guests_in(patient, "Enabled")
    patient.lay(
        *encrypted(allowVolumeExpansion=False),
        claim("px/data", "encrypted"),
        volume("pvc-1", secrets={"nodePublish": "px/px-secret"}),
    )
    found = json.loads(patient.pxauth("doctor", "-o", "json").out)["findings"]
    kinds = ("classes", "claims", "volumes")
    (said,) = (one for one in found if one["check"] in kinds and one["severity"] != "ok")
    assert said["severity"] == "warning"
    assert said["message"].startswith("StorageClass encrypted: Secret px/px-secret has no token: ")


@pytest.mark.parametrize("of", ["storageclass", "snapshotclass"])
def test_making_a_class_for_encryption_where_security_is_off(
    with_snapshots: Patient, of: str
) -> None:
    patient = with_snapshots
    patient.lay(encrypted()[0])
    make = (of, "enc", "--secret", "px-secret", "-p", "secure=true")
    assert "has no token" in patient.pxauth(*make, "--dry-run=server").err
    patient.restarted(args=["-c", "cluster"])
    done = patient.pxauth(*make, "--dry-run=server")
    assert (done.code, done.err) == (0, "")


def annotated(place: str, of: str, secret: str, namespace: str = "px") -> dict[str, Any]:
    return claim(place, of, annotations=pair(AUTH, secret, namespace))


def test_claims_that_name_their_own_secret(patient: Patient) -> None:
    patient.lay(
        storage_class("plain", {"repl": "2"}, **IN_TREE),
        annotated("px/data", "plain", "px-k8s-user"),
    )
    assert "StorageClass plain: no Secret, as each claim names its own" in well(patient, "classes")
    patient.lay(annotated("red/a", "plain", "gone"), annotated("red/b", "plain", "gone"))
    said = patient.ill("problem claims")
    assert said.message == (
        "PersistentVolumeClaim red/a and 1 more by annotation: Secret px/gone does not exist"
    )
    patient.remove("pvc", "a", "b", "-n", "red")
    patient.lay(claim("red/c", "plain"))
    kinds = {one.kind for one in patient.doctor(code=1)}
    assert {"problem classes", "problem claims"} <= kinds


def test_an_annotation_beside_a_class_with_a_secret(patient: Patient) -> None:
    patient.lay(annotated("px/data", "px-sc", "gone"))
    assert patient.ill("warning claims").message == (
        "PersistentVolumeClaim px/data by annotation: Secret px/gone does not exist"
    )


def test_an_annotation_without_a_namespace_means_the_claims(patient: Patient) -> None:
    def own(secret: str) -> dict[str, str]:
        return {f"{AUTH}-name": secret}

    patient.lay(
        token("red/mine"),
        storage_class("plain", {"repl": "2"}, **IN_TREE),
        claim("red/data", "plain", annotations=own("mine")),
    )
    assert "StorageClass plain: no Secret, as each claim names its own" in well(patient, "classes")
    patient.lay(claim("green/data", "px-sc", annotations=own("mine")))
    assert patient.ill("warning claims").message == (
        "PersistentVolumeClaim green/data by annotation: Secret green/mine does not exist"
    )


def test_the_old_provisioners_secret_and_who_can_read_it(patient: Patient) -> None:
    patient.lay(
        token("px/px-user-token"),
        token("red/px-user-token"),
        storage_class("fine", pair(AUTH, "px-user-token"), **IN_TREE),
        storage_class("tenants", pair(AUTH, "px-user-token", "${pvc.namespace}"), **IN_TREE),
        claim("red/data", "tenants"),
    )
    assert patient.ill("warning classes").message.startswith(
        "StorageClass tenants: Secret ${pvc.namespace}/px-user-token may not be read when a volume"
        " is mounted: Kubernetes v1."
    )


def test_volumes_that_need_a_secret_that_is_gone(patient: Patient) -> None:
    gone = {"nodePublish": "px/gone", "controllerExpand": "px/gone"}
    deletion = pair("volume.kubernetes.io/provisioner-deletion-secret", "late")
    patient.lay(
        token("px/late", LATE),
        volume("pvc-1", "red/data", secrets=gone),
        volume("pvc-2", "red/more", secrets=gone),
        volume("pvc-3", annotations=deletion, persistentVolumeReclaimPolicy="Delete"),
        volume("pvc-4", annotations=deletion, persistentVolumeReclaimPolicy="Retain"),
        volume("pvc-5", secrets={"nodePublish": "px/px-k8s-user"}),
        volume("others", driver="other.example", secrets={"nodePublish": "px/nobodys"}),
        volume(
            "pvc-6",
            "green/old",
            csi=None,
            portworxVolume={"volumeID": "1"},
            annotations=pair(AUTH, "gone-too"),
        ),
    )
    found = [one for one in patient.doctor(code=1) if one.kind.endswith(" volumes")]
    keeps = "a volume keeps the Secret, and the user, that it was made with: "
    issue = f"{keeps}kubectl pxauth issue kubernetes --secret "
    assert found[:2] == [
        Said(
            "problem volumes",
            "PersistentVolume pvc-1 (claim red/data), pvc-2 (claim red/more) can't be mounted or"
            " grown: Secret px/gone does not exist",
            f"{issue}gone -n px",
        ),
        Said(
            "problem volumes",
            "PersistentVolume pvc-6 (claim green/old) can't be mounted or grown: Secret px/gone-too"
            " does not exist",
            f"{issue}gone-too -n px",
        ),
    ]
    assert found[2].message.startswith(
        "PersistentVolume pvc-3 can't be deleted: Secret px/late holds no valid token: expiry: "
    )
    assert len(found) == 3


def test_volumes_that_have_what_they_need(patient: Patient) -> None:
    empty = {f"volume.kubernetes.io/provisioner-deletion-secret-{one}": "" for one in ("name",)}
    patient.lay(
        volume("pvc-1", secrets={"nodePublish": "px/px-k8s-user"}, annotations=empty),
        volume("pvc-2"),
    )
    assert well(patient, "volumes") == ["they need 1 Secret, and have what they need"]


@pytest.mark.parametrize("access", ["Enabled", "Disabled"])
def test_volumes_without_a_secret_by_the_guests(patient: Patient, access: str) -> None:
    let_guests_in(patient, access)
    patient.lay(
        volume("pvc-1", "red/data"),
        volume("pvc-2", "red/own"),  # whose claim names a Secret
        claim("red/own", "px-sc", annotations={f"{AUTH}-name": "mine"}),
        token("red/mine"),
    )
    found = json.loads(patient.pxauth("doctor", "-o", "json").out)["findings"]
    said = [
        (one["severity"], one["message"])
        for one in found
        if one["check"] == "volumes" and one["severity"] != "ok"
    ]
    cant = "PersistentVolume pvc-1 (claim red/data) can't be mounted: no Secret is named"
    assert said == ([("problem", cant)] if access == "Disabled" else [])


def test_a_released_volume_is_mounted_no_more(patient: Patient) -> None:
    deletion = pair("volume.kubernetes.io/provisioner-deletion-secret", "gone", "left")
    gone: dict[str, Any] = {"secrets": {"nodePublish": "left/gone"}, "annotations": deletion}
    patient.lay(
        volume("kept", "left/data", persistentVolumeReclaimPolicy="Retain", **gone),
        volume("going", "left/data", persistentVolumeReclaimPolicy="Delete", **gone),
    )
    for name in ("kept", "going"):
        patient.status(f"pv/{name}", {"phase": "Released"})
    assert patient.ill("problem volumes").message == (
        "PersistentVolume going (claim left/data) can't be deleted: Secret left/gone does not exist"
    )
    patient.remove("pv", "going")
    well(patient)


def test_volumes_where_security_is_off(bare: Patient) -> None:
    bare.daemon_set(args=["-c", "cluster"])
    deletion = pair("volume.kubernetes.io/provisioner-deletion-secret", "gone")
    bare.lay(
        volume("pvc-1", annotations=deletion, persistentVolumeReclaimPolicy="Delete"),
        volume("pvc-2", secrets={"nodePublish": "px/px-secret"}),
        encrypted()[0],
    )
    said = [one.message for one in bare.doctor() if one.kind.endswith(" volumes")]
    assert said == ["they need 2 Secrets, and have what they need"]
    bare.lay(volume("pvc-3", secrets={"nodePublish": "px/gone"}))
    said = [one.message for one in bare.doctor(code=1) if one.kind.endswith(" volumes")]
    assert said == ["PersistentVolume pvc-1, pvc-3 can't be mounted: Secret px/gone does not exist"]


def assumed(patient: Patient, what: str, code: int, *kinds: str) -> list[str]:
    """What the doctor has to say of these checks if that were so, the good news left out."""
    found = patient.doctor("--assume", what, code=code)
    return [
        one.message
        for one in found
        if one.kind in [f"{how} {kind}" for how in BAD for kind in kinds]
    ]


BAD = ("warning", "problem")


def test_what_would_fail_before_security_is_switched_on(bare: Patient) -> None:
    bare.daemon_set(args=["-c", "cluster"])
    bare.lay(
        storage_class("plain", {}),
        storage_class("px-csi-db", {}),
        storage_class("tenants", csi("px", "gone")),
        volume("pvc-1", "red/data"),
        volume("pvc-2", "red/old", csi=None, portworxVolume={"volumeID": "1"}),
        volume("pvc-3", secrets={"nodePublish": "px/gone"}),
        volume("others", driver="other.example"),
    )
    said = assumed(bare, "security", 1, "classes", "volumes")
    assert said == [
        "StorageClass tenants: Secret px/gone does not exist",
        "StorageClass plain names no Secret: its volumes are asked for without a token",
        "the operator's StorageClasses px-csi-db name no Secret: their volumes are asked for as a"
        " guest",
        "PersistentVolume pvc-1 (claim red/data), pvc-2 (claim red/old): no Secret is named, so"
        " that only guest access lets them be mounted",
        "PersistentVolume pvc-3 can't be mounted: Secret px/gone does not exist",
    ]
    without = assumed(bare, "no-guests", 1, "classes", "volumes")
    assert without[2:4] == [
        "the operator's StorageClasses px-csi-db name no Secret: their volumes are asked for as a"
        " guest, and spec.security.auth.guestAccess turns guests away",
        "PersistentVolume pvc-1 (claim red/data), pvc-2 (claim red/old) can't be mounted: no Secret"
        " is named",
    ]
    # As it is, they are well.
    found = [one.message for one in bare.doctor(code=1) if one.kind.startswith("problem")]
    assert found == [
        "StorageClass tenants: Secret px/gone does not exist",
        "PersistentVolume pvc-3 can't be mounted: Secret px/gone does not exist",
    ]


def test_what_would_fail_before_security_is_switched_off(patient: Patient) -> None:
    """The operator then deletes its own tokens, and volumes go on asking for theirs."""
    patient.lay(
        token("px/px-user-token", ownerReferences=[OPERATOR]),
        token("red/px-user-token"),  # a copy, which nobody deletes
        volume("pvc-1", "red/data", secrets={"nodePublish": "px/px-user-token"}),
        volume("pvc-2", secrets={"nodePublish": "red/px-user-token"}),
        storage_class("user", csi("px", "px-user-token")),
    )
    assert assumed(patient, "security", 0, "classes", "volumes") == []
    deleted = "the operator deletes Secret px/px-user-token when security is switched off"
    assert assumed(patient, "no-security", 1, "classes", "volumes") == [
        f"StorageClass user: {deleted}",
        f"PersistentVolume pvc-1 (claim red/data) can't be mounted: {deleted}",
    ]


def test_an_old_volume_whose_secret_no_kubelet_reads(patient: Patient) -> None:
    """Kubernetes mounts it by CSI, as the old provisioner's class is told."""
    old: dict[str, Any] = {"csi": None, "portworxVolume": {"volumeID": "1"}}
    patient.lay(
        token("px/px-user-token"),
        volume("pvc-1", "red/data", annotations=pair(AUTH, "px-k8s-user"), **old),
        volume("pvc-2", annotations=pair(AUTH, "px-user-token"), **old),
        volume("pvc-3", secrets={"nodePublish": "px/px-k8s-user"}),
    )
    said = patient.ill("warning volumes")
    assert said.message.startswith(
        "PersistentVolume pvc-1 (claim red/data): Secret px/px-k8s-user may not be read when a"
    )


def test_a_volume_whose_secret_to_modify_it_is_gone(patient: Patient) -> None:
    modification = pair("volume.kubernetes.io/controller-modify-secret", "gone")
    patient.lay(
        volume("pvc-1", secrets={"nodePublish": "px/px-k8s-user"}, annotations=modification)
    )
    assert patient.ill("problem volumes").message == (
        "PersistentVolume pvc-1 can't be modified: Secret px/gone does not exist"
    )


@pytest.fixture
def with_snapshots(patient: Patient) -> Iterator[Patient]:
    """A cluster that knows VolumeSnapshotClasses."""
    patient.done("apply", "-f", "-", stdin=SNAPSHOT_CRD)
    wait_for_snapshot_classes(patient)
    yield patient
    patient.kubectl("delete", "crd", SNAPSHOT_CRD["metadata"]["name"])


def snapshot_class(name: str, parameters: dict[str, str], **content: Any) -> dict[str, Any]:
    kind = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass"}
    default = {"driver": "pxd.portworx.com", "deletionPolicy": "Delete"}
    return kind | default | {"metadata": {"name": name}, "parameters": parameters} | content


def test_snapshot_classes(with_snapshots: Patient) -> None:
    patient = with_snapshots
    patient.lay(
        snapshot_class("fine", pair("snapshotter", "px-k8s-user")),
        snapshot_class("tenants", pair("snapshotter", "t", "${volumesnapshot.namespace}")),
        snapshot_class("others", {}, driver="other.example"),
    )
    assert {
        "VolumeSnapshotClass fine: Secret px/px-k8s-user",
        "VolumeSnapshotClass tenants: Secret ${volumesnapshot.namespace}/t",
    } <= set(well(patient, "classes"))
    patient.lay(snapshot_class("px-csi-snapclass", {}))
    said = patient.ill("warning classes")
    assert said.message == (
        "VolumeSnapshotClass px-csi-snapclass names no Secret: its snapshots are asked for as a"
        " guest"
    )
    template = pair("snapshotter-list", "px-k8s-user", "${volumesnapshot.namespace}")
    patient.lay(
        snapshot_class("bare", {}),
        snapshot_class("half", {"csi.storage.k8s.io/snapshotter-secret-name": "px-k8s-user"}),
        snapshot_class("gone", pair("snapshotter", "gone")),
        snapshot_class("list", pair("snapshotter", "px-k8s-user") | template),
    )
    found = [one.message for one in patient.doctor(code=1) if one.kind == "problem classes"]
    assert found == [
        "VolumeSnapshotClass bare names no Secret: its snapshots are asked for without a token",
        "VolumeSnapshotClass gone: Secret px/gone does not exist",
        "VolumeSnapshotClass half has no parameter csi.storage.k8s.io/snapshotter-secret-namespace:"
        " its snapshots fail",
        "VolumeSnapshotClass list has ${volumesnapshot.namespace} in its namespace of"
        " csi.storage.k8s.io/snapshotter-list-secret, which nothing fills in",
    ]


def test_a_snapshot_class_whose_secret_makes_no_snapshots(with_snapshots: Patient) -> None:
    patient = with_snapshots
    patient.lay(snapshot_class("list", pair("snapshotter-list", "px-k8s-user")))
    assert patient.ill("problem classes").message == (
        "VolumeSnapshotClass list names no Secret to make them with: its snapshots are asked for"
        " without a token"
    )
    patient.remove("volumesnapshotclass", "list")
    patient.lay(snapshot_class("empty", pair("snapshotter", "", "")))
    assert patient.ill("problem classes").message == (
        "VolumeSnapshotClass empty has nothing in its parameters"
        " csi.storage.k8s.io/snapshotter-secret-…: its snapshots fail"
    )


@pytest.mark.parametrize(
    ("access", "severity", "ends"),
    [("Enabled", "warning", "as a guest"), ("Disabled", "problem", "without a token")],
)
def test_classes_without_a_secret_by_the_guests(
    with_snapshots: Patient, access: str, severity: str, ends: str
) -> None:
    """One for volumes and one for their snapshots are the same trouble."""
    patient = with_snapshots
    let_guests_in(patient, access)
    patient.lay(storage_class("bare", {}), snapshot_class("bare", {}))
    found = json.loads(patient.pxauth("doctor", "-o", "json").out)["findings"]
    said = [one for one in found if "Class bare " in one["message"]]
    assert [one["severity"] for one in said] == [severity, severity]
    assert all(one["message"].endswith(f"are asked for {ends}") for one in said)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_classes_of_groups_of_snapshots(patient: Patient, version: str) -> None:
    crd = group_snapshot_crd(version)
    patient.done("apply", "-f", "-", stdin=crd)
    try:
        wait_for_snapshot_classes(patient, crd)
        kind = {
            "apiVersion": f"groupsnapshot.storage.k8s.io/{version}",
            "kind": "VolumeGroupSnapshotClass",
        }
        namespace = "${volumegroupsnapshot.namespace}"
        patient.lay(
            snapshot_class("fine", pair("group-snapshotter", "px-k8s-user"), **kind),
            snapshot_class("tenants", pair("group-snapshotter", "t", namespace), **kind),
            snapshot_class("others", {}, driver="other.example", **kind),
        )
        assert {
            "VolumeGroupSnapshotClass fine: Secret px/px-k8s-user",
            f"VolumeGroupSnapshotClass tenants: Secret {namespace}/t",
        } <= set(well(patient, "classes"))
        patient.lay(snapshot_class("single", pair("snapshotter", "px-k8s-user"), **kind))
        said = patient.ill("problem classes")
        assert said.message == (
            "VolumeGroupSnapshotClass single names no Secret: its snapshots are asked for without a"
            " token"
        )
        assert str(said.hint).endswith("kubectl edit volumegroupsnapshotclass single")
        said = patient.ill("problem classes", "--as", "root", "--as-group", "system:masters")
        edit = "kubectl --as root --as-group system:masters edit volumegroupsnapshotclass single"
        assert str(said.hint).endswith(edit)
    finally:
        patient.remove("crd", crd["metadata"]["name"])


def test_snapshot_classes_that_may_not_be_read(patient: Patient) -> None:
    def checks() -> list[str]:
        found = patient.doctor("--as", "lister")
        return [one.message for one in found if "VolumeSnapshotClasses" in one.message]

    with patient.everywhere("lister", "storageclasses", "persistentvolumeclaims"):
        assert checks() == []
        patient.done("apply", "-f", "-", stdin=SNAPSHOT_CRD)
        try:
            wait_for_snapshot_classes(patient)
            (said,) = checks()
            assert said.startswith('not checked: user "lister" may not list VolumeSnapshotClasses')
        finally:
            patient.kubectl("delete", "crd", SNAPSHOT_CRD["metadata"]["name"])


STORK_KEY = b"never-shown: the key of stork"


def stork(*env: dict[str, Any], namespace: str = "kube-system") -> dict[str, Any]:
    labels = {"name": "stork"}
    containers = [{"name": "stork", "image": "stork", "env": list(env)}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "stork", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


@pytest.fixture
def with_stork(patient: Patient) -> Patient:
    """A Portworx that is started with a key for stork, as the Portworx docs have it."""
    patient.lay_secret("kube-system/storks", STORK_KEY, "stork-secret")
    patient.lay_secret("kube-system/others", OTHERS, "stork-secret")
    key = from_secret("PORTWORX_AUTH_STORK_KEY", "storks", "stork-secret")
    patient.restarted(
        args=["-jwt_issuer", "portworx.com"], env=[from_secret(SECRET_VARIABLE, "pxkeys"), key]
    )
    return patient


def issuer(text: str) -> dict[str, Any]:
    return {"name": "PX_JWT_ISSUER", "value": text}


def from_config(name: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "stork", "key": "a"}}}


STORKS: list[tuple[list[dict[str, Any]], str, str]] = [
    (
        [from_secret("PX_SHARED_SECRET", "storks", "stork-secret"), issuer("stork.openstorage.io")],
        "ok",
        'signs as "stork.openstorage.io" with the key that Portworx has for it',
    ),
    (
        [from_secret("PX_SHARED_SECRET", "storks", "stork-secret")],
        "ok",
        'signs as "stork.openstorage.io" with the key that Portworx has for it',
    ),
    (
        [from_secret("PX_SHARED_SECRET", "others", "stork-secret")],
        "warning",
        'PX_SHARED_SECRET is not the key that Portworx has for tokens of "stork.openstorage.io":'
        " DaemonSet kube-system/portworx container portworx env PORTWORX_AUTH_STORK_KEY",
    ),
    (
        [{"name": "PX_SHARED_SECRET", "value": OTHERS.decode()}],
        "warning",
        'PX_SHARED_SECRET is not the key that Portworx has for tokens of "stork.openstorage.io":'
        " DaemonSet kube-system/portworx container portworx env PORTWORX_AUTH_STORK_KEY",
    ),
    (
        [from_secret("PX_SHARED_SECRET", "storks", "stork-secret"), issuer("apps.portworx.io")],
        "warning",
        'Portworx is started with no key for tokens of "apps.portworx.io", which stork makes',
    ),
    (
        [from_secret("PX_SHARED_SECRET", "pxkeys"), issuer("operator.portworx.io")],
        "warning",
        'Portworx is started with no key for tokens of "operator.portworx.io", which stork makes',
    ),
    (
        [from_secret("PX_SHARED_SECRET", "pxkeys"), issuer("portworx.com")],
        "warning",
        'PX_JWT_ISSUER is "portworx.com", and stork starts with apps.portworx.io,'
        " stork.openstorage.io, operator.portworx.io alone",
    ),
    ([], "warning", "it has no PX_SHARED_SECRET, and asks Portworx without a token"),
    # Kubernetes takes the last.
    (
        [
            from_secret("PX_SHARED_SECRET", "others", "stork-secret"),
            from_secret("PX_SHARED_SECRET", "storks", "stork-secret"),
        ],
        "ok",
        'signs as "stork.openstorage.io" with the key that Portworx has for it',
    ),
    (
        [from_secret("PX_SHARED_SECRET", "storks", "stork-secret"), from_config("PX_JWT_ISSUER")],
        "ok",
        "PX_JWT_ISSUER may come from elsewhere, and was not compared",
    ),
    (
        [from_config("PX_SHARED_SECRET")],
        "ok",
        "PX_SHARED_SECRET may come from elsewhere, and was not compared",
    ),
    (
        [{"name": "PX_SHARED_SECRET", "value": "$(KEY)"}, issuer("stork.openstorage.io")],
        "ok",
        "PX_SHARED_SECRET may come from elsewhere, and was not compared",
    ),
    (
        [from_secret("PX_SHARED_SECRET", "gone", "stork-secret")],
        "warning",
        "PX_SHARED_SECRET is in kube-system/gone:stork-secret, which is not there",
    ),
]


@pytest.mark.parametrize(("env", "severity", "says"), STORKS)
def test_storks_key_and_issuer(
    with_stork: Patient, env: list[dict[str, Any]], severity: str, says: str
) -> None:
    with_stork.lay(stork(*env), stork(namespace="red"))
    found = [one for one in with_stork.doctor() if one.kind.endswith(" stork")]
    assert [(one.kind, one.message) for one in found] == [
        (f"{severity} stork", f"Deployment kube-system/stork: {says}")
    ]
    assert "never-shown" not in with_stork.pxauth("doctor").out


def test_a_stork_with_variables_of_elsewhere(with_stork: Patient) -> None:
    manifest = stork(issuer("stork.openstorage.io"))
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"secretRef": {"name": "storks"}}]
    with_stork.lay(manifest)
    (said,) = (one for one in with_stork.doctor() if one.kind.endswith(" stork"))
    assert said.message == (
        "Deployment kube-system/stork: PX_SHARED_SECRET may come from elsewhere, and was not"
        " compared"
    )


def test_the_operators_stork(bare: Patient) -> None:
    bare.lay_secret("px/px-shared-secret")
    bare.lay_secret("px/px-system-secrets", STORK_KEY, "apps-secret")
    bare.storage_cluster("px/px", security=self_signed())
    key = from_secret("PX_SHARED_SECRET", "px-system-secrets", "apps-secret")
    bare.lay(stork(key, issuer("apps.portworx.io"), namespace="px"))
    found = [one for one in bare.doctor() if one.kind.endswith(" stork")]
    assert [one.message for one in found] == [
        'Deployment px/stork: signs as "apps.portworx.io" with the key that Portworx has for it'
    ]


def test_a_stork_where_security_is_off(bare: Patient) -> None:
    bare.daemon_set(args=["-c", "cluster"])
    bare.lay(stork(issuer("portworx.com")))
    assert not [one for one in bare.doctor() if one.kind.endswith(" stork")]


@pytest.fixture
def with_storks_kinds(patient: Patient) -> Iterator[Patient]:
    """A cluster that knows stork's objects."""
    crds = [stork_crd(kind) for kind in API_VERSIONS]
    patient.lay(*crds)
    for crd in crds:
        wait_for_snapshot_classes(patient, crd)
    yield patient
    patient.remove("crd", *(crd["metadata"]["name"] for crd in crds))


def test_storks_objects_that_name_a_secret(with_storks_kinds: Patient) -> None:
    patient = with_storks_kinds
    patient.lay(*(stork_object(kind, "red/fine", "px/px-k8s-user") for kind in API_VERSIONS))
    assert [one for one in patient.doctor() if one.kind.startswith(BAD)] == []
    patient.lay(*(stork_object(kind, "red/bad", "red/gone") for kind in API_VERSIONS))
    said = patient.ill("warning stork")
    assert said.message == (
        "VolumeSnapshotSchedule red/bad, MigrationSchedule red/bad, GroupVolumeSnapshot red/bad and"
        " 2 more, by annotations: Secret red/gone does not exist"
    )
    assert said.hint
    assert said.hint.endswith("issue kubernetes --secret gone -n red")
    with patient.everywhere("lister", "storageclasses", "persistentvolumeclaims"):
        found = patient.doctor("--as", "lister")
        assert [one for one in found if one.kind.endswith(" stork")] == []
    assert assumed(patient, "no-security", 0, "stork") == []


def test_storks_objects_that_name_half_a_secret(with_storks_kinds: Patient) -> None:
    half = stork_object("GroupVolumeSnapshot", "red/half", "px/px-k8s-user")
    del half["metadata"]["annotations"]["openstorage.io/auth-secret-namespace"]
    with_storks_kinds.lay(half)
    assert with_storks_kinds.ill("warning stork").message == (
        "GroupVolumeSnapshot red/half: the annotation openstorage.io/auth-secret-namespace is"
        " missing"
    )


def test_storks_schedules_that_name_no_secret(with_storks_kinds: Patient) -> None:
    """What they make asks Portworx as a guest, who is let in unless that is switched off."""
    patient = with_storks_kinds
    patient.lay(*(stork_object(kind, "red/bare") for kind in API_VERSIONS))
    assert [one for one in patient.doctor() if one.kind.startswith(BAD)] == []
    assert assumed(patient, "no-guests", 0, "stork") == [
        "VolumeSnapshotSchedule red/bare, MigrationSchedule red/bare: no annotations name a Secret,"
        " and guests are turned away"
    ]

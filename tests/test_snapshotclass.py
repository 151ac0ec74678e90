"""`kubectl pxauth snapshotclass` against a real API server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Run, Shell
from tests.snapshots import SNAPSHOT_CRD, wait_for_snapshot_classes

pytestmark = pytest.mark.xdist_group("snapshotclass")

IS_DEFAULT = "snapshot.storage.kubernetes.io/is-default-class"
KIND = "volumesnapshotclass.snapshot.storage.k8s.io"
CRD = ("crd", SNAPSHOT_CRD["metadata"]["name"])


@dataclass(frozen=True)
class Class:
    """A name for a VolumeSnapshotClass, with its Secret in the test's namespace."""

    shell: Shell
    name: str

    def make(self, *arguments: str) -> Run:
        done = self.shell.pxauth("snapshotclass", self.name, *arguments)
        assert done.code == 0, done.err
        return done

    def read(self) -> dict[str, Any]:
        done = self.shell.kubectl("get", KIND, self.name, "-o", "json")
        assert done.code == 0, done.err
        manifest: dict[str, Any] = json.loads(done.out)
        return manifest


@pytest.fixture
def made(shell: Shell) -> Iterator[Class]:
    shell.issue("kubernetes")
    assert shell.kubectl("apply", "-f", "-", stdin=json.dumps(SNAPSHOT_CRD)).code == 0
    wait_for_snapshot_classes(shell)
    yield Class(shell, shell.namespace)
    shell.kubectl("delete", KIND, "--all")


def parameters(namespace: str, *steps: str, secret: str = "px-k8s-user") -> dict[str, str]:
    return {
        f"csi.storage.k8s.io/{step}-secret-{part}": value
        for step in steps or ("snapshotter", "snapshotter-list")
        for part, value in (("name", secret), ("namespace", namespace))
    }


def test_a_cluster_without_the_crd(shell: Shell) -> None:
    shell.kubectl("delete", *CRD, "--ignore-not-found")
    shell.issue("kubernetes")
    done = shell.refused("snapshotclass", "px")
    assert done.err.splitlines() == [
        "error: this cluster knows no VolumeSnapshotClasses",
        f"hint: its CRDs come with the snapshot controller: kubectl get crd {CRD[1]}",
    ]


def test_it_names_the_secret(made: Class) -> None:
    done = made.make("-p", "csi.openstorage.org/snapshot-type=local")
    assert (done.out, done.err) == (f"{KIND}/{made.name} created\n", "")
    found = made.read()
    assert (found["driver"], found["deletionPolicy"]) == ("pxd.portworx.com", "Delete")
    local = {"csi.openstorage.org/snapshot-type": "local"}
    assert found["parameters"] == parameters(made.shell.namespace) | local
    assert "annotations" not in found["metadata"]
    assert made.make().out == f"{KIND}/{made.name} unchanged\n"
    assert made.read() == found
    completed = made.shell.kubectl("__complete", "pxauth", "snapshotclass", made.name[:4])
    assert completed.out == f"{made.name}\n:4\n"


def test_tenants_have_their_own_tokens(made: Class) -> None:
    assert made.make("--multitenant", "--secret", "px-user-token").err == ""
    tenants = parameters("${volumesnapshot.namespace}", "snapshotter", secret="px-user-token")
    assert made.read()["parameters"] == tenants


def test_what_differs_is_changed_and_the_rest_stays(made: Class) -> None:
    metadata = {"name": made.name, "namespace": None, "annotations": {"note": "hands off"}}
    content = {"driver": "pxd.portworx.com", "deletionPolicy": "Delete", "parameters": {"a": "b"}}
    kind = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass"}
    made.shell.create({"metadata": metadata, **kind, **content})
    done = made.make("--default", "--deletion-policy", "Retain")
    assert done.out == f"{KIND}/{made.name} configured\n"
    found = made.read()
    assert found["parameters"] == {"a": "b"} | parameters(made.shell.namespace)
    assert found["deletionPolicy"] == "Retain"
    assert found["metadata"]["annotations"] == {"note": "hands off", IS_DEFAULT: "true"}
    assert made.make().out.endswith(" unchanged\n")
    assert made.make("--deletion-policy", "Retain").out.endswith(" unchanged\n")
    made.make("--default=false")
    found = made.read()
    assert found["metadata"]["annotations"][IS_DEFAULT] == "false"
    assert found["deletionPolicy"] == "Retain"
    assert made.make("--deletion-policy", "Delete").out.endswith(" configured\n")
    assert made.read()["deletionPolicy"] == "Delete"
    foreign = {"metadata": {"name": "foreign", "namespace": None}, **kind}
    made.shell.create(foreign | content | {"driver": "other.example"})
    refused = made.shell.refused("snapshotclass", "foreign")
    assert "VolumeSnapshotClass foreign is of the driver other.example\n" in refused.err


def test_what_is_worth_a_warning(made: Class) -> None:
    other = Class(made.shell, f"{made.name}-other")
    other.make("--default")
    # Each driver may have one.
    drivers = other.read() | {"driver": "csi.example"}
    drivers["metadata"] = {"name": f"{made.name}-driver", "annotations": {IS_DEFAULT: "true"}}
    assert made.shell.kubectl("create", "-f", "-", stdin=json.dumps(drivers)).code == 0
    made.make("--default")
    done = made.make("--default", "--secret", "nope")
    defaults, secret = done.err.splitlines()
    assert defaults == (
        f"warning: there are other default VolumeSnapshotClasses of pxd.portworx.com: {other.name};"
        " snapshots that name no class fail until one is left"
    )
    assert secret == (
        f"warning: Secret {made.shell.namespace}/nope does not exist, and without its token no"
        " snapshot of the class can be made: kubectl pxauth issue kubernetes --secret nope"
        f" -n {made.shell.namespace}"
    )


def test_dry_runs_and_formats(made: Class, offline: Shell) -> None:
    done = made.make("--dry-run=server", "-o", "json")
    assert json.loads(done.out)["parameters"] == parameters(made.shell.namespace)
    assert made.shell.kubectl("get", KIND, made.name).code == 1
    client = ["snapshotclass", made.name, "-n", made.shell.namespace, "--dry-run=client"]
    manifest = offline.pxauth(*client, "-o", "yaml")
    assert manifest.err == ""
    assert made.shell.kubectl("apply", "-f", "-", stdin=manifest.out).code == 0
    assert made.make("-o", "name").out == f"{KIND}/{made.name}\n"
    assert made.make("--dry-run=server").out.endswith(" unchanged (server dry run)\n")


def test_who_may_not_is_told(made: Class) -> None:
    refused = made.shell.refused("snapshotclass", made.name, "--as", "nobody")
    assert refused.err.splitlines() == [
        f'error: user "nobody" may not get VolumeSnapshotClass {made.name}: verb "get" on resource'
        ' "volumesnapshotclasses.snapshot.storage.k8s.io" is forbidden',
        "hint: kubectl --as nobody auth can-i get"
        f" {KIND.replace('class.', 'classes.')}/{made.name}",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["Not_A_Name"],
        ["px", "--secret", "${pvc.name}"],
        ["px", "-n", "${volumesnapshot.name}"],
        ["px", "-n", "red", "--multitenant"],
        ["px", "-p", "csi.storage.k8s.io/snapshotter-secret-name=mine"],
        ["px", "--deletion-policy", "Recycle"],
    ],
)
def test_misuse_ends_with_2_before_anything_is_asked(offline: Shell, arguments: list[str]) -> None:
    offline.refused("snapshotclass", *arguments, code=2)


def test_labels_and_annotations_that_are_asked_for(made: Class) -> None:
    made.make()
    asked = ("--label=team=px", "--annotation=cost-centre=a, b")
    assert made.make(*asked, "--default").out.endswith("configured\n")
    metadata = made.read()["metadata"]
    assert metadata["labels"]["team"] == "px"
    assert metadata["annotations"] == {"cost-centre": "a, b", IS_DEFAULT: "true"}
    assert made.make().out.endswith("unchanged\n")
    assert made.make(*asked).out.endswith("unchanged\n")

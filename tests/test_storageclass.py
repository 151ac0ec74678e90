"""`kubectl pxauth storageclass` against a real API server."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.run import ControlPlane
from kubectl_pxauth.token.claims import Claims
from kubectl_pxauth.token.identity import Identity
from kubectl_pxauth.token.jwt import sign
from kubectl_pxauth.token.shared_secret import SharedSecret
from tests.conftest import Run, Shell
from tests.fault_proxy import FaultProxy, refusal
from tests.portworx_site import csi

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
WAS_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class Class:
    """A name for a StorageClass of this test's own, with its Secret in the test's namespace."""

    shell: Shell
    name: str

    @property
    def resource(self) -> str:
        return f"storageclass.storage.k8s.io/{self.name}"

    def make(self, *arguments: str) -> Run:
        """Run the command; it must succeed."""
        done = self.shell.pxauth("storageclass", self.name, *arguments)
        assert done.code == 0, done.err
        return done

    def refused(self, *arguments: str, code: int = 1) -> Run:
        return self.shell.refused("storageclass", self.name, *arguments, code=code)

    def read(self) -> dict[str, Any]:
        done = self.shell.kubectl("get", "storageclass", self.name, "-o", "json")
        assert done.code == 0, done.err
        manifest: dict[str, Any] = json.loads(done.out)
        return manifest

    def create(self, **content: Any) -> None:
        """Make it without the plugin."""
        metadata = {"name": self.name} | content.pop("metadata", {})
        manifest = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata}
        done = self.shell.kubectl("create", "-f", "-", stdin=json.dumps(manifest | content))
        assert done.code == 0, done.err


@pytest.fixture
def made(shell: Shell) -> Iterator[Class]:
    """A class whose Secret holds a valid token."""
    shell.issue("kubernetes")
    yield Class(shell, shell.namespace)
    shell.kubectl("delete", "storageclass", shell.namespace, "--ignore-not-found")


@pytest.fixture
def other(shell: Shell) -> Iterator[Class]:
    """Another name for a class."""
    yield Class(shell, f"{shell.namespace}-other")
    shell.kubectl("delete", "storageclass", f"{shell.namespace}-other", "--ignore-not-found")


def grant(shell: Shell, verbs: str, resource: str, *, everywhere: bool = False) -> None:
    """Let the user who is called as the namespace do that."""
    kind, where = ("clusterrole", []) if everywhere else ("role", ["-n", shell.namespace])
    name = f"{shell.namespace}-{resource}"
    user = ["--user", shell.namespace]
    for arguments in (
        ["create", kind, name, "--verb", verbs, "--resource", resource],
        ["create", f"{kind}binding", name, f"--{kind}", name, *user],
    ):
        done = shell.kubectl(*arguments, *where)
        assert done.code == 0, done.err


def test_it_is_the_class_of_the_docs(made: Class) -> None:
    done = made.make("-p", "repl=3", "--parameter", "io_profile=auto")
    assert (done.out, done.err) == (f"{made.resource} created\n", "")
    found = made.read()
    assert found["provisioner"] == "pxd.portworx.com"
    assert found["parameters"] == csi(made.shell.namespace) | {"repl": "3", "io_profile": "auto"}
    assert (found["allowVolumeExpansion"], found["reclaimPolicy"]) == (True, "Delete")
    assert "annotations" not in found["metadata"]


def test_issue_and_storageclass_go_together(shell: Shell) -> None:
    assert shell.pxauth("issue", "kubernetes", "-n", "portworx").code == 0
    done = shell.pxauth("storageclass", "px-sc", "-n", "portworx")
    assert (done.out, done.err) == ("storageclass.storage.k8s.io/px-sc created\n", "")
    read = shell.kubectl("get", "storageclass", "px-sc", "-o", "json")
    assert json.loads(read.out)["parameters"] == csi("portworx")


def test_tenants_have_their_own_tokens(made: Class) -> None:
    done = made.make("--multitenant", "--secret", "px-user-token")
    assert done.err == ""
    assert made.read()["parameters"] == csi("${pvc.namespace}", "px-user-token")


def test_the_old_provisioner(made: Class) -> None:
    done = made.make("--in-tree")
    assert done.err.startswith(
        f"warning: Secret {made.shell.namespace}/px-k8s-user may not be read when a volume is"
        " mounted: Kubernetes v1."
    )
    assert done.err.endswith("; without --in-tree this is no concern\n")
    assert len(done.err.splitlines()) == 1
    found = made.read()
    assert found["provisioner"] == "kubernetes.io/portworx-volume"
    assert found["parameters"] == {
        "openstorage.io/auth-secret-name": "px-k8s-user",
        "openstorage.io/auth-secret-namespace": made.shell.namespace,
    }


def test_the_old_provisioner_with_the_secret_that_kubelets_can_read(made: Class) -> None:
    made.shell.issue("kubernetes", "--secret", "px-user-token")
    assert made.make("--in-tree", "--secret", "px-user-token").err == ""


def test_the_old_provisioner_for_tenants(made: Class) -> None:
    done = made.make("--in-tree", "--multitenant", "--secret", "px-user-token")
    assert done.err.startswith("warning: Secret ${pvc.namespace}/px-user-token may not be read")
    assert len(done.err.splitlines()) == 1
    assert made.read()["parameters"] == {
        "openstorage.io/auth-secret-name": "px-user-token",
        "openstorage.io/auth-secret-namespace": "${pvc.namespace}",
    }
    again = made.make("--in-tree", "--multitenant", "--secret", "px-user-token")
    assert again.out == f"{made.resource} unchanged\n"


@pytest.mark.parametrize(
    ("flags", "namespace", "secret"),
    [
        (["--multitenant", "--secret", "${pvc.name}"], "${pvc.namespace}", "${pvc.name}"),
        (["-n", "${pvc.namespace}"], "${pvc.namespace}", "px-k8s-user"),
        (["-n", "${pv.name}", "--secret", "${pv.name}"], "${pv.name}", "${pv.name}"),
        (
            ["-n", "px", "--secret", "team-${pvc.annotations['example.com/team']}"],
            "px",
            "team-${pvc.annotations['example.com/team']}",
        ),
    ],
)
def test_what_the_csi_provisioner_fills_in_is_written_as_it_is(
    made: Class, flags: list[str], namespace: str, secret: str
) -> None:
    assert made.make(*flags).err == ""
    assert made.read()["parameters"] == csi(namespace, secret)


def test_direct_access_volumes_are_attached_with_the_token_too(made: Class, other: Class) -> None:
    attached = {
        f"csi.storage.k8s.io/{step}-secret-{part}": value
        for step in ("node-stage", "controller-publish")
        for part, value in (("name", "px-k8s-user"), ("namespace", made.shell.namespace))
    }
    assert made.make("-p", "backend=pure_block").err == ""
    whole = csi(made.shell.namespace) | attached
    assert made.read()["parameters"] == whole | {"backend": "pure_block"}
    other.make("--direct-access")
    assert other.read()["parameters"] == whole
    left = other.refused("-p", "backend=pure_file", "--no-direct-access")
    assert "parameters.csi.storage.k8s.io/node-stage-secret-name" in left.err


def test_the_flags_of_the_class(made: Class) -> None:
    made.make("--allow-volume-expansion=false", "--reclaim-policy=Retain", "-p=a=b=c", "-p=empty=")
    found = made.read()
    assert (found["allowVolumeExpansion"], found["reclaimPolicy"]) == (False, "Retain")
    assert found["parameters"] == csi(made.shell.namespace) | {"a": "b=c", "empty": ""}


def test_a_repeat_changes_what_may_change_and_no_more(made: Class) -> None:
    made.create(
        metadata={"labels": {"team": "storage"}, "annotations": {"note": "hands off"}},
        provisioner="pxd.portworx.com",
        parameters=csi(made.shell.namespace) | {"repl": "2"},
        mountOptions=["discard"],
        volumeBindingMode="WaitForFirstConsumer",
        allowedTopologies=[{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}],
    )
    before = made.read()
    done = made.make("-p", "repl=2", "--default=true")
    assert done.out == f"{made.resource} configured\n"
    after = made.read()
    assert after["metadata"].pop("annotations") == {"note": "hands off", IS_DEFAULT: "true"}
    assert before["metadata"].pop("annotations") == {"note": "hands off"}
    for manifest in (before, after):
        manifest["metadata"].pop("resourceVersion")
    assert after == before


def test_whether_claims_can_grow_stays_unless_it_is_named(made: Class) -> None:
    made.make("--allow-volume-expansion=false")
    assert made.make().out == f"{made.resource} unchanged\n"
    made.make("--default")
    assert made.read()["allowVolumeExpansion"] is False
    assert made.make("--allow-volume-expansion").out == f"{made.resource} configured\n"
    assert made.read()["allowVolumeExpansion"] is True
    made.make("--default=false")
    assert made.read()["allowVolumeExpansion"] is True


def test_what_is_there_already_is_unchanged(made: Class) -> None:
    made.make("-p", "repl=3", "--default")
    before = made.read()
    assert made.make("-p", "repl=3", "--default").out == f"{made.resource} unchanged\n"
    assert made.make("-p", "repl=3").out == f"{made.resource} unchanged\n"
    assert made.read() == before


def test_being_the_default_can_be_taken_back(made: Class) -> None:
    annotations = {IS_DEFAULT: "true", WAS_DEFAULT: "true"}
    made.create(
        metadata={"annotations": annotations},
        provisioner="pxd.portworx.com",
        parameters=csi(made.shell.namespace),
        allowVolumeExpansion=True,
    )
    made.make("--default=false")
    assert made.read()["metadata"]["annotations"] == dict.fromkeys(annotations, "false")
    assert made.make("--default=false").out == f"{made.resource} unchanged\n"


def test_two_defaults_are_worth_a_warning(made: Class, other: Class) -> None:
    other.make("--default")
    done = made.make("--default")
    assert done.err == (
        f"warning: there are other default StorageClasses: {other.name}; Kubernetes takes the one"
        " that was made last\n"
    )
    assert made.read()["metadata"]["annotations"] == {IS_DEFAULT: "true"}


def test_a_default_is_no_other_default_than_itself(made: Class) -> None:
    assert made.make("--default").err == ""
    assert made.make("--default").err == ""


def test_what_cannot_change_is_shown_and_left(made: Class) -> None:
    made.make("-p", "repl=2", "-p", "io_profile=db", "--allow-volume-expansion=false")
    before = made.read()
    done = made.refused("-p", "repl=3", "-p", "new=1", "--reclaim-policy", "Retain", "--default")
    error, hint = done.err.splitlines()
    assert error == (
        f"error: StorageClass {made.name} exists, and can't be changed in"
        ' parameters.io_profile "db" -> (none), parameters.new (none) -> "1",'
        ' parameters.repl "2" -> "3", reclaimPolicy "Delete" -> "Retain"'
    )
    assert f"kubectl delete storageclass {made.name}" in hint
    assert "go on using the Secret that they were made with" in hint
    in_tree = made.refused("--in-tree", "--dry-run=server")
    assert 'provisioner "pxd.portworx.com" -> "kubernetes.io/portworx-volume"' in in_tree.err
    assert made.read() == before


def test_a_missing_secret_is_worth_a_warning(made: Class) -> None:
    done = made.make("--secret", "nope")
    assert done.err == (
        f"warning: Secret {made.shell.namespace}/nope does not exist, and without its token no"
        " volume of the class can be made: kubectl pxauth issue kubernetes --secret nope"
        f" -n {made.shell.namespace}\n"
    )
    assert done.out == f"{made.resource} created\n"


def test_a_secret_without_a_valid_token_is_worth_a_warning(made: Class) -> None:
    shell, where = made.shell, f"warning: Secret {made.shell.namespace}"
    shell.create({"metadata": {"name": "empty"}})
    done = made.make("--secret", "empty")
    assert done.err.startswith(f'{where}/empty has no token: it has no key "auth-token"; its keys:')
    shell.kubectl("delete", "storageclass", made.name)
    (shell.home / "key").write_text("o" * 40)
    foreign = ["--issuer", "other.com", "--shared-secret-file", "key"]
    shell.issue("kubernetes", *foreign, "--change-identity")
    done = made.make()
    assert done.err.startswith(f"{where}/px-k8s-user holds no valid token: signature: not made")
    assert 'issuer: "other.com"; the cluster trusts "portworx.com"' in done.err
    assert len(done.err.splitlines()) == 1
    assert made.make(*foreign).err == ""


def test_an_expired_token_is_found_without_the_shared_secret(made: Class) -> None:
    shell = made.shell
    expired = Claims(
        "portworx.com",
        Identity("sub", "name", "a@b.c", ("system.user",), None),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2001, 9, 9, tzinfo=UTC),
    )
    token = sign(expired, SharedSecret(b"o" * 40, "this test"))
    data = {"auth-token": base64.b64encode(token.encode()).decode()}
    shell.create({"metadata": {"name": "old"}, "data": data})
    grant(shell, "create,get", "storageclasses", everywhere=True)
    grant(shell, "get", "secrets")
    done = made.make("--as", shell.namespace, "--secret", "old")
    unchecked, invalid = done.err.splitlines()
    assert unchecked.startswith(f"warning: the signature of the token in Secret {shell.namespace}")
    assert f'user "{shell.namespace}" may not get Secret kube-system/pxkeys' in unchecked
    assert "holds no valid token: expiry: expired: 2001-09-09" in invalid
    assert "signature" not in invalid


def test_who_may_not_look_is_warned_and_served(made: Class, other: Class) -> None:
    shell = made.shell
    grant(shell, "create,get", "storageclasses", everywhere=True)
    done = made.make("--as", shell.namespace, "--default")
    defaults, secret = done.err.splitlines()
    assert defaults.startswith("warning: whether another StorageClass is the default could not be")
    assert secret.startswith(f"warning: Secret {shell.namespace}/px-k8s-user was not checked")
    assert done.out == f"{made.resource} created\n"
    patch = made.refused("--as", shell.namespace, "--allow-volume-expansion=false")
    assert f'user "{shell.namespace}" may not patch StorageClass {made.name}' in patch.err
    nobody = other.refused("--as", "nobody")
    assert nobody.err.splitlines() == [
        f'error: user "nobody" may not get StorageClass {other.name}: verb "get" on resource'
        ' "storageclasses.storage.k8s.io" is forbidden',
        f"hint: kubectl --as nobody auth can-i get storageclasses.storage.k8s.io/{other.name}",
    ]


def test_a_check_that_fails_is_worth_a_warning(made: Class, plane: ControlPlane) -> None:
    with FaultProxy(plane) as proxy:
        proxy.spoil(refusal(500), method="GET", path="/secrets/pxkeys", times=None)
        done = proxy.shell(made.shell).pxauth("storageclass", made.name)
    assert (done.code, done.err) == (
        0,
        "warning: whether the class will work was not checked: spoilt with 500\n",
    )
    assert done.out == f"{made.resource} created\n"


def test_output_formats(made: Class) -> None:
    assert made.make("-o", "name").out == f"{made.resource}\n"
    assert json.loads(made.make("-o", "json").out) == made.read()
    shown = made.make("--default", "-o", "yaml").out
    read = made.shell.kubectl("get", "storageclass", made.name, "-o", "yaml").out
    assert shown.replace("'", '"') == read


def test_a_server_dry_run_changes_nothing(made: Class) -> None:
    done = made.make("--dry-run=server")
    assert done.out == f"{made.resource} created (server dry run)\n"
    assert made.shell.kubectl("get", "storageclass", made.name).code == 1
    made.make()
    before = made.read()
    done = made.make("--dry-run=server", "--default")
    assert done.out == f"{made.resource} configured (server dry run)\n"
    assert made.make("--dry-run=server").out == f"{made.resource} unchanged (server dry run)\n"
    assert made.read() == before


def test_a_client_dry_run_is_a_manifest_for_kubectl(made: Class, offline: Shell) -> None:
    arguments = ["storageclass", made.name, "-n", made.shell.namespace, "-p", "repl=3", "--default"]
    done = offline.pxauth(*arguments, "--dry-run=client", "-o", "yaml")
    assert done.err == ""
    applied = made.shell.kubectl("apply", "-f", "-", stdin=done.out)
    assert applied.out == f"{made.resource} created\n", applied.err
    assert made.make("-p", "repl=3", "--default").out == f"{made.resource} unchanged\n"
    assert offline.pxauth(*arguments, "--dry-run=client").out.endswith(" created (dry run)\n")


def test_many_at_once_leave_one_class(made: Class) -> None:
    flags = ["--allow-volume-expansion=true", "--allow-volume-expansion=false"]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda number: made.make(flags[number % 2]), range(8)))
    assert sum(" created" in run.out for run in runs) == 1
    assert made.make(flags[0]).code == 0
    assert made.read()["allowVolumeExpansion"] is True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument 'NAME'"),
        (["Not_A_Name"], '"Not_A_Name" is not a name for a StorageClass'),
        (["px-sc", "px-sc-2"], "unexpected extra argument(s) (px-sc-2)"),
        (["px-sc", "-p", "repl"], 'parameter "repl" is not KEY=VALUE'),
        (["px-sc", "-p", "=3"], 'parameter "=3" is not KEY=VALUE'),
        (["px-sc", "-p", "repl=3", "-p", "repl=2"], 'parameter "repl" is given twice'),
        (
            ["px-sc", "-p", "csi.storage.k8s.io/node-publish-secret-name=mine"],
            "node-publish-secret-name\" names the token's Secret",
        ),
        (
            ["px-sc", "-p", "csi.storage.k8s.io/Provisioner-secret-namespace=mine"],
            "Provisioner-secret-namespace\" names the token's Secret",
        ),
        (
            ["px-sc", "-p", "openstorage.io/auth-secret-name=mine"],
            "auth-secret-name\" names the token's Secret",
        ),
        (
            ["px-sc", "--direct-access", "--in-tree"],
            "--in-tree and --direct-access can't be used together",
        ),
        (["px-sc", "-p", "csi.storage.k8s.io/secret-name=mine"], "names the token's Secret"),
        (
            ["px-sc", "-p", "csi.storage.k8s.io/node-stage-secret-name=mine"],
            "names the token's Secret",
        ),
        (["px-sc", "--secret", "${pvc.labels['a']}"], "not filled into a Secret's name"),
        (["px-sc", "--secret", "$pvc.name"], "has $, which is not filled into a Secret's name"),
        (["px-sc", "--secret", "${pvc.name"], "has $, which is not filled into a Secret's name"),
        (["px-sc", "--secret", "A-${pvc.name}"], "is not a name for a Secret"),
        (["px-sc", "-n", "${pvc.name}"], "not filled into a Secret's namespace"),
        (["px-sc", "-n", "${pvc.annotations['a']}"], "not filled into a Secret's namespace"),
        (["px-sc", "--reclaim-policy", "Recycle"], "'Recycle' is not one of 'Delete', 'Retain'"),
        (
            ["px-sc", "--allow-volume-expansion=maybe"],
            "Option '--allow-volume-expansion' does not take a value",
        ),
        (["px-sc", "--secret", "Not_A_Name"], '"Not_A_Name" is not a name for a Secret'),
        (["px-sc", "-n", "a.b"], '"a.b" is not a name for a namespace'),
        (["px-sc", "-n", "red", "--multitenant"], "--namespace and --multitenant can't be used"),
        (["px-sc", "-o", "table"], "'table' is not one of 'name', 'json', 'yaml'"),
    ],
)
def test_misuse_ends_with_2_before_anything_is_asked(
    offline: Shell, arguments: list[str], says: str
) -> None:
    assert says in offline.refused("storageclass", *arguments, code=2).err

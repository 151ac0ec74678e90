"""Each command with the rights that portworx/rights.py says, and without each of them."""

import itertools
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from kubectl_pxauth.cluster.access import Right, Rule, role_manifests
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.portworx.rights import CommandRights, Places, command_rights
from tests.conftest import Portworx, Run, Shell, claims_of, forge, furnish, new_shell
from tests.pod import needs_pods_files, pods_files
from tests.snapshots import SNAPSHOT_CRD, wait_for_snapshot_classes

pytestmark = pytest.mark.xdist_group("rights")

KINDS = (
    "secrets,cronjobs,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,"
    "storageclasses"
)
_NUMBERS = itertools.count()
PLACES = Places(SecretKeyReference("kube-system", "pxkeys", "shared-secret"), "portworx")


@dataclass(frozen=True)
class Bench:
    """A namespace, and users who may do there what their Roles say and nothing else."""

    shell: Shell
    plane: ControlPlane
    places: Places
    there: tuple[str, ...] = ()
    kinds: str = KINDS

    def needed(self, case: tuple[str, str]) -> list[Right]:
        """All that the table says of a command."""
        rules = table(self.places)[case].required(self.places)
        return [right for rule in rules for right in rule.rights()]

    def admit(self, user: str, rights: list[Right]) -> None:
        """Let a user do this."""
        items = []
        for role in role_manifests(user, map(rule_of, rights)):
            kind, version = role["kind"], role["apiVersion"]
            whole = {"kind": kind, "name": user, "apiGroup": "rbac.authorization.k8s.io"}
            binding = {
                "apiVersion": version,
                "kind": f"{kind}Binding",
                "metadata": role["metadata"],
                "roleRef": whole,
                "subjects": [{"kind": "User", "name": user}],
            }
            items += [role, binding]
        if items:
            self.make({"apiVersion": "v1", "kind": "List", "items": items})

    def make(self, manifest: dict[str, object]) -> None:
        done = self.shell.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
        assert done.code == 0, done.err

    def log_in(self, user: str) -> Shell:
        kubeconfig = self.plane.kubeconfig(user, (), namespace=self.shell.namespace)
        return self.shell.with_environment(KUBECONFIG=str(kubeconfig))

    def account(self) -> tuple[str, str]:
        """A new service account, as RBAC calls it, and a token of it."""
        name = f"robot-{next(_NUMBERS)}"
        here = ("-n", self.shell.namespace)
        assert self.shell.kubectl("create", "serviceaccount", name, *here).code == 0
        token = self.shell.kubectl("create", "token", name, *here)
        return f"system:serviceaccount:{self.shell.namespace}:{name}", token.out.strip()

    def log_in_with(self, user: Mapping[str, object]) -> Shell:
        """A kubeconfig with these credentials."""
        cluster = {"server": self.plane.server, "certificate-authority": str(self.plane.ca_file)}
        context = {"cluster": "c", "user": "u", "namespace": self.shell.namespace}
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": context}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        }
        file = self.shell.home / f"config-{next(_NUMBERS)}"
        file.write_text(json.dumps(config))
        return self.shell.with_environment(KUBECONFIG=str(file))

    def state(self) -> str:
        """All that a command could change, in the versions that are there."""
        fields = "{range .items[*]}{.kind} {.metadata.uid} {.metadata.resourceVersion}{'\\n'}{end}"
        done = self.shell.kubectl("get", self.kinds, "-A", "-o", f"jsonpath={fields}")
        assert done.code == 0, done.err
        return done.out

    def lay_key(self, **data: str) -> None:
        """A key of the namespace's own."""
        self.shell.create(
            {
                "metadata": {"name": "pxkeys"},
                "stringData": {key.replace("_", "-"): value for key, value in data.items()},
            }
        )


def rule_of(right: Right) -> Rule:
    return Rule((right.verb,), right.resource, right.namespace, (right.name,) if right.name else ())


Prepare = Callable[[Bench], object]


def issued(bench: Bench) -> None:
    bench.shell.issue("kubernetes")


def ending(bench: Bench) -> None:
    bench.shell.keep(
        "px-k8s-user", forge(claims_of(f"{bench.shell.namespace}-late", days=90, age_days=80))
    )


def labelled(bench: Bench) -> None:
    label = f"tenant={bench.shell.namespace}"
    assert bench.shell.kubectl("label", "namespace", bench.shell.namespace, label).code == 0


def labelled_and_issued(bench: Bench) -> None:
    labelled(bench)
    issued(bench)


def class_there(bench: Bench) -> None:
    for command in ("storageclass --allow-volume-expansion=false", "snapshotclass"):
        done = bench.shell.pxauth(*command.split(), bench.places.name)
        assert done.code == 0, done.err


def half_of_the_keys(bench: Bench) -> None:
    bench.lay_key(shared_secret=secrets.token_hex(32))


def two_keys(bench: Bench) -> None:
    keys = {"shared_secret": secrets.token_hex(32), "system_secret": secrets.token_hex(32)}
    bench.lay_key(**keys)


def rotatable(bench: Bench) -> None:
    key = secrets.token_hex(32)
    bench.lay_key(shared_secret=key)
    bench.shell.keep("old", forge(claims_of("old"), key.encode()))


def scheduled(bench: Bench) -> None:
    assert bench.shell.pxauth("schedule").code == 0


NOTHING: Prepare = lambda bench: None  # noqa: E731
SELECTED = "issue kubernetes --namespace-selector=tenant={namespace}"
CASES: dict[tuple[str, str], tuple[str, Prepare]] = {
    ("issue", "the Secret is made"): ("issue kubernetes", NOTHING),
    ("issue", "the Secret is there"): ("issue kubernetes", issued),
    ("issue --namespace-selector", "the Secrets are made"): (SELECTED, labelled),
    ("issue --namespace-selector", "the Secrets are there"): (SELECTED, labelled_and_issued),
    ("token", ""): ("token kubernetes", NOTHING),
    ("storageclass", "the class is made"): ("storageclass {name}", NOTHING),
    ("storageclass", "the class is there"): ("storageclass {name} --default", class_there),
    ("snapshotclass", "the class is made"): ("snapshotclass {name}", NOTHING),
    ("snapshotclass", "the class is there"): ("snapshotclass {name} --default", class_there),
    ("list", ""): ("list", issued),
    ("list -A", ""): ("list -A", issued),
    ("renew SECRET", ""): ("renew px-k8s-user", ending),
    ("renew --all", ""): ("renew", ending),
    ("renew -A", ""): ("renew -A", ending),
    ("schedule", ""): ("schedule", NOTHING),
    ("unschedule", ""): ("unschedule", scheduled),
    ("inspect", ""): ("inspect", issued),
    ("verify", ""): ("verify", issued),
    ("discover", ""): ("discover", NOTHING),
    ("keys create", "the Secret is made"): ("keys create -n {namespace}", NOTHING),
    ("keys create", "the Secret lacks keys"): ("keys create -n {namespace}", half_of_the_keys),
    ("keys adopt", ""): (
        "keys adopt -n {namespace} --shared-secret-from={namespace}/pxkeys",
        two_keys,
    ),
    ("keys rotate", ""): ("keys rotate --shared-secret-from={namespace}/pxkeys", rotatable),
    ("keys status", ""): ("keys status", NOTHING),
    ("pxctl", ""): ("pxctl {there} -- status", NOTHING),
    ("context create", ""): ("context create admin {there}", NOTHING),
    ("context list, set, delete", ""): ("context list {there}", NOTHING),
}
OWN_KEY = ("keys create", "keys adopt", "keys rotate")
IN_PODS = ("pxctl", "context create", "context list, set, delete")


@pytest.fixture(scope="module")
def furnished(own_plane: ControlPlane) -> ControlPlane:
    furnish(own_plane)
    shell = Shell("", own_plane.folder, {"KUBECONFIG": str(own_plane.kubeconfig())})
    assert shell.kubectl("create", "-f", "-", stdin=json.dumps(SNAPSHOT_CRD)).code == 0
    wait_for_snapshot_classes(shell)
    return own_plane


def table(places: Places = PLACES) -> dict[tuple[str, str], CommandRights]:
    return {(one.command, one.when): one for one in command_rights(places)}


def places_of(shell: Shell, command: str) -> Places:
    own = shell.namespace
    return Places(
        SecretKeyReference(own if command in OWN_KEY else "kube-system", "pxkeys", "shared-secret"),
        own,
        name=f"class-of-{own}",
        portworx=own,
        job=f"pxauth-renew-{own}",
    )


def test_every_command_has_its_case() -> None:
    assert CASES.keys() == {case for case, one in table().items() if one.required(PLACES)}


@pytest.mark.parametrize("case", [case for case in CASES if case[0] not in IN_PODS], ids=" ".join)
def test_it_takes_these_rights_and_each_of_them(
    furnished: ControlPlane, tmp_path: Path, case: tuple[str, str]
) -> None:
    shell = new_shell(furnished, tmp_path)
    kinds = f"{KINDS},volumesnapshotclasses"
    bench = Bench(shell, furnished, places_of(shell, case[0]), kinds=kinds)
    takes_all_of(bench, case)


@pytest.mark.parametrize("command", IN_PODS)
def test_in_pods_as_well(portworx: Portworx, plane: ControlPlane, command: str) -> None:
    there = ("--pxctl", str(portworx.pxctl), *portworx.there)
    bench = Bench(portworx.shell, plane, places_of(portworx.shell, command), there)
    takes_all_of(bench, (command, ""))
    assert (portworx.token("node-a") is not None) is (command == "context create")


def takes_all_of(bench: Bench, case: tuple[str, str]) -> None:
    line, prepare = CASES[case]
    prepare(bench)
    names = {"namespace": bench.shell.namespace, "name": bench.places.name}
    words = line.format(**names, there=" ".join(bench.there)).split()
    needed = bench.needed(case)
    user = f"user-{bench.shell.namespace}"
    for index in range(len(needed)):
        bench.admit(f"{user}-{index}", needed[:index] + needed[index + 1 :])
    bench.admit(user, needed)
    before = bench.state()
    for index, missing in enumerate(needed):
        check_refusal(bench.log_in(f"{user}-{index}").pxauth(*words), missing)
    assert bench.state() == before
    done = bench.log_in(user).pxauth(*words)
    assert done.code == 0, done.err


def check_refusal(refused: Run, missing: Right) -> None:
    """Each error names all that somebody has to know who is to give the right."""
    assert refused.code == 1, (missing, refused)
    errors = [line for line in refused.err.splitlines() if line.startswith("error: ")]
    # A rotation names each token that it could not sign, and then what came of that.
    naming = [line for line in errors if not line.startswith("error: nothing is changed")]
    assert naming, refused
    resource, _, _ = missing.resource.partition(".")
    for error in naming:
        for word in (missing.verb, resource, missing.name, missing.namespace or ""):
            assert word in error, (missing, refused)


def with_a_token(bench: Bench) -> tuple[str, Shell]:
    user, token = bench.account()
    return user, bench.log_in_with({"token": token})


def with_a_plugin(bench: Bench) -> tuple[str, Shell]:
    user, token = bench.account()
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}}
    credential = bench.shell.home / f"credential-{next(_NUMBERS)}"
    credential.write_text(json.dumps(answer))
    plugin = {"apiVersion": version, "command": "cat", "args": [str(credential)]}
    return user, bench.log_in_with({"exec": plugin | {"interactiveMode": "Never"}})


def as_somebody_else(bench: Bench) -> tuple[str, Shell]:
    user, boss = (f"{name}-{next(_NUMBERS)}" for name in ("clerk", "boss"))
    bench.admit(boss, [Right("impersonate", "users", "", user)])
    certificate, key = bench.plane.client_cert(boss)
    login = {"client-certificate": str(certificate), "client-key": str(key), "as": user}
    return user, bench.log_in_with(login)


AGAIN = ("issue", "the Secret is there")


@pytest.mark.parametrize("log_in", [with_a_token, with_a_plugin, as_somebody_else])
def test_it_is_the_same_for_everybody(
    furnished: ControlPlane, tmp_path: Path, log_in: Callable[[Bench], tuple[str, Shell]]
) -> None:
    shell = new_shell(furnished, tmp_path)
    bench = Bench(shell, furnished, places_of(shell, "issue"))
    issued(bench)
    needed = bench.needed(AGAIN)
    for missing in (*needed, None):
        user, somebody = log_in(bench)
        bench.admit(user, [right for right in needed if right != missing])
        check(somebody.pxauth("issue", "kubernetes"), missing)


@needs_pods_files
def test_and_for_a_pods_own_account(furnished: ControlPlane, tmp_path: Path) -> None:
    shell = new_shell(furnished, tmp_path)
    bench = Bench(shell, furnished, places_of(shell, "issue"))
    issued(bench)
    needed = bench.needed(AGAIN)
    for missing in (*needed, None):
        user, token = bench.account()
        bench.admit(user, [right for right in needed if right != missing])
        with pods_files(furnished, token, shell.namespace) as variables:
            check(Shell("x", tmp_path, variables).pxauth("issue", "kubernetes"), missing)


def check(done: Run, missing: Right | None) -> None:
    if missing:
        check_refusal(done, missing)
    else:
        assert done.code == 0, done.err


def test_what_it_finds_more_of_it_does_not_need(furnished: ControlPlane, tmp_path: Path) -> None:
    """The reference says of these that they are no more than of use."""
    shell = new_shell(furnished, tmp_path)
    bench = Bench(shell, furnished, places_of(shell, "issue"))
    bench.admit(f"all-{shell.namespace}", bench.needed(("issue", "the Secret is made")))
    more = [
        right
        for rule in table(bench.places)["issue", "the Secret is made"].optional
        for right in rule.rights()
    ]
    bench.admit(f"more-{shell.namespace}", [*bench.needed(AGAIN), *more])
    first = bench.log_in(f"all-{shell.namespace}").pxauth("issue", "kubernetes")
    assert "warning: the issuer is taken to be" in first.err
    assert bench.log_in(f"more-{shell.namespace}").issue("kubernetes").err == ""

"""What a tenant can't gain: somebody with all rights in one namespace, and tokens they once held.

Each test has an administrator run a command, and shows what that does to the tenant's Secret.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Run, Shell, claims_of, decode, forge, furnish, judge

pytestmark = pytest.mark.xdist_group("tenants")

OTHER_KEY = b"k" * 40


@pytest.fixture(scope="module")
def plane(own_plane: ControlPlane) -> ControlPlane:
    """One that has no other tests' tokens, as the administrator looks at all of them."""
    furnish(own_plane)
    return own_plane


@dataclass(frozen=True)
class Tenant:
    """Mallory, who has all rights in one namespace; boss is the administrator's shell."""

    boss: Shell
    shell: Shell

    @property
    def namespace(self) -> str:
        return self.shell.namespace

    def keep(self, token: str, name: str = "px-k8s-user", **metadata: Any) -> dict[str, Any]:
        """Put a token into a Secret of the tenant's own; returns the Secret."""
        self.shell.keep(name, token, **metadata)
        return self.shell.secret(name)

    def renew(self, *flags: str) -> Run:
        """The renewal of all namespaces' tokens, whenever they end."""
        done = self.boss.pxauth("renew", "-A", "--all", "-l", "test!=elsewhere", *flags)
        assert done.code == 0, done.err
        return done

    def left_out(self, done: Run, name: str = "px-k8s-user") -> str:
        """The warning that this Secret is left out; there has to be just one."""
        start = f"warning: Secret {self.namespace}/{name} is left out: "
        (line,) = (line for line in done.err.splitlines() if line.startswith(start))
        assert f"kubectl pxauth renew {name} -n {self.namespace}" in line
        assert len(line) < 600
        return line


@pytest.fixture
def tenant(shell: Shell, plane: ControlPlane) -> Iterator[Tenant]:
    namespace = f"{shell.namespace}-tenant"
    labels = {"tenants-of": shell.namespace}
    shell.create({"kind": "Namespace", "metadata": {
        "name": namespace, "namespace": None, "labels": labels,
    }})  # fmt: skip
    user = f"mallory-{shell.namespace}"
    for arguments in (
        ("role", "all", "--verb=*", "--resource=secrets"),
        ("rolebinding", "all", "--role=all", f"--user={user}"),
    ):
        assert shell.kubectl("create", *arguments, "-n", namespace).code == 0
    kubeconfig = plane.kubeconfig(user, groups=())
    mallory = Shell(namespace, shell.home, {"KUBECONFIG": str(kubeconfig)})
    assert mallory.kubectl("get", "secrets", "-n", shell.namespace).code == 1
    yield Tenant(shell, mallory)
    # What is left would be other tests' business as well, in all namespaces.
    for one in (namespace, shell.namespace):
        assert shell.kubectl("delete", "secrets", "--all", "-n", one).code == 0


def due(namespace: str) -> dict[str, Any]:
    """The claims of the default user there, in a token that is about to end."""
    name = f"px-k8s-user.{namespace}"
    address = f"{name}@portworx.com"
    return claims_of(address, days=100, age_days=80, name=name, email=address)


def test_a_dead_administrators_token_stays_dead(tenant: Tenant) -> None:
    dead = forge(claims_of("boss", days=365, age_days=405, roles=["system.admin"], groups=["*"]))
    before = tenant.keep(dead)
    assert "ended on" in tenant.left_out(tenant.renew())
    assert tenant.shell.secret() == before


def test_the_grace_is_what_the_flag_says(tenant: Tenant) -> None:
    token = forge(claims_of(f"{tenant.namespace}-late", days=30, age_days=33))
    before = tenant.keep(token, "late")
    tenant.left_out(tenant.renew("--grace", "2d"), "late")
    assert tenant.shell.secret("late") == before
    assert "secret/late renewed" in tenant.renew().out
    assert judge(tenant.shell.token("late"))["accepted"]


def test_a_live_administrators_token_is_not_extended_unless_its_secret_is_named(
    tenant: Tenant,
) -> None:
    sub = f"{tenant.namespace}-boss"
    before = tenant.keep(
        forge(claims_of(sub, days=100, age_days=80, roles=["system.admin"])), "mine"
    )
    assert "system.admin" in tenant.left_out(tenant.renew(), "mine")
    assert tenant.shell.secret("mine") == before
    named = tenant.boss.pxauth("renew", "mine", "-n", tenant.namespace)
    assert named.code == 0, named.err
    assert tenant.shell.claims("mine")["kubectl-pxauth/secret"] == f"{tenant.namespace}/mine"


def test_another_tenants_user_is_not_signed_into_their_secret(tenant: Tenant) -> None:
    tenant.boss.keep("px-k8s-user", forge(due(tenant.boss.namespace)))
    stolen = tenant.boss.token()
    before = tenant.keep(stolen)
    said = tenant.left_out(tenant.renew())
    assert f"issued for Secret {tenant.boss.namespace}/px-k8s-user" in said
    assert tenant.shell.secret() == before
    assert "renewed" in tenant.renew().out  # the one that it was issued for
    assert tenant.shell.secret() == before
    alone = tenant.boss.pxauth("renew", "px-k8s-user", "-n", tenant.namespace)
    assert alone.code == 1
    assert "was issued for Secret" in alone.err
    assert tenant.shell.secret() == before
    command = said.partition("meant to be there: ")[2].removesuffix(")").split()
    assert tenant.boss.kubectl(*command[1:]).code == 0
    assert decode(tenant.shell.token())["sub"] == decode(stolen)["sub"]
    assert "renewed" in tenant.boss.pxauth("renew", "-n", tenant.namespace, "--all").out


def test_a_user_of_a_file_is_bound_to_its_secret(tenant: Tenant) -> None:
    file = "name: Alice\nemail: alice@example.com\nsub: alice-{}\nroles: [system.user]\n"
    user = file.format(tenant.boss.namespace)
    tenant.boss.issue("-f", "-", "--secret", "alice", "--duration", "10d", stdin=user)
    place = f"{tenant.boss.namespace}/alice"
    assert tenant.boss.claims("alice")["kubectl-pxauth/secret"] == place
    assert judge(tenant.boss.token("alice"))["accepted"]  # by OpenStorage's own verifier
    before = tenant.keep(tenant.boss.token("alice"), "alice")
    assert f"issued for Secret {place}" in tenant.left_out(tenant.renew(), "alice")
    assert tenant.shell.secret("alice") == before
    assert tenant.boss.kubectl("delete", "secret", "alice", "-n", tenant.boss.namespace).code == 0
    tenant.left_out(tenant.renew(), "alice")  # the owner's Secret is gone: still not theirs
    assert tenant.shell.secret("alice") == before


def test_of_two_tokens_of_one_user_none_is_signed_again_unasked(tenant: Tenant) -> None:
    """Tokens of pxctl do not say which Secret they are for."""
    alice = forge(claims_of(f"alice-{tenant.namespace}", days=100, age_days=80))
    tenant.boss.keep("alice", alice)
    before = tenant.keep(alice)
    assert f"Secret {tenant.boss.namespace}/alice holds" in tenant.left_out(tenant.renew())
    assert tenant.shell.secret() == before
    named = tenant.boss.pxauth("renew", "alice", "-n", tenant.boss.namespace)
    assert named.code == 0
    tenant.left_out(tenant.renew())  # the other is known to be alice's now
    assert tenant.shell.secret() == before
    assert "renewed" in tenant.renew().out
    assert tenant.shell.secret() == before


def test_a_strangers_copy_does_not_starve_a_token_where_portworx_runs(tenant: Tenant) -> None:
    name = f"alice-{tenant.namespace}"
    alice = forge(claims_of(name, days=100, age_days=80))
    theirs = Shell("kube-system", tenant.boss.home, tenant.boss.environment)
    theirs.keep(name, alice)
    try:
        before = tenant.keep(alice)
        done = tenant.renew()
        assert f"secret/{name} renewed in namespace kube-system" in done.out
        assert "holds a token of the same user" in tenant.left_out(done)
        assert tenant.shell.secret() == before
        assert theirs.claims(name)["kubectl-pxauth/secret"] == f"kube-system/{name}"
    finally:
        theirs.kubectl("delete", "secret", name, "-n", "kube-system")


def test_copies_that_a_tool_makes_count_as_holders_but_not_against_their_original(
    tenant: Tenant,
) -> None:
    alice = forge(claims_of(f"alice-{tenant.namespace}", days=100, age_days=80))
    reflects = {
        "reflector.v1.k8s.emberstack.com/reflects": f"{tenant.boss.namespace}/original",
    }
    tenant.boss.keep("copy", alice, annotations=reflects)
    before = tenant.keep(alice)
    assert f"Secret {tenant.boss.namespace}/copy holds" in tenant.left_out(tenant.renew())
    assert tenant.shell.secret() == before
    tenant.shell.kubectl("delete", "secret", "px-k8s-user", "-n", tenant.namespace)
    tenant.boss.keep("original", alice)
    done = tenant.renew()
    assert "left out" not in done.err
    assert f"secret/original renewed in namespace {tenant.boss.namespace}" in done.out
    assert "secret/copy skipped" in done.out


def test_namespace_portworx_is_a_tenants_where_portworx_is_elsewhere(tenant: Tenant) -> None:
    name = f"boss-{tenant.namespace}"
    stolen = claims_of(name, days=100, age_days=80, roles=["system.admin"])
    theirs = Shell("portworx", tenant.boss.home, tenant.boss.environment)
    theirs.keep(name, forge(stolen))
    theirs.keep("issued", forge(stolen | {"sub": "x", "kubectl-pxauth/secret": "portworx/issued"}))
    try:
        before = theirs.secret(name)
        done = tenant.renew()
        assert f"warning: Secret portworx/{name} is left out: its token has the role" in done.err
        assert "secret/issued renewed in namespace portworx" in done.out
        assert theirs.secret(name) == before
    finally:
        theirs.kubectl("delete", "secret", name, "issued", "-n", "portworx")


def test_forged_twins_do_not_keep_others_from_being_renewed(tenant: Tenant) -> None:
    claims = claims_of(f"alice-{tenant.namespace}", days=100, age_days=80)
    tenant.boss.keep("alice", forge(claims))
    before = tenant.keep(forge(claims, OTHER_KEY))
    done = tenant.renew()
    assert f"secret/alice renewed in namespace {tenant.boss.namespace}" in done.out
    assert "did not sign" in tenant.left_out(done)
    assert tenant.shell.secret() == before


def test_mass_issue_gives_nobody_anothers_user_or_role(tenant: Tenant) -> None:
    mass = ["issue", "kubernetes", f"--namespace-selector=tenants-of={tenant.boss.namespace}"]
    tenant.boss.issue("kubernetes")
    late = {"days": 365, "age_days": 340}
    theirs = forge(claims_of(f"alice-{tenant.namespace}", **late))
    tenant.boss.keep("alice", theirs)
    admins = claims_of(f"boss-{tenant.namespace}", **late, roles=["system.admin"])
    own = claims_of(f"px-k8s-user.{tenant.namespace}@portworx.com", **late, roles=["system.admin"])
    for stolen in (tenant.boss.token(), theirs, forge(admins), forge(own)):
        before = tenant.keep(stolen)
        is_late = stolen != tenant.boss.token()
        for command in (mass, [*mass, "--if-needed"])[: 1 + is_late]:
            done = tenant.boss.pxauth(*command)
            assert (done.code, done.out) == (0, ""), done.err
            tenant.left_out(done)
            assert done.err.endswith("1 skipped\n")
        assert tenant.shell.secret() == before
        tenant.shell.kubectl("delete", "secret", "px-k8s-user", "-n", tenant.namespace)
    forged = tenant.keep(forge(claims_of("boss"), OTHER_KEY))
    done = tenant.boss.pxauth(*mass)
    assert (done.code, done.out) == (0, "")
    assert "warning: " in done.err
    assert "did not sign it" in done.err
    assert tenant.shell.secret() == forged


def test_mass_issue_still_gives_a_secret_its_own_user(tenant: Tenant) -> None:
    sub = f"px-k8s-user.{tenant.namespace}@portworx.com"
    user = {"name": f"px-k8s-user.{tenant.namespace}", "email": sub}
    dead = forge(claims_of(sub, days=30, age_days=100, **user))
    tenant.keep(dead)
    selector = f"--namespace-selector=tenants-of={tenant.boss.namespace}"
    done = tenant.boss.pxauth("issue", "kubernetes", selector)
    assert (done.code, done.err) == (0, "1 configured\n")
    assert judge(tenant.shell.token())["claims"]["sub"] == sub


def test_a_single_issue_does_not_take_over_anothers_user(tenant: Tenant) -> None:
    tenant.boss.issue("kubernetes")
    before = tenant.keep(tenant.boss.token())
    done = tenant.boss.refused("issue", "kubernetes", "-n", tenant.namespace)
    assert f"was issued for Secret {tenant.boss.namespace}/px-k8s-user" in done.err
    assert "--change-identity" in done.err
    assert tenant.shell.secret() == before
    done = tenant.boss.pxauth("issue", "kubernetes", "-n", tenant.namespace, "--change-identity")
    assert done.code == 0
    assert tenant.shell.claims()["sub"] == f"px-k8s-user.{tenant.namespace}@portworx.com"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"roles": ["system.admin"], "groups": ["*"], "days": 365, "age_days": 405}, "ended on"),
        ({"days": 365, "age_days": 405}, "ended on"),
        ({"roles": ["system.admin"]}, "has the role system.admin"),
        ({"groups": ["*"]}, 'has the group "*"'),
    ],
    ids=["dead administrator", "dead user", "administrator", "every group"],
)
def test_a_single_issue_does_not_make_a_stolen_token_live(
    tenant: Tenant, claims: dict[str, Any], why: str
) -> None:
    before = tenant.keep(forge(claims_of(f"boss-{tenant.namespace}", **claims)))
    single = ("issue", "kubernetes", "-n", tenant.namespace)
    for command in (single, (*single, "--duration", "1d"), (*single, "--secret", "px-k8s-user")):
        done = tenant.boss.refused(*command)
        assert f"px-k8s-user is not issued again: its token {why}" in done.err
        whenever = "" if "age_days" in claims else " --all"  # which a dead one does not take
        assert f"kubectl pxauth renew px-k8s-user -n {tenant.namespace}{whenever};" in done.err
        assert tenant.shell.secret() == before
    if "groups" in claims and "age_days" not in claims:
        tenant.boss.refused(*single, "--role", "system.user")  # the group is still theirs
    _, _, flags = done.err.rpartition(" with ")
    instead = {"--change-identity": ["--change-identity"]}.get(
        flags.strip(), ["--role=system.user", "--group=kubernetes"]
    )
    done = tenant.boss.pxauth(*single, *instead)
    assert (done.code, done.err) == (0, "")
    after = tenant.shell.claims()
    assert (after["roles"], after["groups"]) == (["system.user"], ["kubernetes"])


def test_a_single_issue_gives_no_user_that_another_secret_has(tenant: Tenant) -> None:
    alice = forge(claims_of(f"alice-{tenant.namespace}"))  # as pxctl makes it: for no Secret
    tenant.boss.keep("alice", alice)
    before = tenant.keep(alice)
    single = ("issue", "kubernetes", "-n", tenant.namespace)
    said = tenant.boss.refused(*single).err
    assert f"Secret {tenant.boss.namespace}/alice holds a token of the same user" in said
    assert tenant.shell.secret() == before
    command = said.partition("meant to be there: kubectl ")[2].partition(";")[0].split()
    assert "renewed" in tenant.boss.kubectl(*command).out
    assert tenant.boss.pxauth(*single).code == 0


def test_a_single_issue_takes_the_place_of_a_token_that_names_nobody(tenant: Tenant) -> None:
    """What renew suggests for one."""
    tenant.keep(forge({"iss": "portworx.com", "sub": 5, "exp": 1}), "nobody")
    said = tenant.boss.pxauth("renew", "nobody", "-n", tenant.namespace).err
    command = said.partition("kubectl pxauth ")[2].partition(")")[0].split()
    done = tenant.boss.pxauth(*command)
    assert done.code == 0, done.err
    assert tenant.shell.claims("nobody")["sub"] == f"nobody.{tenant.namespace}@portworx.com"


def test_a_single_issue_keeps_what_the_secret_itself_was_given(tenant: Tenant) -> None:
    """An administrator's role too, as long as that token has not been dead for long."""
    issue = ("issue", "kubernetes", "-n", tenant.namespace)
    assert tenant.boss.pxauth(*issue, "--role", "system.admin", "--group", "*").code == 0
    assert tenant.boss.pxauth(*issue).code == 0
    claims = tenant.shell.claims()
    assert (claims["roles"], claims["groups"]) == (["system.admin"], ["*"])
    long_ago = claims_of(claims["sub"], days=30, age_days=60)
    owner = {name: claims[name] for name in ("name", "email")}
    tenant.shell.kubectl("delete", "secret", "px-k8s-user", "-n", tenant.namespace)
    tenant.keep(forge(long_ago | owner | {"roles": ["system.admin"]}))
    assert "system.admin" in tenant.boss.refused(*issue).err
    tenant.shell.kubectl("delete", "secret", "px-k8s-user", "-n", tenant.namespace)
    tenant.keep(forge(long_ago | owner))
    assert tenant.boss.pxauth(*issue).code == 0
    assert tenant.shell.claims()["sub"] == claims["sub"]


FOREIGN = {"iss": "ci.example.com", "sub": "runner-7", "iat": 1700000000, "exp": 1700003600}


def test_another_products_token_is_foreign_and_no_failure(tenant: Tenant) -> None:
    before = tenant.keep(forge(FOREIGN, b"not-a-secret"), "ci-runner")
    said = tenant.left_out(tenant.renew(), "ci-runner")
    assert '"ci.example.com"' in said
    assert tenant.shell.secret("ci-runner") == before
    named = tenant.boss.pxauth("renew", "ci-runner", "-n", tenant.namespace)
    assert named.code == 1
    assert "the present key did not sign the token" in named.err
    listed = tenant.boss.pxauth("list", "-n", tenant.namespace, "-o", "json")
    (item,) = json.loads(listed.out)["items"]
    assert item["status"] == "foreign"
    assert tenant.boss.pxauth("list", "-n", tenant.namespace).out.rstrip().endswith("foreign")
    found = [
        one
        for one in json.loads(tenant.boss.pxauth("doctor", "-o", "json").out)["findings"]
        if "ci-runner" in one["message"]
    ]
    assert [one["severity"] for one in found] == ["warning"]


def test_applications_tokens_are_left_to_them(tenant: Tenant) -> None:
    for issuer in ("apps.portworx.io", "stork.openstorage.io"):
        name = issuer.replace(".", "-")
        sub = f"{name}-{tenant.namespace}"
        before = tenant.keep(forge(claims_of(sub, days=1, iss=issuer), OTHER_KEY), name)
        done = tenant.renew()
        assert f"secret/{name} skipped in namespace {tenant.namespace}: Portworx' own" in done.out
        assert f"Secret {tenant.namespace}/{name}" not in done.err
        assert tenant.shell.secret(name) == before


STEER = "\x1b[2J\r\nspoof" + "x" * 5_000


def test_nothing_that_a_tenant_writes_steers_or_floods_a_terminal(tenant: Tenant) -> None:
    owner = {
        "apiVersion": "core.libopenstorage.org/v1", "kind": "StorageCluster", "name": STEER,
        "uid": "1",
    }  # fmt: skip
    odd = claims_of(STEER, days=1, name=STEER, iss=STEER, roles=[STEER[:40]])
    tenant.keep(forge(odd), "mine", ownerReferences=[owner])
    tenant.keep(forge(odd), "theirs")
    tenant.keep(forge(odd, OTHER_KEY), "forged")
    for command in (
        ["renew", "-A"], ["list", "-A"], ["list", "-A", "-o", "wide"], ["doctor"],
        ["renew", "theirs", "-n", tenant.namespace, "--all"],
        ["issue", "kubernetes", "--secret", "theirs", "-n", tenant.namespace, "--sub", "a"],
    ):  # fmt: skip
        done = tenant.boss.pxauth(*command)
        for line in (done.out + done.err).splitlines():
            assert "\x1b" not in line
            assert not line.startswith("spoof")
            assert len(line) < 20_000


def test_a_megabyte_is_not_looked_at(tenant: Tenant) -> None:
    claims = claims_of("big", days=1) | {f"c{i}": "${<" for i in range(30_000)}
    tenant.keep(forge(claims), "big")
    data = {"auth-token": base64.b64encode(b"." * 900_000).decode()}
    tenant.shell.create({"metadata": {"name": "dots"}, "data": data})
    for command in (["renew", "-A"], ["list", "-A"], ["doctor"]):
        done = tenant.boss.pxauth(*command, "-v=6")
        assert "/big" not in done.out + done.err
        requests = [line for line in done.err.splitlines() if line.startswith(("GET ", "PATCH "))]
        assert len(requests) < 60
    named = tenant.boss.pxauth("renew", "big", "-n", tenant.namespace)
    assert "gRPC carries no token of more than 16384" in named.err
    assert tenant.boss.issue("kubernetes").code == 0

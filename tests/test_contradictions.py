"""Where what is given, or stated, is not what Portworx takes; and what must not be said of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Shell, claims_of, forge, judge
from tests.portworx_site import (
    GROUP,
    ISSUER_VARIABLE,
    OTHERS,
    OURS,
    SECRET_VARIABLE,
    Site,
    fingerprint,
    from_secret,
    self_signed,
    site,
    variable,
)

pytestmark = pytest.mark.xdist_group("contradictions")

__all__ = ["site"]  # a fixture
ENVIRONMENT = "PORTWORX_AUTH_SHARED_SECRET"
PROVIDER = "https://login.example.com/realms/px"
OPERATOR = [{"apiVersion": f"{GROUP}/v1", "kind": "StorageCluster", "name": "px", "uid": "1"}]
APPS = b"never-shown: the key of Portworx' own applications"


@pytest.fixture
def secured(site: Site) -> Site:
    """A cluster with the operator's Portworx in px."""
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("px/px-system-secrets", APPS, "apps-secret")
    site.storage_cluster("px/cluster", security=self_signed(issuer="px.example"))
    return site


def issued(site: Site, *arguments: str) -> list[str]:
    """What is said next to the token that is issued again."""
    done = site.pxauth("issue", *arguments, "--change-identity")
    assert done.code == 0, done.err
    return done.err.splitlines()


def test_an_issuer_that_is_not_the_clusters(secured: Site) -> None:
    (said,) = issued(secured, "kubernetes", "--issuer", "other.example")
    assert said.startswith('warning: the issuer "other.example" is given, but Portworx is started')
    assert '"px.example" (StorageCluster px/cluster' in said
    assert issued(secured, "kubernetes", "--issuer", "px.example") == []
    assert "is given, but" in secured.pxauth("token", "admin", "--issuer", "other.example").err


def test_a_key_that_is_not_the_clusters(secured: Site) -> None:
    secured.lay_secret("px/other", OTHERS)
    (secured.home / "key").write_bytes(OTHERS)
    (secured.home / "ours").write_bytes(OURS)
    exported = replace(secured, environment=secured.environment | {ENVIRONMENT: OTHERS.decode()})
    for where, arguments in (
        (secured, ["--shared-secret-from", "px/other"]),
        (secured, ["--shared-secret-file", "key"]),
        (exported, []),
        (secured, ["--shared-secret-file", "key", "--issuer", "px.example"]),
    ):
        (said,) = issued(where, "kubernetes", *arguments)
        assert said.startswith("warning: the key that is given (")
        assert f"(fingerprint {fingerprint(OTHERS)})" in said
        assert "started with (Secret px/px-shared-secret key" in said
        assert f"(fingerprint {fingerprint(OURS)})" in said
    assert issued(secured, "kubernetes") == []
    for command in (("verify",), ("inspect",), ("list",)):
        assert "warning: the key that is given (" in exported.pxauth(*command).err
        assert secured.pxauth(*command).err == ""
    for arguments in (
        ["--shared-secret-file", "ours"],
        ["--shared-secret-from", "px/px-shared-secret"],
        ["--shared-secret-from", "px/px-shared-secret", "--issuer", "px.example"],
    ):
        assert issued(secured, "kubernetes", *arguments) == []


def test_a_key_that_is_still_exported_where_nothing_is_stated(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    exported = replace(site, environment=site.environment | {ENVIRONMENT: OTHERS.decode()})
    (said,) = issued(exported, "kubernetes")
    assert said.startswith(f"warning: the key in the environment variable {ENVIRONMENT}")
    same = replace(site, environment=site.environment | {ENVIRONMENT: OURS.decode()})
    assert issued(same, "kubernetes") == []
    (site.home / "key").write_bytes(OTHERS)
    assert issued(site, "kubernetes", "--shared-secret-file", "key") == []


def test_a_key_that_is_still_exported_where_nothing_is_stored(secured: Site, pxctl: Path) -> None:
    local = ("--local", "--pxctl", str(pxctl))
    commands = (
        ("token", "kubernetes"),
        ("context", "create", "admin", *local),
        ("issue", "kubernetes", "--dry-run=client"),
        ("issue", "kubernetes", "-n", "a", "-n", "b", "--dry-run=client"),
    )
    exported, same = (
        replace(secured, environment=secured.environment | {ENVIRONMENT: key.decode()})
        for key in (OTHERS, OURS)
    )
    for command in commands:
        said = exported.pxauth(*command).err
        assert said.count("warning: the key that is given (the environment variable") == 1, said
        assert "warning:" not in same.pxauth(*command).err
    assert "warning:" in exported.signs_with(OTHERS, "px.example")
    for arguments in (["--issuer", "px.example"], ["--kubeconfig", "/dev/null"]):
        assert exported.pxauth("token", "kubernetes", *arguments).err == ""
    (secured.home / "key").write_bytes(OTHERS)
    assert secured.pxauth("token", "kubernetes", "--shared-secret-file", "key").err == ""


def test_a_key_that_is_still_exported_over_the_token_of_a_named_user(secured: Site) -> None:
    for namespace in ("px", "other"):
        named = ("--sub", "alice", "--allow-shared-subject")
        secured.pxauth("issue", "kubernetes", "-n", namespace, *named)
    exported = replace(secured, environment=secured.environment | {ENVIRONMENT: OTHERS.decode()})
    (secured.home / "key").write_bytes(OTHERS)
    file = ("--shared-secret-file", "key")
    for where, flags, way in (
        (exported, (), f"unset {ENVIRONMENT}"),
        (secured, file, "leave out --shared-secret-file"),
    ):
        said = where.refused("issue", "kubernetes", *flags).err.splitlines()
        assert [line.partition(" ")[0] for line in said] == ["warning:", "error:", "hint:"]
        assert "is not the one that Portworx is started with" in said[0]
        assert said[2] == f"hint: the key is not the cluster's: {way}"
        many = where.pxauth("issue", "kubernetes", "-n", "px", "-n", "other", *flags).err
        assert many.splitlines()[0] == said[0]
        assert many.count("is not the one that Portworx is started with") == 1
        assert many.count(f"(the key is not the cluster's: {way})") == 2


def test_a_key_that_is_exported_where_the_cluster_does_not_answer(offline: Shell) -> None:
    done = offline.pxauth("token", "kubernetes", "--server", "https://127.0.0.1:1")
    assert judge(done.out)["accepted"]
    assert done.err.startswith("warning: the cluster could not be asked whether it has the key")


def test_who_may_read_the_key_alone_is_told_nothing_of_what_could_not_be_compared(
    secured: Site,
) -> None:
    secured.allow("job", "px", "get,list,create,patch", "secrets")
    pinned = [
        "--as",
        "job",
        "--issuer",
        "px.example",
        "--shared-secret-from",
        "px/px-shared-secret",
    ]
    assert issued(secured, "kubernetes", *pinned) == []
    asked = secured.pxauth("token", "admin", *pinned, "-v=6").err.splitlines()
    assert len([line for line in asked if " 403 " in line or "403" in line.split()]) <= 2


@pytest.mark.parametrize(
    "key",
    [
        "vault:secret/data/storage/portworx#shared-secret",
        ">>vault:secret/data/storage/portworx#shared-secret",
        "op://vault/portworx/shared-secret-of-this-cluster",
        "ref+awsssm://portworx/shared-secret-of-this-cluster",
        "arn:aws:secretsmanager:eu-west-1:1:secret:portworx",
        "arn:aws-cn:ssm:cn-north-1:1:parameter/portworx/key",
        "${PORTWORX_SHARED_SECRET_OF_THIS_CLUSTER}",
        "<the shared secret of the cluster goes in here>",
        "gcp:secretmanager:projects/p/secrets/portworx",
        "projects/storage/secrets/portworx/versions/1",
        "azurekv://portworx-vault/secrets/shared-secret",
        "https://px.vault.azure.net/secrets/shared-secret",
        "@Microsoft.KeyVault(SecretUri=https://px.example/x)",
        "{{ .Values.portworx.sharedSecret }} of the chart }}",
    ],
)
def test_a_key_that_is_a_reference(site: Site, key: str) -> None:
    site.lay_secret("kube-system/pxkeys", key.encode())
    site.daemon_set(
        args=["-jwt_issuer", "portworx.com"], env=[from_secret(SECRET_VARIABLE, "pxkeys")]
    )
    (said,) = issued(site, "kubernetes")
    assert "reads like a reference to a key, not like a key" in said
    assert key not in said


def test_what_is_done_with_a_key_that_is_a_reference(site: Site) -> None:
    reference = "vault:secret/data/storage/portworx#shared-secret"
    site.lay_secret("kube-system/pxkeys", reference.encode())
    site.daemon_set(
        args=["-jwt_issuer", "portworx.com"], env=[from_secret(SECRET_VARIABLE, "pxkeys")]
    )
    for command in (
        ("keys", "status"),
        ("keys", "adopt", "-n", "portworx", "--dry-run=server"),
        ("schedule", "-n", "px", "--image=registry.example/pxauth", "--dry-run=client"),
    ):
        done = site.pxauth(*command)
        assert done.code == 0, done.err
        assert done.err.count("reads like a reference to a key, not like a key") == 1
    for flags in ((), ("--compromised",), ("--phase=key",)):
        said = site.refused("keys", "rotate", "--yes", *flags).err
        assert "reads like a reference to a key" in said
        assert "--ignore-owner" in said
    assert site.pxauth("keys", "rotate", "--yes", "--ignore-owner").code == 0
    assert site.pxauth("keys", "status").err == ""


@pytest.mark.parametrize(
    ("role", "meant"), [("system.usr", "system.user"), ("System.Admin", "system.admin")]
)
def test_a_role_that_is_a_slip(secured: Site, role: str, meant: str) -> None:
    (said,) = issued(secured, "kubernetes", "--role", role)
    assert said == f'warning: the role "{role}" is none of the system\'s: is "{meant}" meant?'
    assert f'is "{meant}" meant?' in secured.pxauth("token", "admin", "--role", role).err


def user_file(folder: Path, **fields: str) -> str:
    user = {"name": "Boss", "email": "boss@example.com", "sub": "boss", "roles": "[system.view]"}
    text = "".join(f"{key}: {value}\n" for key, value in (user | fields).items())
    file = folder / f"{len(list(folder.iterdir()))}.yaml"
    file.write_text(text)
    return file.name


def test_a_user_file_of_an_admin_for_kubernetes(secured: Site) -> None:
    file = user_file(secured.home, roles="[system.admin]", groups='["*"]')
    (said,) = issued(secured, "kubernetes", "-f", file)
    assert said.startswith("warning: the user file gives system.admin to the token of the profile")
    shared = "--allow-shared-subject"
    assert issued(secured, "admin", "-n", "px", "-f", file, shared) == []
    for arguments in (
        ("kubernetes", "-f", user_file(secured.home, groups='["*"]')),
        ("kubernetes", "-f", user_file(secured.home, roles="[backup.operator, system.user]")),
        ("kubernetes", "--role", "tenant-of-storage"),
        ("--secret", "boss", "-f", user_file(secured.home, roles="[system.admin]")),
    ):
        assert issued(secured, *arguments, shared) == []


@pytest.mark.parametrize(
    "text", ['"<groups the tenant participate if any"', '"<groups>"', '"${groups}"']
)
@pytest.mark.parametrize("field", ["groups", "roles", "sub"])
def test_blanks_are_refused(site: Site, field: str, text: str) -> None:
    value = text if field == "sub" else f"[{text}]"
    file = user_file(site.home, **{field: value})
    assert "is the unfilled placeholder" in site.refused("issue", "kubernetes", "-f", file).err
    flag = f"--{field.removesuffix('s')}" if field != "sub" else "--sub"
    said = site.refused("issue", "kubernetes", flag, json.loads(text), code=2).err
    assert "is the unfilled placeholder" in said


def test_blanks_of_an_older_token_are_told(secured: Site) -> None:
    claims = claims_of("u", iss="px.example", groups=["<groups the tenant"]) | {"sub": "${uuid}"}
    secured.keep("px-k8s-user", forge(claims, OURS))
    blanks = 'sub "${uuid}", group "<groups the tenant"'
    assert secured.pxauth("list").err == (
        f"warning: Secret px/px-k8s-user: an unfilled placeholder: {blanks}\n"
    )
    found = json.loads(secured.pxauth("doctor", "-o", "json").out)["findings"]
    assert [one["message"] for one in found if one["severity"] == "warning"] == [
        f"Secret px/px-k8s-user: an unfilled placeholder: {blanks}"
    ]
    done = secured.pxauth("issue", "kubernetes")
    assert 'an unfilled placeholder is kept from the token that is there: sub "${uuid}"' in done.err


def test_an_admins_token_beside_the_operators(secured: Site) -> None:
    note = (
        "The Portworx operator keeps a Secret px/px-admin-token: tools that look for that name in"
        " all namespaces, as storkctl does, may take either."
    )
    assert issued(secured, "admin", "-n", "other") == [note]
    assert issued(secured, "kubernetes", "-n", "other") == []
    assert issued(secured, "admin", "-n", "other", "--secret", "boss") == []
    both = ("-n", "other", "-n", "portworx")
    assert issued(secured, "admin", *both).count(note) == 1
    assert note not in issued(secured, "kubernetes", *both)


OIDC_ARGUMENTS = {"args": ["-b", "-oidc_issuer", PROVIDER, "-oidc_client_id", "portworx"]}
OIDC_VARIABLES = {"env": [variable("PORTWORX_AUTH_OIDC_ISSUER", PROVIDER)]}


@pytest.mark.parametrize("content", [OIDC_ARGUMENTS, OIDC_VARIABLES])
def test_a_provider_alone_in_a_daemon_set(site: Site, content: dict[str, Any]) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.daemon_set(**content)
    provider_alone(site, "DaemonSet kube-system/portworx")


@pytest.mark.parametrize("how", ["env", "misc-args"])
def test_a_provider_alone_in_a_storage_cluster(site: Site, how: str) -> None:
    site.lay_secret("kube-system/pxkeys")
    annotations = {"portworx.io/misc-args": f"-oidc_issuer {PROVIDER}"}
    if how == "env":
        site.storage_cluster("px/cluster", env=OIDC_VARIABLES["env"])
    else:
        site.storage_cluster("px/cluster", annotations)
    provider_alone(site, "StorageCluster px/cluster")


def provider_alone(site: Site, stated_by: str) -> None:
    said = site.refused("issue", "kubernetes").err
    assert f'Portworx trusts the OpenID Connect provider "{PROVIDER}" alone ({stated_by}' in said
    assert "; not used: Secret kube-system/pxkeys:shared-secret\n" in said
    found = site.discover()
    assert (found["sharedSecret"], found["issuer"]) == (None, None)
    assert found["oidcIssuer"]["value"] == PROVIDER
    assert PROVIDER in site.pxauth("discover").out
    doctor = json.loads(site.pxauth("doctor", "-o", "json").out)
    assert doctor["healthy"]
    assert [one for one in doctor["findings"] if PROVIDER in one["message"]]
    said = {one["check"]: one for one in doctor["findings"]}["tokens"]
    assert (said["severity"], said["hint"]) == ("ok", None)  # there is nothing to issue
    site.keep("theirs", forge(claims_of("u", iss=PROVIDER), OTHERS))
    for command in ("list", "doctor", "status"):
        done = site.pxauth(command)
        assert (done.code, done.err) == (0, ""), done.out
    assert '"warning"' not in site.pxauth("doctor", "-o", "json").out
    refused = site.refused("verify", "theirs").err
    assert "verified by the provider, not here" in refused
    shown = json.loads(site.pxauth("inspect", "theirs", "-o", "json").out)
    assert shown["accepted"] is None
    (listed,) = json.loads(site.pxauth("list", "-o", "json").out)["items"]
    assert (listed["status"], listed["problems"]) == ("valid", [])
    site.keep("ours", forge(claims_of("v"), OURS))
    wrong = site.pxauth("verify", "ours")
    assert wrong.code == 1
    assert f'the cluster trusts "{PROVIDER}"' in wrong.out


def test_a_provider_beside_a_shared_secret(secured: Site) -> None:
    secured.done("delete", "storageclusters", "--all", "-A")
    secured.storage_cluster(
        "px/cluster", security=self_signed(issuer="px.example"), env=OIDC_VARIABLES["env"]
    )
    assert issued(secured, "kubernetes") == []
    assert secured.pxauth("verify").code == 0
    secured.keep("theirs", forge(claims_of("u", iss=PROVIDER), OTHERS))
    secured.keep("old", forge(claims_of("u", iss=PROVIDER, days=1, age_days=2), OTHERS))
    assert "verified by the provider, not here" in secured.refused("verify", "theirs").err
    assert "problem  expiry" in secured.pxauth("verify", "old").out
    assert secured.discover()["oidcIssuer"]["value"] == PROVIDER


@pytest.mark.parametrize("issuer", ["apps.portworx.io", "stork.openstorage.io"])
def test_tokens_of_portworxs_own_applications(secured: Site, issuer: str) -> None:
    secured.keep("theirs", forge(claims_of("operator", iss=issuer), APPS))
    secured.keep("forged", forge(claims_of("somebody", iss=issuer), OURS))
    done = secured.pxauth("verify", "theirs")
    assert done.code == 0
    key = f'Secret px/px-system-secrets key "apps-secret" (fingerprint {fingerprint(APPS)})'
    assert key in done.out
    assert secured.pxauth("verify", "forged").code == 1
    statuses = {
        one["name"]: one["status"]
        for one in json.loads(secured.pxauth("list", "-o", "json").out)["items"]
    }
    assert statuses == {"theirs": "valid", "forged": "bad signature"}
    secured.done("delete", "secret", "px-system-secrets", "-n", "px")
    assert "whose key is not at hand" in secured.refused("verify", "theirs").err


def test_verify_and_inspect_name_the_key_and_a_default(secured: Site) -> None:
    issued(secured, "kubernetes")
    key = f'Secret px/px-shared-secret key "shared-secret" (fingerprint {fingerprint(OURS)})'
    assert f"made with the cluster's key: {key}\n" in secured.pxauth("verify").out
    found = json.loads(secured.pxauth("inspect", "-o", "json").out)
    assert found["key"]["fingerprint"] == fingerprint(OURS)
    assert found["accepted"]
    secured.done("delete", "storageclusters", "--all", "-A")
    secured.daemon_set(env=[variable(SECRET_VARIABLE, OURS.decode())])
    secured.pxauth("issue", "kubernetes", "--change-identity")
    assert '"portworx.com", which is only the default\n' in secured.pxauth("verify").out


def test_a_short_key_has_no_fingerprint(site: Site) -> None:
    site.lay_secret("px/px-shared-secret", b"never-shown: short")
    site.storage_cluster("px/cluster", security={"enabled": True})
    assert site.discover()["sharedSecret"]["fingerprint"] is None
    assert "fingerprint" not in site.pxauth("discover").out


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"security": {"enabled": False}},
        {"security": {"enabled": True, "auth": {"enabled": False}}},
    ],
)
def test_keys_create_points_to_the_operator(site: Site, spec: dict[str, Any]) -> None:
    site.storage_cluster("px/cluster", **spec)
    for namespace in ("kube-system", "px"):
        said = site.refused("keys", "create", "-n", namespace).err
        assert f"nothing would read Secret {namespace}/pxkeys" in said
        assert "spec.security.enabled" in said
        assert site.kubectl("get", "secret", "pxkeys", "-n", namespace).code != 0


def test_keys_create_leaves_the_keys_of_a_secured_cluster_to_the_operator(site: Site) -> None:
    site.storage_cluster("px/cluster", security={"enabled": True})
    said = site.refused("keys", "create").err
    assert "Portworx takes its shared secret from elsewhere: StorageCluster px/cluster" in said
    assert "the operator makes it by itself" in said
    assert "the operator makes it" in site.refused("issue", "kubernetes").err


def test_keys_create_makes_what_variables_take(site: Site) -> None:
    env = [from_secret(SECRET_VARIABLE, "pxkeys"), variable(ISSUER_VARIABLE, "px.example")]
    site.storage_cluster("px/cluster", env=env)
    assert site.pxauth("keys", "create", "-n", "px").code == 0


def test_keys_create_does_not_make_a_second_key(site: Site) -> None:
    site.lay_secret("other/keys")
    site.daemon_set(env=[variable(SECRET_VARIABLE, OURS.decode())])
    assert "Portworx takes its shared secret from elsewhere" in site.refused("keys", "create").err
    assert site.kubectl("get", "secret", "pxkeys", "-n", "kube-system").code != 0


def test_keys_create_keeps_its_secret_out_of_backups(site: Site) -> None:
    assert site.pxauth("keys", "create").code == 0
    secret = json.loads(site.done("get", "secret", "pxkeys", "-n", "kube-system", "-o", "json"))
    annotations = secret["metadata"]["annotations"]
    assert annotations["stork.libopenstorage.org/skip-resource"] == "true"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"immutable": True}, "Secret kube-system/pxkeys is immutable"),
        ({"metadata": {"ownerReferences": OPERATOR}}, "is kept by the Portworx operator"),
    ],
)
def test_keys_create_adds_nothing_to_a_secret_that_is_not_to_be_written(
    site: Site, content: dict[str, Any], why: str
) -> None:
    metadata = {"name": "pxkeys", "namespace": "kube-system"} | content.pop("metadata", {})
    data = {"shared-secret": OURS.decode()}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    site.done("create", "-f", "-", stdin=manifest | content)
    assert why in site.refused("keys", "create").err
    secret = json.loads(site.done("get", "secret", "pxkeys", "-n", "kube-system", "-o", "json"))
    assert list(secret["data"]) == ["shared-secret"]


OFF: list[dict[str, Any]] = [
    {},
    {"security": {"enabled": False}},
    {"security": {"enabled": True, "auth": {"enabled": False}}},
]


@pytest.mark.parametrize("spec", OFF)
def test_authorization_that_is_off_is_one_line_of_the_doctors(
    site: Site, spec: dict[str, Any]
) -> None:
    site.lay_secret("px/px-shared-secret")
    site.storage_cluster("px/cluster", **spec)
    site.keep("old", forge(claims_of("u", days=1, age_days=2), OTHERS))
    site.lay_secret("px/px-secret", b"db-passphrase", "SECRET_KEY")
    pairs = ("provisioner", "node-publish")
    for name, secret in (("encrypted", "px-secret"), ("gone", "px-user-token")):
        parameters = {
            f"csi.storage.k8s.io/{pair}-secret-{part}": value
            for pair in pairs
            for part, value in (("name", secret), ("namespace", "px"))
        }
        kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
        content = {"metadata": {"name": name}, "provisioner": "pxd.portworx.com"}
        site.done("create", "-f", "-", stdin=kind | content | {"parameters": parameters})
    try:
        found = json.loads(site.pxauth("doctor", "-o", "json").out)
        # Each volume of that class fails, as the provisioner reads the Secret all the same.
        (bad,) = (one for one in found["findings"] if one["severity"] == "problem")
        assert "StorageClass gone: Secret px/px-user-token does not exist" in bad["message"]
        site.done("delete", "storageclass", "gone")
        done = site.pxauth("doctor", "-o", "json")
        assert done.code == 0
        found = json.loads(done.out)["findings"]
        assert {one["severity"] for one in found if one["check"] != "classes"} == {"ok"}
        checks = {one["check"] for one in found}
        assert not checks & {"key", "issuer", "tokens", "subjects"}
        (line,) = (one["message"] for one in found if one["check"] == "portworx")
        assert line == (
            "authorization is off (StorageCluster px/cluster), so Portworx asks for no tokens; not"
            " used: Secret px/px-shared-secret:shared-secret"
        )
    finally:
        site.done("delete", "storageclasses", "--all")


def test_one_value_in_two_keys(site: Site) -> None:
    both = {
        "stork-secret": OURS.decode(),
        "shared-secret": OURS.decode(),
        "system-secret": "s" * 40,
    }
    manifest = {"apiVersion": "v1", "kind": "Secret", "stringData": both}
    site.done(
        "create",
        "-f",
        "-",
        stdin=manifest | {"metadata": {"name": "pxkeys", "namespace": "kube-system"}},
    )
    site.daemon_set(
        args=["-jwt_issuer", "portworx.com"], env=[from_secret(SECRET_VARIABLE, "pxkeys")]
    )
    says = "has the same value in shared-secret and stork-secret"
    assert says in site.pxauth("keys", "create").err
    found = json.loads(site.pxauth("doctor", "-o", "json").out)["findings"]
    assert [one for one in found if says in one["message"]]


def odd_keys(site: Site) -> list[str]:
    """What the doctor has against the key."""
    found = json.loads(site.pxauth("doctor", "-o", "json").out)["findings"]
    return [
        one["message"] for one in found if (one["severity"], one["check"]) == ("warning", "key")
    ]


def leaked(site: Site) -> str:
    """What is said where the key is replaced as it leaked."""
    done = site.pxauth("keys", "rotate", "--compromised", "--yes", "--again")
    assert done.code == 0, done.err
    return done.err


def test_one_value_in_the_keys_of_two_secrets(site: Site) -> None:
    site.lay_secret("px/px-shared-secret")
    site.lay_secret("px/px-system-secrets", OURS, "apps-secret")
    site.storage_cluster("px/cluster", security=self_signed(issuer="px.example"))
    place = 'Secret px/px-system-secrets key "apps-secret"'
    (said,) = odd_keys(site)
    assert said.startswith(f'{place} has the same value as Secret px/px-shared-secret key "shared')
    assert f"warning: {place} has the same value, and stays as it is" in leaked(site)
    assert odd_keys(site) == []
    assert "has the same value" not in leaked(site)


def test_one_value_in_the_keys_of_a_daemon_set(site: Site) -> None:
    site.lay_secret("kube-system/pxkeys")
    site.lay_secret("kube-system/theirs", OURS, "stork")
    site.daemon_set(
        args=["-jwt_issuer", "portworx.com"],
        env=[
            from_secret(SECRET_VARIABLE, "pxkeys"),
            from_secret("PORTWORX_AUTH_STORK_KEY", "theirs", "stork"),
            variable("PORTWORX_AUTH_SYSTEM_KEY", OURS.decode()),
        ],
    )
    first, second = odd_keys(site)
    assert first.startswith("DaemonSet kube-system/portworx container portworx env PORTWORX_AUTH_S")
    assert second.startswith('Secret kube-system/theirs key "stork" has the same value as')
    assert leaked(site).count("has the same value, and stays as it is") == 2

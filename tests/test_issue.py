"""`kubectl pxauth issue` against a real API server."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import Shell, claims_of, decode, forge, judge
from tests.portworx_site import OPERATOR

YEAR = 365 * 86400


def user_file(sub: str) -> str:
    return f"name: Kubernetes\nemail: k8s@example.com\nsub: {sub}\nroles: [system.user]\n"


def line(change: str, shell: Shell, differences: str = "") -> str:
    """What `issue` says of the token that is there now."""
    ends = datetime.fromtimestamp(shell.claims()["exp"], UTC)
    return f"secret/px-k8s-user {change}{differences}, expires {ends:%Y-%m-%d %H:%M} UTC\n"


def test_a_repeat_leaves_one_valid_token_with_one_sub(shell: Shell) -> None:
    assert shell.issue("kubernetes").out == line("created", shell)
    first = shell.token()
    assert shell.issue("kubernetes").out == line("configured", shell)
    for token in (first, shell.token()):
        verdict = judge(token)
        assert verdict["accepted"], verdict
        claims = decode(token)
        assert claims["sub"] == f"px-k8s-user.{shell.namespace}@portworx.com" == claims["email"]
        assert claims["roles"] == ["system.user"]
        assert claims["groups"] == ["kubernetes"]
        assert claims["exp"] - claims["iat"] == YEAR + 600
        assert abs(claims["iat"] + 600 - time.time()) < 60


def test_the_secret_says_who_keeps_it_and_until_when(shell: Shell) -> None:
    shell.issue("kubernetes")
    metadata = shell.secret()["metadata"]
    expires = datetime.fromtimestamp(shell.claims()["exp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "kubectl-pxauth"}
    assert metadata["annotations"] == {
        "stork.libopenstorage.org/skip-resource": "true",
        "kubectl-pxauth/expires": expires,
        "kubectl-pxauth/issuer": "portworx.com",
    }
    assert "managedFields" not in json.loads(shell.issue("kubernetes", "-o", "json").out)


def test_admin_has_its_own_secret_roles_and_groups(shell: Shell) -> None:
    shell.issue("admin", "--duration", "12h")
    claims = shell.claims("px-admin-token")
    assert (claims["roles"], claims["groups"]) == (["system.admin"], ["*"])
    assert claims["exp"] - claims["iat"] == 12 * 3600 + 600


def test_a_user_file_beside_a_profile_is_the_page_step_by_step(shell: Shell) -> None:
    (shell.home / "kubernetes.yaml").write_text(user_file(shell.namespace))
    shell.issue("kubernetes", "-f", "kubernetes.yaml")
    claims = shell.claims()
    assert (claims["sub"], claims["name"], claims["email"]) == (
        shell.namespace,
        "Kubernetes",
        "k8s@example.com",
    )
    assert "groups" not in claims


def test_a_user_file_alone_needs_a_secret(shell: Shell) -> None:
    done = shell.refused("issue", "-f", "-", stdin=user_file(shell.namespace), code=2)
    assert "--secret" in done.err
    shell.issue("--auth-config", "-", "--secret", "mine", stdin=user_file(shell.namespace))
    assert shell.claims("mine")["sub"] == shell.namespace


def test_flags_override_single_fields(shell: Shell) -> None:
    shell.issue(
        *("kubernetes", "-f", "-", "--sub", "other-1", "--role", "system.view", "--role", "custom"),
        *("--group", "a", "--issuer", "px.example", "--key", "token"),
        stdin=user_file(shell.namespace),
    )
    claims = decode(shell.token(key="token"))
    assert (claims["sub"], claims["name"]) == ("other-1", "Kubernetes")
    assert (claims["roles"], claims["groups"]) == (["system.view", "custom"], ["a"])
    assert judge(shell.token(key="token"), issuer="px.example")["accepted"]


def test_a_reissue_keeps_the_user_unless_told_to_change(shell: Shell) -> None:
    shell.issue("kubernetes", "-f", "-", stdin=user_file(shell.namespace))
    shell.issue("kubernetes", "--issuer", "new.example")
    claims = shell.claims()
    assert (claims["sub"], claims["name"], claims["iss"]) == (
        shell.namespace,
        "Kubernetes",
        "new.example",
    )
    before = shell.secret()
    done = shell.refused("issue", "kubernetes", "--sub", "other")
    assert "--change-identity" in done.err
    assert shell.namespace in done.err
    assert shell.secret() == before
    shell.issue("kubernetes", "--sub", "other", "--change-identity")
    assert shell.claims()["sub"] == "other"


def test_a_forged_user_is_not_signed(shell: Shell) -> None:
    key = shell.home / "key"
    key.write_text("k" * 40)
    shell.issue("kubernetes", "--sub", "victim", "--shared-secret-file", "key")
    before = shell.secret()
    done = shell.refused("issue", "kubernetes")
    assert "did not sign it" in done.err
    assert shell.secret() == before
    claims = shell.claims()
    keep = [f"--{field}={claims[field]}" for field in ("sub", "name", "email")]
    shell.issue("kubernetes", *keep)
    assert judge(shell.token())["accepted"]
    assert shell.claims()["sub"] == "victim"


def test_a_rotated_key_keeps_the_default_user(shell: Shell) -> None:
    shell.issue("kubernetes", "--shared-secret-file", "-", stdin="o" * 40)
    before = shell.claims()["sub"]
    shell.issue("kubernetes")
    assert judge(shell.token())["accepted"]
    assert shell.claims()["sub"] == before


def test_other_content_of_the_secret_stays(shell: Shell) -> None:
    metadata = {
        "name": "px-k8s-user",
        "labels": {"team": "storage", "app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"note": "hands off", "stork.libopenstorage.org/skip-resource": "false"},
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1", "controller": True}
        ],
    }
    data = {"other": base64.b64encode(b"mine").decode(), "auth-token": "bm90IGEgdG9rZW4="}
    shell.create({"metadata": metadata, "type": "example.com/odd", "data": data})
    before = shell.secret()
    shell.issue("kubernetes")
    after = shell.secret()
    assert judge(shell.token())["accepted"]
    assert after["type"] == "example.com/odd"
    assert after["data"]["other"] == data["other"]
    assert after["metadata"]["labels"] == metadata["labels"]
    assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
    assert metadata["annotations"].items() <= after["metadata"]["annotations"].items()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"metadata": {"name": "px-k8s-user"}, "immutable": True}, "is immutable"),
        (
            {"metadata": {"name": "px-k8s-user", "ownerReferences": [OPERATOR]}},
            "kept by the Portworx operator",
        ),
        (
            {
                "metadata": {
                    "name": "px-k8s-user",
                    "annotations": {"kubernetes.io/service-account.name": "default"},
                },
                "type": "kubernetes.io/service-account-token",
            },
            "service account's token",
        ),
    ],
)
def test_secrets_that_are_not_ours_to_change(
    shell: Shell, manifest: dict[str, object], says: str
) -> None:
    shell.create(manifest)
    before = shell.secret()
    assert says in shell.refused("issue", "kubernetes").err
    assert shell.secret() == before


def test_a_missing_namespace_is_named(shell: Shell) -> None:
    done = shell.refused("issue", "kubernetes", "-n", "nowhere")
    assert done.err == (
        'error: namespace "nowhere" not found\nhint: kubectl create namespace nowhere\n'
    )


def test_a_namespace_that_is_going_away_is_no_matter_of_rights(shell: Shell) -> None:
    shell.kubectl("delete", "namespace", shell.namespace, "--wait=false")
    done = shell.refused("issue", "kubernetes")
    assert "because it is being terminated" in done.err
    assert "may not" not in done.err


def test_the_shared_secret_is_looked_for_where_the_flag_says(shell: Shell) -> None:
    other = base64.b64encode(b"o" * 40).decode()
    shell.create({"metadata": {"name": "keys"}, "data": {"mine": other, "empty": ""}})
    where = f"{shell.namespace}/keys"
    shell.issue("kubernetes", "--shared-secret-from", f"{where}:mine")
    assert judge(shell.token(), shared_secret=b"o" * 40)["accepted"]
    missing_key = shell.refused("issue", "kubernetes", "--shared-secret-from", where)
    assert f'Secret {where} has no key "shared-secret"; its keys: empty, mine' in missing_key.err
    missing = shell.refused("token", "kubernetes", "--shared-secret-from", "nope")
    assert "Secret kube-system/nope not found" in missing.err
    empty = shell.refused("token", "kubernetes", "--shared-secret-from", f"{where}:empty")
    assert "is empty" in empty.err


def test_the_bytes_of_the_key_are_used_as_they_are(shell: Shell) -> None:
    key = b"with a newline at its end, as an editor leaves it\n"
    shell.create(
        {"metadata": {"name": "keys"}, "data": {"shared-secret": base64.b64encode(key).decode()}}
    )
    done = shell.issue("kubernetes", "--shared-secret-from", f"{shell.namespace}/keys")
    assert "warning: the shared secret in Secret" in done.err
    assert "ends in a newline" in done.err
    assert judge(shell.token(), shared_secret=key)["accepted"]


def test_output_formats(shell: Shell) -> None:
    assert shell.issue("kubernetes", "-o", "name").out == "secret/px-k8s-user\n"
    assert json.loads(shell.issue("kubernetes", "-o", "json").out) == shell.secret()
    shown = shell.issue("kubernetes", "-o", "yaml").out
    assert shell.kubectl("get", "secret", "px-k8s-user", "-o", "yaml").out.replace(
        '"', "'"
    ) == shown.replace('"', "'")


def test_a_server_dry_run_changes_nothing(shell: Shell) -> None:
    done = shell.issue("kubernetes", "--dry-run=server")
    assert done.out.startswith("secret/px-k8s-user created, expires ")
    assert done.out.endswith(" (server dry run)\n")
    assert shell.kubectl("get", "secrets", "-o", "name").out == ""


def test_a_client_dry_run_is_a_manifest_for_kubectl(shell: Shell) -> None:
    done = shell.issue("kubernetes", "--dry-run=client", "-o", "yaml")
    assert shell.kubectl("get", "secrets", "-o", "name").out == ""
    applied = shell.kubectl("apply", "-f", "-", stdin=done.out)
    assert applied.out == "secret/px-k8s-user created\n", applied.err
    assert judge(shell.token())["accepted"]
    assert shell.issue("kubernetes", "--dry-run=client").out.endswith("(dry run)\n")


def test_many_at_once_leave_one_whole_secret(shell: Shell) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: shell.issue("kubernetes"), range(8)))
    assert sum("created" in run.out for run in runs) == 1
    assert judge(shell.token())["accepted"]


def test_no_cluster_is_needed_with_a_key_at_hand(offline: Shell) -> None:
    done = offline.pxauth("issue", "kubernetes", "--dry-run=client", "-o", "json")
    manifest = json.loads(done.out)
    assert manifest["metadata"]["namespace"] == "default"
    token = base64.b64decode(manifest["data"]["auth-token"]).decode()
    assert judge(token)["accepted"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["issue"], "there is no user to make a token for"),
        (["issue", "nobody"], 'there is no profile "nobody"'),
        (["issue", "kubernetes", "--no-such-flag"], "No such option: --no-such-flag"),
        (
            ["issue", "kubernetes", "--duration", "1w"],
            '--duration: "1w" is not a duration',
        ),
        (
            ["issue", "kubernetes", "--duration", "0d"],
            '--duration: "0d" is not a duration for a token: it is zero',
        ),
        (["issue", "kubernetes", "--duration=-1d"], '"-1d" is not a duration for a token'),
        (["issue", "kubernetes", "--duration", "9000y"], "would end after the year 9999"),
        (
            ["issue", "kubernetes", "--issuer", "https://portworx.com"],
            'the issuer "https://portworx.com" begins with https://',
        ),
        (["issue", "kubernetes", "--issuer", ""], "the issuer is empty"),
        (
            ["issue", "kubernetes", "--secret", "Not_A_Name"],
            '"Not_A_Name" is not a name for a Secret',
        ),
        (["issue", "kubernetes", "--namespace", "a.b"], '"a.b" is not a name for a namespace'),
        (["issue", "kubernetes", "--namespace", ""], '"" is not a name for a namespace'),
        (["issue", "kubernetes", "--key", "a/b"], '"a/b" is not a key for a Secret\'s data'),
        (["issue", "kubernetes", "--name", ""], "--name is empty"),
        (
            ["issue", "kubernetes", "--email", "${email}"],
            '--email is the unfilled placeholder "${email}"',
        ),
        (
            ["issue", "kubernetes", "--shared-secret-from", "a/b", "--shared-secret-file", "c"],
            "--shared-secret-file and --shared-secret-from can't be used together",
        ),
        (
            ["issue", "kubernetes", "-f", "-", "--shared-secret-file", "-"],
            "-f and --shared-secret-file can't both read standard input",
        ),
        (
            ["issue", "kubernetes", "--shared-secret-from", "a/b/c"],
            '"a/b" is not a name for a namespace',
        ),
        (["issue", "kubernetes", "-o", "table"], "'table' is not one of 'name', 'json', 'yaml'"),
        (
            ["issue", "kubernetes", "--dry-run", "maybe"],
            "'maybe' is not one of 'none', 'client', 'server'",
        ),
        (["issue", "kubernetes", "--request-timeout", "soon"], '"soon" is not a timeout'),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_misuse_ends_with_2_before_anything_is_asked(
    offline: Shell, arguments: list[str], says: str
) -> None:
    assert says in offline.refused(*arguments, code=2).err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\xfd" * 20, b"nul\0" * 20])
def test_keys_that_portworx_could_not_be_given(offline: Shell, content: bytes) -> None:
    Path(offline.home / "key").write_bytes(content)
    offline.refused("token", "kubernetes", "--shared-secret-file", "key")


def test_an_empty_variable_is_an_error_not_a_key(offline: Shell) -> None:
    shell = offline.with_environment(PORTWORX_AUTH_SHARED_SECRET="")
    assert "PORTWORX_AUTH_SHARED_SECRET is empty" in shell.refused("token", "admin").err


def test_a_missing_file_is_named(offline: Shell) -> None:
    done = offline.refused("token", "-f", "nope.yaml")
    assert done.err == "error: nope.yaml: No such file or directory\n"
    offline.refused("token", "admin", "--shared-secret-file", "nope")


def test_no_cluster_at_all_says_so(offline: Shell) -> None:
    shell = Shell(offline.namespace, offline.home)
    assert "no cluster is configured" in shell.refused("issue", "kubernetes").err


def boss(shell: Shell) -> str:
    """The user file of a storage administrator, as the Portworx docs have it."""
    sub = f"boss@example.com/{shell.namespace}"
    return f"name: Boss\nemail: b@example.com\nsub: {sub}\nroles: [system.admin]\ngroups: ['*']\n"


def test_roles_groups_and_duration_stay_as_they_are(shell: Shell) -> None:
    shell.issue("kubernetes", "--role", "system.view", "--group", "a", "--duration", "30d")
    before = shell.claims()
    for flags in ([], ["--issuer", "portworx.com"], ["--dry-run=server"], []):
        done = shell.issue("kubernetes", *flags)
        assert "->" not in done.out
        assert done.err == ""
    assert done.out == line("configured", shell)
    after = shell.claims()
    assert (after["roles"], after["groups"]) == (["system.view"], ["a"])
    assert after["exp"] - after["iat"] == before["exp"] - before["iat"] == 30 * 86400 + 600


def test_what_changes_is_told(shell: Shell) -> None:
    shell.issue("kubernetes", "--role", "system.view", "--duration", "30d")
    done = shell.issue("kubernetes", "--role", "system.user", "--duration", "90d")
    changed = " (roles system.view -> system.user, duration 30d -> 90d)"
    assert done.out == line("configured", shell, changed)
    assert shell.claims()["groups"] == ["kubernetes"]
    done = shell.issue("kubernetes", "--group", "a", "--group", "b", "--issuer", "px.example")
    changed = " (groups kubernetes -> a,b, issuer portworx.com -> px.example)"
    assert done.out == line("configured", shell, changed)
    done = shell.issue("kubernetes", "-f", "-", "--change-identity", stdin=user_file("new"))
    assert f"sub px-k8s-user.{shell.namespace}@portworx.com -> new" in done.out
    assert "groups a,b -> none" in done.out
    assert shell.issue("kubernetes", "-o", "name").out == "secret/px-k8s-user\n"


def test_a_group_that_is_not_there_is_not_gained(shell: Shell) -> None:
    shell.issue("kubernetes", "-f", "-", stdin=user_file(shell.namespace))
    assert "groups" not in shell.claims()
    done = shell.issue("kubernetes")
    assert "->" not in done.out
    assert "groups" not in shell.claims()


def test_an_administrators_token_in_the_users_secret_is_not_kept_silently(shell: Shell) -> None:
    shell.issue("kubernetes", "-f", "-", stdin=boss(shell))
    for flags in ([], ["--duration=1y"]):
        done = shell.issue("kubernetes", *flags)
        assert shell.claims()["roles"] == ["system.admin"]
        assert done.err.startswith(f"warning: Secret {shell.namespace}/px-k8s-user has the role")
        command = f"kubectl pxauth issue kubernetes -n {shell.namespace}"
        assert f"{command} --role system.user --group kubernetes" in done.err
    _, _, hint = done.err.strip().rpartition(": ")
    told = shell.kubectl(*hint.split()[1:])
    assert "roles system.admin -> system.user, groups * -> kubernetes" in told.out
    assert told.err == ""
    assert shell.issue("kubernetes").err == ""


def test_a_profile_alone_gives_no_more_than_there_was(shell: Shell) -> None:
    shell.issue("admin", "--role", "system.user", "--group", "a")
    done = shell.issue("admin")
    assert shell.claims("px-admin-token")["roles"] == ["system.user"]
    assert shell.claims("px-admin-token")["groups"] == ["a"]
    assert "has the role system.user" in done.err
    done = shell.issue("admin", "--role", "system.admin", "--group=*")
    assert "(roles system.user -> system.admin, groups a -> *)" in done.out
    assert done.err == ""


def test_if_needed_counts_a_role_or_group_that_is_asked_for(shell: Shell) -> None:
    shell.issue("kubernetes")
    for flags, changed in (
        (["--role", "system.view"], " (roles system.user -> system.view)"),
        (["--group", "a"], " (groups kubernetes -> a)"),
    ):
        done = shell.issue("kubernetes", "--if-needed", *flags)
        assert done.out == line("configured", shell, changed)
        assert shell.issue("kubernetes", "--if-needed", *flags).out == line("unchanged", shell)
    assert shell.issue("kubernetes", "--if-needed").out == line("unchanged", shell)
    assert (shell.claims()["roles"], shell.claims()["groups"]) == (["system.view"], ["a"])


def test_a_token_that_another_key_signed_does_not_say_what_the_new_one_may(shell: Shell) -> None:
    shell.issue("kubernetes", "--role", "system.admin", "--shared-secret-file", "-", stdin="o" * 40)
    done = shell.issue("kubernetes")
    assert done.out == line("configured", shell, " (roles system.admin -> system.user)")


def test_a_token_that_pxctl_made_keeps_its_life_and_is_bound(shell: Shell) -> None:
    sub = f"{shell.namespace}-pxctl"
    shell.keep("px-k8s-user", forge(claims_of(sub, days=90, roles=["system.view"], groups=None)))
    done = shell.issue("kubernetes")
    claims = shell.claims()
    assert done.out == line("configured", shell)
    assert (claims["sub"], claims["roles"]) == (sub, ["system.view"])
    assert claims["exp"] - claims["iat"] == 90 * 86400 + 600
    assert claims["kubectl-pxauth/secret"] == f"{shell.namespace}/px-k8s-user"
    assert judge(shell.token())["accepted"]


def test_a_weak_key_of_the_cluster_can_be_rotated(shell: Shell) -> None:
    """The hint names the key that was found, and no other."""
    shell.create({"metadata": {"name": "weak"}, "stringData": {"shared-secret": "short"}})
    place = f"{shell.namespace}/weak:shared-secret"
    _, hint = shell.refused("issue", "kubernetes", "--shared-secret-from", place).err.splitlines()
    assert hint == (
        "hint: put a new one in its place: kubectl pxauth keys rotate"
        f" --shared-secret-from={place}; to sign with it all the same: --allow-weak-key"
    )

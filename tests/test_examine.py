"""`kubectl pxauth inspect` and `verify`, and that their verdict is the verifier's."""

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.conftest import BIN, SHARED_SECRET, Run, Shell
from tests.terminal import run_on_terminal
from tests.token import odd_tokens
from tests.token.odd_tokens import KEY, Case, ask_go, ec_key, make, odd_case, pem, rsa_key

CHECKS = [
    "format", "algorithm", "signature", "claims", "issuer", "username", "roles", "issued-at",
    "expiry",
]  # fmt: skip


@pytest.fixture(autouse=True)
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make tokens for now, as commands have no clock but the real one."""
    monkeypatch.setattr(odd_tokens, "SECOND", int(time.time()))


@pytest.fixture
def apart(offline: Shell) -> Shell:
    """No cluster and no variable, but a key, an issuer's public keys, and a place for tokens."""
    shell = Shell(offline.namespace, offline.home)
    (shell.home / "key").write_bytes(KEY)
    (shell.home / "rsa.pem").write_bytes(pem(rsa_key()))
    (shell.home / "ecdsa.pem").write_bytes(pem(ec_key()))
    return shell


KNOWN = ("--issuer", "portworx.com", "--shared-secret-file", "key")


def examined(shell: Shell, command: str, token: bytes, *flags: str | Path) -> Run:
    """Run the command on a file with just these bytes; it never shows the token."""
    (shell.home / "token").write_bytes(token)
    done = shell.pxauth(command, "--token-file", "token", *flags)
    assert "eyJ" not in done.out
    return done


def findings(done: Run) -> dict[str, tuple[str, str]]:
    lines = [(line[:8].strip(), line[9:19].strip(), line[20:]) for line in done.out.splitlines()]
    return {check: (severity, message) for severity, check, message in lines}


def rows(done: Run) -> dict[str, list[str]]:
    """What inspect prints, by its labels."""
    found: dict[str, list[str]] = {}
    label = ""
    for line in done.out.splitlines():
        name, colon, text = line.partition(": ")
        if colon and not line.startswith(" "):
            label = name
            found[label] = [text.strip()]
        else:
            found[label].append(line.strip())
    return found


def test_verify_has_a_line_for_each_check(shell: Shell) -> None:
    shell.issue("kubernetes")
    done = shell.pxauth("verify", "-n", shell.namespace)
    assert (done.code, done.err) == (0, "")
    assert list(findings(done)) == CHECKS
    severity, says = findings(done)["signature"]
    assert severity == "ok"
    assert says.startswith(
        'made with the cluster\'s key: Secret kube-system/pxkeys key "shared-secret" (fingerprint '
    )
    assert findings(done)["username"][1].endswith('@portworx.com", from sub')
    assert {severity for severity, _ in findings(done).values()} == {"ok"}
    assert shell.pxauth("verify", "px-k8s-user").code == 0


def test_verify_names_a_secret_a_key_and_what_is_wrong(shell: Shell) -> None:
    shell.issue("admin", "--key", "token", "--issuer", "other.example")
    done = shell.pxauth("verify", "px-admin-token", "--key", "token")
    assert (done.code, done.err) == (1, "")
    problem = (
        "problem",
        '"other.example"; the cluster trusts "portworx.com", which is only the default',
    )
    assert findings(done)["issuer"] == problem
    form = [
        shell.pxauth("verify", "px-admin-token", "--key=token", "-o", f) for f in ["json", "yaml"]
    ]
    assert [done.code for done in form] == [1, 1]
    assert json.loads(form[0].out) == yaml.safe_load(form[1].out)
    assert json.loads(form[0].out)["accepted"] is False
    assert {
        "severity": "problem",
        "check": "issuer",
        "message": problem[1],
    } in json.loads(form[0].out)["findings"]


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_token_that_is_not_there_is_an_error(shell: Shell, command: str) -> None:
    said = shell.refused(command, "nothing").err
    assert said.startswith(f"error: Secret {shell.namespace}/nothing not found\nhint: ")
    shell.create({"metadata": {"name": "empty"}})
    said = shell.refused(command, "empty").err
    assert f'Secret {shell.namespace}/empty has no key "auth-token"; its keys: none' in said
    said = shell.refused(command, "--token-file", "nowhere").err
    assert said == "error: nowhere: No such file or directory\n"


@pytest.mark.parametrize("command", ["verify", "inspect"])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["name", "--token-file", "token"], "SECRET and --token-file can't be used together"),
        (
            ["--token-file", "-", "--shared-secret-file", "-"],
            "--token-file and --shared-secret-file can't both read standard input",
        ),
        (
            ["--token-file", "-", "--rsa-public-keyfile", "-"],
            "--token-file and --rsa-public-keyfile can't both read standard input",
        ),
        (
            ["--shared-secret-file", "key", "--shared-secret-from", "a/b"],
            "--shared-secret-file and --shared-secret-from can't be used together",
        ),
        (["--username-claim", "uid"], "'uid' is not one of 'sub', 'name', 'email'"),
        (["--issuer", ""], "the issuer is empty"),
        (["No_Name"], '"No_Name" is not a name for a Secret'),
        (["-o", "name"], "'name' is not one of 'json', 'yaml'"),
    ],
)
def test_misuse_ends_with_2(apart: Shell, command: str, arguments: list[str], says: str) -> None:
    assert says in apart.refused(command, *arguments, code=2).err


def test_no_cluster_is_needed_with_an_issuer_and_a_key(apart: Shell) -> None:
    done = examined(apart, "verify", make(), *KNOWN)
    assert (done.code, done.err) == (0, "")
    done = apart.pxauth("verify", "--token-file", "-", *KNOWN, stdin=make().decode())
    assert done.code == 0
    variable = apart.with_environment(PORTWORX_AUTH_SHARED_SECRET=KEY.decode())
    assert examined(variable, "verify", make(), "--issuer", "portworx.com").code == 0
    assert examined(variable, "verify", make(key=b"x"), "--issuer", "portworx.com").code == 1
    public = ("--issuer", "portworx.com", "--rsa-public-keyfile", "rsa.pem")
    assert examined(variable, "verify", make(), *public).code == 1  # a key is named


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "ES256", "ES384", "ES512"])
def test_public_keys_verify_all_that_the_verifier_takes(apart: Shell, algorithm: str) -> None:
    kind = "rsa" if algorithm.startswith("RS") else "ecdsa"
    key: Any = rsa_key() if kind == "rsa" else ec_key(algorithm)
    (apart.home / "public.pem").write_bytes(pem(key))
    token = make(header=f'{{"alg":"{algorithm}"}}', algorithm=algorithm, key=key)
    flags = ("--issuer", "portworx.com", f"--{kind}-public-keyfile", "public.pem")
    assert examined(apart, "verify", token, *flags).code == 0
    assert examined(apart, "verify", token, *flags, "--shared-secret-file", "key").code == 0
    changed = token[:-4] + b"AAAA"
    assert examined(apart, "verify", changed, *flags).code == 1
    assert findings(examined(apart, "verify", make(), *flags))["signature"] == (
        "problem",
        "the cluster has no key for HS256",
    )


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_file_that_is_no_public_key_is_named(apart: Shell, command: str) -> None:
    private = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (apart.home / "private.pem").write_bytes(private)
    for kind, file in (
        ("rsa", "key"),
        ("ecdsa", "key"),
        ("rsa", "private.pem"),
        ("rsa", "ecdsa.pem"),
        ("ecdsa", "rsa.pem"),
    ):
        flags = ["--issuer", "portworx.com", f"--{kind}-public-keyfile", file]
        said = apart.refused(command, "--token-file", "key", *flags).err
        assert said.startswith(f"error: {file}: the {kind.upper()} public key is ")


def test_without_a_key_there_is_no_verdict(apart: Shell) -> None:
    (apart.home / "token").write_bytes(make())
    said = apart.refused("verify", "--token-file", "token").err
    assert "no cluster is configured" in said


def test_a_text_file_may_end_in_a_newline(apart: Shell) -> None:
    flags = ("token", "admin", "--shared-secret-file", "key", "--output", "admin.jwt")
    assert apart.pxauth(*flags).code == 0
    written = (apart.home / "admin.jwt").read_bytes()
    assert written.endswith(b"\n")
    for token in (written, written.strip(), written.strip() + b"\r\n"):
        done = examined(apart, "verify", token, *KNOWN)
        assert done.code == 0
        assert findings(done)["format"][0] == "ok"
    for token in (b"\n" + written, written + b"\n"):
        done = examined(apart, "verify", token, *KNOWN)
        assert findings(done)["format"][0] == "warning"


def test_a_newline_in_a_secret_is_part_of_what_is_judged(shell: Shell) -> None:
    shell.create({"metadata": {"name": "t"}, "stringData": {"auth-token": "a.b.c\n"}})
    assert "newlines" in shell.pxauth("verify", "t").out


@pytest.mark.parametrize(
    ("changes", "flags", "code"),
    [
        ({"sub": '""'}, [], 1),
        ({"sub": '""'}, ["--username-claim", "email"], 0),
        ({"name": '""'}, ["--username-claim", "email"], 0),
        ({"name": '""'}, ["--username-claim", "name"], 1),
    ],
)
def test_the_user_name_is_in_the_claim_that_is_named(
    apart: Shell, changes: dict[str, str], flags: list[str], code: int
) -> None:
    assert examined(apart, "verify", make(**changes), *KNOWN, *flags).code == code


def test_every_verdict_is_the_verifiers(apart: Shell) -> None:
    random = Random(5)
    flags = (*KNOWN, "--rsa-public-keyfile", "rsa.pem", "--ecdsa-public-keyfile", "ecdsa.pem")
    tokens = [odd_case(random).token for _ in range(400)]
    cases = [Case(token, odd_tokens.trust(), datetime.now(UTC)) for token in tokens]
    answers = list(zip(tokens, (bool(one["accepted"]) for one in ask_go(cases)), strict=True))
    taken = [(token, accepted) for token, accepted in answers if accepted][:15]
    refused = [(token, accepted) for token, accepted in answers if not accepted][:25]
    assert (len(taken), len(refused)) == (15, 25)
    for token, accepted in taken + refused:
        done = examined(apart, "verify", token, *flags)
        assert (done.code, done.err) == (0 if accepted else 1, ""), token
        severities = [severity for severity, _ in findings(done).values()]
        assert ("problem" in severities) == (not accepted)


def test_inspect_shows_all_but_the_token(shell: Shell) -> None:
    shell.issue("kubernetes", "--duration", "90d", "--group", "*", "--role", "system.view",
                "--role", "ours.only")  # fmt: skip
    done = shell.pxauth("inspect", "-n", shell.namespace)
    assert (done.code, done.err) == (0, "")
    user = f"px-k8s-user.{shell.namespace}"
    shown = rows(done)
    assert {label: shown[label] for label in ("Token", "Header", "Issuer", "Subject", "Name")} == {
        "Token": [f'Secret {shell.namespace}/px-k8s-user key "auth-token"'],
        "Header": ["alg HS256, typ JWT"],
        "Issuer": ["portworx.com"],
        "Subject": [f"{user}@portworx.com"],
        "Name": [user],
    }
    assert shown["Roles"] == [
        "system.view (may read, and change nothing)",
        "ours.only (a custom role: the cluster's own definition counts)",
    ]
    assert shown["Groups"] == ["* (reaches every resource, whoever owns it)"]
    assert shown["Issued"][0].endswith("(10 minutes ago)")
    assert shown["Expires"][0].endswith("(in 3 months)")
    assert shown["Accepted"] == ["yes"]
    checks = " ".join(shown["Checks"])
    assert checks.startswith("ok: signature: made with the cluster's key: ")
    assert "problem" not in checks
    assert "warning" not in checks
    token = shell.token()
    assert token.rpartition(".")[2][:20] not in done.out
    assert "eyJ" not in done.out
    narrow = shell.with_environment(COLUMNS="80", NO_COLOR="1")
    _, shown_there = run_on_terminal(narrow, "pxauth", "inspect", "-n", shell.namespace)
    assert max(map(len, shown_there.splitlines())) <= 80


def test_times_are_local(apart: Shell) -> None:
    there = apart.with_environment(TZ="Asia/Tokyo")
    token = make(exp="4102444800", iat="1700000000")
    assert rows(examined(there, "inspect", token, *KNOWN))["Expires"][0].startswith(
        "2100-01-01 09:00:00 JST (in "
    )
    utc = json.loads(examined(there, "inspect", token, *KNOWN, "-o", "json").out)
    assert utc["expiresAt"] == "2100-01-01T00:00:00Z"
    assert utc["issuedAt"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(("exp", "ends"), [("253402300799", "9999"), ("1e18", "1"), ("0", "0")])
def test_the_ends_of_the_calendar(apart: Shell, exp: str, ends: str) -> None:
    there = apart.with_environment(TZ="Asia/Tokyo")
    done = examined(there, "inspect", make(exp=exp), *KNOWN)
    assert rows(done)["Expires"][0].startswith(ends)
    assert done.code == 0


def test_inspect_is_the_same_in_json_and_yaml(apart: Shell) -> None:
    token = make(roles='["system.admin"]', groups='["a","b"]', aud='["x",1]', nbf="1")
    found = json.loads(examined(apart, "inspect", token, *KNOWN, "-o", "json").out)
    assert found["header"] == {"alg": "HS256", "typ": "JWT"}
    assert (found["claims"]["aud"], found["claims"]["groups"]) == (["x", 1], ["a", "b"])
    assert found["roles"] == [{"name": "system.admin", "meaning": "may do everything"}]
    assert found["accepted"] is True
    assert [one["check"] for one in found["findings"]] == [*CHECKS[:-1], "not-before", "expiry"]
    assert yaml.safe_load(examined(apart, "inspect", token, *KNOWN, "-o", "yaml").out) == found


def test_inspect_goes_without_the_key(shell: Shell) -> None:
    shell.issue("kubernetes")
    role = ["role", "r", "--verb=get", "--resource=secrets", "--resource-name=px-k8s-user"]
    assert shell.kubectl("create", *role).code == 0
    assert shell.kubectl("create", "rolebinding", "r", "--role=r", "--user=reader").code == 0
    done = shell.pxauth("inspect", "--as", "reader")
    assert done.code == 0
    shown = rows(done)
    assert shown["Subject"] == [f"px-k8s-user.{shell.namespace}@portworx.com"]
    assert shown["Accepted"][0].startswith("not known: no shared secret was found: user")
    assert shown["Checks"][0] == "warning: signature: not checked"
    found = json.loads(shell.pxauth("inspect", "--as", "reader", "-o", "json").out)
    assert found["accepted"] is None
    said = shell.refused("verify", "--as", "reader").err
    assert 'user "reader" may not get Secret kube-system/pxkeys' in said


def test_inspect_goes_without_a_cluster(apart: Shell) -> None:
    shown = rows(examined(apart, "inspect", make()))
    assert shown["Accepted"][0].startswith("not known: no cluster is configured")
    shown = rows(examined(apart, "inspect", make(), "--shared-secret-file", "key"))
    assert "ok: signature: made with the cluster's key: " in " ".join(shown["Checks"])
    assert shown["Accepted"][0].startswith("not known: ")
    shown = rows(examined(apart, "inspect", make(exp="1")))
    assert shown["Accepted"] == ["no"]


def test_a_key_of_another_kind_is_no_key_for_the_token(apart: Shell) -> None:
    """The key that is given is the one that counts: its finding is a problem, whoever is asked."""
    token = make(header='{"alg":"RS256"}', algorithm="RS256")
    problem = "problem: signature: the cluster has no key for RS256"
    shown = rows(examined(apart, "inspect", token, "--shared-secret-file", "key"))
    assert problem in shown["Checks"]
    assert shown["Accepted"] == ["no"]
    shown = rows(examined(apart, "inspect", make(), "--rsa-public-keyfile", "rsa.pem"))
    assert "problem: signature: the cluster has no key for HS256" in shown["Checks"]
    shown = rows(examined(apart, "inspect", token))
    assert "warning: signature: not checked" in shown["Checks"]


def test_a_token_that_another_key_signed_is_shown_as_such(shell: Shell) -> None:
    token = make(key=b"another key of a good length for HS256").decode()
    shell.create({"metadata": {"name": "t"}, "stringData": {"auth-token": token}})
    done = shell.pxauth("inspect", "t")
    assert done.code == 0
    assert rows(done)["Accepted"] == ["no"]
    line = "problem: signature: not made with the cluster's key, or the token was changed"
    assert " ".join(rows(done)["Checks"]).startswith(line)


@pytest.mark.parametrize("issuer", ["apps.portworx.io", "stork.openstorage.io"])
def test_a_token_of_an_application_without_an_algorithm(shell: Shell, issuer: str) -> None:
    """There is no signature to speak of, and the other Secrets are examined all the same."""
    shell.issue("kubernetes")
    for number, header in enumerate(('{"alg":"none"}', '{"alg":"HS1"}', "{}", '{"alg":')):
        token = make(header=header, iss=f'"{issuer}"').decode()
        shell.create({"metadata": {"name": f"odd-{number}"}, "stringData": {"auth-token": token}})
    names = [*(f"odd-{number}" for number in range(4)), "px-k8s-user"]
    for command in ("verify", "inspect"):
        done = shell.pxauth(command, *names, "-o", "json")
        assert (done.code, done.err) == (1 if command == "verify" else 0, "")
        items = json.loads(done.out)["items"]
        assert [item["accepted"] for item in items] == [False] * 4 + [True]


@pytest.mark.parametrize("token", [b"", b"garbage", b"a.b.c", b"\xff\0.\n."])
def test_what_is_no_token_is_an_error_to_inspect(apart: Shell, token: bytes) -> None:
    (apart.home / "token").write_bytes(token)
    said = apart.refused("inspect", "--token-file", "token", *KNOWN).err
    assert said.startswith("error: token: not a token that can be read: ")


def test_a_token_can_not_steer_the_terminal(apart: Shell) -> None:
    steering = '"\\u001b[2J\\u202e\\nAccepted: yes"'
    claims = dict.fromkeys(["sub", "name", "email", "x\\u001b[2J"], steering)
    token = make(header='{"alg":"HS256","\\u001b":"\\u001b"}', roles=f"[{steering}]", **claims)
    for command in ("inspect", "verify"):
        done = examined(apart, command, token, "--issuer", "other", "--shared-secret-file", "key")
        assert done.code == (1 if command == "verify" else 0)
        assert all(line.isprintable() for line in done.out.splitlines())
        assert "\nAccepted: yes" not in done.out
    assert rows(examined(apart, "inspect", token, *KNOWN))["Subject"][0].startswith("\\x1b[2J")


def test_claims_of_any_kind_are_shown(apart: Shell) -> None:
    token = make(
        roles='"system.user"', groups="{}", iss="[1]", name="null", iat='"then"', y="1e300"
    )
    shown = rows(examined(apart, "inspect", token, *KNOWN))
    odd = ("Roles", "Groups", "Issuer", "Name", "Issued", "Claim y")
    assert [shown[label][0] for label in odd] == [
        "system.user",
        "{}",
        "[1]",
        "none",
        "then",
        "1e+300",
    ]


@pytest.mark.parametrize("no_colour", [{}, {"NO_COLOR": "1"}])
def test_colour_is_for_terminals_that_want_it(apart: Shell, no_colour: dict[str, str]) -> None:
    (apart.home / "token").write_bytes(make())
    command = ("pxauth", "inspect", "--token-file", "token", *KNOWN)
    done, text = run_on_terminal(apart.with_environment(**no_colour), *command)
    assert done.code == 0, done.err
    assert "made with the cluster's key" in text
    assert ("\x1b[32m" in text) == (not no_colour)


def test_machine_output_needs_no_table(apart: Shell) -> None:
    (apart.home / "token").write_bytes(make())
    program = (
        "import sys; from kubectl_pxauth.cli.app import run; code = run(sys.argv[1:]);"
        "print(code, *{'rich.table', 'humanize', 'kubernetes'} & set(sys.modules), file=sys.stderr)"
    )
    for arguments in (["verify"], ["verify", "-o", "json"], ["inspect", "-o", "json"]):
        done = subprocess.run(
            [BIN / "python", "-c", program, *arguments, "--token-file", "token", *KNOWN],
            capture_output=True,
            text=True,
            cwd=apart.home,
            env={"HOME": str(apart.home)},
            check=True,
        )
        assert done.stderr == "0\n"


def test_the_key_is_never_shown(shell: Shell) -> None:
    shell.issue("kubernetes")
    for command in ("inspect", "verify", "discover"):
        for form in ([], ["-o", "json"], ["-o", "yaml"]):
            done = shell.pxauth(command, *form)
            assert SHARED_SECRET.decode()[:20] not in done.out + done.err

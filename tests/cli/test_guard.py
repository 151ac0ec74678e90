"""What a slip of the hand must not do, and the commands that are suggested instead."""

import shlex
import subprocess

import pytest

from kubectl_pxauth.cli.guard import refuse_portworx_token
from kubectl_pxauth.errors import UsageError
from tests.conftest import BIN, Shell, claims_of, forge

PROGRAM = """
import sys
from kubectl_pxauth.cli import main
sys.argv = ["kubectl-pxauth", *sys.stdin.read().split()]
main()
"""


def slip(shell: Shell, line: str) -> str:
    """Run the plugin with arguments that nobody else can see; returns what it says.

    It must refuse them as a misuse, and repeat no token.
    """
    done = subprocess.run(
        [BIN / "python", "-c", PROGRAM],
        input=line,
        capture_output=True,
        text=True,
        env=shell.popen_environment,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "eyJ" not in done.stderr
    return done.stderr


TOKEN = forge(claims_of("someone"))


@pytest.mark.parametrize("command", ["inspect", "verify", "renew"])
def test_a_token_in_the_place_of_a_name_is_refused_and_not_repeated(
    offline: Shell, command: str
) -> None:
    said = slip(offline, f"{command} {TOKEN}")
    assert "a token is given in the place of a Secret's name" in said
    assert "--token-file" in said


@pytest.mark.parametrize(
    "line",
    [
        "pxctl -- context create mine --token {}",
        "pxctl -- context create mine --token={}",
        "pxctl -- context create mine -t{}",
        "context create {}",
        "context set {}",
        "context create mine --endpoint http://{}@px",
    ],
)
def test_no_token_is_in_what_a_pod_is_asked_to_execute(offline: Shell, line: str) -> None:
    """The API server's audit log keeps that."""
    said = slip(offline, line.format(TOKEN))
    assert said.startswith("error: a token is given as an argument of pxctl\n")
    assert "--from-secret" in said


@pytest.mark.parametrize(
    "line", ["inspect --token {}", "--token {} list", "issue admin --token={}"]
)
def test_a_portworx_token_is_no_credential_for_the_api_server(offline: Shell, line: str) -> None:
    said = slip(offline, line.format(TOKEN))
    assert "--token is for the API server, and this is a Portworx token" in said
    assert "--token-file" in said


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://kubernetes.default.svc", "sub": "x", "aud": ["https://kubernetes"]},
        {"iss": "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/namespace": "x"},
        {"iss": "https://idp.example", "aud": "kubernetes", "email": "a@b", "groups": ["x"]},
    ],
)
def test_the_api_servers_own_tokens_are_taken(claims: dict[str, object]) -> None:
    refuse_portworx_token(forge(claims))
    refuse_portworx_token("abcdef.0123456789abcdef")
    with pytest.raises(UsageError):
        refuse_portworx_token(forge({"iss": "portworx.com", "sub": "x"}))


@pytest.mark.parametrize("line", [TOKEN, f"issue {TOKEN}", f"issue admin --secret {TOKEN}"])
def test_no_token_is_in_any_message(offline: Shell, line: str) -> None:
    assert "<token>" in slip(offline, line)


def test_commands_that_are_suggested_are_for_the_same_cluster_and_user(shell: Shell) -> None:
    user = ["--as", "jane o'neil", "--as-group=a b"]
    refused = shell.refused("list", "-A", *user)
    hint = refused.err.splitlines()[-1].removeprefix("hint: ")
    assert shlex.split(hint)[:6] == ["kubectl", "--as", "jane o'neil", "--as-group", "a b", "auth"]
    assert shell.kubectl(*shlex.split(hint)[1:]).out == "no\n"


def test_help_that_is_suggested_needs_no_cluster(offline: Shell) -> None:
    refused = offline.refused("--context", "x", "list", "--nonsense", code=2)
    assert "`kubectl pxauth list --help`" in refused.err

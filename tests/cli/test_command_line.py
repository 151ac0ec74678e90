"""How commands and flags are found: help to scan, kubectl's habits, and what slips lead to."""

import base64
import json
import re
import subprocess

import pytest

from kubectl_pxauth import __version__
from kubectl_pxauth.cli.app import COMMANDS, GROUPS
from tests.conftest import BIN, Shell, decode


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_each_command_has_a_whole_sentence_on_one_line(offline: Shell, group: str) -> None:
    lines = offline.pxauth(*group.split(), "--help").out.splitlines()
    summaries = {
        name.rpartition(" ")[2]: summary
        for name, summary in (COMMANDS | {name: GROUPS[name][0] for name in GROUPS}).items()
        if name.rpartition(" ")[0] == group
    }
    for name, summary in summaries.items():
        assert summary.endswith(".")
        assert f"{name} {summary}" in [" ".join(line.split()) for line in lines]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_flags_for_the_connection_are_one_line(offline: Shell, command: str) -> None:
    shown = offline.pxauth(*command.split(), "--help").out
    assert "--certificate-authority" not in shown
    assert 'Use "kubectl pxauth options"' in shown
    assert "  --certificate-authority FILE  " in offline.pxauth("options").out


def test_flags_are_below_headings(offline: Shell) -> None:
    lines = offline.pxauth("issue", "--help").out.splitlines()
    under: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(" "):
            heading = line
        elif line.lstrip().startswith("-"):
            under[line.split()[0].rstrip(",")] = heading
    assert under["--duration"] == "Flags:"
    assert under["--sub"] == under["-f"] == "User:"
    assert under["--issuer"] == under["--rsa-private-keyfile"] == "Key:"
    assert under["--dry-run"] == under["-o"] == "Output:"


def help_of(shell: Shell, command: str) -> str:
    """The help of a command, as one line."""
    return " ".join(shell.pxauth(*command.split(), "--help").out.split())


def test_help_tells_what_is_so_for_this_command(offline: Shell) -> None:
    for command in ("token", "context create"):
        said = help_of(offline, command)
        assert "30m, 12h, 90d, 1y. [default: 1y]" in said
        assert "--secret NAME Secret that the user is named after" in said
        assert "is named after" in said.partition("--namespace NAME ")[2][:60]
    assert "[default: as long as the token in the Secret, else 1y]" in help_of(offline, "issue")
    assert "--node NAME Node to run pxctl on" in help_of(offline, "pxctl")
    assert "--node NAME Node to use, in place of all" in help_of(offline, "context list")
    examples = help_of(offline, "schedule").partition("Flags:")[0]
    assert examples.count("kubectl pxauth schedule") == examples.count("--image") + 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help_speaks_of_output_only_where_there_is_a_choice(offline: Shell, command: str) -> None:
    words = help_of(offline, command).split()
    assert "-o" not in words or "-o," in words


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_kubectls(offline: Shell, command: str) -> None:
    said = offline.pxauth(*command.split(), "--help").out
    assert not re.search(r"[{}]", said.splitlines()[0])
    assert "[default: (" not in said
    assert not re.search(r"\w-$", said, re.M)  # no word is broken, which people copy


def test_help_is_a_command_too(offline: Shell) -> None:
    for words in ("", "issue", "keys", "keys rotate"):
        done = offline.pxauth("help", *words.split())
        assert (done.code, done.out) == (0, offline.pxauth(*words.split(), "--help").out)
    assert "No such command 'nonsense'" in offline.refused("help", "nonsense", code=2).err


def test_help_does_not_load_rich(offline: Shell) -> None:
    program = "import os, sys; from kubectl_pxauth.cli import main; os._exit = sys.exit\n"
    program += "try: main()\nfinally: print('rich' in sys.modules, file=sys.stderr)"
    for words in (["--help"], ["issue", "--help"], ["options"], ["keys", "--help"]):
        done = subprocess.run(
            [BIN / "python", "-c", program, *words],
            env=offline.popen_environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "False\n")


def test_version(offline: Shell) -> None:
    assert offline.pxauth("version").out == f"kubectl-pxauth {__version__}\n"
    assert json.loads(offline.pxauth("version", "-o", "json").out)["version"] == __version__


@pytest.mark.parametrize(
    "line",
    [
        "-n tenant issue kubernetes",
        "-ntenant issue kubernetes",
        "--namespace=tenant issue kubernetes",
        "-n=tenant issue kubernetes",
        "issue -n tenant kubernetes",
        "--insecure-skip-tls-verify -n tenant issue kubernetes",
    ],
)
def test_flags_may_come_before_the_command(offline: Shell, line: str) -> None:
    done = offline.pxauth(*line.split(), "--dry-run=client", "-o", "json")
    assert done.code == 0, done.err
    manifest = json.loads(done.out)
    assert manifest["metadata"]["namespace"] == "tenant"
    assert decode(base64.b64decode(manifest["data"]["auth-token"]).decode())


def test_flags_may_come_before_and_between_the_words_of_a_command(offline: Shell) -> None:
    for line in ("--context nowhere keys status", "keys --context nowhere status"):
        assert 'context "nowhere"' in offline.refused(*line.split()).err


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("isue", "`kubectl pxauth issue`"),
        ("-n x isue", "`kubectl pxauth issue`"),
        ("rotate", "`kubectl pxauth keys rotate`"),
        ("keys rotat", "`kubectl pxauth keys rotate`"),
        ("get", "`kubectl pxauth list`"),
        ("describe px-k8s-user", "`kubectl pxauth inspect`"),
        ("issue --namspace x", "--namespace"),
        ("list --all", "--all-namespaces or --all-contexts"),
        ("issue --dryrun=client", "--dry-run"),
        ("issue --shared-secret-fil x", "--shared-secret-file"),
        ("issue kubernetes -A", "--namespace-selector"),
        ("issue kubernetes --all-namespaces", "--namespace-selector"),
    ],
)
def test_slips_are_told_what_was_meant(offline: Shell, line: str, meant: str) -> None:
    assert f"hint: did you mean {meant}? " in offline.refused(*line.split(), code=2).err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("storageclass", "Missing argument 'NAME'."),
        ("context create", "Missing argument 'NAME'."),
        ("issue --concurrency 0", "Invalid value for '--concurrency': 0 is not in"),
        ("pxctl", "Missing argument 'ARGUMENT...'."),
        ("list -o yml", "Invalid value for '--output' / '-o': 'yml' is not one of"),
        ("issue --dry-run=true", "Invalid value for '--dry-run': 'true' is not one of"),
        ("renew --dry-run", "Option '--dry-run' requires an argument."),
        ("list --al", "No such option: --al\n"),
    ],
)
def test_misuse_names_what_is_wrong(offline: Shell, line: str, says: str) -> None:
    said = offline.refused(*line.split(), code=2).err
    assert said.startswith(f"error: {says}")
    command = line.partition(" -")[0]
    assert f"see `kubectl pxauth {command} --help`\n" in said


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "token admin --output json",
            "hint: leave it out to print the token, or name the file ./json",
        ),
        (
            "doctor -n red",
            "hint: leave it out: doctor looks in all namespaces; see"
            " `kubectl pxauth doctor --help`",
        ),
        (
            "keys status -A",
            "hint: leave it out: keys status looks in all namespaces; see"
            " `kubectl pxauth keys status --help`",
        ),
        ("issue kubernetes --secret red/t", "hint: name the namespace with -n: --secret t -n red"),
    ],
)
def test_what_means_another_thing_elsewhere_is_explained(
    offline: Shell, line: str, says: str
) -> None:
    assert f"\n{says}\n" in offline.refused(*line.split(), code=2).err


@pytest.mark.parametrize("line", ["frobnicate", "issue --frobnicate", "keys frobnicate"])
def test_nothing_is_suggested_that_is_not_like_it(offline: Shell, line: str) -> None:
    assert "did you mean" not in offline.refused(*line.split(), code=2).err


@pytest.mark.parametrize(
    "flags",
    [
        "--duration 1d --duration 2d",
        "--duration 1d --token-duration 2d",
        "-o name -o json",
        "--issuer a --issuer=b",
        "--as jane --as joe",
    ],
)
def test_a_flag_that_counts_once_is_taken_once(offline: Shell, flags: str) -> None:
    command = ["issue", "kubernetes", "--dry-run=client", *flags.split()]
    assert "more than once" in offline.refused(*command, code=2).err


def test_flags_that_may_be_repeated_may_be(offline: Shell) -> None:
    flags = ["--role=system.view", "--role=system.user", "--if-needed", "--if-needed"]
    assert offline.pxauth("issue", "kubernetes", "--dry-run=client", *flags).code == 0
    command = ["storageclass", "x", "--dry-run=client"]
    assert "more than once" in offline.refused(*command, "--default", "--no-default", code=2).err

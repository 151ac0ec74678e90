"""`kubectl pxauth token`: the token on standard output, or in a private file."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Shell, decode, judge


def test_the_token_is_all_that_standard_output_has(shell: Shell) -> None:
    done = shell.pxauth("token", "kubernetes", "-n", shell.namespace)
    assert (done.code, done.err) == (0, "")
    assert judge(done.out)["accepted"]
    shell.issue("kubernetes")
    stored, printed = shell.claims(), decode(done.out)
    for claims in (stored, printed):
        del claims["iat"], claims["exp"]
    assert stored == printed


def test_nothing_is_stored(shell: Shell) -> None:
    shell.pxauth("token", "kubernetes", "-n", shell.namespace)
    assert shell.kubectl("get", "secrets", "-o", "name").out == ""


def test_no_cluster_is_needed_with_a_key_at_hand(offline: Shell) -> None:
    done = offline.pxauth("token", "-f", "-", "--duration", "30m", stdin="name: a\nemail: b\n")
    assert judge(done.out)["claims"]["sub"] == "b3BlbnN0b3JhZ2UuaW8vYS9i"


@pytest.mark.parametrize(
    "flags",
    [
        ["token", "-f", "{}"],
        ["token", "kubernetes", "--shared-secret-file", "{}"],
        ["token", "kubernetes", "--rsa-private-keyfile", "{}"],
        ["verify", "--token-file", "{}"],
    ],
    ids=["user", "key", "private key", "token"],
)
def test_a_file_without_end_is_not_read_to_it(offline: Shell, flags: list[str]) -> None:
    named = [flag.format("/dev/zero") for flag in flags]
    assert "/dev/zero has more than 1048576 bytes" in offline.refused(*named).err
    piped = [flag.format("-") for flag in flags]
    said = offline.refused(*piped, stdin="x" * (1 << 21)).err
    assert "standard input has more than 1048576 bytes" in said


def test_a_token_that_is_too_long_to_be_sent_is_not_made(offline: Shell) -> None:
    user = "name: a\nemail: b\nroles: [system.user]\ngroups: [{}]\n"
    fits = offline.pxauth("token", "-f", "-", stdin=user.format(",".join(["team"] * 1_500)))
    assert (fits.code, fits.err) == (0, "")
    file = offline.home / "admin.jwt"
    file.write_text("old")
    long = user.format(",".join(["team"] * 2_000))
    done = offline.refused("token", "-f", "-", "--output", "admin.jwt", stdin=long)
    assert "gRPC carries no token of more than 16384" in done.err
    assert file.read_text() == "old"


def test_a_file_is_private_and_replaced_whole(offline: Shell) -> None:
    file = offline.home / "admin.jwt"
    file.write_text("old")
    file.chmod(0o644)
    done = offline.pxauth("token", "admin", "--output", "admin.jwt")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert judge(file.read_text())["accepted"]
    assert [path.name for path in offline.home.iterdir() if path.suffix != ".kube"] == ["admin.jwt"]
    offline.refused("token", "admin", "--output", "no/such/folder/token")
    offline.refused("token", "admin", "--output", ".")


def test_a_link_stays_one_and_what_is_no_file_is_written_to(offline: Shell) -> None:
    link, pipe = offline.home / "link", offline.home / "pipe"
    link.symlink_to("behind.jwt")
    assert offline.pxauth("token", "admin", "--output", "link").code == 0
    assert link.is_symlink()
    assert link.read_text().startswith("eyJ")
    assert stat.S_IMODE((offline.home / "behind.jwt").stat().st_mode) == 0o600
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        assert offline.pxauth("token", "admin", "--output", "pipe").code == 0
        assert read.result().startswith("eyJ")
    assert pipe.is_fifo()


def test_a_key_that_can_be_guessed_signs_only_where_that_is_said(offline: Shell) -> None:
    make = ("token", "admin", "--shared-secret-file", "-")
    error, hint = offline.refused(*make, stdin="short").err.splitlines()
    assert error == (
        "error: the shared secret in standard input has 5 bytes: whoever has a token can guess it;"
        " 16 is the least"
    )
    assert hint == "hint: to sign with it all the same: --allow-weak-key"
    done = offline.pxauth(*make, "--allow-weak-key", stdin="short")
    assert "has 5 bytes" in done.err
    assert judge(done.out, shared_secret=b"short")["accepted"]
    offline.refused(*make, stdin="k" * 15)
    assert offline.pxauth(*make, stdin="k" * 16).code == 0

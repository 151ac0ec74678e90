"""`kubectl pxauth token`: the token on standard output, or in a private file."""

from tests.conftest import SHARED_SECRET, Shell, decode, judge


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


def test_a_short_key_is_a_warning(offline: Shell) -> None:
    done = offline.pxauth("token", "admin", "--shared-secret-file", "-", stdin="short")
    assert "has 5 bytes" in done.err
    assert judge(done.out, shared_secret=b"short")["accepted"]
    assert SHARED_SECRET != b"short"

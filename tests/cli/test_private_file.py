"""`token --output`: the file is whole or not there, and nobody else chose where it is."""

import os
import resource
import stat
import subprocess
from pathlib import Path

import pytest

from kubectl_pxauth.cli.private_file import write_private_file
from kubectl_pxauth.errors import PxauthError
from tests.conftest import BIN, SHARED_SECRET, Shell

ANOTHER = 4242


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it another user's: really, or by being another than the one who made it."""
    if os.geteuid() == 0:
        os.chown(path, ANOTHER, ANOTHER, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: ANOTHER)


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775, 0o757])
@pytest.mark.parametrize("kind", ["link", "link on the way", "link to a link", "pipe"])
def test_what_another_user_put_there_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, kind: str
) -> None:
    shared, aim = tmp_path / "shared", tmp_path / "aim"
    shared.mkdir()
    aim.mkdir()
    (aim / "token").write_text("as it was")
    target = shared / "token"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "link on the way":
        (shared / "folder").symlink_to(aim)
        target = shared / "folder" / "token"
    else:
        target.symlink_to(aim / "token")
    given = shared / "folder" if kind == "link on the way" else target
    if kind == "link to a link":
        target = tmp_path / "own"
        target.symlink_to(given)
    shared.chmod(mode)
    give_away(given, monkeypatch)
    with pytest.raises(PxauthError, match="another user's"):
        write_private_file(str(target), "new")
    assert (aim / "token").read_text() == "as it was"
    assert sorted(path.name for path in shared.iterdir()) == [given.name]


def test_what_is_in_a_folder_of_ones_own_is_written_whoever_made_it(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "shared" / "own").symlink_to(tmp_path / "token")
    write_private_file(str(tmp_path / "shared" / "own"), "first")
    assert (tmp_path / "token").read_text() == "first\n"
    if os.geteuid() == 0:
        (tmp_path / "given").symlink_to(tmp_path / "token")
        os.chown(tmp_path / "given", ANOTHER, ANOTHER, follow_symlinks=False)
        write_private_file(str(tmp_path / "given"), "second")
        assert (tmp_path / "token").read_text() == "second\n"


@pytest.mark.parametrize(
    ("path", "lands"),
    [
        ("new", "new"),
        ("link", "there"),
        ("dangling", "nowhere"),
        ("folder/../new", "new"),
        ("linked/new", "folder/new"),
        ("linked/../new", "new"),
        ("linked/up", "there"),
    ],
)
def test_ones_own_links_are_followed(tmp_path: Path, path: str, lands: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").write_text("as it was")
    for name, leads_to in {
        "link": "there",
        "dangling": "nowhere",
        "linked": str(tmp_path / "folder"),
        "folder/up": "../there",
    }.items():
        (tmp_path / name).symlink_to(leads_to)
    write_private_file(str(tmp_path / path), "token")
    assert (tmp_path / lands).read_text() == "token\n"
    assert stat.S_IMODE((tmp_path / lands).stat().st_mode) == 0o600
    assert (tmp_path / "link").is_symlink()


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(PxauthError, match="symbolic links"):
        write_private_file(str(tmp_path / "a"), "token")


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_nothing_behind(offline: Shell, there: bool) -> None:
    """A limit on the size of files takes the place of the disk's."""
    target = offline.home / "folder" / "token"
    target.parent.mkdir()
    if there:
        target.write_text("as it was")

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    done = subprocess.run(
        [BIN / "kubectl-pxauth", "token", "admin", "--issuer", "i", "--output", target],
        capture_output=True,
        text=True,
        preexec_fn=no_room,
        env={"PORTWORX_AUTH_SHARED_SECRET": SHARED_SECRET.decode(), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {target}: File too large\n"
    assert [path.read_text() for path in target.parent.iterdir()] == ["as it was"] * there


def test_a_folder_that_takes_no_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "target" / "child").mkdir(parents=True)
    with pytest.raises(PxauthError, match="Is a directory"):
        write_private_file(str(tmp_path / "target"), "token")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_rename_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PxauthError, match="Operation not permitted"):
        write_private_file(str(tmp_path / "token"), "token")
    assert not list(tmp_path.iterdir())

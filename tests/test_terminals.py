"""What is shown on terminals of several widths, and to locales that lack letters."""

import pytest
from rich.cells import cell_len

from tests.conftest import Shell, claims_of, forge
from tests.terminal import run_on_terminal

USERS = {
    "wide": "株式会社の利用者@例え.jp",
    "right-to-left": "משתמש@דוגמה",
    "latin": "a-user-with-a-rather-long-name@px.example",
    "blank": "John Doe",
}
UTF8 = {"LC_ALL": "C.UTF-8"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def users(shell: Shell) -> Shell:
    """A namespace whose tokens have users with such names, the last one issued by us."""
    for name, user in USERS.items():
        shell.keep(name, forge(claims_of(user)))
    shell.issue("kubernetes", "--sub", USERS["wide"], "--secret", "ours", "--allow-shared-subject")
    return shell


def lines_at(shell: Shell, columns: int, *arguments: str) -> list[str]:
    """What a terminal of that width shows, without colours."""
    there = shell.with_environment(COLUMNS=str(columns), NO_COLOR="1")
    _, shown = run_on_terminal(there, "pxauth", *arguments, "-n", shell.namespace)
    assert "\x1b" not in shown
    return shown.replace("\r", "").splitlines()


@pytest.mark.parametrize("locale", [UTF8, ASCII])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_columns_are_below_each_other(users: Shell, columns: int, locale: dict[str, str]) -> None:
    heading, *rows = lines_at(users.with_environment(**locale), columns, "list")
    assert len(rows) == len(USERS) + 1
    assert max(map(cell_len, [heading, *rows])) <= columns
    where = heading.index("  EX")
    for row in rows:
        before, date, _ = row.partition("  20")
        assert cell_len(before) == where, row
        assert date
    assert any("~" in row or "…" in row for row in rows) == (columns < 200)
    if locale == ASCII:
        assert "".join(rows).isascii()


@pytest.mark.parametrize("columns", [80, 200])
def test_a_dumb_terminal_is_as_wide_as_it_says(users: Shell, columns: int) -> None:
    other = users.with_environment(**UTF8)
    dumb = other.with_environment(TERM="dumb")
    for command in ("list", "inspect ours"):
        shown = lines_at(dumb, columns, *command.split())
        assert shown == lines_at(other, columns, *command.split())


@pytest.mark.parametrize("locale", [UTF8, ASCII])
@pytest.mark.parametrize("columns", [40, 80])
def test_screens_are_folded(users: Shell, columns: int, locale: dict[str, str]) -> None:
    there = users.with_environment(**locale)
    shown = lines_at(there, columns, "inspect", "ours")
    assert max(map(cell_len, shown)) <= columns
    assert any(line.startswith("Issued for: ") and "/ours" in line for line in shown)
    assert all(line == line.rstrip() for line in shown)


def test_a_script_finds_each_column(users: Shell) -> None:
    for locale in (UTF8, ASCII):
        done = users.with_environment(**locale).pxauth("list", "-n", users.namespace)
        heading, *rows = [line.split() for line in done.out.splitlines()]
        assert {len(row) for row in rows} == {len(heading)}
        subjects = {row[1]: row[2] for row in rows}
        assert subjects["blank"] == r"John\x20Doe"
        assert subjects["wide"].startswith("株" if locale == UTF8 else r"\u682a")


@pytest.mark.parametrize("columns", [40, 80])
def test_the_picture_of_the_year_is_as_narrow(users: Shell, columns: int) -> None:
    there = users.with_environment(COLUMNS=str(columns), NO_COLOR="1", **UTF8)
    _, shown = run_on_terminal(there, "pxauth", "status")
    bars = [line for line in shown.replace("\r", "").splitlines() if "\u2588" in line]
    assert bars
    assert max(map(len, bars)) <= columns

"""Tables and dates as kubectl's users know them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from shutil import get_terminal_size

import humanize
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from kubectl_pxauth.cli.output import Row, printable
from kubectl_pxauth.frozen import dataclass

_UNLIMITED = 100_000  # columns, where no terminal limits them
_NOTHING = "<none>"  # as kubectl has it, so that a script finds each column
_IN_MONTHS = timedelta(days=60)
_GAP = "  "
_WIDEST_LABEL = 20
_NARROWEST = 3  # columns of a column


@dataclass(frozen=True)
class Column:
    """A column's heading, and whether it gives way where the table is too wide."""

    heading: str
    shrinks: bool = False


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    colours: Sequence[str] | None = None,
    *,
    wide: bool = False,
    headed: bool = True,
) -> None:
    """Print a table, on a terminal no wider than it is; wide cuts nothing there either.

    The last column of a row has that row's colour, on a terminal. headed is whether it has
    headings. rich's own tables take a millisecond for each row, and keep all of them.
    """
    console = Console(highlight=False, soft_wrap=True)
    is_terminal, encoding = console.is_terminal, console.encoding  # each time they ask the system
    rows = [[_cell(text, encoding, is_terminal) for text in row] for row in rows]
    headings = [column.heading if headed else "" for column in columns]
    widths = [max(map(cell_len, cells)) for cells in zip(headings, *rows, strict=True)]
    if is_terminal and not wide:
        _shrink(widths, columns, get_terminal_size().columns)
    cut = "~" if console.options.ascii_only else "…"
    if headed:
        print(_line(headings, widths, cut))
    for row, colour in zip(rows, colours or [""] * len(rows), strict=True):
        line = _line(row, widths, cut)
        if is_terminal:
            text = Text(line)
            text.stylize(colour, start=len(line) - len(row[-1]))
            console.print(text)
        else:
            print(line)


def _shrink(widths: list[int], columns: Sequence[Column], limit: int) -> None:
    """Take from the widest of the columns that give way, then of all, and then of headings."""
    headings = [len(column.heading) for column in columns]
    shrinking = [
        least if column.shrinks else width
        for column, least, width in zip(columns, headings, widths, strict=True)
    ]
    for least in (shrinking, headings, [_NARROWEST] * len(columns)):
        while sum(widths) + len(_GAP) * (len(widths) - 1) > limit:
            spare, index = max((width - least[i], i) for i, width in enumerate(widths))
            if spare <= 0:
                break
            widths[index] -= 1


def _cell(text: str, encoding: str, is_terminal: bool) -> str:
    """What is shown of a text; a script gets its blanks escaped, and so finds each column."""
    shown = printable(text) or _NOTHING
    if not is_terminal:
        shown = shown.replace(" ", r"\x20")
    return _encodable(shown, encoding)


def _encodable(text: str, encoding: str) -> str:
    """The text with what the locale's encoding lacks as it will be escaped, for its width."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _line(cells: Sequence[str], widths: Sequence[int], cut: str) -> str:
    """The cells as wide as that; cut stands for the rest of one that is not shown whole."""
    fitted = [
        set_cell_size(cell, width)
        if cell_len(cell) <= width
        else f"{set_cell_size(cell, width - 1)}{cut}"
        for cell, width in zip(cells, widths, strict=True)
    ]
    return _GAP.join(fitted).rstrip()


def print_rows(rows: Iterable[Row]) -> None:
    """Print labels and what they stand for, as `kubectl describe` does; a terminal folds lines."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(max_width=_WIDEST_LABEL, overflow="fold")
    grid.add_column(overflow="fold")
    width, height = get_terminal_size()
    console = Console(width=width, height=height)  # else a dumb terminal is 80 wide for rich
    for row in rows:
        label = f"{printable(row.label)}:" if row.label else ""
        text = Text(_encodable("\n".join(map(printable, row.lines)), console.encoding))
        text.stylize(row.style)  # the letters alone, not the blanks behind them
        grid.add_row(Text(_encodable(label, console.encoding)), text)
    if not console.is_terminal:
        console.width = _UNLIMITED
    with console.capture() as captured:
        console.print(grid)
    for line in captured.get().splitlines():
        print(line.rstrip())


def relative(moment: datetime | None, now: datetime) -> str:
    """A moment seen from now: "in 3 months", "2 days ago"; nothing where there is none."""
    if moment is None:
        return ""
    # For humanize 20 days are a month.
    span = humanize.naturaldelta(moment - now, months=abs(moment - now) >= _IN_MONTHS)
    return f"in {span}" if moment >= now else f"{span} ago"

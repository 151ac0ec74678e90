"""Tables and dates as kubectl's users know them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import humanize
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 80
_UNLIMITED = 100_000


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
) -> None:
    """Print a table without lines, 80 columns wide where that is no terminal's width.

    wide cuts nothing. The last column of a row has that row's colour, on a terminal.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for column in columns:
        # rich takes from those that may wrap first; their cells are cut instead.
        table.add_column(column.heading, no_wrap=not column.shrinks)
    for row, colour in zip(rows, colours or [""] * len(rows), strict=True):
        *cells, last = (Text(cell, no_wrap=True, overflow="ellipsis") for cell in row)
        last.stylize(colour)
        table.add_row(*cells, last)
    width = None if sys.stdout.isatty() else _WIDTH
    Console(width=_UNLIMITED if wide else width, highlight=False).print(table)


def relative(moment: datetime | None, now: datetime) -> str:
    """A moment seen from now: "in 3 months", "2 days ago"; nothing where there is none."""
    if moment is None:
        return ""
    if moment >= now:
        return f"in {humanize.naturaldelta(moment - now)}"
    return f"{humanize.naturaldelta(now - moment)} ago"

"""What reports share: their order, and a spreadsheet's format."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubectl_pxauth.cli.output import printable

_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula, and runs. Source: OWASP, "CSV
Injection". Whoever can make a token could else have one run where the report is opened."""


def print_csv(fields: Sequence[str], items: Iterable[Mapping[str, Any]], *, headed: bool) -> None:
    """Print those fields of each item, a list with its values behind each other."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if headed:
        writer.writerow(fields)
    for item in items:
        writer.writerow([_cell(item[field]) for field in fields])


def sort_key(item: Mapping[str, Any], field: str, worst_first: Sequence[str]) -> tuple[Any, ...]:
    """What an item is sorted by: of states the worst first, and what is not there last."""
    value = item[field]
    return (worst_first.index(value),) if field == "status" else (value is None, value)


def _cell(value: Any) -> str | int | None:
    if value is None or isinstance(value, int):
        return value
    text = printable("; ".join(value) if isinstance(value, list) else str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text

"""A table as CSV for machines: plain numbers, undefined as empty, intervals in columns of their own."""

from __future__ import annotations

import csv
import io

from compatbench.errors import one_line
from compatbench.report.render.table import Column, Row, Table, TableCell

DECIMALS = 6
"""Of a number; the last bits differ between processors."""


def to_csv(table: Table) -> str:
    """`table` with a header of column keys; `<key>_low` and `<key>_high` beside columns with an interval.

    First comes the row's group; last `best` (keys of the row's bold cells) and `notes` (its footnotes).
    Numbers have at most six decimals and stand in the units of the columns' descriptions.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["group", *(name for column in table.columns for name in _names(column)), "best", "notes"])
    for group in table.groups:
        for row in group.rows:
            cells = [entry for column in table.columns for entry in _entries(row.cell(column), column)]
            writer.writerow([neutral(group.title), *cells, *_remarks(row, table)])
    return file.getvalue()


def neutral(text: str) -> str:
    """`text` made safe for spreadsheets: a leading = + - @ gets an apostrophe before it."""
    line = one_line(text)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def _names(column: Column) -> list[str]:
    return [column.key, f"{column.key}_low", f"{column.key}_high"] if column.interval else [column.key]


def _entries(cell: TableCell, column: Column) -> list[str]:
    numbers = [cell.value, cell.low, cell.high] if column.interval else [cell.value]
    return [_entry(entry) for entry in numbers]


def _entry(entry: float | int | str | None) -> str:
    match entry:
        case None:
            return ""
        case str():
            return neutral(entry)
        case _:
            return repr(round(entry, DECIMALS) + 0)  # + 0 makes −0.0 a zero


def _remarks(row: Row, table: Table) -> tuple[str, str]:
    best = " ".join(column.key for column in table.columns if row.cell(column).bold)
    marks = [mark for column in table.columns for mark in row.cell(column).marks]
    notes = " ".join(table.footnotes[mark] for mark in dict.fromkeys(marks) if mark in table.footnotes)
    return neutral(best), neutral(notes)

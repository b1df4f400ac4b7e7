"""Tables in the terminal, compact enough for its width; plain aligned text if the output is no terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text
from tabulate import tabulate

from compatbench.errors import one_line
from compatbench.report.render.table import NOT_SIGNIFICANT, Column, Row, Table, TableCell, Unit, interval, value

WIDEST = 100
"""Columns of text that a file or a pipe gets at most, as a terminal of that width would."""
BEST = "*"
"""Stands for bold type where there is none and marks take room."""
_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def print_table(table: Table, console: Console, intervals: Sequence[str] = (), expendable: Sequence[str] = ()) -> None:
    """Print `table`, with the intervals of these columns only; on a terminal the best values are bold.

    Reasons such as `skipped: …` become footnotes. Where a terminal is too narrow, `expendable` columns are left out,
    the first one first; a table without such columns is never squeezed into a file or a pipe.
    """
    table = _with_footnotes(table)
    if console.is_terminal:
        console.print(_rich(_fitting(table, console, intervals, expendable), intervals))
    elif _width(text := _plain(table, intervals)) <= WIDEST or not expendable:
        console.print(Text(text), soft_wrap=True)
    else:
        sheet = Console(file=StringIO(), width=WIDEST, force_terminal=False, color_system=None)
        sheet.print(_rich(_fitting(table, sheet, intervals, expendable), intervals, plain=True))
        lines = sheet.file.getvalue().splitlines()  # type: ignore[attr-defined]
        console.print(Text("\n".join(line.removeprefix(" ").rstrip() for line in lines)), soft_wrap=True)
        table = replace(table, footnotes=_starred(table.footnotes))
    for mark, text in table.footnotes.items():
        console.print(Text(f"{mark} {one_line(text)}", style="dim"), soft_wrap=not console.is_terminal)


def _starred(footnotes: Mapping[str, str]) -> Mapping[str, str]:
    return {
        (BEST if mark == NOT_SIGNIFICANT else mark): text.replace("(bold)", f"({BEST})")
        for mark, text in footnotes.items()
    }


def _width(text: str) -> int:
    return max(map(cell_len, text.splitlines()))


def _with_footnotes(table: Table) -> Table:
    """The table with `word: reason` in cells of text shortened to the word and a number; equal reasons share one."""
    numbers: dict[str, str] = {}

    def shortened(row: Row) -> Row:
        cells = dict(row.cells)
        for column in table.columns:
            cell = row.cell(column)
            if column.unit is Unit.TEXT and column is not table.label and isinstance(cell.value, str):
                word, colon, reason = cell.value.partition(": ")
                if colon:
                    mark = numbers.setdefault(reason, str(len(numbers) + 1).translate(_DIGITS))
                    cells[column.key] = replace(cell, value=word, marks=(*cell.marks, mark))
        return replace(row, cells=cells)

    groups = tuple(replace(group, rows=tuple(shortened(row) for row in group.rows)) for group in table.groups)
    reasons = {mark: reason for reason, mark in numbers.items()}
    return replace(table, groups=groups, footnotes={**table.footnotes, **reasons})


def _fitting(table: Table, console: Console, intervals: Sequence[str], expendable: Sequence[str]) -> Table:
    unbounded = console.options.update(width=10_000)
    for key in expendable:
        if console.measure(_rich(table, intervals), options=unbounded).maximum <= console.width:
            return table
        table = replace(table, columns=tuple(column for column in table.columns if column.key != key))
    return table


def _rich(table: Table, intervals: Sequence[str], *, plain: bool = False) -> RichTable:
    """Headings break between words, cells do not, save for long texts; `plain` where bold type is lost."""
    grid = RichTable(title=Text(table.title), title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in table.columns:
        text = column.unit is Unit.TEXT
        title = Text(column.title.replace("_", "\n"))
        grid.add_column(title, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    before = [""] * table.columns.index(table.label)
    for group in table.groups:
        grid.add_row(*before, Text(group.title, style="italic dim"))
        for row in group.rows:
            grid.add_row(*(_styled(row.cell(column), column, intervals, plain=plain) for column in table.columns))
        grid.add_section()
    return grid


def _styled(cell: TableCell, column: Column, intervals: Sequence[str], *, plain: bool) -> Text:
    """Bold already says which values tie with the best, so the mark that says so too is left out; without it a star."""
    marks = [mark for mark in cell.marks if mark != NOT_SIGNIFICANT] + ([BEST] if plain and cell.bold else [])
    return Text(_text(cell, column, marks, intervals), style="bold" if cell.bold else "")


def _plain(table: Table, intervals: Sequence[str]) -> str:
    lines: list[list[str]] = []
    for group in table.groups:
        lines.append([f"-- {one_line(group.title)}" if column is table.label else "" for column in table.columns])
        for row in group.rows:
            cells = [(row.cell(column), column) for column in table.columns]
            lines.append([_text(cell, column, cell.marks, intervals) for cell, column in cells])
    grid = tabulate(
        lines,
        headers=[column.title for column in table.columns],
        tablefmt="simple",
        colalign=[column.align for column in table.columns],
        disable_numparse=True,
    )
    return f"{one_line(table.title)}\n\n{grid}\n"


def _text(cell: TableCell, column: Column, marks: Sequence[str], intervals: Sequence[str]) -> str:
    spread = interval(cell, column.unit) if column.key in intervals else ""
    return " ".join(word for word in (one_line(value(cell, column.unit)), spread, *marks) if word)

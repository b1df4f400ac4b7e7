"""Tables in the terminal, compact enough for 100 columns; plain aligned text if the output is no terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text
from tabulate import tabulate

from compatbench.errors import one_line
from compatbench.report.render.table import NOT_SIGNIFICANT, Cell, Column, Table, Unit, interval, value


def print_table(table: Table, console: Console, intervals: Sequence[str] = ()) -> None:
    """Print `table`, with the intervals of these columns only; on a terminal the best values are bold."""
    if console.is_terminal:
        console.print(_rich(table, intervals))
    else:
        console.print(Text(_plain(table, intervals)), soft_wrap=True)
    for mark, text in table.footnotes.items():
        console.print(Text(f"{mark} {one_line(text)}", style="dim"), soft_wrap=not console.is_terminal)


def _rich(table: Table, intervals: Sequence[str]) -> RichTable:
    grid = RichTable(title=Text(table.title), title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in table.columns:
        text = column.unit is Unit.TEXT
        grid.add_column(Text(column.title), justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for group in table.groups:
        grid.add_row(Text(group.title, style="italic dim"))
        for row in group.rows:
            grid.add_row(*(_styled(row.cell(column), column, intervals) for column in table.columns))
        grid.add_section()
    return grid


def _styled(cell: Cell, column: Column, intervals: Sequence[str]) -> Text:
    """Bold already says which values tie with the best, so the mark that says so too is left out."""
    marks = [mark for mark in cell.marks if mark != NOT_SIGNIFICANT]
    return Text(_text(cell, column, marks, intervals), style="bold" if cell.bold else "")


def _plain(table: Table, intervals: Sequence[str]) -> str:
    lines: list[list[str]] = []
    for group in table.groups:
        lines.append([f"-- {one_line(group.title)}"] + [""] * (len(table.columns) - 1))
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


def _text(cell: Cell, column: Column, marks: Sequence[str], intervals: Sequence[str]) -> str:
    spread = interval(cell, column.unit) if column.key in intervals else ""
    return " ".join(word for word in (one_line(value(cell, column.unit)), spread, *marks) if word)

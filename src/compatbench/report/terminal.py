"""Tables in the terminal, compact enough for 100 columns; plain aligned text where the output is no terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text
from tabulate import tabulate

from compatbench.report.tables import Cell, Column, Table, Unit, one_line, value


def print_table(table: Table, console: Console) -> None:
    """Print `table` without intervals. Best values are bold, and rows that did not end well red, on a terminal."""
    if console.is_terminal:
        console.print(_rich(table))
    else:
        console.file.write(_plain(table))


def _rich(table: Table) -> RichTable:
    grid = RichTable(title=Text(table.title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        text = column.unit is Unit.TEXT
        grid.add_column(Text(column.title), justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for group in table.groups:
        grid.add_row(Text(group.title, style="italic dim"))
        for row in group.rows:
            cells = [_text(row.cell(column), column) for column in table.columns]
            grid.add_row(*(Text(text, style="bold" if bold else "") for text, bold in cells))
        grid.add_section()
    return grid


def _plain(table: Table) -> str:
    lines: list[list[str]] = []
    for group in table.groups:
        lines.append([f"-- {one_line(group.title)}"] + [""] * (len(table.columns) - 1))
        lines += [[_text(row.cell(column), column)[0] for column in table.columns] for row in group.rows]
    grid = tabulate(
        lines,
        headers=[column.title for column in table.columns],
        tablefmt="simple",
        colalign=[column.align for column in table.columns],
        disable_numparse=True,
    )
    return f"{one_line(table.title)}\n\n{grid}\n"


def _text(cell: Cell, column: Column) -> tuple[str, bool]:
    return " ".join([one_line(value(cell, column.unit)), *cell.marks]), cell.bold

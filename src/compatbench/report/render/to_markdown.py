"""A table as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from compatbench.errors import one_line
from compatbench.report.render.table import Column, Table, TableCell, interval, value


def to_markdown(table: Table, *, heading: str = "#", legend: bool = True) -> str:
    """`table` with its title as a heading, caption, footnotes and, with `legend`, the meaning of its columns."""
    parts = [
        f"{heading} {escape(table.title)}",
        escape(table.caption),
        _cells(table),
        "  \n".join(f"{escape(mark)} {escape(text)}" for mark, text in table.footnotes.items()),
    ]
    if legend:
        parts.append(to_legend(table.columns))
    return "\n\n".join(part for part in parts if part) + "\n"


def to_legend(columns: Iterable[Column]) -> str:
    """The meaning of each column, as a list; of several with one title the last one."""
    meanings = {column.title: column.description for column in columns}
    return "\n".join(f"- **{escape(title)}**: {escape(meaning)}" for title, meaning in meanings.items())


def grid(rows: Iterable[Iterable[str]], headers: Sequence[str], align: Sequence[str] = ()) -> str:
    """Cells of Markdown without padding, so that a change in one row is a change of one line.

    A blank ends each cell: its last sign may be a backslash.

    `align` has `left` or `right` for each column; without it all are aligned to the left.
    """
    head, *body = [f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|" for cells in [headers, *rows]]
    rule = f"|{'|'.join('-:' if side == 'right' else ':-' for side in align or ['left'] * len(headers))}|"
    return "\n".join([head, rule, *body])


def joined(parts: Iterable[str]) -> str:
    """A document of these parts, a blank line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def quotation(head: str, lines: Iterable[str]) -> str:
    """A quotation: `head` as Markdown, then a list of lines of plain text."""
    return "\n".join([f"> {head}", *(f"> - {escape(line)}" for line in lines)])


def image(alt: str, file: str) -> str:
    """A picture with its plain text for readers that do not see it."""
    return f"![{escape(alt)}]({file})"


def escape(text: str) -> str:
    r"""Escape plain text for Markdown: no emphasis, link, cell border or HTML tag.

    Underscores inside words stay as they are, since GitHub reads no emphasis there.
    """
    return re.sub(r"([\\`*\[\]<>|~]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", one_line(text).replace("&", "&amp;"))


def _cells(table: Table) -> str:
    label = table.columns.index(table.label)
    lines: list[list[str]] = []
    for group in table.groups:
        heading = [""] * len(table.columns)
        heading[label] = f"**{escape(group.title)}**"
        lines.append(heading)
        lines += [[to_cell(row.cell(column), column) for column in table.columns] for row in group.rows]
    return grid(lines, [escape(column.title) for column in table.columns], [column.align for column in table.columns])


def to_cell(cell: TableCell, column: Column) -> str:
    """One cell with its interval, emphasis and marks."""
    text = escape(value(cell, column.unit))
    if cell.bold:
        text = f"**{text}**"
    return " ".join([text, interval(cell, column.unit), *map(escape, cell.marks)]).replace("  ", " ").strip()

"""Tables as Markdown, with links from headings to definitions and from rows to records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from compatbench.records.record import Record
from compatbench.report.render.table import Column, Row, Table
from compatbench.report.render.to_markdown import escape, to_cell
from compatbench.report.rows.runs import file_of
from compatbench.report.site.page_data.terms import Terms

Link = Callable[[Row, Column], str]
"""Where the text of a cell leads to; empty for nowhere."""


def linked_table(
    table: Table,
    terms: Terms,
    link: Link = lambda row, column: "",
    records: Callable[[Row], str] | None = None,
    page: str = "",
) -> str:
    """Caption, rows and footnotes of `table`, without padding, for pages not read as plain text.

    Headings lead to their definitions on `page`, where `terms` stand; `records` is the text of a last column.
    """
    lines = [
        [f"[{escape(one.title)}]({page}#{terms.define(one.title, one.description)})" for one in table.columns],
        [":-" if column.align == "left" else "-:" for column in table.columns],
    ]
    ends = ["records by seed", ":-"]
    for group in table.groups:
        lines.append([f"**{escape(group.title)}**" if column is table.label else "" for column in table.columns])
        ends.append("")
        for row in group.rows:
            lines.append([_linked(to_cell(row.cell(column), column), link(row, column)) for column in table.columns])
            ends.append(records(row) if records else "")
    if records:
        lines = [[*line, end] for line, end in zip(lines, ends, strict=True)]
    grid = "\n".join(f"|{'|'.join(line)}|" for line in lines)
    footnotes = "  \n".join(f"{escape(mark)} {escape(text)}" for mark, text in table.footnotes.items())
    return "\n\n".join(part for part in (escape(table.caption), grid, footnotes) if part)


def record_links(records: Sequence[Record], folder: str) -> str:
    """The seed of each record, leading to its file below `folder`."""
    return " ".join(f"[{record.spec.seed}]({quote(f'{folder}/{file_of(record)}')})" for record in records)


def _linked(text: str, target: str) -> str:
    return f"[{text}]({target})" if text and target else text

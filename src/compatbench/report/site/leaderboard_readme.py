"""results/README.md: the leaderboard as Markdown, for the view of a repository host."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import quote

from compatbench import PROTOCOL_VERSION
from compatbench.errors import one_line
from compatbench.records.record import BASELINE
from compatbench.report.render.table import Column, Place, Row, Table
from compatbench.report.render.to_markdown import escape, grid, image, joined, quotation, to_cell
from compatbench.report.rows.gaps import gaps
from compatbench.report.rows.runs import packed_file_of
from compatbench.report.site.answers import facts
from compatbench.report.site.board import GENERATED, Board, BoardSuite
from compatbench.report.site.page_data.terms import Terms
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.site.write import banner_lines
from compatbench.report.tables.leaderboard import STATUS_QUO
from compatbench.report.tables.overview import overview_table

Link = Callable[[Row, Column], str]
"""Where the text of a cell leads to; empty for nowhere."""


_INTRODUCTION = (
    "Can queries embedded by a new model search vectors that an old model stored? Each row is a method for training or "
    "adapting the new model; each scenario is an upgrade. Headings lead to [definitions](#definitions), the last "
    "column of a scenario's table to the records that its numbers come from; [how numbers are "
    "defined](../docs/protocol.md), [how to read a record](../docs/records.md), [how to check and reproduce "
    "one](../docs/trust.md). [index.html](index.html) has the same to sort and filter."
)


def leaderboard_readme(board: Board, folder: str = "leaderboard") -> str:
    """The file's text; `folder` contains the records, seen from the file. Equal boards give equal text."""
    terms = definitions(board)
    to_docs = to_method(board, "../docs")

    parts = [GENERATED, "# CompatBench leaderboard", _INTRODUCTION, board_banner(board)]
    first = board.suites[0].reports[0]
    for suite in board.suites:
        parts += [
            f"## {escape(suite.title)}",
            _suite_line(suite, folder),
            linked_table(overview_table(suite.reports, suite.overview), terms, to_docs),
        ]
        for report in suite.reports:
            parts += _scenario(suite, report, terms, folder, to_docs, is_open=report is first)
    several = len(board.suites) > 1
    parts += ["## What is missing", _unranked(board, several), _missing(board)]
    listed = [f'- <a name="{one.anchor}"></a>**{escape(one.name)}**: {escape(one.text)}' for one in terms.sorted()]
    parts += ["## Definitions", "\n".join(listed)]
    return joined(parts)


def linked_table(
    table: Table,
    terms: Terms,
    link: Link = lambda row, column: "",
    records: Callable[[Row], str] | None = None,
) -> str:
    """Caption, rows and footnotes of `table`.

    Headings lead to their definitions among `terms`; `records` is the text of a last column.
    """
    headers = [f"[{escape(one.title)}](#{terms.define(one.title, one.description)})" for one in table.columns]
    align = [column.align for column in table.columns]
    lines: list[list[str]] = []
    ends: list[str] = []
    for group in table.groups:
        lines.append([f"**{escape(group.title)}**" if column is table.label else "" for column in table.columns])
        ends.append("")
        for row in group.rows:
            cells = [(to_cell(row.cell(column), column), link(row, column)) for column in table.columns]
            lines.append([f"[{text}]({target})" if text and target else text for text, target in cells])
            ends.append(records(row) if records else "")
    if records:
        headers, align = [*headers, "records by seed"], [*align, "left"]
        lines = [[*line, end] for line, end in zip(lines, ends, strict=True)]
    footnotes = "  \n".join(f"{escape(mark)} {escape(text)}" for mark, text in table.footnotes.items())
    return "\n\n".join(part for part in (escape(table.caption), grid(lines, headers, align), footnotes) if part)


def board_banner(board: Board) -> str:
    """Whether the numbers can be believed, as a quotation with a red or green mark."""
    if board.warnings:
        head = "❌ **Not everything is as it should be: explain this before you trust the numbers it concerns.**"
        return quotation(f"{head}\n>", board.warnings)
    count = len(board.checked)
    return (
        f"> ✅ All controls ({count} kind{'' if count == 1 else 's'}) are as expected; every record is of protocol "
        f"{PROTOCOL_VERSION} and of today's code and settings."
    )


def definitions(board: Board) -> Terms:
    """The definitions behind the file's headings; the same board gives the same anchors."""
    terms = Terms()
    tables = [
        *(overview_table(suite.reports, suite.overview) for suite in board.suites),
        *(report.scores.narrow(Place.README) for report in board.reports),
    ]
    for column in (column for table in tables for column in table.columns):
        terms.define(column.title, column.description)
    return terms


def anchor(suite: str, scenario: str) -> str:
    """The anchor of a scenario's section."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{suite}-{scenario}")


def records_of(report: ScenarioReport, row: Row, folder: str) -> str:
    """The seeds of a line of the table, linked to their records; those of `independent` for the status quo."""
    label = row.cell(report.scores.label).value
    sought = BASELINE if label == STATUS_QUO else label
    runs = next((one for one in report.runs.rows if one.label == sought), None)
    records = runs.records if runs else ()
    if not records:
        return ""
    seeds = ", ".join(str(record.spec.seed) for record in records)
    return f"[{seeds}]({quote(f'{folder}/{packed_file_of(records[0])}')})"


def to_method(board: Board, docs: str) -> Link:
    """The link from the name of a row to its method in the folder `docs`."""
    names = {row.label: row.label.partition("(")[0] for report in board.reports for row in report.rows}

    def link(row: Row, column: Column) -> str:
        name = names.get(str(row.cell(column).value)) if column.key == "method" else None
        return f"{docs}/methods.md#{name}" if name else ""

    return link


def _suite_line(suite: BoardSuite, folder: str) -> str:
    about = facts(suite.reports)
    return (
        f"{escape(about.data)}; {escape(about.scale)}; {escape(about.origin)}. `{suite.name}`: "
        f"{_counted(about.records, 'record')}, protocol {PROTOCOL_VERSION}; "
        f"[all tables and plots]({folder}/{suite.name}/README.md)."
    )


def _scenario(
    suite: BoardSuite, report: ScenarioReport, terms: Terms, folder: str, link: Link, *, is_open: bool
) -> list[str]:
    table, figure = report.scores.narrow(Place.README), report.figures.get("scores")
    rows = sum(len(group.rows) for group in table.groups)
    tables = f"{folder}/{suite.name}/tables/{table.name}"
    return [
        f'<a name="{anchor(suite.name, report.runs.scenario)}"></a>\n\n### {escape(report.title)}',
        banner_lines(report),
        *([image(f"Γ against tax, {report.title}", f"{folder}/{suite.name}/{figure.file}")] if figure else []),
        escape(figure.caption) if figure else "",
        f"<details{' open' if is_open else ''}><summary>The table: {rows} rows</summary>",
        linked_table(table, terms, link, lambda row: records_of(report, row, folder)),
        f"All columns: [Markdown]({tables}.md), [CSV]({tables}.csv).",
        "</details>",
    ]


def _unranked(board: Board, several: bool) -> str:
    """Why rows have no rank, or no numbers at all, in a scenario; equal reasons are told once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for gap in (gap for suite in board.suites for gap in gaps(suite) if gap.why):
        where = f"{gap.suite}/{gap.scenario}" if several else gap.scenario
        reasons.setdefault((gap.label, gap.why), []).append(where)
    lines = [
        f"- {escape(label)}: {escape(one_line(why))} ({escape(', '.join(where))})"
        for (label, why), where in sorted(reasons.items())
    ]
    return _folded(f"Why rows have no rank or no numbers: {_counted(len(lines), 'reason')}", lines) if lines else ""


def _missing(board: Board) -> str:
    """The cells of the plans without a record."""
    lacking: dict[tuple[str, str], list[str]] = {}
    cells, run = 0, {(suite.name, one.runs.scenario) for suite in board.suites for one in suite.reports}
    for gap in (gap for suite in board.suites for gap in gaps(suite) if gap.missing_seeds):
        seeds = f"{escape(gap.label)} (seed {', '.join(map(str, gap.missing_seeds))})"
        lacking.setdefault((gap.suite, gap.scenario), []).append(seeds)
        cells += len(gap.missing_seeds)
    lines = [
        f"- `{suite}`, {escape(scenario)}: {', '.join(rows) if (suite, scenario) in run else 'no record at all'}"
        for (suite, scenario), rows in lacking.items()
    ]
    if not lines:
        return "No planned cell is missing."
    return _folded(f"Missing: {_counted(cells, 'planned cell')} without a record", lines)


def _folded(summary: str, lines: Sequence[str]) -> str:
    return "\n\n".join([f"<details><summary>{summary}</summary>", "\n".join(lines), "</details>"])


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

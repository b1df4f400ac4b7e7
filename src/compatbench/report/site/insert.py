"""Writes generated tables between two marks of a hand-written Markdown file.

The marks are the lines `<!-- begin: compatbench report SUITE … -->` for the main columns of all scenarios of one's own
runs, `<!-- begin: compatbench leaderboard SUITE/SCENARIO -->` for the leaderboard's part of the project's README.md:
mean ranks, and the table and plot of one scenario; and for both `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from compatbench.errors import RequestError
from compatbench.report.render.table import Column, Place, Row
from compatbench.report.render.to_markdown import escape, image, joined, to_legend, to_markdown
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.leaderboard_readme import anchor, banner, definitions, linked_table, records_of, to_method
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.tables.overview import explained, overview_of_several
from compatbench.report.tables.standing_table import summary_table
from compatbench.storage.files import write_whole


def _marked(what: str) -> re.Pattern[str]:
    """What stands between `<!-- begin: compatbench WHAT-->` and the next `<!-- end -->`, with `what` a pattern.

    Groups `begin` and `end` are the marks. Where an end is lost nothing matches, lest the text up to the end of the
    tables after it be taken for old ones.
    """
    return re.compile(
        rf"(?P<begin><!-- begin: compatbench {what}-->\n)(?:(?!<!-- begin:).)*?(?P<end><!-- end -->)", re.DOTALL
    )


_LEADERBOARD = _marked(r"leaderboard (?P<suite>[^\s/]+)/(?P<scenario>\S+) ")


def insert_tables(reports: Sequence[ScenarioReport], suite: str, path: Path) -> None:
    """Replace the text between the marks of `suite` in the file at `path`; those of other suites do not change.

    Raises RequestError where the file cannot be read or has none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    block = _marked(rf"report {re.escape(suite)}(?: [^\n]*)?")
    if not block.search(text):
        raise RequestError(
            f"{path}: has no place for tables; put the lines `<!-- begin: compatbench report {suite} -->` and "
            "`<!-- end -->` where they shall stand"
        )
    tables = _tables(reports)
    write_whole(path, block.sub(lambda match: f"{match['begin']}\n{tables}\n{match['end']}", text))


def with_section(text: str, board: Board, folder: PurePosixPath) -> str:
    """`text` with the leaderboard between its marks; unchanged if there are no marks, or they name no known scenario.

    `folder` holds the records, seen from the file: results/leaderboard.
    """

    def replaced(match: re.Match[str]) -> str:
        found = _find(board, match)
        return f"{match['begin']}\n{_section(*found, board, folder)}\n{match['end']}" if found else match[0]

    return _LEADERBOARD.sub(replaced, text)


def unknown_scenario(text: str, board: Board) -> str:
    """The first `SUITE/SCENARIO` that the marks in `text` name and that is not on the leaderboard, or nothing."""
    unknown = (match for match in _LEADERBOARD.finditer(text) if not _find(board, match))
    return next((f"{match['suite']}/{match['scenario']}" for match in unknown), "")


def _find(board: Board, match: re.Match[str]) -> tuple[BoardSuite, ScenarioReport] | None:
    found = [(suite, report) for suite in board.suites for report in suite.reports]
    named = match["suite"], match["scenario"]
    return next((pair for pair in found if (pair[0].name, pair[1].runs.scenario) == named), None)


def _tables(reports: Sequence[ScenarioReport]) -> str:
    """As Markdown: where they come from, all scenarios side by side, then each, then what the columns mean."""
    overview = overview_of_several(reports)
    parts = [_origin(reports)]
    columns: list[Column] = []
    if overview:
        parts.append(to_markdown(overview, heading="###", legend=False))
        columns += explained(overview)
    for report in reports:
        scores, chain = report.scores.narrow(Place.COMPACT), report.tables.get("chain")
        parts += [to_markdown(scores, heading="###", legend=False), f"{escape(report.banner.headline)}."]
        columns += scores.columns
        if chain:
            parts.append(to_markdown(chain, heading="####", legend=False))
            columns += chain.columns
    return joined([*parts, "### What the columns mean", to_legend(columns)])


def _origin(reports: Sequence[ScenarioReport]) -> str:
    """How many records the tables are made of, and of which code and seeds."""
    records = [record for report in reports for row in report.runs.rows for record in row.records]
    seeds = sorted({record.spec.seed for record in records})
    commits = sorted({record.environment.git_sha[:12] for record in records if record.environment.git_sha})
    code = f", code of commit {', '.join(commits)}" if commits else ""
    return f"{len(records)} records, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}{code}."


def _section(suite: BoardSuite, report: ScenarioReport, board: Board, folder: PurePosixPath) -> str:
    page, sortable = str(folder.parent / "README.md"), folder.parent / "index.html"
    terms, figure = definitions(board), report.figures.get("scores")
    to_docs = to_method(board.standings, "docs")

    def link(row: Row, column: Column) -> str:
        return f"{page}#{anchor(suite.name, report.runs.scenario)}" if column.key == "rank" else to_docs(row, column)

    def records(row: Row) -> str:
        return records_of(report, row, str(folder))

    return joined(
        [
            f"Generated from [{folder}]({page}), where every scenario has its table and every row its records; "
            f"[{sortable}]({sortable}) is the page to sort and filter.",
            banner(board),
            "### Mean ranks over all scenarios",
            linked_table(summary_table(board.standings), terms, link, page=page),
            f"### {escape(report.title)}",
            *([image(figure.alt, f"{folder}/{suite.name}/{figure.file}"), escape(figure.caption)] if figure else []),
            linked_table(report.scores.narrow(Place.FRONT), terms, link, records, page),
        ]
    )

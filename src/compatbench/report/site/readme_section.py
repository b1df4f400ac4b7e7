"""The leaderboard's part of the project's README.md: mean ranks, and the table and plot of one scenario.

It stands between the lines `<!-- begin: compatbench leaderboard SUITE/SCENARIO -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import PurePosixPath

from compatbench.report.plots.pareto import plot_caption
from compatbench.report.render.marks import marked
from compatbench.report.render.table import Column, Place, Row
from compatbench.report.render.to_markdown import escape
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.leaderboard_readme import anchor, banner, definitions, records_of, to_method
from compatbench.report.site.linked_markdown import linked_table
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.site.write import pareto_file
from compatbench.report.tables.standing_table import summary_table

BLOCK = marked(r"leaderboard (?P<suite>[^\s/]+)/(?P<scenario>\S+) ")


def with_section(text: str, board: Board, folder: PurePosixPath) -> str:
    """`text` with the leaderboard between its marks; as it is where it has none, and where they name what is not there.

    `folder` holds the records, seen from the file: results/leaderboard.
    """
    return BLOCK.sub(partial(_replaced, board=board, folder=folder), text)


def unknown_scenario(text: str, board: Board) -> str:
    """The first `SUITE/SCENARIO` that the marks in `text` name and that is not on the leaderboard, or nothing."""
    named = ((match["suite"], match["scenario"]) for match in BLOCK.finditer(text))
    return next((f"{suite}/{scenario}" for suite, scenario in named if not _find(board, suite, scenario)), "")


def _find(board: Board, suite: str, scenario: str) -> tuple[BoardSuite, ScenarioReport] | None:
    return next(
        (
            (one, report)
            for one in board.suites
            for report in one.reports
            if (one.name, report.runs.scenario) == (suite, scenario)
        ),
        None,
    )


def _replaced(match: re.Match[str], board: Board, folder: PurePosixPath) -> str:
    found = _find(board, match["suite"], match["scenario"])
    return f"{match['begin']}\n{_section(*found, board, folder)}\n{match['end']}" if found else match[0]


def _section(suite: BoardSuite, report: ScenarioReport, board: Board, folder: PurePosixPath) -> str:
    page, sortable = str(folder.parent / "README.md"), folder.parent / "index.html"
    terms = definitions(board)

    to_docs = to_method(board.standings, "docs")

    def link(row: Row, column: Column) -> str:
        section = f"{page}#{anchor(suite.name, report.runs.scenario)}" if column.key == "rank" else ""
        return section or to_docs(row, column)

    parts = [
        f"Generated from [{folder}]({page}), where every scenario has its table and every row its records; "
        f"[{sortable}]({sortable}) is the page to sort and filter.",
        banner(board),
        "### Mean ranks over all scenarios",
        linked_table(summary_table(board.standings), terms, link, page=page),
        f"### {escape(report.title)}",
        f"![Update gain against tax, {escape(report.title)}]({folder}/{suite.name}/{pareto_file(report)})",
        escape(plot_caption(report.points)),
        linked_table(
            report.scores.narrow(Place.FRONT), terms, link, lambda row: records_of(report, row, str(folder)), page
        ),
    ]
    return "\n\n".join(parts) + "\n"

"""Suites of a leaderboard made of plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthetic import Bench

from compatbench.records.record import Record
from compatbench.report.rows.gaps import SuitePlan
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.scenario_report import scenario_reports

SEEDS = range(3)


def row(bench: Bench, label: str, cross: float, scenario: str, new: float = 0.625, **options: object) -> list[Record]:
    """Three seeds of one row, with M(o,o) = 25, M(*,*) = 75 and every query alike, so that no interval has a width."""
    entries = {"oo": 0.25, "no": cross, "nn": new, "ss": 0.75}
    precisions = {pair: [value] * 4 for pair, value in entries.items()}
    return [bench.record(label, seed, precisions, scenario=scenario, **options) for seed in SEEDS]


def board_suite(
    bench: Bench, records: Sequence[Record], plan: Mapping[str, Sequence[str]] | None = None, **options: object
) -> BoardSuite:
    """The suite of `records`; `plan` holds its scenarios, and its methods."""
    planned = None
    if plan is not None:
        planned = SuitePlan(tuple(plan["scenarios"]), tuple(plan["methods"]), tuple(SEEDS))
    reports = scenario_reports(records, bench.folder)
    return BoardSuite("synthetic", planned, tuple(reports), "Plain numbers", **options)


def board(*suites: BoardSuite) -> Board:
    """A leaderboard of these suites."""
    return Board(suites)

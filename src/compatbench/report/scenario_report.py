"""Everything that is shown about one scenario, before it becomes text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compatbench.records import Record
from compatbench.report.controls import Banner, banner
from compatbench.report.costs import costs_table
from compatbench.report.leaderboard import leaderboard
from compatbench.report.plots import Point
from compatbench.report.rows import MethodRow, method_rows
from compatbench.report.runs import scenarios
from compatbench.report.scores import ScoreReader
from compatbench.report.tables import Table


@dataclass(frozen=True)
class ScenarioReport:
    """Tables, banner and plot points of one scenario."""

    title: str
    scores: Table
    costs: Table
    banner: Banner
    points: tuple[Point, ...]
    """The methods (no references, no controls) for which Γ is defined."""


def scenario_reports(records: Iterable[Record], arrays_folder: Path) -> list[ScenarioReport]:
    """One report a scenario, from the records of one suite and the folder of their per-query arrays.

    Raises RequestError where there are no records, where they must not share a table, or where arrays are missing.
    """
    reader = ScoreReader(arrays_folder)
    reports = []
    for scenario in scenarios(records):
        rows = method_rows(scenario, reader)
        reports.append(
            ScenarioReport(
                title=scenario.title,
                scores=leaderboard(scenario, rows),
                costs=costs_table(scenario, rows),
                banner=banner(scenario, rows),
                points=_points(rows),
            )
        )
    return reports


def _points(rows: Sequence[MethodRow]) -> tuple[Point, ...]:
    points = []
    for row in rows:
        numbers = row.compatibility
        if row.role != "method" or numbers is None:
            continue
        gain, tax = numbers.update_gain, numbers.tax
        if gain.value is not None and tax.value is not None:
            points.append(Point(row.label, tax=tax.in_points(), gain=gain))
    return tuple(points)

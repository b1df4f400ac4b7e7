"""Everything that is shown about one scenario, before it becomes text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from compatbench.records.record import Record
from compatbench.report.plots.backfill_plot import backfill_svg
from compatbench.report.plots.pareto import Point, pareto_svg
from compatbench.report.render.table import Table
from compatbench.report.rows.backfill import RowBackfill, row_backfills
from compatbench.report.rows.controls import Banner, banner
from compatbench.report.rows.flip_lists import FlipList, flip_lists
from compatbench.report.rows.row import MethodRow, method_rows
from compatbench.report.rows.runs import ScenarioRuns, scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.site.chain_report import ChainReport, chain_report
from compatbench.report.tables.backfill import backfill_table
from compatbench.report.tables.costs import costs_table
from compatbench.report.tables.flips import flips_table
from compatbench.report.tables.index_search import index_table, recall_table
from compatbench.report.tables.leaderboard import leaderboard
from compatbench.report.tables.published import published_rows, with_published
from compatbench.report.tables.verification import verification_table
from compatbench.vocabulary import Role


@dataclass(frozen=True)
class ScenarioReport:
    """Tables, banner and plot points of one scenario."""

    title: str
    runs: ScenarioRuns
    rows: tuple[MethodRow, ...]
    """As the table of scores has them: ranked ones first."""
    scores: Table
    flips: Table
    backfill: Table | None
    """None where the records hold no backfill curves."""
    verification: Table | None
    """None where the records hold no verified pairs."""
    recall: Table | None
    """None where the records hold no index searches."""
    indexes: Table | None
    costs: Table
    banner: Banner
    points: tuple[Point, ...]
    """The methods (no references, no controls) for which Γ is defined."""
    backfills: tuple[RowBackfill, ...]
    flip_lists: tuple[FlipList, ...]
    chain: ChainReport | None
    """None for a single upgrade."""

    @cached_property
    def pareto_plot(self) -> Markup | None:
        """Γ against tax as an SVG element; None where no point lies within the frame."""
        return pareto_svg(self.points, f"plot-{self.scores.name}")

    @cached_property
    def backfill_plot(self) -> Markup | None:
        """The curves as an SVG element; None where there are none."""
        return backfill_svg(self.backfills, f"backfill-{self.scores.name}")

    @property
    def details(self) -> tuple[Table, ...]:
        """The tables beside the scores, in their order on the page."""
        chain = (self.chain.numbers, self.chain.matrix) if self.chain else ()
        steps = (self.chain.steps,) if self.chain else ()
        tables = (self.flips, self.backfill, self.verification, self.recall, self.indexes, self.costs)
        return tuple(table for table in (*chain, *tables, *steps) if table is not None)


def scenario_reports(records: Iterable[Record], arrays_folder: Path) -> list[ScenarioReport]:
    """One report a scenario, from the records of one suite and the folder of their per-query arrays.

    Raises RequestError where there are no records, where they must not share a table, or where arrays are missing.
    """
    reader = ScoreReader(arrays_folder)
    reports = []
    for scenario in scenarios(records):
        rows = method_rows(scenario, reader)
        published = published_rows(scenario.suite)
        backfills = row_backfills(rows, reader)
        reports.append(
            ScenarioReport(
                title=scenario.title,
                runs=scenario,
                rows=tuple(rows),
                scores=with_published(leaderboard(scenario, rows), published, scenario.scenario),
                flips=flips_table(scenario, rows, reader),
                backfill=backfill_table(scenario, backfills),
                verification=verification_table(scenario, rows, reader),
                recall=recall_table(scenario, rows),
                indexes=index_table(scenario, rows),
                costs=costs_table(scenario, rows),
                banner=banner(scenario, rows),
                points=_points(rows),
                backfills=tuple(backfills),
                flip_lists=tuple(flip_lists(rows, reader)),
                chain=chain_report(scenario, rows, reader),
            )
        )
    return reports


def _points(rows: Sequence[MethodRow]) -> tuple[Point, ...]:
    points = []
    for row in rows:
        numbers = row.compatibility
        if row.role != Role.METHOD or numbers is None:
            continue
        gain, tax = numbers.update_gain, numbers.tax
        if gain.value is not None and tax.value is not None:
            points.append(Point(row.label, tax=tax.in_points(), gain=gain))
    return tuple(points)

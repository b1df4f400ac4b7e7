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
from compatbench.report.rows.flip_lists import FlipList, flip_lists
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scenario_rows import ScenarioRows, scenario_rows
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.site.chain_report import ChainReport, chain_report
from compatbench.report.tables.backfill import backfill_table
from compatbench.report.tables.costs import costs_table
from compatbench.report.tables.flips import flips_table
from compatbench.report.tables.index_search import index_table, recall_table
from compatbench.report.tables.published import scores_table
from compatbench.report.tables.thresholds import thresholds_table
from compatbench.vocabulary import Role


@dataclass(frozen=True)
class ScenarioReport(ScenarioRows):
    """The rows of one scenario with their tables and the points of their plots."""

    scores: Table
    flips: Table
    backfill: Table | None
    """None where the records hold no backfill curves."""
    thresholds: Table | None
    """None where the records hold no verified pairs."""
    recall: Table | None
    """None where the records hold no index searches."""
    indexes: Table | None
    costs: Table
    points: tuple[Point, ...]
    """The methods (no references, no controls) for which Γ is defined."""
    backfills: tuple[RowBackfill, ...]
    flip_lists: tuple[FlipList, ...]
    chain: ChainReport | None
    """None for a single upgrade."""

    @property
    def title(self) -> str:
        """For headings."""
        return self.runs.title

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
        tables = (self.flips, self.backfill, self.thresholds, self.recall, self.indexes, self.costs)
        return tuple(table for table in (*chain, *tables, *steps) if table is not None)


def scenario_reports(records: Iterable[Record], arrays_folder: Path) -> list[ScenarioReport]:
    """One report a scenario, from the records of one suite and the folder of their per-query arrays.

    Raises RequestError where there are no records, where they must not share a table, or where arrays are missing.
    """
    reader = ScoreReader(arrays_folder)
    reports = []
    for runs in scenarios(records):
        found = scenario_rows(runs, reader)
        rows, backfills = found.rows, row_backfills(found.rows, reader)
        reports.append(
            ScenarioReport(
                runs=runs,
                rows=rows,
                banner=found.banner,
                scores=scores_table(found),
                flips=flips_table(runs, rows, reader),
                backfill=backfill_table(runs, backfills),
                thresholds=thresholds_table(runs, rows, reader),
                recall=recall_table(runs, rows),
                indexes=index_table(runs, rows),
                costs=costs_table(runs, rows),
                points=_points(rows),
                backfills=tuple(backfills),
                flip_lists=tuple(flip_lists(rows, reader)),
                chain=chain_report(runs, rows, reader),
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

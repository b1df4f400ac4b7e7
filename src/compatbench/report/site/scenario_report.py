"""The report on one scenario, before it becomes text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from compatbench.records.record import Record
from compatbench.report.plots.backfill_plot import backfill_caption, backfill_svgs
from compatbench.report.plots.matrices import heat_map_caption, heat_map_svg
from compatbench.report.plots.pareto import Point, pareto_svgs, plot_caption
from compatbench.report.render.table import Table
from compatbench.report.rows.backfill import RowBackfill, row_backfills
from compatbench.report.rows.chains import ChainRow, chain_rows
from compatbench.report.rows.controls import ScenarioRows, suite_rows
from compatbench.report.rows.flips import FlipList, flip_lists
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.tables.backfill import backfill_table
from compatbench.report.tables.chains import chain_table, matrix_table, step_cost_table
from compatbench.report.tables.costs import costs_table
from compatbench.report.tables.flips import flips_table
from compatbench.report.tables.index_search import index_table, recall_table
from compatbench.report.tables.models import models_table
from compatbench.report.tables.published import scores_table
from compatbench.report.tables.thresholds import thresholds_table
from compatbench.suite.times import Times
from compatbench.vocabulary import MetricName, Verdict


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    name: str
    """Of its file, without ending."""
    alt: str
    caption: str
    svgs: tuple[Markup, ...]
    """Elements for use inside a page: by width, or by order of a backfill; the first one is the file's."""

    @property
    def file(self) -> str:
        """Below the folder of its suite."""
        return f"plots/{self.name}.svg"


@dataclass(frozen=True)
class ScenarioReport(ScenarioRows):
    """The rows of one scenario with their tables, and the data of their plots."""

    tables: Mapping[str, Table]
    """By kind, in the order of a page; a kind that the records hold no numbers for is absent."""
    points: tuple[Point, ...]
    """The methods (no references, no controls) for which Γ is defined; none where shares of the gain are noise."""
    backfills: tuple[RowBackfill, ...]
    flip_lists: tuple[FlipList, ...]
    chains: tuple[ChainRow, ...]
    """Empty for a single upgrade."""

    @property
    def title(self) -> str:
        """For headings."""
        return self.runs.title

    @property
    def scores(self) -> Table:
        """The table that ranks."""
        return self.tables["scores"]

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """The plots, by the kind of the table that they belong to."""
        name, matrices = self.runs.scenario, heat_map_svg(self.chains)
        plots = {
            "scores": ("pareto", "Update gain against tax,", plot_caption(self.points), pareto_svgs(self.points)),
            "backfill": ("backfill", "Backfill curves of", backfill_caption(), backfill_svgs(self.backfills)),
            "matrix": ("matrix", "Compatibility matrices of", heat_map_caption(), (matrices,) if matrices else ()),
        }
        return {
            kind: Figure(f"{name}-{file}", f"{alt} {self.title}", caption, svgs)
            for kind, (file, alt, caption, svgs) in plots.items()
            if svgs
        }


def scenario_reports(
    records: Iterable[Record],
    arrays_folder: Path,
    rank_by: MetricName = MetricName.BACKFILL_SHARE,
    *,
    timed: Times | None = None,
    list_flips: bool = True,
) -> list[ScenarioReport]:
    """One report a scenario, from the records of one suite and the folder of their per-query arrays.

    `timed` are training times of the suite's rows, as in `scenarios`. Without `list_flips` its lists of flips are
    empty: they take a seventh of the time.

    Raises RequestError where there are no records, where they must not share a table, or where arrays are missing.
    """
    reader = ScoreReader(arrays_folder)
    reports = []
    for found in suite_rows(scenarios(records, timed), reader, rank_by):
        runs = found.runs
        rows, backfills = found.rows, row_backfills(found.rows, reader)
        chains = chain_rows(runs, rows, reader)
        tables = {
            "scores": scores_table(found),
            "chain": chain_table(runs, chains),
            "matrix": matrix_table(runs, chains),
            "flips": flips_table(runs, rows, reader),
            "backfill": backfill_table(runs, backfills),
            "thresholds": thresholds_table(runs, rows, reader),
            "recall": recall_table(runs, rows),
            "indexes": index_table(runs, rows),
            "models": models_table(found),
            "costs": costs_table(runs, rows),
            "steps": step_cost_table(runs, chains),
        }
        reports.append(
            ScenarioReport(
                **{one.name: getattr(found, one.name) for one in fields(found)},
                tables={kind: table for kind, table in tables.items() if table is not None},
                points=() if found.in_points else _points(rows),
                backfills=tuple(backfills),
                flip_lists=tuple(flip_lists(rows, reader)) if list_flips else (),
                chains=tuple(chains),
            )
        )
    return reports


def _points(rows: Sequence[MethodRow]) -> tuple[Point, ...]:
    points = [
        Point(
            row.label,
            row.league,
            row.number(MetricName.TAX).in_points(),
            row.number(MetricName.UPDATE_GAIN),
            row.ranked,
            row.verdict is Verdict.COMPATIBLE,
        )
        for row in rows
        if row.league is not None
    ]
    return tuple(point for point in points if None not in (point.tax.value, point.gain.value))

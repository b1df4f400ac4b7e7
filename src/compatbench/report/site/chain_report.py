"""What is shown of a chain of more than two generations beside what any upgrade shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from compatbench.report.plots.heat_map import heat_map_svg
from compatbench.report.render.table import Table
from compatbench.report.rows.chains import ChainRow, chain_rows
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.tables.chains import chain_table, matrix_table, step_cost_table


@dataclass(frozen=True)
class ChainReport:
    """Tables and heat map of one chain."""

    name: str
    rows: tuple[ChainRow, ...]
    numbers: Table
    matrix: Table
    steps: Table

    @cached_property
    def heat_map(self) -> Markup:
        """The compatibility matrices as an SVG element."""
        return heat_map_svg(self.rows, f"matrix-{self.name}")


def chain_report(scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader) -> ChainReport | None:
    """Of the rows with a finished seed; None for a single upgrade, and where no row has one."""
    chains = chain_rows(scenario, rows, reader)
    if not chains:
        return None
    return ChainReport(
        name=scenario.scenario,
        rows=tuple(chains),
        numbers=chain_table(scenario, chains),
        matrix=matrix_table(scenario, chains),
        steps=step_cost_table(scenario, chains),
    )

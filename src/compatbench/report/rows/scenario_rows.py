"""The rows of one scenario, with the verdict of its controls."""

from __future__ import annotations

from dataclasses import dataclass

from compatbench.report.rows.controls import Banner, banner
from compatbench.report.rows.row import MethodRow, method_rows
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import ScoreReader


@dataclass(frozen=True)
class ScenarioRows:
    """All rows of one scenario."""

    runs: ScenarioRuns
    rows: tuple[MethodRow, ...]
    """Ranked ones first."""
    banner: Banner

    @property
    def status_quo(self) -> MethodRow | None:
        """The row that shows the old model over the most seeds; None if no seed of any ended well."""
        known = [row for row in self.rows if row.scores is not None and not row.own_first_generation]
        return max(known, key=lambda one: len(one.runs.finished), default=None)


def scenario_rows(runs: ScenarioRuns, reader: ScoreReader) -> ScenarioRows:
    """The rows of `runs`. Raises RequestError if per-query arrays are missing or do not fit each other."""
    rows = tuple(method_rows(runs, reader))
    return ScenarioRows(runs, rows, banner(runs, rows))

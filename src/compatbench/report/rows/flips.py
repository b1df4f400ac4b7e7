"""Flip rates of each row over its seeds: queries that an upgrade breaks or mends, against the old system."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.flips import CUTOFFS, flip_estimates
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import ScoreReader

CROSS, FULL = "no", "nn"
"""The systems: new queries on the old gallery, and after the full backfill."""


def flip_rates(
    scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """By label and system."""
    entries = {CROSS: (scenario.newest, "0"), FULL: (scenario.newest, scenario.newest)}
    systems = {
        (row.label, system): [
            (reader.entry(record, "0", "0"), reader.entry(record, *entry)) for record in row.runs.finished
        ]
        for row in rows
        for system, entry in entries.items()
    }
    found: dict[str, dict[str, dict[str, Estimate]]] = {row.label: {} for row in rows}
    for (label, system), rates in flip_estimates(systems, CUTOFFS).items():
        found[label][system] = rates
    return found

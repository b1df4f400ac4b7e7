"""Chains of more than two generations: the matrix of each row, its numbers, and the cost of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from compatbench.evaluation.chains import Chain, chain_estimates
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import MethodRuns, ScenarioRuns
from compatbench.report.rows.scores import ScoreReader
from compatbench.vocabulary import MetricName, Need


@dataclass(frozen=True, eq=False)
class ChainRow(Chain):
    """One row's matrix of mAP as fractions over its finished seeds, and the numbers made of it."""

    row: MethodRow


def chain_rows(scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader) -> list[ChainRow]:
    """The rows with a finished seed, of a scenario of more than two generations; of any other, none."""
    size = int(scenario.newest) + 1
    places = [(query, gallery) for query in range(size) for gallery in range(query + 1)] if size > 2 else []
    found = []
    for row in (row for row in rows if row.runs.finished and places):
        entries = {
            place: np.stack(
                [reader.entry(record, *map(str, place)).per_query(MetricName.MAP) for record in row.runs.finished]
            )
            for place in places
        }
        found.append(ChainRow(**vars(chain_estimates(entries)), row=row))
    return found


def step_seconds(runs: MethodRuns, independent: MethodRuns | None, size: int) -> list[float | None]:
    """Seconds of every generation, with those of the independent model if it is needed; median over seeds."""
    parents = independent if Need.INDEPENDENT_MODEL in runs.method.needs else None
    found: list[float | None] = []
    for step in range(size):
        own = _median_seconds(runs, step)
        parent = _median_seconds(parents, step) if parents and step else 0.0
        found.append(own + parent if own is not None and parent is not None else None)
    return found


def _median_seconds(runs: MethodRuns, step: int) -> float | None:
    costs = [record.step_costs.get(str(step), {}) for record in runs.finished]
    seconds = [[value for name in ("train_seconds", "fit_seconds") if (value := one.get(name))] for one in costs]
    return median(map(sum, seconds)) if seconds and all(seconds) else None


def upgrade_seconds(seconds: Sequence[float | None]) -> float | None:
    """Of all steps after the first; None if one is missing."""
    upgrades = [value for value in seconds[1:] if value is not None]
    return sum(upgrades) if upgrades and len(upgrades) == len(seconds) - 1 else None

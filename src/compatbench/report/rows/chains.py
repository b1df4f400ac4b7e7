"""Chains of more than two generations: the matrix of each row, its numbers, and the cost of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

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
    return [_chain_row(row, size, reader) for row in rows if row.runs.finished] if size > 2 else []


def _chain_row(row: MethodRow, size: int, reader: ScoreReader) -> ChainRow:
    entries = {(q, g): _scores(row.runs, q, g, reader) for q in range(size) for g in range(q + 1)}
    chain = chain_estimates(entries)
    return ChainRow(chain.matrix, chain.entries, chain.below, chain.numbers, row)


def _scores(runs: MethodRuns, query: int, gallery: int, reader: ScoreReader) -> NDArray[np.float64]:
    """(S, Q) of one entry on mAP."""
    found = [reader.entry(record, str(query), str(gallery)) for record in runs.finished]
    return np.stack([one.per_query(MetricName.MAP) for one in found])


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

"""Whether two suites put the same methods in the same order: the rank correlation, scenario by scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from compatbench.errors import RequestError
from compatbench.evaluation.bootstrap import Values, interval_estimate
from compatbench.evaluation.estimate import Estimate
from compatbench.report.rows.estimates import resampled
from compatbench.report.rows.row import MethodRow
from compatbench.vocabulary import MetricName, Role

NUMBER = MetricName.BACKFILL_SHARE
FEWEST = 3
"""Methods that a rank correlation needs."""


@dataclass(frozen=True)
class Agreement:
    """The orders of the methods that two suites share in one scenario, by A on mAP."""

    scenario: str
    labels: tuple[str, ...]
    """In the order of the first suite, the best first."""
    others: tuple[str, ...]
    """The same in the order of the second."""
    correlation: Estimate
    """Spearman's ρ. Draws of seeds and queries are those of the rows' own intervals; noise pulls ρ towards 0."""


def agreement(scenario: str, one: Sequence[MethodRow], other: Sequence[MethodRow]) -> Agreement:
    """Compare the rows of `scenario` in two suites. Raises RequestError if they share fewer than three methods.

    Controls and references are left out, and methods that train their own first generation.
    """
    rows, others = _methods(one), _methods(other)
    labels = sorted(rows.keys() & others.keys())
    if len(labels) < FEWEST:
        raise RequestError(
            f"scenario '{scenario}': the suites share {len(labels)} finished methods; run {FEWEST} in both"
        )
    points, draws = zip(*(_shares([found[label] for label in labels]) for found in (rows, others)), strict=True)
    first, second = (tuple(labels[place] for place in np.argsort(-shares[0])) for shares in points)
    value = spearman(*points)[0]
    return Agreement(scenario, first, second, interval_estimate(value, spearman(*draws)))


def spearman(ones: Values, others: Values) -> Values:
    """Rank correlation (B,) of values (B, N) and (B, N), equals at their mean place; NaN where all of one are equal."""
    first, second = (rankdata(values, axis=1) for values in (ones, others))
    first, second = (places - places.mean(axis=1, keepdims=True) for places in (first, second))
    norm = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    found: Values = (first * second).sum(axis=1) / np.where(norm > 0, norm, np.nan)
    return found


def _methods(rows: Sequence[MethodRow]) -> dict[str, MethodRow]:
    return {
        row.label: row
        for row in rows
        if row.role == Role.METHOD and row.number(NUMBER).value is not None and not row.own_first_generation
    }


def _shares(rows: Sequence[MethodRow]) -> tuple[Values, Values]:
    """A of each row (1, N), and in every draw (B, N)."""
    draws = resampled({row.label: row.scores for row in rows if row.scores is not None}, NUMBER)
    points = [[row.number(NUMBER).value for row in rows]]
    return np.array(points, dtype=np.float64), np.stack([draws[row.label] for row in rows], axis=1)

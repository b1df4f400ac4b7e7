"""Ranks of the rows of one league in a scenario, and their means over scenarios with a bootstrap over all of them.

docs/protocol.md, §5, defines what is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compatbench.evaluation.bootstrap import RESAMPLES, Values
from compatbench.evaluation.spread import ROUNDING
from compatbench.report.rows.estimates import resampled
from compatbench.report.rows.row import MethodRow
from compatbench.vocabulary import RANKED_BY, MetricName

CONTEST_STREAM = 2
"""Tells the draws of contests from those of queries (0) and of seeds (1)."""


@dataclass(frozen=True, eq=False)
class Average:
    """The means of one row over the scenarios in which it is ranked; draws are (B,)."""

    competed: int
    """Its contests: scenarios with a rival."""
    share: float
    """Mean of the number that ranks."""
    share_draws: Values
    rank: float
    rank_draws: Values


def ranks(first: Values, second: Values) -> Values:
    """Places (..., N) of N rows by one number, then by another, the highest first; equals share their places' mean.

    A row whose first number is NaN has none and counts for no other row's.
    """
    first, second = np.round(first / ROUNDING), np.round(second / ROUNDING)
    equal = first[..., None, :] == first[..., :, None]
    above = first[..., None, :] > first[..., :, None]
    above |= equal & (second[..., None, :] > second[..., :, None])
    equal &= second[..., None, :] == second[..., :, None]
    places = above.sum(axis=-1) + (1 + equal.sum(axis=-1)) / 2
    return np.where(np.isnan(first), np.nan, places)


def point_ranks(ranked: Sequence[MethodRow], rank_by: MetricName) -> dict[str, float]:
    """Places of the ranked rows of one league in a scenario, by label."""
    first, second = (_values(ranked, number) for number in (rank_by, RANKED_BY[rank_by]))
    return dict(zip([row.label for row in ranked], ranks(first, second).tolist(), strict=True))


def averages(contests: Sequence[Sequence[MethodRow]], rank_by: MetricName) -> dict[str, Average]:
    """The means of every row, by label; `contests` are the ranked rows of one league, scenario by scenario.

    A scenario with a single one counts for the mean of the number, not for ranks.
    """
    labels = sorted({row.label for rows in contests for row in rows})
    if not labels:
        return {}
    point_numbers = np.full((1, len(contests), len(labels)), np.nan)
    numbers = np.full((RESAMPLES, len(contests), len(labels)), np.nan)
    point_places, places = point_numbers.copy(), numbers.copy()
    for position, rows in enumerate(contests):
        columns = [labels.index(row.label) for row in rows]
        first, second = (_draws(rows, number) for number in (rank_by, RANKED_BY[rank_by]))
        point_numbers[0, position, columns], numbers[:, position, columns] = _values(rows, rank_by), first
        if len(rows) > 1:
            point_places[0, position, columns] = [*point_ranks(rows, rank_by).values()]
            places[:, position, columns] = ranks(first, second)
    equally = np.full(len(contests), 1 / len(contests))
    drawn = np.random.default_rng([0, CONTEST_STREAM]).multinomial(len(contests), equally, size=RESAMPLES)
    weights, once = drawn.astype(np.float64), np.ones((1, len(contests)))
    share, share_draws = _mean(point_numbers, once)[0], _mean(numbers, weights)
    rank, rank_draws = _mean(point_places, once)[0], _mean(places, weights)
    competed = (~np.isnan(point_places[0])).sum(axis=0)
    return {
        label: Average(
            competed=int(competed[at]),
            share=float(share[at]),
            share_draws=share_draws[:, at],
            rank=float(rank[at]),
            rank_draws=rank_draws[:, at],
        )
        for at, label in enumerate(labels)
    }


def _values(rows: Sequence[MethodRow], number: MetricName) -> Values:
    return np.array([row.number(number).value for row in rows], dtype=np.float64)


def _draws(rows: Sequence[MethodRow], number: MetricName) -> Values:
    """A number (B, N) of the rows of one scenario in every draw of its seeds and queries."""
    draws = resampled({row.label: row.scores for row in rows if row.scores is not None}, number)
    return np.stack([draws[row.label] for row in rows], axis=1)


def _mean(values: Values, weights: Values) -> Values:
    """Means (B, N) of values (B, S, N) over contests weighted by (B, S), NaN left out; NaN where all are."""
    present = ~np.isnan(values)
    total = np.einsum("bsn,bs->bn", np.where(present, values, 0), weights)
    weight = np.einsum("bsn,bs->bn", present.astype(np.float64), weights)
    means: Values = total / np.where(weight > 0, weight, np.nan)
    return means

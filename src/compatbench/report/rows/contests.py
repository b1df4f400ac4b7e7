"""Ranks of the rows of one scenario, and their means over scenarios with a bootstrap over all of them.

`compatbench.report.rows.standing` defines what is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compatbench.evaluation.bootstrap import RESAMPLES, Values
from compatbench.evaluation.compatibility import gain_share
from compatbench.evaluation.significance import ROUNDING
from compatbench.report.rows.estimates import bootstrap
from compatbench.report.rows.row import MethodRow
from compatbench.vocabulary import Entry, MetricName

CONTEST_STREAM = 2
"""Tells the draws of contests from those of queries (0) and of seeds (1)."""


@dataclass(frozen=True, eq=False)
class Average:
    """The mean ranks of one row over its contests; draws are (B,)."""

    competed: int
    rank: float
    rank_draws: Values
    relative: float
    relative_draws: Values


def ranks(gain: Values, tax: Values) -> Values:
    """Places (..., N) of N rows by Γ, then by tax, the highest first; equals share the mean of their places.

    A row whose Γ is NaN has none and counts for no other row's.
    """
    gain, tax = np.round(gain / ROUNDING), np.round(tax / ROUNDING)
    equal = gain[..., None, :] == gain[..., :, None]
    above = gain[..., None, :] > gain[..., :, None]
    above |= equal & (tax[..., None, :] > tax[..., :, None])
    equal &= tax[..., None, :] == tax[..., :, None]
    places = above.sum(axis=-1) + (1 + equal.sum(axis=-1)) / 2
    return np.where(np.isnan(gain), np.nan, places)


def point_ranks(ranked: Sequence[MethodRow]) -> Values:
    """Places (N,) of the ranked rows of one scenario."""
    both = (MetricName.UPDATE_GAIN, MetricName.TAX)
    gain, tax = (np.array([row.number(word).value for row in ranked], dtype=np.float64) for word in both)
    return ranks(gain, tax)


def averages(contests: Sequence[Sequence[MethodRow]]) -> dict[str, Average]:
    """Mean ranks of every row, by label, over its contests; `contests` are the ranked rows of each."""
    labels = sorted({row.label for rows in contests for row in rows})
    if not labels:
        return {}
    points = np.full((1, len(contests), len(labels)), np.nan)
    draws = np.full((RESAMPLES, len(contests), len(labels)), np.nan)
    for position, rows in enumerate(contests):
        columns = [labels.index(row.label) for row in rows]
        points[0, position, columns] = point_ranks(rows)
        draws[:, position, columns] = _rank_draws(rows)
    equally = np.full(len(contests), 1 / len(contests))
    drawn = np.random.default_rng([0, CONTEST_STREAM]).multinomial(len(contests), equally, size=RESAMPLES)
    weights, once = drawn.astype(np.float64), np.ones((1, len(contests)))
    rank, rank_draws = _mean(points, once)[0], _mean(draws, weights)
    relative, relative_draws = _mean(_relative(points), once)[0], _mean(_relative(draws), weights)
    competed = (~np.isnan(points[0])).sum(axis=0)
    return {
        label: Average(
            competed=int(competed[at]),
            rank=float(rank[at]),
            rank_draws=rank_draws[:, at],
            relative=float(relative[at]),
            relative_draws=relative_draws[:, at],
        )
        for at, label in enumerate(labels)
    }


def _rank_draws(rows: Sequence[MethodRow]) -> Values:
    """Ranks (B, N) of the rows of one contest in every draw of its seeds and queries."""
    scores = {row.label: row.scores for row in rows if row.scores is not None}
    draws = bootstrap(scores, (MetricName.MAP,)).draws
    of_rows = [{entry: draws[row.label, MetricName.MAP, entry] for entry in Entry} for row in rows]
    gain = np.stack([gain_share(one[Entry.OLD], one[Entry.CROSS], one[Entry.REFERENCE]) for one in of_rows], axis=1)
    return ranks(gain, np.stack([one[Entry.NEW] - one[Entry.REFERENCE] for one in of_rows], axis=1))


def _relative(places: Values) -> Values:
    """(rank − 1)/(n − 1) of places (..., N); NaN where a draw leaves no rival."""
    rivals = (~np.isnan(places)).sum(axis=-1, keepdims=True) - 1.0
    return (places - 1) / np.where(rivals > 0, rivals, np.nan)


def _mean(values: Values, weights: Values) -> Values:
    """Means (B, N) of values (B, S, N) over contests weighted by (B, S), NaN left out; NaN where all are."""
    present = ~np.isnan(values)
    total = np.einsum("bsn,bs->bn", np.where(present, values, 0), weights)
    weight = np.einsum("bsn,bs->bn", present.astype(np.float64), weights)
    means: Values = total / np.where(weight > 0, weight, np.nan)
    return means

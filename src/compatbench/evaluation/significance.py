"""The one rule of significance, for tables, verdicts, `compare` and bold type. Knows nothing of torch.

A difference is significant where its own 95% interval excludes 0 and, if it is one of a family, its corrected p-value
is below ERROR_RATE too. Interval and p-value come from the same `compatbench.evaluation.spread`. In a family

- the variance from seeds counts at least as much as it does on average over the family, and then has the degrees of
  freedom of all of them: of three seeds two may agree by luck, and among 30 rows some do;
- p-values are corrected by Holm. Where rows are compared with the one that came out first, which was chosen by
  looking, all pairs of rows count.

docs/protocol.md has the error rates of this rule, as tests/evaluation/test_error_rates.py simulates them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import mean_estimate
from compatbench.evaluation.spread import ROUNDING, spread
from compatbench.vocabulary import Verdict

ERROR_RATE = 0.05
"""Of a family of comparisons, after the correction."""

INTERVALS = "95% intervals over seeds and queries, with Student's t for the part of the seeds"
FAMILY = "interval and p-value of the same variances, Holm-corrected"
"""For captions."""

Values = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)


def sign(difference: Estimate, p_value: float | None = None) -> Literal[-1, 0, 1]:
    """1 if a difference is significantly above 0, −1 below, else 0; of one of a family, with its corrected p-value."""
    if p_value is not None and not p_value < ERROR_RATE:
        return 0
    if difference.low is not None and difference.low > ROUNDING:
        return 1
    return -1 if difference.high is not None and difference.high < -ROUNDING else 0


def verdict(gain: Estimate, p_value: float | None = None) -> Verdict:
    """The verdict on a cross gain; of one of a family, with its corrected p-value."""
    return {1: Verdict.COMPATIBLE, 0: Verdict.UNDECIDED, -1: Verdict.NOT_COMPATIBLE}[sign(gain, p_value)]


def corrected_p_values(
    differences: Mapping[Key, ArrayLike], family: Callable[[Key], Hashable] = lambda key: None
) -> dict[Key, float]:
    """p-values of mean = 0 of each difference (S, Q), or (Q,) for one seed; Holm-corrected within its `family`."""
    families: dict[Hashable, list[Key]] = defaultdict(list)
    for key in differences:
        families[family(key)].append(key)
    found: dict[Key, float] = {}
    for members in families.values():
        tables = [np.atleast_2d(np.asarray(differences[key], dtype=np.float64)) for key in members]
        typical = _Seeds.of([_seed_means(table) for table in tables])
        raw = [typical.p_value(table) for table in tables]
        found |= dict(zip(members, holm(raw).tolist(), strict=True))
    return {key: found[key] for key in differences}


def behind_the_first(rows: Mapping[Key, Values], seeds: Mapping[Key, Sequence[int]]) -> set[Key]:
    """The rows that are significantly below the first of `rows`, the one with the highest mean.

    Values are (S, Q), in the order of the row's `seeds`. Rows are compared on the seeds that they share; without one
    they cannot be told apart.
    """
    if len(rows) < 2:
        return set()
    shared = {
        (one, other): [seed for seed in seeds[one] if seed in seeds[other]] for one, other in combinations(rows, 2)
    }

    def of_seeds(key: Key, chosen: Sequence[int]) -> Values:
        return rows[key][[seeds[key].index(seed) for seed in chosen]]

    by_seed = {key: _seed_means(values) for key, values in rows.items()}
    typical = _Seeds.of(
        [
            np.array([by_seed[one][seeds[one].index(seed)] - by_seed[other][seeds[other].index(seed)] for seed in both])
            for (one, other), both in shared.items()
        ],
        independent=(len(rows) - 1) / len(shared),
    )
    first, *others = rows
    compared = {key: of_seeds(first, both) - of_seeds(key, both) for key in others if (both := shared[first, key])}
    p_values = holm([typical.p_value(table) for table in compared.values()]) * len(rows) / 2
    return {
        key
        for (key, table), p_value in zip(compared.items(), p_values.tolist(), strict=True)
        if p_value < ERROR_RATE and sign(mean_estimate(table), p_value) > 0
    }


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values (n,), in the order given: reject those below the wished error rate.

    Holm, Scandinavian Journal of Statistics 6 (1979): the i-th smallest of n is multiplied by n − i + 1, made
    non-decreasing and cut at 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1)
    return adjusted


@dataclass(frozen=True)
class _Seeds:
    """The variance of one seed's mean, on average over a family, and its degrees of freedom; 0 without any."""

    variance: float
    df: float

    @classmethod
    def of(cls, seed_means: Sequence[Values], independent: float = 1.0) -> _Seeds:
        """From the means (S,) of each difference's seeds, of which this share is independent of the others."""
        several = [means for means in seed_means if len(means) > 1]
        df = sum(len(means) - 1 for means in several)
        total = sum(float(((means - means.mean()) ** 2).sum()) for means in several)
        return cls(total / df, df * independent) if df else cls(0.0, 0.0)

    def p_value(self, table: Values) -> float:
        """Of the mean of one difference (S, Q); 1 if it has fewer than two queries."""
        own = spread(table)
        if own is None:
            return 1.0
        typical = own.at_least(self.variance / len(table), self.df) if self.df else own
        return typical.p_value(float(np.nanmean(table)))


def _seed_means(table: Values) -> Values:
    means: Values = np.nanmean(table, axis=1)
    return means

"""How far a mean over seeds and queries may be off. Knows nothing of torch.

A value of seed s and query q is a mean, an effect of the seed, one of the query and a rest. Seeds and queries are
both samples, so the variance of the mean of all S·Q values has two parts, estimated from mean squares:

    seeds    Var_s(mean over q) / S, which contains the rest
    queries  Var_q(mean over s) / Q, less the rest, and not below 0

Few seeds leave the first part uncertain. Where it is all of the variance, the error follows Student's t with S − 1
degrees of freedom; where it is nothing, t with Q − 1. In between a tail is the average of the two, weighted by the
parts of the variance. tests/evaluation/test_error_rates.py simulates how often such intervals cover.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
ROUNDING = 1e-12
"""Fractions closer to 0 than this differ from it by the order of summation only."""
_PRECISION = 1e-12


@dataclass(frozen=True)
class Spread:
    """The variance of a mean, in parts, each with its degrees of freedom."""

    seeds: tuple[tuple[float, float], ...]
    """None if there is one seed."""
    queries: tuple[float, float]

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(np.sqrt(sum(variance for variance, _ in self._parts)))

    @property
    def of_seeds(self) -> float:
        """The variance from seeds."""
        return sum(variance for variance, _ in self.seeds)

    def p_value(self, value: float) -> float:
        """Probability that a mean of 0 comes out at least so far from 0 as `value`."""
        error = self.error
        return self._beyond(abs(value) / error) if error > ROUNDING else float(abs(value) <= ROUNDING)

    def margin(self, level: float = LEVEL) -> float:
        """Half of the interval that covers the mean with this probability."""
        from scipy.optimize import brentq
        from scipy.special import stdtrit

        error = self.error
        if not error > ROUNDING:
            return 0.0
        ends = [float(stdtrit(df, (1 + level) / 2)) for _, df in self._parts]
        if len(ends) == 1:
            return error * ends[0]
        low, high = min(ends) * (1 - _PRECISION), max(ends) * (1 + _PRECISION)
        errors: float = brentq(lambda errors: self._beyond(errors) - (1 - level), low, high, rtol=_PRECISION)
        return error * errors

    def at_least(self, variance: float, df: float) -> Spread:
        """The same with at least so much variance from seeds; what there is beyond it keeps its degrees of freedom."""
        if not self.seeds:
            return self
        beyond = max(0.0, self.of_seeds - variance)
        return replace(self, seeds=((variance, df), (beyond, self.seeds[0][1])))

    @property
    def _parts(self) -> tuple[tuple[float, float], ...]:
        return (*self.seeds, self.queries)

    def _beyond(self, errors: float) -> float:
        """Both tails, this many standard errors away."""
        from scipy.special import stdtr

        beyond = total = 0.0
        for variance, df in self._parts:
            beyond += variance * float(stdtr(df, -errors))
            total += variance
        return 2 * beyond / total


def spread(values: ArrayLike) -> Spread | None:
    """Of the mean of `values` (S, Q), or (Q,) for one seed, whose queries are then all that varies.

    Queries that are NaN in some seed are left out. None if fewer than two are left.
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    absent = np.isnan(table).any(axis=0)
    if absent.any():
        table = table[:, ~absent]
    seeds, queries = table.shape
    if queries < 2:
        return None
    if seeds == 1:
        return Spread((), (_variance(table[0]) / queries, queries - 1))
    means = table.mean(axis=0)
    by_query = _variance(means) / queries
    by_seed = table.mean(axis=1, keepdims=True)
    rest = table - by_seed
    rest -= means - by_seed.mean()
    rest_mean_square = float(np.vdot(rest, rest)) / ((seeds - 1) * (queries - 1))
    of_queries = max(0.0, by_query - rest_mean_square / (seeds * queries))
    return Spread(((_variance(by_seed) / seeds, seeds - 1),), (of_queries, queries - 1))


def _variance(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1))

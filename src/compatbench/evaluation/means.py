"""Means over seeds and queries, numbers made of them, and their intervals. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.bootstrap import hierarchical_bootstrap
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.spread import spread

Values = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)

_STEP = 2.0**-12
"""For slopes: small beside differences of scores that a formula divides by, and large beside their rounding."""


class Means(Generic[Key]):
    """Means of columns of per-query values, the source of every number of a comparison.

    Columns are (S, Q), or (Q,) for one seed; those of one number must have one shape, the same seeds and queries.
    """

    def __init__(self, columns: Mapping[Key, ArrayLike]) -> None:
        self._columns = {key: np.asarray(column, dtype=np.float64) for key, column in columns.items()}
        self.means = {key: _mean(column) for key, column in self._columns.items()}
        """NaN where a column has no value."""

    def mean(self, key: Key) -> Estimate:
        """The mean of one column; that of shares stays between 0 and 1."""
        column = self._columns[key]
        found = _estimate(self.means[key], column)
        shares = not ((column < 0) | (column >= 1.5)).any()  # of 1 in a group that is one query larger than others
        return found.within(0.0, 1.0) if shares else found

    def estimate(self, formula: Callable[..., ArrayLike], *keys: Key) -> Estimate:
        """`formula` of the means of these columns.

        Its interval is that of the formula's tangent: the mean, over seeds and queries, of the columns' values times
        the formula's slopes (delta method). The formula must be smooth, such as a difference or a ratio.
        """
        value, *slopes = _tangent(formula, np.array([self.means[key] for key in keys]))
        if np.isnan(value):
            return Estimate()
        return _estimate(value, sum(slope * self._columns[key] for slope, key in zip(slopes, keys, strict=True)))

    @cached_property
    def draws(self) -> dict[Key, Values]:
        """(B,) resampled means of each column, for what is not smooth; columns of one shape share the draws."""
        found: dict[Key, Values] = {}
        for shape in dict.fromkeys(column.shape for column in self._columns.values()):
            found |= hierarchical_bootstrap({key: one for key, one in self._columns.items() if one.shape == shape})
        return found


def mean_estimate(values: ArrayLike) -> Estimate:
    """The mean of `values` (S, Q), or (Q,) for one seed; undefined if there are none."""
    return Means({"": values}).mean("") if np.size(values) else Estimate()


def ratio(part: ArrayLike, whole: ArrayLike) -> Values:
    """part / whole, a formula for `Means.estimate`; NaN where there is nothing to divide by. Shapes broadcast."""
    parts, wholes = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    found: Values = np.full(parts.shape, np.nan)
    np.divide(parts, wholes, out=found, where=wholes > 0)
    return found


def _estimate(value: float | np.float64, contributions: ArrayLike) -> Estimate:
    if np.isnan(value):
        return Estimate()
    found = spread(contributions)
    if found is None:
        return Estimate(float(value))
    margin = found.margin()
    return Estimate(float(value), float(value - margin), float(value + margin))


def _tangent(formula: Callable[..., ArrayLike], centre: Values) -> list[float]:
    """The value of `formula` at `centre` (K,), and its K slopes."""
    steps = _STEP * np.eye(len(centre))
    points = np.concatenate([centre[None], centre - steps, centre + steps])
    value, *ends = np.broadcast_to(np.asarray(formula(*points.T), np.float64), len(points)).tolist()
    below, above = ends[: len(centre)], ends[len(centre) :]
    return [value, *((high - low) / (2 * _STEP) for low, high in zip(below, above, strict=True))]


def _mean(column: Values) -> np.float64:
    if column.size and not np.isnan(mean := column.mean()):
        return np.float64(mean)
    return np.float64(np.nan if np.isnan(column).all() else np.nanmean(column))

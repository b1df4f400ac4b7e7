"""Intervals over seeds and queries. Knows nothing of torch.

The one estimator of the project is the **hierarchical bootstrap**: of S seeds, S are drawn with replacement,
then of Q queries Q are drawn; 95% percentile intervals. All seeds of a draw share its queries, for they are the
same images whatever the seed: drawing again for each seed would take S·Q measurements for independent ones and
make the intervals too narrow. With one seed it is the ordinary bootstrap over queries.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.estimate import Estimate

RESAMPLES = 1000
LEVEL = 0.95
_BLOCK_VALUES = 2**19
"""Weights as float64 at once: 4 MiB, which stays in the processor's cache."""

Values = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)


def hierarchical_bootstrap(
    columns: Mapping[Key, ArrayLike], resamples: int = RESAMPLES, seed: int = 0
) -> dict[Key, Values]:
    """Resampled means (B,) of each column (S, Q), or (Q,) for one seed.

    The draws are the same for all columns, and for all calls with the same S, Q, `resamples` and `seed`: so any
    statistic of several means, such as Γ, is computed on the returned arrays element by element, and its
    `percentile_interval` is a paired one. NaN values (queries without a relevant item) enter no mean. Columns of
    one call must have one shape. Pass many columns at once rather than one by one: it is one matrix product.
    """
    stacked = np.stack([np.atleast_2d(np.asarray(column, dtype=np.float64)) for column in columns.values()])
    number, seeds, queries = stacked.shape
    values = stacked.reshape(number * seeds, queries)
    present = ~np.isnan(values)
    _, first, pattern = np.unique(np.packbits(present, axis=1), axis=0, return_index=True, return_inverse=True)
    summands = np.concatenate([np.where(present, values, 0), present[first]]).T
    sums = np.concatenate([weights @ summands for weights in _blocks(_query_draws(queries, resamples, seed))])
    totals, counts = np.split(sums, [len(values)], axis=1)
    with np.errstate(invalid="ignore"):  # a draw without any present query has no mean
        means = totals / counts[:, pattern.ravel()]
    generator = np.random.default_rng([seed, 1])
    drawn = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    averaged = np.einsum("bks,bs->kb", means.reshape(resamples, number, seeds), drawn / seeds)
    return dict(zip(columns, averaged, strict=True))


def percentile_interval(samples: ArrayLike, level: float = LEVEL) -> tuple[float, float] | tuple[None, None]:
    """The central `level` of resampled values (B,).

    Undefined samples (NaN: say Γ where a draw leaves nothing to gain) are left out as long as they are fewer than
    1 − level of all; where they are more, the data cannot even say that the statistic exists: (None, None).
    """
    values = np.asarray(samples, dtype=np.float64)
    defined = values[~np.isnan(values)]
    if not len(defined) or len(defined) < level * len(values):
        return None, None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


class Bootstrap(Generic[Key]):
    """Means of columns and their resampled means, the source of every number of a comparison and its interval.

    Columns (S, Q), or (Q,) for one seed, of equal shape share the draws.
    """

    def __init__(self, columns: Mapping[Key, ArrayLike]) -> None:
        values = {key: np.asarray(column, dtype=np.float64) for key, column in columns.items()}
        self.means = {key: _mean(column) for key, column in values.items()}
        """NaN where a column has no value."""
        self.draws: dict[Key, Values] = {}
        """(B,) of each column."""
        for shape in dict.fromkeys(column.shape for column in values.values()):
            self.draws |= hierarchical_bootstrap({key: one for key, one in values.items() if one.shape == shape})

    def estimate(self, formula: Callable[..., ArrayLike | None], *keys: Key) -> Estimate:
        """`formula` of the means of these columns, with the interval of the same formula of their resampled means."""
        value = formula(*(self.means[key] for key in keys))
        return interval_estimate(value, formula(*(self.draws[key] for key in keys)))

    def mean(self, key: Key) -> Estimate:
        """The mean of one column."""
        return interval_estimate(self.means[key], self.draws[key])


def interval_estimate(value: ArrayLike | None, samples: ArrayLike | None) -> Estimate:
    """A value with the interval of its resampled values (B,); undefined if the value is None or NaN."""
    if value is None or samples is None or np.isnan(value):
        return Estimate()
    return Estimate(float(np.asarray(value)), *percentile_interval(samples))


def mean_estimate(values: ArrayLike) -> Estimate:
    """The mean of `values` (S, Q), or (Q,) for one seed; undefined if there are none."""
    return Bootstrap({"": values}).mean("") if np.size(values) else Estimate()


def _mean(column: Values) -> np.float64:
    return np.float64(np.nan if np.isnan(column).all() else np.nanmean(column))


@lru_cache(maxsize=8)
def _query_draws(queries: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    """How often each query is in each draw, (B, Q). A count above 255 has a chance below 1e-500."""
    generator = np.random.default_rng([seed, 0])
    draws = np.empty((resamples, queries), dtype=np.uint8)
    for row in draws:
        row[:] = np.bincount(generator.integers(0, queries, size=queries), minlength=queries)
    return draws


def _blocks(draws: NDArray[np.uint8]) -> Iterator[Values]:
    """Draws as float64 weights, some rows at a time."""
    height = max(1, _BLOCK_VALUES // draws.shape[1])
    for begin in range(0, len(draws), height):
        yield draws[begin : begin + height].astype(np.float64)

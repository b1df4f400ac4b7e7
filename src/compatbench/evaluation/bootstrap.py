"""Resampled means over seeds and queries, for ranks and counts. Knows nothing of torch.

A draw takes the Q queries with replacement, the same ones for all seeds, for they are the same samples whatever the
seed. Of a few seeds no draw with replacement shows how far their mean may be off (of three, one draw in nine takes
one seed three times, and the variance comes out a third too small), so their mean moves along the differences
between them by a normal vector over an independent χ: in every direction by Student's t with S − 1 degrees of freedom.
With one seed it is the ordinary bootstrap over queries.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.spread import LEVEL

RESAMPLES = 1000
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
    averaged = np.einsum("bks,bs->kb", means.reshape(resamples, number, seeds), _seed_weights(seeds, resamples, seed))
    return dict(zip(columns, averaged, strict=True))


def percentile_interval(samples: ArrayLike) -> tuple[float, float] | tuple[None, None]:
    """The central 95% of resampled values (B,).

    Undefined samples (NaN: say Γ where a draw leaves nothing to gain) are left out as long as they are fewer than
    1 − LEVEL of all; where they are more, the data cannot even say that the statistic exists: (None, None).
    """
    values = np.asarray(samples, dtype=np.float64)
    defined = values[~np.isnan(values)]
    if not len(defined) or len(defined) < LEVEL * len(values):
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def interval_estimate(value: ArrayLike | None, samples: ArrayLike | None) -> Estimate:
    """A value with the interval of its resampled values (B,); undefined if the value is None or NaN."""
    if value is None or samples is None or np.isnan(value):
        return Estimate()
    return Estimate(float(np.asarray(value)), *percentile_interval(samples))


def _seed_weights(seeds: int, resamples: int, seed: int) -> Values:
    """The weight of each seed in each draw, (B, S); a draw's weights add up to 1."""
    weights = np.full((resamples, seeds), 1 / seeds)
    if seeds == 1:
        return weights
    generator = np.random.default_rng([seed, 1])
    moved = generator.normal(size=(resamples, seeds))
    moved -= moved.mean(axis=1, keepdims=True)
    chi = np.sqrt(generator.chisquare(seeds - 1, size=(resamples, 1)) / (seeds - 1))
    weights += moved / (chi * np.sqrt(seeds * (seeds - 1)))
    return weights


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

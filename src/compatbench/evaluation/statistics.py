"""Intervals and tests over seeds and queries. Knows nothing of torch.

The one estimator of the project is the **hierarchical bootstrap**: of S seeds, S are drawn with replacement,
then of Q queries Q are drawn; 95% percentile intervals. All seeds of a draw share its queries, for they are the
same images whatever the seed: drawing anew for each seed would take S·Q measurements for independent ones and
make the intervals too narrow. With one seed it is the ordinary bootstrap over queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000
LEVEL = 0.95
PERMUTATIONS = 10_000
_BLOCK_VALUES = 2**19
"""Weights or signs held as float64 at once: 4 MiB, which stays in the processor's cache."""

Values = NDArray[np.float64]


def hierarchical_bootstrap(
    columns: Mapping[str, ArrayLike], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Values]:
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


def bootstrap_interval(
    values: ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | tuple[None, None]:
    """95% hierarchical bootstrap interval of the mean of `values` (S, Q), or (Q,) for one seed."""
    column = np.asarray(values, dtype=np.float64)
    if not column.size:
        return None, None
    return percentile_interval(hierarchical_bootstrap({"mean": column}, resamples, seed)["mean"])


def paired_permutation_test(
    first: ArrayLike, second: ArrayLike, permutations: int = PERMUTATIONS, seed: int = 0
) -> NDArray[np.float64]:
    """Two-sided p-values of mean(first) = mean(second), for per-query values (…, S, Q); the result is (…).

    A query's difference is averaged over the seeds; under the null hypothesis its sign is a fair coin, so the sum
    of differences is compared with sums of randomly flipped ones: p = (1 + #{|T*| ≥ |T|}) / (1 + permutations).
    A query that is NaN on one side is left out. Leading dimensions are several tests on shared signs, which costs
    hardly more than one.
    """
    pairs = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    differences = np.nan_to_num(pairs.mean(axis=-2))
    flat = differences.reshape(-1, differences.shape[-1])
    total = flat.sum(axis=1)
    reached = np.abs(total) - 1e-12 * np.abs(flat).sum(axis=1)  # equal sums differ by rounding
    extreme = np.zeros(len(flat))
    generator = np.random.default_rng(seed)
    height = max(1, _BLOCK_VALUES // flat.shape[1])
    for begin in range(0, permutations, height):
        coins = generator.integers(0, 2, size=(min(height, permutations - begin), flat.shape[1]), dtype=np.uint8)
        extreme += (np.abs(2 * (coins.astype(np.float64) @ flat.T) - total) >= reached).sum(axis=0)
    return ((1 + extreme) / (1 + permutations)).reshape(differences.shape[:-1])


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

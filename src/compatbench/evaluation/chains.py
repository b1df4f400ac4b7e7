"""Numbers of a chain of generations (protocol §3) with intervals, from per-query scores. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.compatibility import chain_numbers
from compatbench.evaluation.statistics import hierarchical_bootstrap, percentile_interval

CHAIN_NUMBERS = ("AC", "AC_strict", "AC_significant", "AM", "BC", "FC")
ROUNDING = 1e-12
"""Means closer than this differ by the order of summation only."""

Entries = Mapping[tuple[int, int], ArrayLike]
"""Per-query scores (S, Q), or (Q,) for one seed, of M[query][gallery] for all gallery ≤ query."""


@dataclass(frozen=True)
class ChainNumber:
    """One number of a chain with its 95% interval, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


def chain_estimates(entries: Entries) -> dict[str, ChainNumber]:
    """`chain_numbers` of a chain of T ≥ 2 generations by name, with hierarchical bootstrap intervals.

    AC_significant counts a pair i > j as violated where the 95% interval of M_ij − M_jj lies below 0. It rests on
    intervals and has none of its own.
    """
    size = 1 + max(query for query, _ in entries)
    columns = {f"{query},{gallery}": values for (query, gallery), values in entries.items()}
    means = {place: np.asarray(float(np.nanmean(np.asarray(values)))) for place, values in columns.items()}
    draws = hierarchical_bootstrap(columns)
    samples = _matrix(draws, size)
    numbers = chain_numbers(_matrix(means, size), _below(samples), ROUNDING)
    resampled = chain_numbers(samples, None, ROUNDING)
    return {
        name: ChainNumber(float(value), *(percentile_interval(resampled[name]) if name in resampled else ()))
        for name, value in numbers.items()
    }


def _matrix(values: Mapping[str, NDArray[np.float64]], size: int) -> NDArray[np.float64]:
    """(…, T, T) from one array (…,) an entry; NaN above the diagonal."""
    shape = next(iter(values.values())).shape
    matrix = np.full((*shape, size, size), np.nan)
    for place, value in values.items():
        query, gallery = (int(word) for word in place.split(","))
        matrix[..., query, gallery] = value
    return matrix


def _below(samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T, T): where the paired interval of M_ij − M_jj, from resampled matrices (B, T, T), lies below 0."""
    size = samples.shape[-1]
    flags = np.zeros((size, size), dtype=np.bool_)
    for query in range(size):
        for gallery in range(query):
            _, high = percentile_interval(samples[:, query, gallery] - samples[:, gallery, gallery])
            flags[query, gallery] = high is not None and high < -ROUNDING
    return flags

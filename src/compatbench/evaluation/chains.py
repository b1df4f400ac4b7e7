"""Numbers of a chain of generations (protocol §3) with intervals, from per-query scores. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.compatibility import chain_numbers
from compatbench.evaluation.statistics import hierarchical_bootstrap, percentile_interval

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
    means = {at: np.asarray(float(np.nanmean(np.asarray(values)))) for at, values in entries.items()}
    samples = _resampled(entries)
    numbers = chain_numbers(_matrix(means), _below(samples), ROUNDING)
    resampled = chain_numbers(samples, None, ROUNDING)
    return {
        name: ChainNumber(float(value), *(percentile_interval(resampled[name]) if name in resampled else ()))
        for name, value in numbers.items()
    }


def violations(entries: Entries) -> NDArray[np.bool_]:
    """(T, T): the pairs i > j where the 95% interval of M_ij − M_jj lies below 0."""
    return _below(_resampled(entries))


def _resampled(entries: Entries) -> NDArray[np.float64]:
    """(B, T, T) resampled matrices; all entries share the draws."""
    names = {f"{query},{gallery}": (query, gallery) for query, gallery in entries}
    draws = hierarchical_bootstrap({name: entries[at] for name, at in names.items()})
    return _matrix({names[name]: values for name, values in draws.items()})


def _matrix(values: Mapping[tuple[int, int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """(…, T, T) from one array (…,) an entry; NaN above the diagonal."""
    size = 1 + max(query for query, _ in values)
    matrix = np.full((*values[0, 0].shape, size, size), np.nan)
    for (query, gallery), value in values.items():
        matrix[..., query, gallery] = value
    return matrix


def _below(samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T, T): where the interval of M_ij − M_jj over resampled matrices (B, T, T) lies below 0."""
    size = samples.shape[-1]
    flags = np.zeros((size, size), dtype=np.bool_)
    for query in range(size):
        for gallery in range(query):
            _, high = percentile_interval(samples[:, query, gallery] - samples[:, gallery, gallery])
            flags[query, gallery] = high is not None and high < -ROUNDING
    return flags

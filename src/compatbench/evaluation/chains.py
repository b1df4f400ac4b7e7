"""Numbers of a chain of generations (protocol §3) with intervals, from per-query scores. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.bootstrap import interval_estimate
from compatbench.evaluation.compatibility import chain_numbers
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import Means
from compatbench.evaluation.significance import sign
from compatbench.evaluation.spread import ROUNDING

Entries = Mapping[tuple[int, int], ArrayLike]
"""Per-query scores (S, Q), or (Q,) for one seed, of M[query][gallery] for all gallery ≤ query."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The matrix of a chain of T generations, and the numbers made of it."""

    matrix: NDArray[np.float64]
    """(T, T) means over seeds and queries; NaN above the diagonal."""
    entries: Mapping[tuple[int, int], Estimate]
    """The same with intervals."""
    below: NDArray[np.bool_]
    """(T, T): the pairs i > j where the 95% interval of M_ij − M_jj lies below 0."""
    numbers: Mapping[str, Estimate]
    """By name; AC_significant rests on intervals and has none of its own."""


def chain_estimates(entries: Entries) -> Chain:
    """Of a chain of T ≥ 2 generations; the intervals of its numbers are those of draws that all entries share."""
    found = Means(entries)
    matrix = _matrix({at: np.asarray(mean) for at, mean in found.means.items()})
    samples = _matrix(found.draws)
    below = np.zeros(matrix.shape, dtype=np.bool_)
    for query, gallery in entries:
        if gallery < query:
            difference = found.estimate(np.subtract, (query, gallery), (gallery, gallery))
            below[query, gallery] = sign(difference) < 0
    resampled = chain_numbers(samples, None, ROUNDING)
    numbers = {
        name: interval_estimate(value, resampled[name]) if name in resampled else Estimate(float(value))
        for name, value in chain_numbers(matrix, below, ROUNDING).items()
    }
    return Chain(matrix, {at: found.mean(at) for at in entries}, below, numbers)


def _matrix(values: Mapping[tuple[int, int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """(…, T, T) from one array (…,) an entry; NaN above the diagonal."""
    size = 1 + max(query for query, _ in values)
    matrix = np.full((*values[0, 0].shape, size, size), np.nan)
    for (query, gallery), value in values.items():
        matrix[..., query, gallery] = value
    return matrix

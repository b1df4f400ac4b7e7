"""How well and how fast an index answers: recall against exact search, rate and latency.

With an index of old vectors and queries of a new model this asks whether the index, its graph or its centroids and
codebooks, still serves queries that it was not made for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.evaluation.indexes import BuiltIndex, Matrix, build
from compatbench.evaluation.similarity import valid_norms
from compatbench.vocabulary import IndexKind

ROUNDING = 1e-6
"""Cosines that differ by less are equal: float32 sums depend on their order."""


@dataclass(frozen=True)
class SearchNumbers:
    """The numbers of one index with one set of queries."""

    k: int
    queries: int
    repeats: int
    recall: float
    """Share of an index's first `k` that are as near as exact search's `k`-th, over the queries."""
    queries_per_second: float
    """All queries in one call, median over the repeats."""
    p50_ms: float
    """Latency of a query that is asked alone, in milliseconds: median over the queries, then over the repeats."""
    p99_ms: float
    """The same at the 99th percentile of the queries."""


@dataclass(frozen=True, eq=False)
class SearchQueries:
    """Queries for the vectors of an index, with the answers of exact search."""

    query: Matrix
    """(Q, D) unit vectors."""
    vectors: Matrix
    """(N, D) unit vectors that are searched."""
    own: NDArray[np.int64]
    """(Q,) row of the query's own item, which it skips; −1 where there is none."""
    k: int
    threshold: NDArray[np.float32]
    """(Q,) cosine of the `k`-th nearest."""

    @classmethod
    def of(cls, query: Matrix, vectors: Matrix, own: NDArray[np.int64] | None = None, k: int = 10) -> SearchQueries:
        """Of queries (Q, D) and vectors (N, D), both of unit length; `k` is at most the number of other vectors.

        Raises ValueError for unequal dimensions.
        """
        if query.shape[1] != vectors.shape[1]:
            raise ValueError(f"query vectors have {query.shape[1]} dimensions, gallery vectors {vectors.shape[1]}")
        rows = np.full(len(query), -1) if own is None else own
        most = min(k, len(vectors) - int((rows >= 0).any()))
        if most < 1:
            raise ValueError("there is nothing to find but the query itself")
        nearest = _others(
            build(IndexKind.FLAT, vectors).index.search(query, min(most + 1, len(vectors)))[1], rows, most
        )
        cosines = _cosines(query, vectors, nearest)
        return cls(query, vectors, rows, most, cosines.min(axis=1))

    def recall(self, found: NDArray[np.int64]) -> float:
        """Of rows (Q, ≥ k), best first, −1 for a missing one; the query's own is skipped."""
        first = _others(found, self.own, self.k)
        near = _cosines(self.query, self.vectors, first) >= self.threshold[:, None] - ROUNDING
        return float((near & (first >= 0)).mean())


def measure_search(built: BuiltIndex, queries: SearchQueries, repeats: int = 3) -> SearchNumbers:
    """Search an index of `queries.vectors`, on as many threads as Faiss has (see `faiss_threads`)."""
    index, query = built.index, queries.query
    k = min(queries.k + 1, len(queries.vectors))  # the query's own is skipped
    recall = queries.recall(index.search(query, k)[1])  # warms the caches too
    batches, medians, tails = [], [], []
    for _ in range(repeats):
        batches.append(_seconds(index, query, k))
        latencies = [1000 * _seconds(index, query[row : row + 1], k) for row in range(len(query))]
        medians.append(np.median(latencies))
        tails.append(np.percentile(latencies, 99))
    return SearchNumbers(
        k=queries.k,
        queries=len(query),
        repeats=repeats,
        recall=recall,
        queries_per_second=float(len(query) / np.median(batches)),
        p50_ms=float(np.median(medians)),
        p99_ms=float(np.median(tails)),
    )


def unit_rows(values: NDArray[np.float32], side: str) -> Matrix:
    """Vectors (N, D) scaled to unit length, in memory row by row.

    Raises InvalidResultError, naming the `side`, for vectors that are NaN, infinite or zero.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    norms = valid_norms(tensor, side)
    unit: Matrix = torch.where((norms - 1).abs() < ROUNDING, tensor, tensor / norms).numpy()
    return unit


def _seconds(index: Any, query: Matrix, k: int) -> float:
    started = time.perf_counter()
    index.search(query, k)
    return time.perf_counter() - started


def _others(found: NDArray[np.int64], own: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The first `k` of each row of `found` (Q, ≥ k) that are not its `own` (Q,)."""
    order = np.argsort(found == own[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, order, axis=1)


def _cosines(query: Matrix, vectors: Matrix, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(Q, k) of unit vectors at `rows` (Q, k)."""
    cosines: NDArray[np.float32] = np.einsum("qd,qkd->qk", query, vectors[rows])
    return cosines

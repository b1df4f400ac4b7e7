"""Faiss indexes of unit vectors, with sizes from the number of vectors and their dimensions alone.

    flat    every vector is looked at: exact
    hnsw    a graph of 32 links a vector (64 at its lowest level); Faiss's own breadths, 40 to build and 16 to search
    ivfpq   L = min(4·√N, N/39) inverted lists, of which L/16 are searched, and product-quantised residuals:
            m = min(⌈D/4⌉, 64) parts of b = min(8, log2(N/39)) bits each, all rounded down but for L/16

39 training points a centroid are what Faiss asks for. Where m does not divide D, zeros are put between the dimensions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, isqrt, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.vocabulary import IndexKind

RULES = 1
"""Raised when they change."""

HNSW_LINKS = 32
TRAINING_POINTS = 39
MOST_BITS = 8
PART_DIMENSIONS, MOST_PARTS = 4, 64
LISTS_A_PROBE = 16
KMEANS_ITERATIONS = 10
"""Of lists and codebooks; 25 for the latter, Faiss's own choice, took twice as long for half a point of recall."""

Matrix = NDArray[np.float32]


def inverted_lists(size: int, dim: int) -> tuple[int, int, int, int]:
    """Lists, probes, parts and bits of an IVF-PQ index, by the rules above, for `size` ≥ 2 · 39 vectors (·, `dim`)."""
    points = size // TRAINING_POINTS
    lists = max(1, min(isqrt(16 * size), points))
    parts = min(ceil(dim / PART_DIMENSIONS), MOST_PARTS)
    return lists, ceil(lists / LISTS_A_PROBE), parts, max(1, min(int(log2(max(2, points))), MOST_BITS))


@dataclass(frozen=True, eq=False)
class BuiltIndex:
    """A filled index, and the cost of building it."""

    index: Any
    build_seconds: float
    """Training and adding, or adding alone where it was trained before."""

    @property
    def bytes_per_vector(self) -> float:
        """The index as Faiss writes it to a file, codebooks and links included, divided by its vectors."""
        import faiss

        return float(faiss.serialize_index(self.index).size / self.index.ntotal)

    def refilled(self, vectors: Matrix) -> BuiltIndex:
        """The same index, as it was trained, with other unit vectors (N, D) in place of its own."""
        import faiss

        index = faiss.clone_index(self.index)
        index.reset()
        return _filled(index, vectors)


def kinds(size: int) -> tuple[IndexKind, ...]:
    """The kinds of index possible for `size` vectors: IVF-PQ needs 2 · 39 of them for its training."""
    return tuple(kind for kind in IndexKind if kind is not IndexKind.IVFPQ or size >= 2 * TRAINING_POINTS)


def build(kind: str, vectors: Matrix, repeats: int = 1) -> BuiltIndex:
    """An index of `kind`, trained, if it needs training, and filled with the unit vectors (N, D).

    The time is the median over `repeats` builds.
    """
    several = [_filled(_empty(kind, *vectors.shape), vectors) for _ in range(repeats)]
    return replace(several[-1], build_seconds=float(np.median([one.build_seconds for one in several])))


def _filled(index: Any, vectors: Matrix) -> BuiltIndex:
    started = time.perf_counter()
    if not index.is_trained:
        index.train(vectors)
    index.add(vectors)
    return BuiltIndex(index, time.perf_counter() - started)


def _empty(kind: str, size: int, dim: int) -> Any:
    """On unit vectors the order by L2 distance is that by cosine, and HNSW wants a metric."""
    import faiss

    if kind == IndexKind.FLAT:
        return faiss.IndexFlatL2(dim)
    if kind == IndexKind.HNSW:
        return faiss.IndexHNSWFlat(dim, HNSW_LINKS)
    lists, probes, parts, bits = inverted_lists(size, dim)
    padded = parts * ceil(dim / parts)
    index = faiss.IndexIVFPQ(faiss.IndexFlatL2(padded), padded, lists, parts, bits)
    index.nprobe = probes
    index.cp.niter = index.pq.cp.niter = KMEANS_ITERATIONS
    if padded == dim:
        return index
    return faiss.IndexPreTransform(faiss.RemapDimensionsTransform(dim, padded, True), index)  # type: ignore[arg-type]


@contextmanager
def faiss_threads(threads: int) -> Iterator[None]:
    """Let Faiss use so many threads within the block, whatever it used before; torch's own are not touched."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)

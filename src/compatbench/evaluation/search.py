"""Speed and recall of Faiss indexes on real embeddings.

An index is built on the gallery it is given; with an old gallery and new queries this asks whether an index of
old vectors still answers new queries as well as an exhaustive search does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.evaluation.similarity import valid_norms

HNSW_LINKS = 32
IVF_PROBES = 16
PQ_BITS = 8
TRAINING_POINTS = 39
"""Per centroid; with fewer, Faiss itself warns."""

Matrix = NDArray[np.float32]


def search_speed(
    query: Matrix,
    gallery: Matrix,
    k: int = 10,
    repeats: int = 3,
    threads: int = 1,
    indexes: Sequence[str] = ("hnsw", "ivfpq"),
) -> dict[str, float]:
    """Cosine search of `query` (Q, D) in Faiss `indexes` of `gallery` (N, D), HNSW with 32 links.

    faiss_flat_qps, faiss_hnsw_qps  queries a second, median over `repeats`
    faiss_hnsw_recall               share of the exhaustive search's `k` nearest that the index finds too
    faiss_hnsw_build_seconds        building the index
    bytes_per_vector                4·D, what one stored float32 vector takes
    faiss_ivfpq_…                   qps, recall, build_seconds and bytes_per_vector (the code) of IVF-PQ, where
                                    the gallery is large enough to train it

    Runs on `threads` threads. Raises ValueError for unequal dimensions and InvalidResultError for vectors that
    are NaN, infinite or zero.
    """
    import faiss

    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"query vectors have {query.shape[1]} dimensions, gallery vectors {gallery.shape[1]}")
    # unit vectors: L2 order is cosine order, and HNSW wants a metric
    query, gallery = _unit(query, "query"), _unit(gallery, "gallery")
    k = min(k, len(gallery))
    with _faiss_threads(faiss, threads):
        flat = faiss.IndexFlatL2(gallery.shape[1])
        flat.add(gallery)
        numbers = {"faiss_flat_qps": _queries_per_second(flat, query, k, repeats)}
        truth = flat.search(query, k)[1]
        for name, index in _approximate_indexes(faiss, gallery):
            if name not in indexes:
                continue
            started = time.perf_counter()
            if not index.is_trained:
                index.train(gallery)
            index.add(gallery)
            numbers[f"faiss_{name}_build_seconds"] = time.perf_counter() - started
            numbers[f"faiss_{name}_qps"] = _queries_per_second(index, query, k, repeats)
            numbers[f"faiss_{name}_recall"] = recall(index.search(query, k)[1], truth)
            if name == "ivfpq":
                numbers["faiss_ivfpq_bytes_per_vector"] = float(index.code_size)
    return numbers | {"bytes_per_vector": 4.0 * gallery.shape[1]}


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Share of the items of `truth` (Q, k) that are in the same row of `found` (Q, k)."""
    return float((truth[:, :, None] == found[:, None, :]).any(axis=2).mean())


def _approximate_indexes(faiss: Any, gallery: Matrix) -> Iterator[tuple[str, Any]]:
    size, dim = gallery.shape
    yield "hnsw", faiss.IndexHNSWFlat(dim, HNSW_LINKS)
    if size >= TRAINING_POINTS * 2**PQ_BITS:
        lists = min(round(4 * size**0.5), size // TRAINING_POINTS)
        subspaces = max(number for number in range(1, 17) if dim % number == 0)
        inverted = faiss.IndexIVFPQ(faiss.IndexFlatL2(dim), dim, lists, subspaces, PQ_BITS)
        inverted.nprobe = IVF_PROBES
        yield "ivfpq", inverted


def _queries_per_second(index: Any, query: Matrix, k: int, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        index.search(query, k)
        seconds.append(time.perf_counter() - started)
    return float(len(query) / np.median(seconds))


def _unit(values: Matrix, side: str) -> Matrix:
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    unit: Matrix = (tensor / valid_norms(tensor, side)).numpy()
    return unit


@contextmanager
def _faiss_threads(faiss: Any, threads: int) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)

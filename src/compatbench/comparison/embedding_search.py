"""Index search between two files of embeddings: indexes of the old vectors; old, new and adapted queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.comparison.inputs import PairedItems
from compatbench.evaluation.indexes import BuiltIndex, Matrix, build, faiss_threads, kinds
from compatbench.evaluation.search import SearchNumbers, SearchQueries, measure_search, unit_rows
from compatbench.generations.adapters import FittedAdapter, unit
from compatbench.method import to_dim
from compatbench.storage.artefacts import Notify
from compatbench.vocabulary import IndexKind


@dataclass(frozen=True)
class FileSearch:
    """The numbers of one index with one set of queries."""

    index: str
    """`flat`, `hnsw` or `ivfpq`."""
    searched: str
    """Which queries, which vectors."""
    numbers: SearchNumbers
    build_seconds: float
    bytes_per_vector: float


@dataclass(frozen=True, eq=False)
class _Entry:
    """Stored vectors, and the queries that search them by name."""

    name: str
    vectors: Matrix
    queries: Mapping[str, SearchQueries]
    refill: bool = False
    """The vectors after a backfill: also searched in the index that was trained on the old ones."""


def search_embeddings(
    items: PairedItems,
    adapters: Mapping[str, FittedAdapter],
    *,
    queries: int = 1000,
    k: int = 10,
    repeats: int = 3,
    threads: int = 1,
    seed: int = 0,
    notify: Notify = lambda line: None,
) -> Iterator[FileSearch]:
    """Every kind of Faiss index of all items, searched by `queries` of them, drawn by `seed`; each skips itself.

    The old queries search the old vectors, and so do the new ones unmapped (cut or filled with zeros to the old
    dimension) and mapped by each of the `adapters`. An adapter that rewrites old vectors has an index of
    its own, and so have the new vectors. New vectors of the old dimension are also put into the index that was trained
    on the old ones, where its kind is trained at all. Times are medians over `repeats`, on so many `threads`.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(items))[:queries])
    entries = list(_entries(items, adapters, rows, k))
    with faiss_threads(threads):
        for kind in kinds(len(items)):
            trained: BuiltIndex | None = None
            for entry in entries:
                notify(f"{kind}: {entry.name}")
                built = build(kind, entry.vectors, repeats)
                trained = trained or built
                yield from _searched(kind, entry, built, repeats)
                if entry.refill and kind is IndexKind.IVFPQ and entry.vectors.shape[1] == entries[0].vectors.shape[1]:
                    refilled = trained.refilled(entry.vectors)
                    yield from _searched(kind, entry, refilled, repeats, ", in the index that was trained on old ones")


def _searched(kind: str, entry: _Entry, built: BuiltIndex, repeats: int, where: str = "") -> Iterator[FileSearch]:
    for name, queries in entry.queries.items():
        numbers = measure_search(built, queries, repeats)
        yield FileSearch(kind, f"{name} on {entry.name}{where}", numbers, built.build_seconds, built.bytes_per_vector)


def _entries(
    items: PairedItems, adapters: Mapping[str, FittedAdapter], rows: NDArray[np.intp], k: int
) -> Iterator[_Entry]:
    """The old vectors first."""
    everything = np.arange(len(items))
    old, new = items.old_vectors(everything), items.new_vectors(everything)

    def search_queries(query: torch.Tensor, vectors: Matrix) -> SearchQueries:
        return SearchQueries.of(unit_rows(query.numpy(), "query"), vectors, rows, k)

    stored = unit_rows(old.numpy(), "old")
    asked = {"old queries": old[rows], "new queries, no adapter": unit(to_dim(new[rows], old.shape[1]))}
    asked |= {
        f"new queries, {name}": adapter.query(new[rows], old[rows])
        for name, adapter in adapters.items()
        if adapter.maps.gallery is None
    }
    yield _Entry("old vectors", stored, {name: search_queries(query, stored) for name, query in asked.items()})
    for name, adapter in adapters.items():
        if adapter.maps.gallery is not None:
            rewritten = unit_rows(adapter.gallery(old).numpy(), "rewritten")
            mapped = search_queries(adapter.query(new[rows], old[rows]), rewritten)
            yield _Entry("rewritten old vectors", rewritten, {f"new queries, {name}": mapped})
    served = {"new queries": new} | {
        f"new queries, {name}": adapter.new(new, old)
        for name, adapter in adapters.items()
        if adapter.maps.new is not None
    }
    for name, values in served.items():
        vectors = unit_rows(values.numpy(), "new")
        yield _Entry("new vectors", vectors, {name: search_queries(values[rows], vectors)}, refill=True)

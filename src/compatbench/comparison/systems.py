"""The systems of a comparison: the queries of each, and its version of the gallery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.comparison.comparison import FULL_BACKFILL, ORACLE, STATUS_QUO, UNADAPTED
from compatbench.comparison.fitting import Fit
from compatbench.comparison.inputs import PairedItems
from compatbench.data.vectors.pairing import Rows
from compatbench.evaluation.hamming import queries_of_signs, stored_signs
from compatbench.evaluation.oracle import oracle_queries
from compatbench.evaluation.relevance import Relevance
from compatbench.evaluation.scoring import Chunks, MadeVersions, System
from compatbench.evaluation.similarity import Ranking
from compatbench.generations.adapters import FittedAdapter
from compatbench.method import to_dim
from compatbench.vocabulary import Similarity

OLD, NEW = "old", "new"
"""The versions of the gallery that need no adapter."""

_TIMED_QUERIES = 100

Version = Callable[[Tensor, Tensor], Tensor]
"""New and old vectors of a chunk of the gallery, (n, D_n) and (n, D_o), to what is stored."""


def self_test(name: str) -> str:
    """The name of an adapter's system after a backfill, if it maps new vectors too."""
    return f"{name} after a backfill"


@dataclass(frozen=True, eq=False)
class Sides:
    """Unit vectors by both models, and their former lengths."""

    new: Tensor
    """(n, D_n)"""
    old: Tensor
    """(n, D_o)"""
    new_lengths: Tensor
    """(n,)"""
    old_lengths: Tensor
    """(n,)"""

    @classmethod
    def of(cls, items: PairedItems, rows: Rows) -> Sides:
        """Of these rows."""
        new, old = torch.from_numpy(items.raw_new(rows)), torch.from_numpy(items.raw_old(rows))
        return cls(F.normalize(new), F.normalize(old), _lengths(new), _lengths(old))


def build_systems(
    fits: Sequence[Fit],
    queries: Sides,
    relevance: Relevance,
    gallery: PairedItems,
    searched: Rows,
    similarity: Similarity = Similarity.COSINE,
    usual_length: float = 1.0,
) -> tuple[dict[str, System], Chunks]:
    """All systems, by name, for the `queries`, and the passes over the `searched` part of the gallery.

    Mapped queries have the `usual_length` of old vectors; stored vectors keep the lengths that they had.
    """
    new, old = queries.new, queries.old
    versions: dict[str, Version] = {OLD: lambda new, old: old, NEW: lambda new, old: new}
    by_new_model = {NEW}
    usual = torch.full((len(old),), usual_length)
    cut = to_dim(new * queries.new_lengths[:, None], old.shape[1])
    asked = {
        STATUS_QUO: (old, queries.old_lengths, OLD),
        FULL_BACKFILL: (new, queries.new_lengths, NEW),
        UNADAPTED: (F.normalize(to_dim(new, old.shape[1])), _lengths(cut), OLD),
    }
    if gallery.documents is None:  # the mean of a document's vectors may be far from its best one
        asked[ORACLE] = oracle_queries(relevance, _old_vectors(gallery, searched), OLD, old), usual, OLD
    for fit in fits:
        if fit.adapter is None:
            continue
        name, adapter = fit.plugin.name, fit.adapter
        if adapter.maps.gallery is not None:
            versions[name] = _rewritten(adapter)
        asked[name] = (adapter.query(new, old), usual, name if name in versions else OLD)
        if adapter.maps.new is not None:
            after = self_test(name)
            versions[after] = adapter.new
            by_new_model.add(after)
            asked[after] = (adapter.new(new, old), queries.new_lengths, after)
    longest = max(float(lengths.max()) for _, lengths, _ in asked.values())
    longest = max(longest, *(high for _, high in gallery.lengths))
    ranking = Ranking.of(similarity, longest, across_queries=True)
    tables = {OLD: gallery.old, NEW: gallery.new}
    signs = {name for name, one in tables.items() if similarity is Similarity.COSINE and one.packed_bits}
    systems = {}
    for name, (directions, lengths, version) in asked.items():
        vectors = ranking.query(sized(directions, lengths, similarity))
        systems[name] = System(queries_of_signs(vectors) if version in signs else vectors, version)

    def stored(name: str, sides: Sides) -> Tensor:
        if name in signs:
            return stored_signs(versions[name](sides.new, sides.old))
        lengths = sides.new_lengths if name in by_new_model else sides.old_lengths
        return ranking.gallery(sized(versions[name](sides.new, sides.old), lengths, similarity))

    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        for begin in range(0, len(searched), size):
            sides = Sides.of(gallery, gallery.rows_of(searched[begin : begin + size]))
            yield MadeVersions(partial(stored, sides=sides))

    return systems, chunks


def sized(directions: Tensor, lengths: Tensor, similarity: Similarity) -> Tensor:
    """New vectors (n, D) of these directions and lengths (n,); by cosine these are no matter."""
    return directions.clone() if similarity is Similarity.COSINE else directions * lengths[:, None]


def _old_vectors(gallery: PairedItems, searched: Rows) -> Chunks:
    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        return ({OLD: gallery.old_vectors(searched[at : at + size])} for at in range(0, len(searched), size))

    return chunks


def _lengths(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1)
    return lengths


def query_milliseconds(adapter: FittedAdapter, new: Tensor, old: Tensor) -> float:
    """Milliseconds to map one query on one thread: median of single queries, after a warm-up."""
    seconds = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other beside other work would be what is timed
    try:
        for row in range(min(_TIMED_QUERIES, len(new)) + 1):
            place = slice(row % len(new), row % len(new) + 1)
            begun = time.perf_counter()
            adapter.query(new[place], old[place])
            seconds.append(time.perf_counter() - begun)
    finally:
        torch.set_num_threads(threads)
    return 1000 * median(seconds[1:])


def _rewritten(adapter: FittedAdapter) -> Version:
    def version(new: Tensor, old: Tensor) -> Tensor:
        with torch.no_grad():
            return adapter.gallery(old)

    return version

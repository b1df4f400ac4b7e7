"""The systems of a comparison: the queries of each, and its version of the gallery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.compare.comparison import FULL_BACKFILL, ORACLE, STATUS_QUO, UNADAPTED
from compatbench.compare.fitting import Fit
from compatbench.compare.inputs import Items
from compatbench.compare.rows import Rows
from compatbench.evaluation.oracle import oracle_queries
from compatbench.evaluation.relevance import Relevance
from compatbench.evaluation.scoring import Chunks, System
from compatbench.generations.adapters import FittedAdapter
from compatbench.method import to_dim

OLD, NEW = "old", "new"
"""The versions of the gallery that need no adapter."""

_TIMED_QUERIES = 100

Version = Callable[[Tensor, Tensor], Tensor]
"""New and old vectors of a chunk of the gallery, (n, D_n) and (n, D_o), to what is stored."""


def self_test(name: str) -> str:
    """The name of an adapter's system after a backfill, if it maps new vectors too."""
    return f"{name} after a backfill"


def build_systems(
    fits: Sequence[Fit], new: Tensor, old: Tensor, relevance: Relevance, gallery: Items, rows: Rows
) -> tuple[dict[str, System], Chunks]:
    """All systems, by name, for queries new (Q, D_n) and old (Q, D_o), and the passes over the gallery's `rows`."""
    versions: dict[str, Version] = {OLD: lambda new, old: old, NEW: lambda new, old: new}
    unadapted = F.normalize(to_dim(new, old.shape[1]))
    oracle = oracle_queries(relevance, gallery_chunks(gallery, rows, {OLD: versions[OLD]}), OLD, old)
    systems = {
        STATUS_QUO: System(old, OLD),
        FULL_BACKFILL: System(new, NEW),
        UNADAPTED: System(unadapted, OLD),
        ORACLE: System(oracle, OLD),
    }
    for fit in fits:
        if fit.adapter is None:
            continue
        name, adapter = fit.plugin.name, fit.adapter
        if adapter.maps.gallery is not None:
            versions[name] = _rewritten(adapter)
        systems[name] = System(adapter.query(new, old), name if name in versions else OLD)
        if adapter.maps.new is not None:
            versions[self_test(name)] = adapter.new
            systems[self_test(name)] = System(adapter.new(new, old), self_test(name))
    return systems, gallery_chunks(gallery, rows, versions)


def gallery_chunks(gallery: Items, rows: Rows, versions: Mapping[str, Version]) -> Chunks:
    """Passes over these rows of the gallery, each chunk in all versions."""

    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            new, old = gallery.new_vectors(part), gallery.old_vectors(part)
            yield {name: version(new, old) for name, version in versions.items()}

    return chunks


def query_milliseconds(adapter: FittedAdapter, new: Tensor, old: Tensor) -> float:
    """Milliseconds to map one query: median of single queries, after a warm-up."""
    seconds = []
    for row in range(min(_TIMED_QUERIES, len(new)) + 1):
        place = slice(row % len(new), row % len(new) + 1)
        begun = time.perf_counter()
        adapter.query(new[place], old[place])
        seconds.append(time.perf_counter() - begun)
    return 1000 * median(seconds[1:])


def _rewritten(adapter: FittedAdapter) -> Version:
    def version(new: Tensor, old: Tensor) -> Tensor:
        with torch.no_grad():
            return adapter.gallery(old)

    return version

"""Index search in a cell: do indexes of old vectors serve the queries of the new model?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from compatbench.data.id_lookup import IdLookup
from compatbench.evaluation.chance import sample
from compatbench.evaluation.indexes import RULES, BuiltIndex, Matrix, build, faiss_threads, kinds
from compatbench.evaluation.retrieval import Vectors
from compatbench.evaluation.search import SearchQueries, measure_search, unit_rows
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import IndexSearch
from compatbench.storage.artefacts import Artefact, get_or_make, tensors_hash
from compatbench.storage.canonical import digest
from compatbench.vocabulary import IndexKind

SEARCH_QUERIES = 500
"""Queries that are asked, drawn in proportion to their labels; the gallery is whole."""

BUILDS = 3
"""Times that an index of old vectors is trained, which many cells share; others are built once."""


def index_search(chain: ServedChain, measured: Sequence[str]) -> list[IndexSearch]:
    """Search the second newest generation's vectors and the newest's, with Faiss on one thread.

    Old queries on old vectors, new queries on old vectors as the method has it (queries mapped to the old space, or
    the gallery rewritten), and new queries on new vectors, once in an index of their own and once, for the kind that
    is trained, in the index that was trained on the old ones. The kinds of index are those of `measured` that suit the
    size of the gallery.
    """
    if not measured:
        return []
    old = str(chain.upgrade[1])
    before, cross, after = (_Side.of(chain.pair(*at), *map(str, at)) for at in chain.systems)
    allowed = [kind for kind in kinds(len(before.queries.vectors)) if kind in measured]
    found = []
    with faiss_threads(1):
        for done, kind in enumerate(allowed):
            chain.progress("search", done / len(allowed))
            first = _first(kind, before.queries.vectors, chain)
            rewritten = not np.array_equal(cross.queries.vectors, before.queries.vectors)
            second = build(kind, cross.queries.vectors) if rewritten else first
            found.append(before.entry(kind, first))
            found.append(cross.entry(kind, second))
            found.append(after.entry(kind, build(kind, after.queries.vectors)))
            if kind is IndexKind.IVFPQ and after.queries.vectors.shape[1] == cross.queries.vectors.shape[1]:
                found.append(after.entry(kind, second.refilled(after.queries.vectors), trained=old))
    return found


@dataclass(frozen=True, eq=False)
class _Side:
    """One entry of the matrix: queries of a generation for the vectors of a generation."""

    queries: SearchQueries
    query: str
    gallery: str

    @classmethod
    def of(cls, vectors: tuple[Vectors, Vectors], query: str, gallery: str) -> _Side:
        asked, documents = sample(*vectors, max_queries=SEARCH_QUERIES, max_gallery=len(vectors[1]))
        own = IdLookup(documents.ids.numpy()).rows(asked.ids.numpy())
        unit = unit_rows(asked.values.numpy(), "query"), unit_rows(documents.values.numpy(), "gallery")
        return cls(SearchQueries.of(*unit, own), query, gallery)

    def entry(self, kind: str, built: BuiltIndex, trained: str | None = None) -> IndexSearch:
        return IndexSearch(
            index=kind,
            trained_generation=trained or self.gallery,
            gallery_generation=self.gallery,
            query_generation=self.query,
            build_seconds=built.build_seconds,
            bytes_per_vector=built.bytes_per_vector,
            **asdict(measure_search(built, self.queries)),
        )


def _first(kind: str, vectors: Matrix, chain: ServedChain) -> BuiltIndex:
    """An index of old vectors; one that takes training, from an earlier cell that built it of the same ones, if any."""
    if kind is not IndexKind.IVFPQ:
        return build(kind, vectors)
    import faiss

    def make() -> Artefact:
        built = build(kind, vectors, BUILDS)
        content = torch.from_numpy(faiss.serialize_index(built.index))
        return Artefact({"index": content}, {"build_seconds": built.build_seconds})

    content = tensors_hash({"vectors": torch.from_numpy(vectors)})
    stored = get_or_make(chain.store.indexes, digest([kind, RULES, faiss.__version__, content]), make, chain.notify)
    return BuiltIndex(faiss.deserialize_index(stored.tensors["index"].numpy()), stored.facts["build_seconds"])

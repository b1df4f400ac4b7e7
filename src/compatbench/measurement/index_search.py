"""Index search in a cell: do indexes of old vectors serve the queries of the new model?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from compatbench.data.id_lookup import IdLookup
from compatbench.evaluation.chance import sample
from compatbench.evaluation.indexes import RULES, BuiltIndex, Matrix, build, faiss_threads, kinds
from compatbench.evaluation.retrieval import Vectors
from compatbench.evaluation.search import Questions, ask, unit_rows
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import ServedGeneration, pair
from compatbench.records.record import IndexSearch, Record
from compatbench.records.store import Store
from compatbench.storage.artefacts import Artefact, get_or_make, tensors_hash
from compatbench.storage.canonical import digest

SEARCH_QUERIES = 500
"""Queries that are asked, drawn in proportion to their labels; the gallery is whole."""

BUILDS = 3
"""Times that an index of old vectors is trained, which many cells share; others are built once."""


def add_index_search(record: Record, trainer: ChainTrainer, served: Sequence[ServedGeneration], store: Store) -> None:
    """Search the second newest generation's vectors and the newest's, with Faiss on one thread.

    Old queries on old vectors, new queries on old vectors as the method has it (queries led down, or the gallery
    rewritten), and new queries on new vectors, once in an index of their own and once, for the kind that is trained,
    in the index that was trained on the old ones.
    """
    new, old = len(served) - 1, len(served) - 2
    before, cross, after = (
        _Side.of(pair(served, trainer, query, gallery), str(query), str(gallery))
        for query, gallery in ((old, old), (new, old), (new, new))
    )
    allowed = [kind for kind in kinds(len(before.questions.vectors)) if kind in record.spec.index_search]
    with faiss_threads(1):
        for done, kind in enumerate(allowed):
            trainer.progress("search", done / len(allowed))
            first = _first(kind, before.questions.vectors, store, trainer.notify)
            rewritten = not np.array_equal(cross.questions.vectors, before.questions.vectors)
            second = build(kind, cross.questions.vectors) if rewritten else first
            record.search.append(before.entry(kind, first))
            record.search.append(cross.entry(kind, second))
            record.search.append(after.entry(kind, build(kind, after.questions.vectors)))
            if kind == "ivfpq" and after.questions.vectors.shape[1] == cross.questions.vectors.shape[1]:
                record.search.append(after.entry(kind, second.refilled(after.questions.vectors), trained=str(old)))


@dataclass(frozen=True, eq=False)
class _Side:
    """One entry of the matrix: queries of a generation for the vectors of a generation."""

    questions: Questions
    query: str
    gallery: str

    @classmethod
    def of(cls, vectors: tuple[Vectors, Vectors], query: str, gallery: str) -> _Side:
        asked, documents = sample(*vectors, max_queries=SEARCH_QUERIES, max_gallery=len(vectors[1]))
        own = IdLookup(documents.ids.numpy()).rows(asked.ids.numpy())
        unit = unit_rows(asked.values.numpy(), "query"), unit_rows(documents.values.numpy(), "gallery")
        return cls(Questions.of(*unit, own), query, gallery)

    def entry(self, kind: str, built: BuiltIndex, trained: str | None = None) -> IndexSearch:
        return IndexSearch(
            index=kind,
            trained_generation=trained or self.gallery,
            gallery_generation=self.gallery,
            query_generation=self.query,
            build_seconds=built.build_seconds,
            bytes_per_vector=built.bytes_per_vector,
            **asdict(ask(built, self.questions)),
        )


def _first(kind: str, vectors: Matrix, store: Store, notify: Callable[[str], None]) -> BuiltIndex:
    """An index of old vectors; one that takes training, from an earlier cell that built it of the same ones, if any."""
    if kind != "ivfpq":
        return build(kind, vectors)
    import faiss

    def make() -> Artefact:
        built = build(kind, vectors, BUILDS)
        content = torch.from_numpy(faiss.serialize_index(built.index))
        return Artefact({"index": content}, {"build_seconds": built.build_seconds})

    content = tensors_hash({"vectors": torch.from_numpy(vectors)})
    stored = get_or_make(store.indexes, digest([kind, RULES, faiss.__version__, content]), make, notify)
    return BuiltIndex(faiss.deserialize_index(stored.tensors["index"].numpy()), stored.facts["build_seconds"])

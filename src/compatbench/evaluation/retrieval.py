"""Exact retrieval of embeddings in memory: relevance by label or judgement, own samples by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from compatbench.data.judgements import Judgements
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.relevance import Relevance, Rows, order_and_relevance
from compatbench.evaluation.scoring import (
    BLOCK_SCORES,
    COLUMN_TILE,
    ROW_TILE,
    Chunks,
    System,
    full_float32,
    round_up,
    score,
)
from compatbench.evaluation.similarity import Ranking, valid_norms
from compatbench.evaluation.thresholds import ThresholdTransfer
from compatbench.vocabulary import Similarity

CHUNK_ITEMS = 2**16
"""Gallery items scored at once."""


@dataclass(frozen=True)
class Vectors:
    """Embeddings of one side of a search."""

    values: Tensor
    """(N, D), not necessarily normalised."""
    labels: Tensor
    """(N,) int64."""
    ids: Tensor
    """(N,) int64, the dataset's sample ids."""
    judgements: Judgements | None = None
    """Of queries: what is relevant to them and what does not count, where that is not all items of their label."""

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not len(self.values):
            raise ValueError(f"expected vectors (N, D) with N ≥ 1, got shape {tuple(self.values.shape)}")
        for name in ("labels", "ids"):
            tensor: Tensor = getattr(self, name)
            if tensor.dtype != torch.int64 or tensor.shape != (len(self),):
                raise ValueError(f"{name}: expected int64 ({len(self)},), got {tensor.dtype} {tuple(tensor.shape)}")

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device) -> Vectors:
        """The same on `device`."""
        return Vectors(self.values.to(device), self.labels.to(device), self.ids.to(device), self.judgements)

    def at(self, rows: Tensor) -> Vectors:
        """Those at `rows` (n,), in this order."""
        return Vectors(self.values[rows], self.labels[rows], self.ids[rows], self.judgements)


Side = tuple[Vectors, Vectors]
"""Queries, and the gallery that they can search."""


def evaluate(
    query: Vectors,
    gallery: Vectors,
    similarity: Similarity = Similarity.COSINE,
    *,
    block_scores: int = BLOCK_SCORES,
    chunk_items: int = CHUNK_ITEMS,
    trapezoid: bool = False,
) -> QueryResults:
    """Rank the whole gallery for each query, see `score`; a gallery item is relevant if it has the query's label.

    With judgements it is relevant if they say so, and what the query is to ignore is left out of its ranking. A
    query skips its own sample, found by id, also when the two sides come from different models.

    Raises ValueError for unequal dimensions, a sample that is twice in the gallery or a query without judgements
    where there are any, and InvalidResultError for vectors that cannot be ranked.
    """
    order, relevance = find_relevant(query, gallery)
    return score(
        *_systems({"": (query, gallery)}, order, similarity),
        relevance,
        query.ids.cpu().numpy(),
        chunk_items=chunk_items,
        block_scores=block_scores,
        trapezoid=trapezoid,
        device=query.values.device,
    )[""]


def transfer_thresholds(
    sides: Mapping[str, Side], reference: str, rates: Sequence[float] | None = None
) -> ThresholdTransfer:
    """Thresholds of several systems, by cosine, and what each accepts at its own and at the reference's.

    All sides have the same queries and the same gallery items, by several models.
    """
    query, gallery = sides[reference]
    order, relevance = find_relevant(query, gallery)
    ids = query.ids.cpu().numpy()

    def shown(some: Mapping[str, Side], limits: Sequence[float] = ()) -> ThresholdTransfer:
        found = ThresholdTransfer(some, relevance, ids, reference, limits, rates)
        if len(found):
            systems, chunks = _systems(some, order, Similarity.COSINE)
            score(systems, chunks, relevance, ids, chunk_items=CHUNK_ITEMS, transfer=found, device=query.values.device)
        return found

    return shown(sides, shown({reference: sides[reference]}).thresholds[reference])


def cosine_blocks(
    query: Vectors, gallery: Vectors, rows: Rows, order: Rows, height: int
) -> Iterator[NDArray[np.float32]]:
    """Cosines (≤ height, N) of the queries `rows` with the gallery in this order, some queries at a time."""
    systems, chunks = _systems({"": (query.at(torch.from_numpy(rows)), gallery)}, order, Similarity.COSINE)
    queries, (items,) = systems[""].queries, (chunk[""] for chunk in chunks(round_up(len(order), COLUMN_TILE)))
    for begin in range(0, len(rows), height):
        part = queries[begin : begin + height]
        with torch.no_grad(), full_float32(part.device):  # left before the caller goes on
            scores = F.pad(part, (0, 0, 0, -len(part) % ROW_TILE)) @ items.T.to(part.device)
        yield scores[: len(part), : len(order)].cpu().numpy()


def find_relevant(query: Vectors, gallery: Vectors) -> tuple[Rows, Relevance]:
    """The order to put the gallery in, and the relevance of its columns."""
    sides = [(side.labels.cpu().numpy(), side.ids.cpu().numpy()) for side in (query, gallery)]
    return order_and_relevance(sides[0], sides[1], query.judgements)


@torch.no_grad()
def _systems(sides: Mapping[str, Side], order: Rows, similarity: Similarity) -> tuple[dict[str, System], Chunks]:
    """One system a side, and passes over their galleries in this order.

    Raises ValueError for unequal dimensions, and InvalidResultError for vectors that are NaN, infinite or zero.
    """
    systems, galleries = {}, {}
    for name, (query, gallery) in sides.items():
        if query.values.shape[1] != gallery.values.shape[1]:
            raise ValueError(
                f"query vectors have {query.values.shape[1]} dimensions, gallery vectors {gallery.values.shape[1]}"
            )
        ranking = ranking_of(similarity, query, gallery)
        systems[name] = System(ranking.query(query.values.to(torch.float32, copy=True)), name)
        galleries[name] = ranking, gallery.values

    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        for begin in range(0, len(order), size):
            rows = torch.from_numpy(order[begin : begin + size])
            yield {name: ranking.gallery(_filled(values, rows, size)) for name, (ranking, values) in galleries.items()}

    return systems, chunks


def ranking_of(similarity: Similarity, query: Vectors, gallery: Vectors) -> Ranking:
    """For these two sides. Raises InvalidResultError for vectors that are NaN, infinite or zero."""
    norms = valid_norms(query.values, "query"), valid_norms(gallery.values, "gallery")
    return Ranking.of(similarity, max(float(lengths.max()) for lengths in norms))


def _filled(values: Tensor, rows: Tensor, size: int) -> Tensor:
    """`values[rows]` in float32, with rows of zeros up to `size`."""
    whole = torch.empty(size, values.shape[1], device=values.device)
    torch.index_select(values.float(), 0, rows.to(values.device), out=whole[: len(rows)])
    whole[len(rows) :] = 0
    return whole

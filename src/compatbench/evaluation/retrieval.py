"""Exact retrieval scoring, in blocks of queries: memory is bounded by the block, not by the gallery.

Per block of queries the scores of the relevant items are taken first; then the gallery passes in chunks, and for each
relevant item the irrelevant ones that score as high or higher are counted: `ranks.rank_numbers` has the formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compatbench.data.judgements import Judgements
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.counting import FLOOR, count_ahead
from compatbench.evaluation.ranks import rank_numbers
from compatbench.evaluation.relevance import Relevance, find
from compatbench.evaluation.similarity import Distance, ranking_vectors, valid_norms
from compatbench.machine.threads import in_threads

BLOCK_QUERIES = 1024
BLOCK_SCORES = 2**26
"""Scores held at once: 256 MiB in float32."""
CHUNK_ITEMS = 2**16
"""Gallery items scored at once."""

# Matrix products compute the ragged edge of their output by another code path, whose rounding differs: equal
# gallery vectors would then score unequally. Products of whole tiles keep ties bitwise equal.
ROW_TILE, COLUMN_TILE = 16, 64


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
        """Those at `rows` (n,), in that order."""
        return Vectors(self.values[rows], self.labels[rows], self.ids[rows], self.judgements)


def evaluate(
    query: Vectors,
    gallery: Vectors,
    distance: Distance = "cosine",
    *,
    block_scores: int = BLOCK_SCORES,
    chunk_items: int = CHUNK_ITEMS,
    trapezoid: bool = False,
) -> QueryResults:
    """Rank the whole gallery for each query; a gallery item is relevant if it has the query's label.

    With judgements it is relevant if they say so, and what the query is to ignore is left out of its ranking. A
    query skips its own sample, found by id, also when the two sides come from different models. Ties are broken
    pessimistically: an irrelevant item of the same score ranks first. Scores are computed in float32 on the device
    of the query vectors, in products of at most `chunk_items` columns and about `block_scores` entries (a query whose
    relevant items are more than that still holds all of them at once).

    With `trapezoid` the average precision is the one of the revisited Oxford and Paris buildings, see `rank_numbers`.

    Raises ValueError for unequal dimensions, a sample that is twice in the gallery or a query without judgements
    where there are any, and InvalidResultError for vectors that cannot be ranked.
    """
    if query.values.shape[1] != gallery.values.shape[1]:
        raise ValueError(
            f"query vectors have {query.values.shape[1]} dimensions, gallery vectors {gallery.values.shape[1]}"
        )
    with torch.no_grad(), full_float32(query.values.device):
        return _evaluate(query, gallery, distance, block_scores, chunk_items, trapezoid)


def _evaluate(
    query: Vectors, gallery: Vectors, distance: Distance, block_scores: int, chunk_items: int, trapezoid: bool
) -> QueryResults:
    gallery_order, relevance = find_relevant(query, gallery)
    chunk = _round_up(min(chunk_items, len(gallery)), COLUMN_TILE)
    queries, items = score_factors(query, gallery, relevance.order, gallery_order, distance, chunk)
    widest = relevance.widest
    threads = torch.get_num_threads() if queries.device.type == "cpu" else 1
    # the relevant items' scores, counts and precisions take some four times a score's room
    most = max(1, min(BLOCK_QUERIES, block_scores // threads // max(chunk, 4 * widest), -(-len(query) // threads)))
    block = _round_up(-(-len(query) // -(-len(query) // most)), ROW_TILE)

    first_rank = np.empty(len(query), dtype=np.int32)
    average_precision = np.empty(len(query), dtype=np.float32)
    ap_at_r = np.empty(len(query), dtype=np.float32)
    begins = iter(range(0, len(query), block))  # the threads take turns at it

    def rank_blocks() -> None:
        with torch.no_grad():
            product = torch.empty(block * chunk, device=queries.device)
            for begin in begins:
                rows = slice(begin, begin + block)
                scores = _BlockScores(queries[rows], items, len(gallery), chunk, relevance[rows], product)
                where = relevance.order[rows]
                first_rank[where], average_precision[where], ap_at_r[where] = rank_numbers(
                    scores.ahead(), scores.relevance.count, trapezoid=trapezoid
                )

    in_threads(rank_blocks, threads)
    relevant = np.empty(len(query), dtype=np.int32)
    relevant[relevance.order] = relevance.count
    return QueryResults(query.ids.cpu().numpy(), first_rank, average_precision, ap_at_r, relevant)


def find_relevant(query: Vectors, gallery: Vectors) -> tuple[NDArray[np.intp], Relevance]:
    """The order to put the gallery in, and where each query finds what in it."""
    sides = [(side.labels.cpu().numpy(), side.ids.cpu().numpy()) for side in (query, gallery)]
    return find(sides[0], sides[1], query.judgements)


class _BlockScores:
    """Scores of one block of queries against one chunk of the gallery at a time."""

    def __init__(
        self, queries: Tensor, items: Tensor, size: int, chunk: int, relevance: Relevance, product: Tensor
    ) -> None:
        self.queries = queries
        self.items = items
        self.size = size
        self.chunk = chunk
        self.relevance = relevance
        self.product = product[: len(queries) * chunk].view(len(queries), chunk)
        self.current = -1

    def ahead(self) -> Tensor:
        """(B, P) irrelevant items ahead of each relevant one, the lowest-ranked first."""
        positives = self.positives()
        ahead = torch.zeros(positives.shape, dtype=torch.int64, device=positives.device)
        for irrelevant in self.irrelevant():
            ahead += count_ahead(irrelevant, positives)
        return ahead

    def positives(self) -> Tensor:
        """Scores (B, P) of each query's relevant items, FLOOR in place of its own and of those that it has fewer."""
        relevance = self.relevance
        shape = len(relevance.order), max(1, relevance.widest)
        positives = torch.full(shape, FLOOR, device=self.product.device)
        first, last = relevance.span
        for chunk in range(first // self.chunk, -(-last // self.chunk)):
            offset, scores = self._multiply(chunk)
            for rows, columns, places in relevance.relevant(offset, offset + self.chunk):
                positives[rows, places] = scores[rows, columns]
        positives[relevance.blank] = FLOOR
        return positives

    def irrelevant(self) -> Iterator[Tensor]:
        """Scores (B, ≤ chunk) of the gallery, chunk by chunk, FLOOR in place of what is relevant or does not count."""
        first = max(self.current, 0)  # its product is there already
        for chunk in (first, *(c for c in range(-(-self.size // self.chunk)) if c != first)):
            offset, scores = self._multiply(chunk)
            for rows, columns, _ in self.relevance.relevant(offset, offset + self.chunk):
                scores[rows, columns] = FLOOR
            scores[self.relevance.hidden(offset, offset + self.chunk)] = FLOOR
            self.current = -1
            yield scores

    def _multiply(self, chunk: int) -> tuple[int, Tensor]:
        """The first column of a chunk, and its scores: bitwise the same whenever they are asked for."""
        offset = chunk * self.chunk
        if chunk != self.current:
            items = self.items[offset : offset + self.chunk].to(self.product.device)
            torch.mm(self.queries, items.T, out=self.product)
            self.current = chunk
        return offset, self.product[: len(self.relevance.order), : self.size - offset]


def score_factors(
    query: Vectors,
    gallery: Vectors,
    query_order: NDArray[np.intp],
    gallery_order: NDArray[np.intp],
    distance: Distance,
    chunk: int = COLUMN_TILE,
) -> tuple[Tensor, Tensor]:
    """`ranking_vectors` of both sides in the given orders, up to a whole number of tiles and chunks.

    Raises InvalidResultError for vectors that are NaN, infinite or zero.
    """
    valid_norms(query.values, "query")
    valid_norms(gallery.values, "gallery")
    return ranking_vectors(
        _tiled(query.values, query_order, ROW_TILE), _tiled(gallery.values, gallery_order, chunk), distance
    )


def _tiled(values: Tensor, order: NDArray[np.intp], tile: int) -> Tensor:
    """`values[order]` in float32, with rows of zeros after it up to a whole number of tiles."""
    size = len(values)
    whole = torch.empty(_round_up(size, tile), values.shape[1], device=values.device)
    torch.index_select(values.float(), 0, torch.from_numpy(order).to(values.device), out=whole[:size])
    whole[size:] = 0
    return whole


def _round_up(number: int, tile: int) -> int:
    return -(-number // tile) * tile


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Keep matrix products from using fewer bits than float32 has (TF32, bfloat16), whatever training set."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)

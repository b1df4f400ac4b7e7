"""Retrieval during a backfill: galleries with new vectors for some items and old ones for the rest.

Every query scores each item twice, against its old and its new vector, and the 2N scores are ordered once. What
changes from one share β to the next is only which of an item's two scores counts. So the thresholds, i.e. the
2R scores of the R relevant items, cut the scores into intervals, and for each order of the backfill a table of
steps × intervals counts the irrelevant items that are in an interval at a step: its running sums over the steps
and over the intervals are the items ahead of each relevant one. Exact, and the cost of a step is that of its R
thresholds and not of the N items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from compatbench.evaluation.counting import FLOOR
from compatbench.evaluation.curves import BETAS, QueryCurves
from compatbench.evaluation.relevance import Index, Relevance, Rows
from compatbench.evaluation.retrieval import Side, cosine_blocks, find_relevant
from compatbench.evaluation.scoring import ROW_TILE
from compatbench.vocabulary import MetricName, Order

Permutation = NDArray[np.intp]
"""(N,) rows of the gallery, in the order in which they are re-embedded."""

Scores = NDArray[np.float32]

_BLOCK_SCORES = 2**22
"""Scores held at once: 16 MiB."""


def class_wise_order(labels: ArrayLike, generator: np.random.Generator) -> Permutation:
    """Class after class of `labels` (N,): classes in random order, and the items of each in random order."""
    classes, index = np.unique(np.asarray(labels), return_inverse=True)
    place = generator.permutation(len(classes))[index]
    return np.lexsort((generator.random(len(index)), place))


def highest_first(scores: ArrayLike) -> Permutation:
    """Items by score (N,), highest first, equal ones by their position."""
    return np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")


def backfill(
    old: Side,
    new: Side,
    orders: Mapping[Order, Sequence[Permutation]],
    betas: Sequence[float] = BETAS,
) -> dict[Order, list[QueryCurves]]:
    """Follow every query through every backfill: at share β, the first round(β·N) items of the order are new.

    `old` is what M(n,o) is scored from, the queries as they search old vectors and the old gallery, and `new`
    what M(n,n) is scored from: the same queries and the same items in both, each row for row. Scores are cosines,
    of queries mapped to the old space with old vectors and of new queries with new vectors, and are ranked in one
    list. Relevance, masking of the query's own sample and ties are those of `retrieval.evaluate`, so that β = 0
    and β = 1 are its results on `old` and on `new`. One result an order, under the names of `orders`.

    Raises ValueError where queries or items of the two sides differ, an order is no permutation of the items, or
    `betas` do not ascend from 0 to 1.
    """
    _check(old, new, orders, betas)
    gallery_order, relevance = find_relevant(*old)
    size = len(old[1])
    replaced = np.rint(np.asarray(betas) * size)
    plans = [(name, _steps(order, replaced)[gallery_order]) for name, several in orders.items() for order in several]
    steps = np.stack([step for _, step in plans])
    precision = np.full((len(plans), len(old[0]), len(betas)), np.nan, dtype=np.float32)
    first_hit = precision.copy()
    tables = _Tables(len(betas), relevance.widest, size)
    for queries, scores in _blocks(old, new, gallery_order, relevance):
        part = relevance[queries]
        for side in scores:
            side[part.hidden(0, size)] = FLOOR
        for rows, columns in part.groups():
            asking = np.flatnonzero(part.count[rows]) + rows.start
            if not len(asking):
                continue
            relevant = steps[:, columns].astype(np.int16)
            irrelevant = torch.from_numpy(np.delete(steps, columns, axis=1))
            for row in asking:
                query = _Query(scores[0][row], scores[1][row], columns, int(part.count[row]))
                for plan in range(len(plans)):
                    found = tables.follow(query, relevant[plan], irrelevant[plan])
                    precision[plan, queries[row]], first_hit[plan, queries[row]] = found
    ids = old[0].ids.cpu().numpy()
    curves: dict[Order, list[QueryCurves]] = {name: [] for name in orders}
    for (name, _), ap, hit in zip(plans, precision, first_hit, strict=True):
        curves[name].append(QueryCurves(ids, tuple(betas), {MetricName.MAP: ap, MetricName.CMC1: hit}))
    return curves


def _check(old: Side, new: Side, orders: Mapping[Order, Sequence[Permutation]], betas: Sequence[float]) -> None:
    if betas[0] != 0 or betas[-1] != 1 or (np.diff(betas) <= 0).any():
        raise ValueError(f"betas must ascend from 0 to 1, got {list(betas)}")
    for what, before, after in zip(("queries", "gallery items"), old, new, strict=True):
        if not (torch.equal(before.ids, after.ids) and torch.equal(before.labels, after.labels)):
            raise ValueError(f"the {what} of the two sides must be the same samples in the same order")
    for name, several in orders.items():
        for order in several:
            if not np.array_equal(np.sort(order), np.arange(len(old[1]))):
                raise ValueError(f"order '{name}' is no permutation of the {len(old[1])} gallery items")


def _steps(order: Permutation, replaced: NDArray[np.float64]) -> NDArray[np.intp]:
    """(N,) the first step at which each item has its new vector, if `replaced` (S,) of the order are new by then."""
    steps = np.empty(len(order), dtype=np.intp)
    steps[order] = np.searchsorted(replaced, np.arange(len(order)), side="right")
    return steps


def _blocks(
    old: Side, new: Side, gallery_order: Rows, relevance: Relevance
) -> Iterator[tuple[Rows, tuple[Scores, Scores]]]:
    """Some queries at a time, and their old and new scores (B, N), the gallery in the order of `relevance`."""
    order = np.argsort(relevance.group, kind="stable")
    height = max(1, _BLOCK_SCORES // (2 * relevance.items) // ROW_TILE) * ROW_TILE
    sides = [cosine_blocks(*side, order, gallery_order, height) for side in (old, new)]
    for begin, scores in zip(range(0, len(order), height), zip(*sides, strict=True), strict=True):
        yield order[begin : begin + height], scores


class _Query:
    """One query's old and new scores (N,) of the whole gallery, ordered for all backfills."""

    def __init__(self, old: Scores, new: Scores, columns: Index, count: int) -> None:
        relevant = np.concatenate((old[columns], new[columns]))
        self.count = count
        """R."""
        by_score = np.argsort(-relevant)[: 2 * count]  # what is left out is its own sample
        width = len(relevant) // 2
        self.item = by_score % width
        """(2R,) the relevant item that each threshold is a score of, highest threshold first."""
        self.is_new = by_score >= width
        thresholds = relevant[by_score]
        irrelevant = torch.from_numpy(
            passed(np.concatenate((np.delete(old, columns), np.delete(new, columns))), thresholds)
        )
        self.old, self.new = irrelevant.chunk(2)
        """(N − R,) the interval of each irrelevant item's score: the number of thresholds above it."""


class _Tables:
    """Follows queries through backfills, in memory that is asked for once."""

    def __init__(self, steps: int, widest: int, items: int) -> None:
        self.steps = np.arange(steps, dtype=np.int16)[:, None]
        size = steps * (2 * widest + 1)
        self._counts, self._order = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
        self._precision, self._ranks = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
        self._ones = torch.ones(items, dtype=torch.int32)
        self._minus_ones = -self._ones

    def follow(
        self, query: _Query, relevant: NDArray[np.int16], irrelevant: Tensor
    ) -> tuple[Scores, NDArray[np.bool_]]:
        """AP and whether the first hit is relevant, (S,) each, for items re-embedded at these steps."""
        ahead = self._ahead(query, irrelevant)
        in_place = (relevant[query.item] <= self.steps) == query.is_new
        first = in_place.argmax(axis=1)
        first_hit = ahead[np.arange(len(self.steps)), first] == 0
        order, precision, ranks = (
            buffer[: in_place.size].reshape(in_place.shape) for buffer in (self._order, self._precision, self._ranks)
        )
        np.cumsum(in_place, axis=1, out=order)
        precision[:] = order
        np.add(ahead, order, out=order)
        np.maximum(order, 1, out=order)  # thresholds that are not in place may stand before the first rank
        ranks[:] = order
        precision /= ranks
        precision *= in_place
        return precision.sum(axis=1) / query.count, first_hit

    def _ahead(self, query: _Query, irrelevant: Tensor) -> NDArray[np.int32]:
        """(S, 2R) irrelevant items whose score at a step reaches a threshold."""
        steps, intervals = len(self.steps), len(query.item) + 1
        counts = self._counts[: steps * intervals]
        counts[:] = 0
        counter = torch.from_numpy(counts)
        ones, minus_ones = self._ones[: len(irrelevant)], self._minus_ones[: len(irrelevant)]
        moved = irrelevant * intervals
        counter.index_add_(0, query.old, ones)
        counter.index_add_(0, moved + query.old, minus_ones)
        counter.index_add_(0, moved + query.new, ones)
        table = counts.reshape(steps, intervals)
        for step in range(1, steps):
            table[step] += table[step - 1]
        np.cumsum(table, axis=1, out=table)
        return table[:, :-1]


def passed(scores: Scores, thresholds: Scores) -> NDArray[np.intp]:
    """#{p: thresholds[p] > scores[m]} as (M,), for thresholds (P,), highest first, and scores (M,).

    Equals a binary search in the thresholds, and is several times faster: scores and thresholds are dropped into
    cells, by a non-decreasing function of the score, rounding included. A score then passes what lies in lower
    cells; the one threshold of its own cell, if any, is compared, and only where there are more is searched.
    """
    ascending = thresholds[::-1]
    top = min(max(16 * len(thresholds), 2**12), 2**20)
    low = ascending[0]
    scale = np.float32(top - 2) / np.maximum(ascending[-1] - low, np.float32(1e-20))

    def cell_of(values: Scores) -> NDArray[np.intp]:
        position = values - low
        position *= scale
        np.clip(position, -1, top - 1, out=position)
        position += 1
        cells: NDArray[np.intp] = position.astype(np.intp)
        return cells

    occupied = np.bincount(cell_of(ascending), minlength=top + 1)
    cells = cell_of(scores)
    reached = occupied.cumsum().take(cells)
    padded = np.concatenate((np.full(1, -np.inf, dtype=np.float32), ascending))
    reached -= scores < padded.take(reached)
    crowded = np.flatnonzero((occupied > 1).take(cells))
    reached[crowded] = np.searchsorted(ascending, scores[crowded], side="right")
    above: NDArray[np.intp] = len(thresholds) - reached
    return above

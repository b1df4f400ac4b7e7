"""Retrieval during a backfill: galleries with new vectors for some items and old ones for the rest.

Every query scores each item twice, against its old and its new vector, and the 2N scores are ordered once. What
changes from one share β to the next is only which of an item's two scores counts. So the thresholds, i.e. the
2R scores of the R relevant items, cut the scores into intervals, and for each order of the backfill a table of
steps × intervals counts the irrelevant items that are in an interval at a step: its running sums over the steps
and over the intervals are the items ahead of each relevant one. Exact, and the cost of a step is that of its R
thresholds and not of the N items. Queries with as many relevant items go together: with few of them the tables
are small, and calls would cost more than counting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.compiled import compiled
from compatbench.evaluation.counting import FLOOR
from compatbench.evaluation.curves import BETAS, QueryCurves
from compatbench.evaluation.intervals import above
from compatbench.evaluation.relevance import Relevance, Rows
from compatbench.evaluation.retrieval import Side, cosine_blocks, find_relevant
from compatbench.evaluation.scoring import ROW_TILE
from compatbench.machine.threads import in_threads
from compatbench.vocabulary import MetricName, Order

Permutation = NDArray[np.intp]
"""(N,) rows of the gallery, in the order in which they are re-embedded."""

Scores = NDArray[np.float32]

_BLOCK_SCORES = 2**22
"""Scores held at once: 16 MiB."""
_CACHED_SCORES = 2**18
"""Scores, or cells of a table, of the queries that go together: 1 MiB."""


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
    for queries, scores in _blocks(old, new, gallery_order, relevance):
        part = relevance[queries]
        for side in scores:
            side[part.hidden(0, size)] = FLOOR
        groups = iter([*_alike(part, len(betas))])
        work = partial(_follow, groups, queries, scores, part, steps, precision, first_hit)
        in_threads(work, torch.get_num_threads())
    ids = old[0].ids.cpu().numpy()
    curves: dict[Order, list[QueryCurves]] = {name: [] for name in orders}
    for (name, _), ap, hit in zip(plans, precision, first_hit, strict=True):
        curves[name].append(QueryCurves(ids, tuple(betas), {MetricName.MAP: ap, MetricName.CMC1: hit}))
    return curves


def _follow(
    groups: Iterator[Rows],
    queries: Rows,
    scores: tuple[Scores, Scores],
    relevance: Relevance,
    steps: NDArray[np.intp],
    precision: Scores,
    first_hit: Scores,
) -> None:
    """Fill the two (plans, Q, S) tables for these queries; the threads take turns at the groups of them."""
    for rows in groups:
        several = _Queries(scores[0][rows], scores[1][rows], relevance[rows])
        for plan, order in enumerate(steps):
            found = several.follow(order, precision.shape[2])
            precision[plan, queries[rows]], first_hit[plan, queries[rows]] = found


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


def _alike(relevance: Relevance, steps: int) -> Iterator[Rows]:
    """Rows of queries with as many relevant items as each other, few enough for the cache; not those without any."""
    width, count = relevance.listed.sizes[relevance.group], relevance.count
    order = np.lexsort((count, width))
    order = order[count[order] > 0]
    edges = np.flatnonzero(np.diff(width[order]) | np.diff(count[order])) + 1
    for rows in np.split(order, edges) if len(order) else ():
        table = steps * (2 * count[rows[0]] + 1)
        height = max(1, _CACHED_SCORES // max(2 * relevance.items, table))
        yield from np.split(rows, np.arange(height, len(rows), height))


class _Queries:
    """Old and new scores (B, N) of queries with R relevant items each, ordered for all backfills."""

    def __init__(self, old: Scores, new: Scores, relevance: Relevance) -> None:
        scores = np.concatenate((old, new), axis=1)
        self.count = int(relevance.count[0])
        """R."""
        lists = relevance.listed
        columns = lists.values[lists.starts[relevance.group][:, None] + np.arange(lists.sizes[relevance.group[0]])]
        places = np.concatenate((columns, columns + relevance.items), axis=1)
        relevant = np.take_along_axis(scores, places, axis=1)
        np.put_along_axis(scores, places, np.float32(FLOOR), axis=1)  # below all thresholds: counted nowhere
        by_score = np.argsort(-relevant, axis=1)[:, : 2 * self.count]  # what is left out is their own samples
        places = np.take_along_axis(places, by_score, axis=1)
        self.is_new = places >= relevance.items
        self.item = places - relevance.items * self.is_new
        """(B, 2R) the relevant item that each threshold is a score of, highest threshold first."""
        self.intervals = above(scores, np.take_along_axis(relevant, by_score, axis=1)).reshape(len(old), 2, -1)
        """(B, 2, N) the interval of each item's old and new score: the number of thresholds above it."""

    def follow(self, steps: Permutation, number: int) -> tuple[Scores, NDArray[np.bool_]]:
        """AP and whether the first hit is relevant, (B, S) each, for items (N,) re-embedded at these of S steps."""
        at = steps.astype(np.int32)
        by_step = _precision_by_step if (functions := compiled()) is None else functions.precision_by_step
        precision, first = by_step(self.intervals, at, at[self.item], self.is_new, number)
        return precision.sum(axis=2) / self.count, first == 0


def _precision_by_step(
    intervals: NDArray[np.int32],
    steps: NDArray[np.int32],
    since: NDArray[np.int32],
    is_new: NDArray[np.bool_],
    number: int,
) -> tuple[Scores, NDArray[np.int32]]:
    """As `Compiled.precision_by_step`."""
    ahead = _ahead_by_step(intervals, steps, since.shape[1], number)
    in_place = (since[:, None] <= np.arange(number)[:, None]) == is_new[:, None]
    first = np.take_along_axis(ahead, in_place.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    order = np.cumsum(in_place, axis=2, dtype=np.int32)
    ahead += order
    np.maximum(ahead, 1, out=ahead)  # thresholds that are not in place may stand before the first rank
    precision = np.divide(order, ahead, dtype=np.float32, casting="same_kind")
    precision *= in_place
    return precision, first


def _ahead_by_step(
    intervals: NDArray[np.int32], steps: NDArray[np.int32], thresholds: int, number: int
) -> NDArray[np.int32]:
    """(B, S, T) irrelevant items whose score at a step reaches a threshold."""
    rows, width = len(intervals), thresholds + 1
    table = rows * number * width
    first = number * width * np.arange(rows, dtype=np.int32)[:, None] + np.array([0, table], dtype=np.int32)
    cells = steps * np.int32(width) + intervals
    cells += first[:, :, None]
    counted = torch.bincount(torch.from_numpy(cells).view(-1), minlength=2 * table).numpy()
    gone, come = counted.reshape(2, rows, number, width)
    change = np.subtract(come, gone, dtype=np.int32, casting="same_kind")
    change[:, 0] += gone.sum(axis=1)
    for step in range(1, number):
        change[:, step] += change[:, step - 1]
    return np.cumsum(change[:, :, :-1], axis=2, dtype=np.int32)

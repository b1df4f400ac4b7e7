"""What is relevant to each query, and what does not count, as places in a gallery: by class, or by judgements.

By class the gallery is sorted by label once, so that what is relevant to a query is one slice of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.data.judgements import Ids, Judgements

Rows = NDArray[np.intp]
Index = Rows | slice


class Relevance(ABC):
    """Of B queries in the order `order`; columns are places in the gallery, in the order that `find` returned."""

    order: Rows
    """(B,) rows of the query set."""

    @property
    @abstractmethod
    def count(self) -> Rows:
        """(B,) relevant items of each query, itself left out."""

    @property
    @abstractmethod
    def widest(self) -> int:
        """Room that the relevant items of a query take: places 0 … widest − 1."""

    @property
    @abstractmethod
    def span(self) -> tuple[int, int]:
        """All relevant columns lie from the first of these up to, not including, the second."""

    @abstractmethod
    def __getitem__(self, rows: slice) -> Relevance:
        """The same for some of the queries."""

    @abstractmethod
    def relevant(self, first: int, last: int) -> Iterator[tuple[Index, Index, Index]]:
        """Rows, columns and places of the relevant items in columns first … last − 1."""

    @property
    @abstractmethod
    def blank(self) -> tuple[Rows, Rows]:
        """Rows and places that `relevant` yields though nothing relevant is there: the query itself."""

    @abstractmethod
    def hidden(self, first: int, last: int) -> tuple[Rows, Rows]:
        """Rows and columns first … last − 1 that do not count for the query: itself, and what it ignores."""

    @abstractmethod
    def groups(self) -> Iterator[tuple[slice, Index]]:
        """Rows that share their relevant columns (blank places included), and these columns."""


@dataclass(frozen=True)
class ByLabel(Relevance):
    """Relevant is what has the query's label."""

    order: Rows
    """Sorted by label, so that a block of queries needs few slices of the gallery."""
    label: NDArray[np.int64]
    start: Rows
    stop: Rows
    own: Rows
    """Column of the query's own sample, −1 where the gallery does not hold it."""

    @property
    def count(self) -> Rows:
        """(B,) relevant items of each query, itself left out."""
        return self.stop - self.start - ((self.own >= self.start) & (self.own < self.stop))

    @property
    def widest(self) -> int:
        """The most items that a label has."""
        return int((self.stop - self.start).max())

    @property
    def span(self) -> tuple[int, int]:
        """From the first item of the first label to the last one of the last."""
        return int(self.start.min()), int(self.stop.max())

    def __getitem__(self, rows: slice) -> ByLabel:
        return ByLabel(self.order[rows], self.label[rows], self.start[rows], self.stop[rows], self.own[rows])

    def relevant(self, first: int, last: int) -> Iterator[tuple[Index, Index, Index]]:
        """Slices, one for each label."""
        for rows, start, stop in self._runs():
            begin, end = max(start, first), min(stop, last)
            if begin < end:
                yield rows, slice(begin - first, end - first), slice(begin - start, end - start)

    @property
    def blank(self) -> tuple[Rows, Rows]:
        """The query itself is one of its label's items."""
        own = np.flatnonzero((self.own >= self.start) & (self.own < self.stop))
        return own, (self.own - self.start)[own]

    def hidden(self, first: int, last: int) -> tuple[Rows, Rows]:
        """The query itself."""
        own = np.flatnonzero((self.own >= first) & (self.own < last))
        return own, self.own[own] - first

    def groups(self) -> Iterator[tuple[slice, Index]]:
        """Queries of one label."""
        for rows, start, stop in self._runs():
            yield rows, slice(start, stop)

    def _runs(self) -> Iterator[tuple[slice, int, int]]:
        """Rows that share a label, and their slice of the gallery."""
        edges = [0, *(np.flatnonzero(np.diff(self.label)) + 1).tolist(), len(self.label)]
        for first, last in pairwise(edges):
            yield slice(first, last), int(self.start[first]), int(self.stop[first])


@dataclass(frozen=True)
class Columns:
    """Some columns for each of B rows, ascending within a row, end to end."""

    columns: Rows
    starts: Rows
    """(B + 1,)"""

    @property
    def count(self) -> Rows:
        """(B,) columns of each row."""
        return np.diff(self.starts)

    def __getitem__(self, rows: slice) -> Columns:
        starts = self.starts[rows.start : min(rows.stop, len(self.starts) - 1) + 1]
        return Columns(self.columns[starts[0] : starts[-1]], starts - starts[0])

    def between(self, first: int, last: int) -> tuple[Rows, Rows, Rows]:
        """Rows, columns and places within the row of those in first … last − 1."""
        chosen = np.flatnonzero((self.columns >= first) & (self.columns < last))
        rows = np.searchsorted(self.starts, chosen, side="right") - 1
        return rows, self.columns[chosen] - first, chosen - self.starts[rows]


@dataclass(frozen=True)
class ByJudgement(Relevance):
    """Relevant and ignored is what a list says."""

    order: Rows
    listed: Columns
    ignored: Columns
    """What the query ignores, itself included."""

    @property
    def count(self) -> Rows:
        """(B,) relevant items of each query."""
        return self.listed.count

    @property
    def widest(self) -> int:
        """The longest list."""
        return int(self.count.max())

    @property
    def span(self) -> tuple[int, int]:
        """From the first to the last listed column."""
        columns = self.listed.columns
        return (int(columns.min()), int(columns.max()) + 1) if len(columns) else (0, 0)

    def __getitem__(self, rows: slice) -> ByJudgement:
        return ByJudgement(self.order[rows], self.listed[rows], self.ignored[rows])

    def relevant(self, first: int, last: int) -> Iterator[tuple[Index, Index, Index]]:
        """All at once."""
        yield self.listed.between(first, last)

    @property
    def blank(self) -> tuple[Rows, Rows]:
        """None: a query is never in its own list."""
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing

    def hidden(self, first: int, last: int) -> tuple[Rows, Rows]:
        """What the query ignores."""
        rows, columns, _ = self.ignored.between(first, last)
        return rows, columns

    def groups(self) -> Iterator[tuple[slice, Index]]:
        """Each query by itself."""
        for row, (start, stop) in enumerate(pairwise(self.listed.starts.tolist())):
            yield slice(row, row + 1), self.listed.columns[start:stop]


def find(query: tuple[Ids, Ids], gallery: tuple[Ids, Ids], judgements: Judgements | None) -> tuple[Rows, Relevance]:
    """The order that the gallery should be in, and where each query finds what in it.

    Each side is (labels, ids). Raises ValueError for an id that is twice in the gallery, and for a query that
    has no judgements where there are any.
    """
    ids = gallery[1]
    lookup = IdLookup(ids)
    if (repeated := lookup.repeated()).size:
        raise ValueError(f"gallery ids must differ: {repeated[0]} is there more than once")
    if judgements is not None:
        return np.arange(len(ids)), _by_judgement(query[1], lookup, judgements)
    gallery_order = np.argsort(gallery[0], kind="stable")
    labels = gallery[0][gallery_order]
    order = np.argsort(query[0], kind="stable")
    query_labels = query[0][order]
    place = np.empty(len(ids), dtype=np.intp)
    place[gallery_order] = np.arange(len(ids))
    own = lookup.rows(query[1][order])
    own[own >= 0] = place[own[own >= 0]]
    start, stop = (np.searchsorted(labels, query_labels, side) for side in ("left", "right"))
    return gallery_order, ByLabel(order, query_labels, start, stop, own)


def _by_judgement(queries: Ids, gallery: IdLookup, judgements: Judgements) -> ByJudgement:
    judged = judgements.rows(queries)
    own = gallery.rows(queries)
    lists = []
    for listed in (judgements.relevant, judgements.ignored):
        columns = [_found(listed[row], gallery) for row in judged.tolist()]
        lists.append([found[found != mine] for found, mine in zip(columns, own, strict=True)])
    ignored = [np.append(found, mine) if mine >= 0 else found for found, mine in zip(lists[1], own, strict=True)]
    return ByJudgement(np.arange(len(queries)), _joined(lists[0]), _joined(ignored))


def _found(listed: Ids, gallery: IdLookup) -> Rows:
    """Columns of those in a list that the gallery holds."""
    columns = gallery.rows(listed)
    return columns[columns >= 0]


def _joined(lists: list[Rows]) -> Columns:
    starts = np.concatenate(([0], np.cumsum([len(columns) for columns in lists]))).astype(np.intp)
    return Columns(np.concatenate([np.sort(columns) for columns in lists]).astype(np.intp), starts)

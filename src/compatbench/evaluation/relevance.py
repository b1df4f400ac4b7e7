"""Relevant and ignored items of each query, as columns of a gallery: by label, or by judgements.

Queries of one group share their relevant items: by label a group is a label, by judgements it is one query.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.data.judgements import Judgements
from compatbench.data.lists import Lists

Rows = NDArray[np.int64]
Grades = NDArray[np.float32]
Index = Rows | slice

_SLICED = 1024
"""A slice of the scores costs as much as so many single ones."""


@dataclass(frozen=True, eq=False)
class Relevance:
    """The relevant and the ignored ones of N gallery items, by column, for each of Q queries."""

    listed: Lists
    """Relevant columns of each group, ascending."""
    group: Rows
    """(Q,)"""
    own: Rows
    """(Q,) column of the query's own sample, which never counts; −1 where the gallery does not contain it."""
    own_place: Rows
    """(Q,) place of the own sample in its group's list; −1 where it is not listed."""
    ignored: Lists
    """Further columns that do not count, of each query."""
    items: int
    """N."""
    by_label: bool
    grades: Grades | None = None
    """Of `listed.values`, by judgements; 1 each if None."""
    graded: Relevance | None = None
    """Every column with a grade above 0, if some of them are too low to be relevant: they count for nDCG alone."""

    @classmethod
    def of(
        cls,
        listed: Lists,
        group: Rows,
        own: Rows,
        ignored: Lists,
        items: int,
        *,
        by_label: bool,
        grades: Grades | None = None,
        graded: Relevance | None = None,
    ) -> Relevance:
        """From its other parts."""
        keys, wanted = listed.rows * (items + 1) + listed.values, group * (items + 1) + own
        at = np.searchsorted(keys, wanted)
        inside = (own >= 0) & (np.append(keys, -1)[at] == wanted)
        places = np.where(inside, at - listed.starts[group], -1)
        return cls(listed, group, own, places, ignored, items, by_label, grades, graded)

    @classmethod
    def judged(
        cls,
        rows: Rows,
        columns: Rows,
        grades: Grades | None,
        relevant_from: float | None,
        own: Rows,
        ignored: Lists,
        items: int,
    ) -> Relevance:
        """From the row, column and grade of each judgement; all grades are 1 if None.

        Relevant is a grade above 0, or of at least `relevant_from`.
        """
        graded = None
        if grades is not None:
            relevant = grades > 0 if relevant_from is None else grades >= relevant_from
            if ((grades > 0) & ~relevant).any():
                graded = cls.judged(rows, columns, grades, None, own, ignored, items)
            rows, columns, grades = rows[relevant], columns[relevant], grades[relevant]
            grades = grades[np.lexsort((columns, rows))].clip(min=0).astype(np.float32)
        listed, group = Lists.grouped(rows, columns, len(own)), np.arange(len(own))
        return cls.of(listed, group, own, ignored, items, by_label=False, grades=grades, graded=graded)

    def __len__(self) -> int:
        return len(self.group)

    @property
    def count(self) -> Rows:
        """(Q,) relevant items of each query, without itself."""
        return self.listed.sizes[self.group] - (self.own_place >= 0)

    @property
    def irrelevant(self) -> Rows:
        """(Q,) irrelevant items, without the ignored ones."""
        return self.items - self.count - self.ignored.sizes - (self.own >= 0)

    @property
    def widest(self) -> int:
        """The longest list of a query, at least 1: its relevant items take places 0 … widest − 1."""
        return max(1, int(self.listed.sizes[self.group].max(initial=0)))

    @cached_property
    def span(self) -> tuple[int, int]:
        """All relevant columns lie from the first of these up to, not including, the second."""
        groups = np.unique(self.group)
        groups = groups[self.listed.sizes[groups] > 0]
        if not len(groups):
            return 0, 0
        values, starts = self.listed.values, self.listed.starts
        return int(values[starts[groups]].min()), int(values[starts[groups + 1] - 1].max()) + 1

    def columns_of(self, queries: Rows) -> Rows:
        """The columns that are relevant to any of the queries, ascending."""
        return np.unique(self.listed.take(np.unique(self.group[queries])).values)

    def __getitem__(self, queries: Rows) -> Relevance:
        """The same for some of the queries."""
        return replace(
            self,
            group=self.group[queries],
            own=self.own[queries],
            own_place=self.own_place[queries],
            ignored=self.ignored.take(queries),
            graded=None if self.graded is None else self.graded[queries],
        )

    def among(self, gallery: Rows, queries: Rows) -> Relevance:
        """For some of the queries, in a gallery of these columns."""
        column = np.full(self.items + 1, -1)  # one more, for the sample that is not there: −1
        column[gallery] = np.arange(len(gallery))

        def kept(lists: Lists) -> Lists:
            columns = column[lists.values]
            return Lists.grouped(lists.rows[columns >= 0], columns[columns >= 0], len(lists))

        ignored, own = kept(self.ignored.take(queries)), column[self.own[queries]]
        if not self.by_label:
            lists, places = self.listed.take(self.group[queries]), self.listed.places.take(self.group[queries]).values
            there = column[lists.values] >= 0
            grades = None if self.grades is None else self.grades[places][there]
            found = lists.rows[there], column[lists.values[there]], grades
            judged = Relevance.judged(*found, -np.inf, own, ignored, len(gallery))
            return judged if self.graded is None else replace(judged, graded=self.graded.among(gallery, queries))
        used, group = np.unique(self.group[queries], return_inverse=True)
        return Relevance.of(kept(self.listed.take(used)), group, own, ignored, len(gallery), by_label=True)

    @cached_property
    def grade_table(self) -> Grades:
        """(Q, widest) grades by place; 0 if there is no relevant item, and for the query's own sample."""
        places = self.listed.places.take(self.group)
        table = np.zeros((len(self), self.widest), dtype=np.float32)
        inside = places.values - np.repeat(self.listed.starts[self.group], places.sizes)
        table[places.rows, inside] = 1.0 if self.grades is None else self.grades[places.values]
        own = np.flatnonzero(self.own_place >= 0)
        table[own, self.own_place[own]] = 0.0
        return table

    def relevant(self, first: int, last: int) -> Iterator[tuple[Index, Index, Index]]:
        """Rows, columns less `first`, and places of relevant items in columns first … last − 1, itself included."""
        for neighbours, run in self._slices:
            begin, end = max(run.start, first), min(run.stop, last)
            if begin < end:
                yield neighbours, slice(begin - first, end - first), slice(begin - run.start, end - run.start)
        others, scattered = self._scattered
        rows, columns, places = scattered.between(first, last)
        yield others[rows], columns - first, places

    def hidden(self, first: int, last: int) -> tuple[Rows, Rows]:
        """Rows, and columns less `first`, of ignored items in columns first … last − 1."""
        own = np.flatnonzero((self.own >= first) & (self.own < last))
        rows, columns, _ = self.ignored.between(first, last)
        return np.concatenate((own, rows)), np.concatenate((self.own[own], columns)) - first

    def groups(self) -> Iterator[tuple[slice, Index]]:
        """Neighbouring rows with the same list, and its columns."""
        edges = [0, *(np.flatnonzero(np.diff(self.group)) + 1).tolist(), len(self)]
        for first, last in pairwise(edges):
            columns = self.listed[self.group[first]] if last > first else self.listed.values[:0]
            gapless = len(columns) > 0 and columns[-1] - columns[0] == len(columns) - 1
            yield slice(first, last), slice(int(columns[0]), int(columns[-1]) + 1) if gapless else columns

    @cached_property
    def _slices(self) -> list[tuple[slice, slice]]:
        """The large ones of `groups` whose columns have no gaps."""
        return [
            (rows, columns)
            for rows, columns in self.groups()
            if isinstance(columns, slice) and (rows.stop - rows.start) * (columns.stop - columns.start) >= _SLICED
        ]

    @cached_property
    def _scattered(self) -> tuple[Rows, Lists]:
        """The other rows, and their lists."""
        others = np.ones(len(self), dtype=np.bool_)
        for neighbours, _ in self._slices:
            others[neighbours] = False
        rows = np.flatnonzero(others)
        return rows, self.listed.take(self.group[rows])


def by_label(query: NDArray[Any], gallery: NDArray[Any], own: Rows) -> Relevance:
    """Items of the query's label are relevant; labels are (Q,) and (N,), the queries' own columns `own` (Q,)."""
    names, codes = np.unique(gallery, return_inverse=True)
    group = np.searchsorted(names, query)
    group[np.append(names, names[:1])[group] != query] = len(names)  # a label that the gallery lacks: an empty list
    listed = Lists.grouped(codes, np.arange(len(gallery)), len(names) + 1)
    return Relevance.of(listed, group, own, Lists.empty(len(query)), len(gallery), by_label=True)


def by_judgement(queries: Rows, gallery: IdLookup, judgements: Judgements) -> Relevance:
    """Relevant and ignored items of the queries of these ids (Q,), by their judgements."""
    judged, own = judgements.rows(queries), gallery.rows(queries)

    def found(lists: Lists) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        lists = lists.take(judged)
        columns = gallery.rows(lists.values)
        there = (columns >= 0) & (columns != own[lists.rows])
        return lists.rows[there], columns[there], there

    ignored_rows, ignored_columns, _ = found(judgements.ignored)
    ignored = Lists.grouped(ignored_rows, ignored_columns, len(queries))
    rows, columns, there = found(judgements.relevant)
    grades = judgements.grades
    if grades is not None:
        grades = grades[judgements.relevant.places.take(judged).values][there]
    return Relevance.judged(rows, columns, grades, judgements.relevant_from, own, ignored, len(gallery.ids))


def order_and_relevance(
    query: tuple[Rows, Rows], gallery: tuple[Rows, Rows], judgements: Judgements | None
) -> tuple[Rows, Relevance]:
    """The order to put the gallery in, and the relevance of its columns.

    Each side is (labels, ids). By label the gallery is sorted, so that what is relevant to a query is one slice of it.
    Raises ValueError for an id that is twice in the gallery, and for a query without judgements where there are any.
    """
    labels, ids = gallery
    if (repeated := IdLookup(ids).repeated()).size:
        raise ValueError(f"gallery ids must differ: {repeated[0]} is there more than once")
    if judgements is not None:
        return np.arange(len(ids)), by_judgement(query[1], IdLookup(ids), judgements)
    order = np.argsort(labels, kind="stable")
    return order, by_label(query[0], labels[order], IdLookup(ids[order]).rows(query[1]))

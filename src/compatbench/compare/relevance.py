"""What is relevant to what: by class, or by relevance judgements (qrels)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.compare.inputs import Items, Rows
from compatbench.data.id_lookup import IdLookup
from compatbench.errors import RequestError
from compatbench.evaluation.streaming import Relevant

_QRELS = "a qrels file has lines of query id, document id and relevance (or the four columns of TREC)"


@dataclass(frozen=True, eq=False)
class RelevantItems:
    """Which of N gallery items are relevant to which of Q queries; queries of one group share them."""

    group: Rows
    """(Q,) group of each query."""
    starts: Rows
    """(G + 1,) where each group's items begin in `items`."""
    items: Rows
    """Gallery rows, ascending within a group."""
    own: Rows
    """(Q,) gallery row that is the query itself, −1 where there is none."""
    gallery_size: int
    by_class: bool

    def of(self, query: np.intp) -> Rows:
        """Gallery rows that are relevant to a query, itself among them where it is."""
        group = self.group[query]
        return self.items[self.starts[group] : self.starts[group + 1]]

    def relevant_to_any(self) -> NDArray[np.bool_]:
        """(N,) items that some query with judgements asks for."""
        mask = np.zeros(self.gallery_size, dtype=np.bool_)
        mask[self.items] = True
        return mask

    def answerable(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(Q,) queries to which a kept item is relevant, other than the query itself; `kept` is (N,)."""
        before = np.concatenate(([0], np.cumsum(kept[self.items])))
        counts = (before[self.starts[1:]] - before[self.starts[:-1]])[self.group]
        for query in np.flatnonzero((self.own >= 0) & kept[self.own] & (counts == 1)):
            counts[query] -= bool(np.isin(self.own[query], self.of(query)))
        return counts > 0

    def among(self, gallery: Rows, queries: Rows) -> Relevant:
        """For some queries, what is relevant in a gallery of these rows (ascending), by position there."""
        position = np.full(self.gallery_size + 1, -1, dtype=np.intp)  # one more, for the query that is not there: −1
        position[gallery] = np.arange(len(gallery))
        used, group = np.unique(self.group[queries], return_inverse=True)
        groups = []
        for one in used:
            found = position[self.items[self.starts[one] : self.starts[one + 1]]]
            groups.append(found[found >= 0])
        return Relevant(groups, group.astype(np.intp), position[self.own[queries]], len(gallery))


def by_class(gallery: Items, queries: Items | None) -> RelevantItems:
    """Items of a query's class are relevant; a query with the id of a gallery item is that item.

    Raises RequestError where classes are missing.
    """
    for side, what in ((gallery, "items"), (queries, "queries")):
        if side is not None and side.labels is None:
            option = "--labels" if side is gallery else "--query-labels"
            raise RequestError(
                f"{side.new.name} has no classes of its {what}: give {option} FILE.npy with one class a row, put a "
                "column 'labels' beside the vectors, or give relevance judgements by --qrels FILE"
            )
    assert gallery.labels is not None
    size = len(gallery)
    labels = gallery.labels
    if queries is not None and queries.labels is not None:
        if (labels.dtype.kind == "U") != (queries.labels.dtype.kind == "U"):
            raise RequestError(
                f"the classes of {gallery.new.name} and {queries.new.name} differ in kind: numbers in one, text in the "
                "other; name them alike"
            )
        labels = np.concatenate((labels, queries.labels))
    names, codes = np.unique(labels, return_inverse=True)
    codes = codes.astype(np.intp)
    items = np.argsort(codes[:size], kind="stable")
    starts = np.searchsorted(codes[:size][items], np.arange(len(names) + 1))
    own = np.arange(size) if queries is None else _same_ids(gallery, queries)
    group = codes if queries is None else codes[size:]
    return RelevantItems(group, starts, items, own, len(gallery), by_class=True)


def _same_ids(gallery: Items, queries: Items) -> Rows:
    if not (gallery.has_ids and queries.has_ids):
        return np.full(len(queries), -1, dtype=np.intp)
    return IdLookup(gallery.ids).rows(queries.ids)


def read_qrels(path: Path, gallery: Items, queries: Items | None) -> RelevantItems:
    """Relevance judgements by id, from 1 on relevant; queries and documents have ids of their own.

    Without a file of queries, the queries are items of the gallery, and do not find themselves. Raises RequestError
    for a damaged file, for an id that has no vector, and for a pair that is judged twice.
    """
    asked = gallery if queries is None else queries
    row_of = {name: row for row, name in enumerate(gallery.ids)}
    query_of = row_of if queries is None else {name: row for row, name in enumerate(queries.ids)}
    relevant: dict[int, set[int]] = {}
    seen: dict[tuple[int, int], int] = {}
    for line, query, document, grade in _judged(path):
        for name, rows, table in ((query, query_of, asked), (document, row_of, gallery)):
            if name not in rows:
                ids = f"the ids of {table.new.name}" if table.has_ids else f"the row numbers of {table.new.name}"
                raise RequestError(
                    f"{path}, line {line}: '{name}' is not among {ids}; embed it, or leave its judgements out"
                )
        pair = query_of[query], row_of[document]
        if pair in seen:
            raise RequestError(f"{path}, line {line}: the pair is already judged in line {seen[pair]}; keep one")
        seen[pair] = line
        if grade > 0:
            relevant.setdefault(pair[0], set()).add(pair[1])
    lists = [np.array(sorted(relevant.get(query, ())), dtype=np.intp) for query in range(len(asked))]
    starts = np.concatenate(([0], np.cumsum([len(one) for one in lists]))).astype(np.intp)
    own = np.arange(len(asked)) if queries is None else np.full(len(asked), -1)
    items = np.concatenate(lists)
    return RelevantItems(np.arange(len(asked)), starts, items, own.astype(np.intp), len(gallery), by_class=False)


def _judged(path: Path) -> Iterator[tuple[int, str, str, float]]:
    """Line number, query id, document id and relevance of each judgement."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}; {_QRELS}") from error
    for number, line in enumerate(lines, start=1):
        words = line.split("\t") if line.count("\t") in (2, 3) else line.split()
        if not words:
            continue
        if len(words) not in (3, 4):
            raise RequestError(f"{path}, line {number}: {len(words)} columns; {_QRELS}")
        try:
            grade = float(words[-1])
        except ValueError as error:
            if number == 1:
                continue  # names of columns
            raise RequestError(f"{path}, line {number}: '{words[-1]}' is no relevance; {_QRELS}") from error
        yield number, words[0].strip(), words[-2].strip(), grade

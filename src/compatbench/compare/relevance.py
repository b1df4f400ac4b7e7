"""Relevance between items: by class, or by relevance judgements (qrels)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compatbench.compare.inputs import Items
from compatbench.compare.rows import Rows
from compatbench.data.id_lookup import IdLookup
from compatbench.data.lists import Lists
from compatbench.errors import RequestError
from compatbench.evaluation.relevance import Relevance, by_label

_QRELS = "a qrels file has lines of query id, document id and relevance (or the four columns of TREC)"


def by_class(gallery: Items, queries: Items | None) -> Relevance:
    """Items of a query's class are relevant; a query and a gallery item of one id are the same item.

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
    if queries is None or queries.labels is None:
        return by_label(gallery.labels, gallery.labels, np.arange(len(gallery)))
    if (gallery.labels.dtype.kind == "U") != (queries.labels.dtype.kind == "U"):
        raise RequestError(
            f"the classes of {gallery.new.name} and {queries.new.name} differ in kind: numbers in one, text in the "
            "other; name them alike"
        )
    return by_label(queries.labels, gallery.labels, _same_ids(gallery, queries))


def _same_ids(gallery: Items, queries: Items) -> Rows:
    if not (gallery.has_ids and queries.has_ids):
        return np.full(len(queries), -1, dtype=np.intp)
    return IdLookup(gallery.ids).rows(queries.ids)


def read_qrels(path: Path, gallery: Items, queries: Items | None) -> Relevance:
    """Relevance judgements by id, from 1 on relevant; queries and documents have ids of their own.

    Without a file of queries, the queries are items of the gallery, and do not find themselves. Raises RequestError
    for a damaged file, for an id that has no vector, and for a pair that is judged twice.
    """
    asked = gallery if queries is None else queries
    row_of = {name: row for row, name in enumerate(gallery.ids)}
    query_of = row_of if queries is None else {name: row for row, name in enumerate(queries.ids)}
    judged: dict[tuple[int, int], tuple[float, int]] = {}
    for line, query, document, grade in _judged(path):
        for name, rows, table in ((query, query_of, asked), (document, row_of, gallery)):
            if name not in rows:
                ids = f"the ids of {table.new.name}" if table.has_ids else f"the row numbers of {table.new.name}"
                raise RequestError(
                    f"{path}, line {line}: '{name}' is not among {ids}; embed it, or leave its judgements out"
                )
        pair = query_of[query], row_of[document]
        if pair in judged:
            raise RequestError(f"{path}, line {line}: the pair is already judged in line {judged[pair][1]}; keep one")
        judged[pair] = grade, line
    relevant = np.array([pair for pair, (grade, _) in judged.items() if grade > 0], dtype=np.int64).reshape(-1, 2)
    each = np.arange(len(asked))
    own = each if queries is None else np.full(len(asked), -1)
    listed, ignored = Lists.grouped(relevant[:, 0], relevant[:, 1], len(asked)), Lists.empty(len(asked))
    return Relevance.of(listed, each, own, ignored, len(gallery), by_label=False)


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

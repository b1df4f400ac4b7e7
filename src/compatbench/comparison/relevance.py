"""Relevance between items: by class, or by relevance judgements (qrels)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compatbench.comparison.inputs import PairedItems
from compatbench.data.id_lookup import IdLookup
from compatbench.data.lists import Lists
from compatbench.data.vectors.in_memory import JudgementSource, judgements_in_memory, unused_judgement_columns
from compatbench.data.vectors.notices import LISTED, Notice
from compatbench.data.vectors.options import DEFAULT, InputOptions
from compatbench.data.vectors.pairing import Rows, of_one_kind
from compatbench.data.vectors.qrels import Judged, read_judgements
from compatbench.errors import RequestError, listed
from compatbench.evaluation.relevance import Relevance, by_label


def by_class(gallery: PairedItems, queries: PairedItems | None, options: InputOptions = DEFAULT) -> Relevance:
    """Items of a query's class are relevant; a query and a gallery item of one id are the same item.

    They are not with `separate_ids`.

    Raises RequestError where classes are missing.
    """
    for side, what in ((gallery, "items"), (queries, "queries")):
        if side is not None and side.labels is None:
            option = "--labels" if side is gallery else "--query-labels"
            raise RequestError(
                f"{side.new.name} has no classes of its {what}: give {option} FILE.npy with one class a row, put a "
                "column 'labels' beside the vectors, or give relevance judgements by --qrels FILE"
            )
    labels = gallery.searched_labels
    assert labels is not None
    if queries is None or queries.labels is None:
        _refuse_documents_as_queries(gallery)
        return by_label(labels, labels, np.arange(len(gallery)))
    what = f"the classes of {gallery.new.name} and {queries.new.name}"
    labels, classes = of_one_kind(labels, queries.labels, what)
    return by_label(classes, labels, _same_ids(gallery, queries, options))


def _refuse_documents_as_queries(gallery: PairedItems) -> None:
    if gallery.documents is not None:
        raise RequestError("documents of several vectors cannot be queries: give --old-queries and --new-queries")


def shared_ids(gallery: PairedItems, queries: PairedItems, options: InputOptions) -> tuple[Notice, ...]:
    """A notice of the number of queries by class with the id of an item, and its consequence."""
    shared = int((_same_ids(gallery, queries, DEFAULT) >= 0).sum())
    if not shared:
        return ()
    text = f"{shared:,} of {len(queries):,} queries have the id of an item of {gallery.new.name}, and "
    if options.separate_ids:
        return (Notice("ids", shared, f"{text}are not that item, by --separate-ids"),)
    text += "are taken as that item: they do not find it, and are left out if it is fitted on; "
    return (
        Notice("ids", shared, f"{text}if ids of queries and items have nothing to do with each other, --separate-ids"),
    )


def _same_ids(gallery: PairedItems, queries: PairedItems, options: InputOptions) -> Rows:
    if options.separate_ids or gallery.documents is not None or not (gallery.has_ids and queries.has_ids):
        return np.full(len(queries), -1, dtype=np.intp)
    return IdLookup(gallery.ids).rows(queries.ids)


def read_qrels(
    source: str | Path | JudgementSource,
    gallery: PairedItems,
    queries: PairedItems | None,
    options: InputOptions = DEFAULT,
) -> tuple[Relevance, tuple[Notice, ...]]:
    """Relevance judgements by id, from a file or in memory; queries and documents have ids of their own.

    Without a file of queries, the queries are items of the gallery, and do not find themselves. Returns what was left
    out beside. Raises RequestError for a damaged file, for ids that have no vector, and for pairs that are judged
    twice and differently.
    """
    asked = gallery if queries is None else queries
    if queries is None:
        _refuse_documents_as_queries(gallery)
    row_of = {name: row for row, name in enumerate(gallery.searched)}
    query_of = row_of if queries is None else {name: row for row, name in enumerate(queries.ids)}
    judged: dict[tuple[int, int], Judged] = {}
    unknown: dict[str, list[Judged]] = {"query": [], "document": []}
    of_left_out, repeated, contradicting = 0, 0, []
    path = Path(source) if isinstance(source, str | Path) else Path("judgements")
    for one in read_judgements(path) if isinstance(source, str | Path) else judgements_in_memory(source):
        if one.query not in query_of or one.document not in row_of:
            if one.query not in query_of and one.query not in asked.left_out:
                unknown["query"].append(one)
            elif one.document not in row_of and one.document not in gallery.left_out:
                unknown["document"].append(one)
            else:
                of_left_out += 1
            continue
        pair = query_of[one.query], row_of[one.document]
        first = judged.setdefault(pair, one)
        repeated += first is not one and first.grade == one.grade
        if first.grade != one.grade:
            contradicting.append((one, first))
    if contradicting:
        again, first = contradicting[0]
        raise RequestError(
            f"{path}, line {again.line}: the pair is already judged in line {first.line}, {first.grade:g} there and "
            f"{again.grade:g} here; {len(contradicting):,} judgements contradict earlier ones: keep one of each"
        )
    unused = [] if isinstance(source, str | Path) else unused_judgement_columns(source)
    notices = [*_unknown(path, gallery, asked, unknown, options), *_said(path, judged, of_left_out, repeated, options)]
    if unused:
        notices.append(Notice("columns", len(unused), f"{path}: left alone: {listed(map(repr, unused), LISTED)}"))
    pairs = np.array(list(judged), dtype=np.int64).reshape(-1, 2)
    grades = np.array([one.grade for one in judged.values()], dtype=np.float32)
    own = np.arange(len(asked)) if queries is None else np.full(len(asked), -1)
    least, ignored = options.relevant_from, Lists.empty(len(asked))
    relevance = Relevance.judged(pairs[:, 0], pairs[:, 1], grades, least, own, ignored, len(gallery.searched))
    if not len(relevance.listed.values):
        said = (
            f"none of its {len(judged):,} judgements of these items is relevant" if judged else "it has no judgements"
        )
        left = "; ".join(notice.text for notice in notices)
        raise RequestError(f"{path}: {said}{f' ({left})' if left else ''}")
    return relevance, tuple(notices)


def _unknown(
    path: Path, gallery: PairedItems, asked: PairedItems, unknown: dict[str, list[Judged]], options: InputOptions
) -> Iterator[Notice]:
    """What is judged and has no vector: refused, or left out and counted."""
    complaints, lost = [], sum(map(len, unknown.values()))
    for side, items, found in (("query", asked, unknown["query"]), ("document", gallery, unknown["document"])):
        if found:
            names = dict.fromkeys(getattr(one, side) for one in found)
            ids = f"the ids of {items.new.name}" if items.has_ids else f"the row numbers of {items.new.name}"
            complaints.append(
                f"{len(names):,} {side} ids are not among {ids} (first in line {found[0].line}): "
                f"{listed(map(repr, names), LISTED)}"
            )
    if not complaints:
        return
    if not options.skip_unknown:
        raise RequestError(
            f"{path}: {'; '.join(complaints)}; embed them, or leave their {lost:,} judgements out by --skip-unknown"
        )
    yield Notice("judgements", lost, f"{path}: {lost:,} judgements left out: {'; '.join(complaints)}")


def _said(
    path: Path, judged: dict[tuple[int, int], Judged], of_left_out: int, repeated: int, options: InputOptions
) -> Iterator[Notice]:
    if of_left_out:
        yield Notice("judgements", of_left_out, f"{path}: {of_left_out:,} judgements left out with their items")
    if repeated:
        yield Notice("judgements", repeated, f"{path}: {repeated:,} judgements are there twice, with the same grade")
    counts = Counter(one.grade for one in judged.values())
    if len(counts.keys() - {0.0, 1.0}) or options.relevant_from is not None:
        grades = ", ".join(f"{count:,} of {grade:g}" for grade, count in sorted(counts.items()))
        rule = "above 0 is relevant; --relevant-from G takes another least grade"
        if options.relevant_from is not None:
            rule = f"relevant from {options.relevant_from:g} on"
        yield Notice("judgements", len(judged), f"{path}: grades are {grades}; {rule}")

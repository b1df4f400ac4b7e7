"""Judgements of a qrels file, for named samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from compatbench.data.judgements import Judgements
from compatbench.data.lists import Lists
from compatbench.data.vectors.qrels import read_judgements
from compatbench.errors import RequestError

Grades = dict[str, dict[str, float]]
"""Grades above 0, by query and document."""


def read_grades(path: Path, queries: Collection[str], documents: Collection[str]) -> Grades:
    """The grades of a file, in its order. Raises RequestError for unknown names, and if nothing is relevant."""
    found: Grades = {}
    for one in read_judgements(path):
        for there, name, what in ((queries, one.query, "query"), (documents, one.document, "document")):
            if name not in there:
                raise RequestError(f"{path}, line {one.line}: {what} {name} is not there; take the line out, or add it")
        if one.grade > 0:
            found.setdefault(one.query, {})[one.document] = one.grade
    if not found:
        raise RequestError(f"{path} has no judgement above 0")
    return found


def judgements(
    grades: Grades, queries: Mapping[str, int], documents: Mapping[str, int], relevant_from: float
) -> Judgements:
    """The judgements of all queries of `grades`, by the sample ids of names.

    A document with a query's own name, unless it is judged, does not count: BEIR's evaluation leaves it out too.
    """
    own = [[documents[one]] if one in documents and one not in found else [] for one, found in grades.items()]
    values = np.array([grade for found in grades.values() for grade in found.values()], dtype=np.float32)
    return Judgements(
        np.array([queries[one] for one in grades]),
        Lists.of([[documents[one] for one in found] for found in grades.values()]),
        Lists.of(own),
        None if (values == 1).all() else values,
        relevant_from,
    )

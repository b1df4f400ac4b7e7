"""The first items of each query, for people to look at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.retrieval import Vectors, cosine_blocks, find_relevant


class FirstItems(NamedTuple):
    """The first k items of Q queries, best first: sample ids, and whether they are relevant, (Q, k) each."""

    ids: NDArray[np.int64]
    right: NDArray[np.bool_]


def first_items(query: Vectors, gallery: Vectors, k: int) -> FirstItems:
    """The first `k` gallery items by cosine, ranked as `retrieval.evaluate` ranks them.

    A query skips its own sample and what its judgements ignore; of equal scores an irrelevant item comes first. Holds
    Q × N scores at once, so this is for some queries, not for all. Fewer columns where fewer items count.
    """
    size = len(gallery)
    order, relevance = find_relevant(query, gallery)
    (scores,) = cosine_blocks(query, gallery, np.arange(len(query)), order, len(query))
    right, hidden = np.zeros(scores.shape, dtype=bool), np.zeros(scores.shape, dtype=bool)
    for rows, columns, _ in relevance.relevant(0, size):
        right[rows, columns] = True
    hidden[relevance.hidden(0, size)] = True
    first = np.lexsort((right, -scores, hidden), axis=1)[:, : min(k, size - int(hidden.sum(axis=1).max()))]
    return FirstItems(gallery.ids.cpu().numpy()[order][first], np.take_along_axis(right, first, axis=1))

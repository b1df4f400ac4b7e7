"""The relevant gallery images of each query, if they are not simply those of its class.

Cross-camera search ignores what the query's own camera saw of the same person; landmark search has lists of right
answers and of images that count neither way. Knows nothing of torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.data.lists import Lists

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judgements:
    """For each query the ids of its relevant gallery items, with grades if there are any, and of those not counted.

    What is in neither list is irrelevant. A query's own sample never counts, whether it is listed or not.
    """

    queries: Ids
    """(Q,) sample ids of the queries, in any order."""
    relevant: Lists
    ignored: Lists
    """Images that are taken out of the query's ranking before anything is counted."""
    grades: NDArray[np.float32] | None = None
    """(n,) how relevant each of `relevant.values` is, above 0; 1 each if None."""
    relevant_from: float = 1.0
    """Items of a lower grade count for nDCG alone: every other number takes them for irrelevant."""

    def __post_init__(self) -> None:
        if not len(self.queries) == len(self.relevant) == len(self.ignored):
            raise ValueError(
                f"{len(self.queries)} queries, {len(self.relevant)} lists of relevant and "
                f"{len(self.ignored)} of ignored images; there must be one of each for every query"
            )
        if len(np.unique(self.queries)) < len(self.queries):
            raise ValueError("a query is judged twice")
        if self.grades is not None and self.grades.shape != self.relevant.values.shape:
            raise ValueError(f"{len(self.grades)} grades of {len(self.relevant.values)} relevant images")
        for row, query in enumerate(self.queries.tolist()):
            listed = np.concatenate((self.relevant[row], self.ignored[row]))
            if len(np.unique(listed)) < len(listed):
                raise ValueError(f"query {query}: an image is listed twice among its relevant and ignored ones")

    def rows(self, queries: Ids) -> NDArray[np.intp]:
        """Rows of the queries of these ids. Raises ValueError for a query without judgement."""
        rows = IdLookup(self.queries).rows(queries)
        if (rows < 0).any():
            raise ValueError("some of the queries have no judgements")
        return rows

    @property
    def sha256(self) -> str:
        """Hash (hex) of all lists: the answers are part of the dataset."""
        state = hashlib.sha256()
        for part in (
            self.queries,
            *(part for each in (self.relevant, self.ignored) for part in (each.values, each.starts)),
        ):
            state.update(part.astype("<i8").tobytes() + b";")
        if self.grades is not None:
            state.update(self.grades.astype("<f4").tobytes() + f";{self.relevant_from:g}".encode())
        return state.hexdigest()


def across_groups(query: tuple[Ids, Ids, Ids], gallery: tuple[Ids, Ids, Ids]) -> Judgements:
    """Judgements of a search across cameras; both sides are (ids, labels, groups), (Q,) and (N,) each.

    Relevant is what has the query's label and another group, ignored what has its label and its group: finding
    the next frame of the same camera is no feat (Zheng et al., "Scalable Person Re-identification", ICCV 2015).
    """
    ids, labels, groups = gallery
    order = np.argsort(labels, kind="stable")
    lists: tuple[list[Ids], list[Ids]] = ([], [])
    starts, stops = (np.searchsorted(labels[order], query[1], side) for side in ("left", "right"))
    for start, stop, group in zip(starts, stops, query[2], strict=True):
        members = order[start:stop]
        same = groups[members] == group
        lists[0].append(ids[members[~same]])
        lists[1].append(ids[members[same]])
    return Judgements(query[0], Lists.of(lists[0]), Lists.of(lists[1]))

"""Groups of queries, drawn by chance, and sums over them: what a leaderboard keeps of the queries of a cell.

A group stands for a query wherever means over queries and their intervals are computed: its value is its sum over the
mean size of a group, so that the mean over groups is the mean over queries, exactly. Groups are samples of the same
queries, as large as each other but for one query, so means over them vary as means over the queries do; with at least
128 of them, Student's t is within a percent of what it is with thousands of queries.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError

MOST = 256
"""Groups; of more queries than this there are at least half as many."""


def group_of(ids: NDArray[np.int64], most: int = MOST) -> NDArray[np.intp]:
    """The group (Q,) of each query by its id, from 0: the same for all models, and at most `most` groups."""
    return _drawn(ids.astype(np.uint64).tobytes(), most)


@functools.lru_cache(maxsize=64)
def _drawn(content: bytes, most: int) -> NDArray[np.intp]:
    """The records of a board have the same queries."""
    ids = np.frombuffer(content, dtype=np.uint64)
    size = max(1, -(-len(ids) // most))
    groups = np.empty(len(ids), dtype=np.intp)
    groups[np.argsort(_mixed(ids), kind="stable")] = np.arange(len(ids)) % max(1, len(ids) // size)
    groups.setflags(write=False)
    return groups


def _mixed(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers that are in no order though the ids are; splitmix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    found = ids + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return found ^ (found >> np.uint64(31))


@dataclass(frozen=True, eq=False)
class GroupedColumns:
    """The sums of one array by the names of its columns."""

    name: str
    """Of the array in its file."""
    ids: NDArray[np.int64]
    """(Q,) sample ids of the queries, each with something relevant."""
    sums: Mapping[str, NDArray[np.float64]]
    """(G,) each."""

    @classmethod
    def of(cls, reference: str, columns: Mapping[str, NDArray[Any]]) -> Self:
        """From the columns of a file of sums. Raises RequestError where they are of no one number of groups."""
        sums = {name: one for name, one in columns.items() if name != "ids"}
        lengths = {len(one) for one in sums.values()}
        ids = columns.get("ids", np.empty(0))
        if ids.dtype != np.int64 or not len(ids) or len(lengths) != 1 or lengths - {1, group_of(ids).max() + 1}:
            raise RequestError(f"array {reference}: its columns are not as long as there are groups of its queries")
        return cls(reference.partition("#")[2], ids, sums)

    @property
    def groups(self) -> NDArray[np.intp]:
        """(Q,) the group of each query."""
        return group_of(self.ids)

    def __len__(self) -> int:
        return len(next(iter(self.sums.values())))

    @functools.cached_property
    def sizes(self) -> NDArray[np.intp]:
        """(G,) queries of each group."""
        return np.bincount(self.groups) if len(self) > 1 else np.array([len(self.ids)])

    def values(self, column: str) -> NDArray[np.float64]:
        """(G,) the values with the mean of `column` over all queries. Raises RequestError if there are none."""
        if column not in self.sums:
            raise RequestError(f"'{self.name}' has no sums of '{column}'")
        return self.sums[column] * (len(self) / len(self.ids))


def lost_column(old: str, k: int) -> str:
    """The column of hits in the first `k` that the array `old` has and this one has not."""
    return f"lost@{k} {old}"


def entry_column(entry: str, metric: str) -> str:
    """The column of another array's numbers over the queries of this one."""
    return f"{entry} {metric}"

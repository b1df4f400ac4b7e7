"""Groups of queries, drawn by chance, and sums over them: what a leaderboard keeps of the queries of a cell.

A group stands for a query wherever means over queries and their intervals are computed: its value is its sum over the
mean size of a group, so that the mean over groups is the mean over queries, exactly. Groups are samples of the same
queries, as large as each other but for one query, so means over them vary as means over the queries do; with at least
128 of them, Student's t is within a percent of what it is with thousands of queries, with 64 within two.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError

MOST, MOST_OF_A_SEQUENCE = 256, 128
"""Groups of an upgrade, and of a sequence of more than two generations, whose matrix has many more entries."""


def most_groups(generations: int) -> int:
    """The most groups of a record; of more queries than this there are at least half as many."""
    return MOST if generations == 2 else MOST_OF_A_SEQUENCE


def is_inner(query: str, gallery: str, generations: int) -> bool:
    """Whether the entry is neither of the ends of a sequence nor of its newest upgrade.

    Tables show their mAP alone, and numbers of the whole matrix take DERIVED_FROM, so a leaderboard keeps no more.
    """
    first, before, newest = "0", str(generations - 2), str(generations - 1)
    if query == gallery:
        return query not in (first, before, newest, f"*{newest}")
    return query.isdecimal() and (query, gallery) not in {(newest, first), (newest, before)}


def count_of_groups(queries: int, most: int = MOST) -> int:
    """The groups that so many queries make: at most `most`, all of one size but for one query."""
    return max(1, queries // max(1, -(-queries // most)))


def group_of(ids: NDArray[np.int64], count: int) -> NDArray[np.intp]:
    """The group (Q,) of each query by its id, from 0 to `count` − 1: the same for all models."""
    return _drawn(ids.astype(np.uint64).tobytes(), count)


@functools.lru_cache(maxsize=64)
def _drawn(content: bytes, count: int) -> NDArray[np.intp]:
    """The records of a board have the same queries."""
    ids = np.frombuffer(content, dtype=np.uint64)
    groups = np.empty(len(ids), dtype=np.intp)
    groups[np.argsort(_mixed(ids), kind="stable")] = np.arange(len(ids)) % count
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
        counts = {count_of_groups(len(ids), most) for most in (1, MOST_OF_A_SEQUENCE, MOST)}
        if ids.dtype != np.int64 or not len(ids) or len(lengths) != 1 or lengths - counts:
            raise RequestError(f"array {reference}: its columns are not as long as there are groups of its queries")
        return cls(reference.partition("#")[2], ids, sums)

    @property
    def groups(self) -> NDArray[np.intp]:
        """(Q,) the group of each query."""
        return group_of(self.ids, len(self))

    def __len__(self) -> int:
        return len(next(iter(self.sums.values())))

    @functools.cached_property
    def sizes(self) -> NDArray[np.intp]:
        """(G,) queries of each group."""
        return np.bincount(self.groups)

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

"""Results of an entry of the matrix in groups of queries, see `compatbench.storage.query_groups`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.arrays import RETRIEVAL, QueryResults
from compatbench.storage.array_files import array_path, read_columns
from compatbench.storage.query_groups import GroupedColumns, lost_column
from compatbench.vocabulary import MetricName


@dataclass(frozen=True, eq=False)
class GroupedResults(GroupedColumns):
    """The results of one entry of the matrix, as `QueryResults` of every query."""

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """(G,) all: queries without a relevant item are in no group."""
        return np.ones(len(self), dtype=bool)

    @property
    def count(self) -> int:
        """The queries that enter the numbers."""
        return len(self.ids)

    @property
    def relevant(self) -> NDArray[np.float64]:
        """(G,) relevant items, of all queries of a group together."""
        return self.sums["relevant"]

    @property
    def names(self) -> tuple[MetricName, ...]:
        """The retrieval numbers that there are, in the order of RETRIEVAL."""
        return tuple(name for name in RETRIEVAL if name in self.sums)

    def per_query(self, metric: str) -> NDArray[np.float64]:
        """(G,) the values with the mean `metric`."""
        return self.values(metric)

    def lost(self, old: Results, k: int) -> NDArray[np.float64]:
        """(G,) with the mean of the hits in the first `k` that `old` has and this has not."""
        if not isinstance(old, GroupedResults):
            raise ValueError("flips compare the same queries in the same order")
        return self.values(lost_column(old.name, k))

    def metrics(self) -> dict[str, float]:
        """All of `names`."""
        return {name: float(self.per_query(name).mean()) for name in self.names}


Results: TypeAlias = QueryResults | GroupedResults


def read_results(folder: Path, reference: str) -> Results:
    """The results of an entry of the matrix, of every query or in groups. Raises RequestError as `read_columns`."""
    columns = read_columns(folder, reference)
    if MetricName.MAP in columns:
        return GroupedResults.of(reference, columns)
    return QueryResults.of_columns(columns, array_path(folder, reference))

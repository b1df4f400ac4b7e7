"""Per-query scores of a row, aligned over its seeds and over the entries of the compatibility matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults
from compatbench.records.record import Record
from compatbench.report.rows.runs import MethodRuns, file_of
from compatbench.vocabulary import DERIVED_FROM, Entry


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of one row, query by query."""

    seeds: tuple[int, ...]
    ids: NDArray[np.int64]
    """(Q,) sample ids of the queries that have a relevant item."""
    values: Mapping[tuple[str, str], NDArray[np.float64]]
    """(S, Q) in [0, 1] by metric and matrix entry, e.g. `("mAP", "M(n,o)")`."""

    def of(self, metric: str, entry: str) -> NDArray[np.float64]:
        """(S, Q) scores of one entry of the matrix."""
        return self.values[metric, entry]


class ScoreReader:
    """Reads scores from a folder of arrays, each file once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results: dict[str, QueryResults] = {}

    def read(self, runs: MethodRuns, newest: str) -> Scores:
        """Scores of the finished records of `runs`, between generation 0 and generation `newest`.

        Raises RequestError where a record lacks an entry or where its queries are not those of the others.
        """
        entries = {
            Entry.OLD: ("0", "0"),
            Entry.CROSS: (newest, "0"),
            Entry.NEW: (newest, newest),
            Entry.REFERENCE: (f"*{newest}", f"*{newest}"),
        }
        found = {name: [self.entry(record, *at) for record in runs.finished] for name, at in entries.items()}
        first = found[Entry.OLD][0]
        kept = first.answerable
        for results in (one for column in found.values() for one in column):
            if not (np.array_equal(results.ids, first.ids) and np.array_equal(results.relevant, first.relevant)):
                raise RequestError(f"{runs.label}: its records contain different queries; run its cells again")
        return Scores(
            seeds=tuple(record.spec.seed for record in runs.finished),
            ids=first.ids[kept],
            values={
                (metric, name): np.stack([one.per_query(metric)[kept] for one in column])
                for name, column in found.items()
                for metric in DERIVED_FROM
            },
        )

    def entry(self, record: Record, query: str, gallery: str) -> QueryResults:
        """Per-query results of one entry of a record's matrix. Raises RequestError if there are none."""
        for array in record.arrays:
            if (array.query_generation, array.gallery_generation, array.distance) == (query, gallery, "cosine"):
                if array.sha256 not in self._results:
                    self._results[array.sha256] = QueryResults.read(self.folder, array.sha256)
                return self._results[array.sha256]
        raise RequestError(f"{file_of(record)}: no per-query arrays of M({query},{gallery}); run its cell again")

"""Per-query scores of a row, aligned over its seeds and over the entries of the compatibility matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.evaluation.curves import BackfillMeans
from compatbench.evaluation.flips import negative_flips
from compatbench.evaluation.grouped_results import Results, read_results
from compatbench.records.parts import ORACLE
from compatbench.records.record import Record
from compatbench.report.rows.runs import MethodRuns, file_of
from compatbench.vocabulary import DERIVED_FROM, Entry, MetricName

MEAN, FOLLOWED_OLD, FOLLOWED_REFERENCE = "mean M(β)", "M(o,o) followed", "M(*,*) followed"
"""Each query's mean over random backfills, and its entries of the matrix, over the queries that were followed."""
LOST = "lost"
"""In place of a metric: 1 for queries with a hit at rank 1 in M(o,o) and none in the entry."""
SHARED_OLD = "shared M(o,o)"
"""The status quo beside a row that trains its own first generation."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of one row, query by query."""

    seeds: tuple[int, ...]
    values: Mapping[tuple[str, str], NDArray[np.float64]]
    """(S, Q) by metric and matrix entry, e.g. `("mAP", "M(n,o)")`, of the queries that have a relevant item.

    Those of MEAN, FOLLOWED_OLD and FOLLOWED_REFERENCE may have fewer queries, or be absent, as that of ORACLE_MEAN may.
    """

    def of(self, metric: str, entry: str) -> NDArray[np.float64]:
        """(S, Q) scores of one entry of the matrix."""
        return self.values[metric, entry]

    def against(self, shared: Scores) -> Scores:
        """The same with the status quo of other rows as SHARED_OLD, unchanged if that lacks one of the seeds."""
        if not set(self.seeds) <= set(shared.seeds):
            return self
        seeds = [shared.seeds.index(seed) for seed in self.seeds]
        old = {(str(metric), SHARED_OLD): shared.of(metric, Entry.OLD)[seeds] for metric in DERIVED_FROM}
        return replace(self, values={**self.values, **old})


class ScoreReader:
    """Reads scores from a folder of arrays, each file once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results: dict[str, Results] = {}

    def read(self, runs: MethodRuns, newest: str) -> Scores:
        """Scores of the finished records of `runs`, between generation 0 and generation `newest`.

        Raises RequestError where a record lacks an entry or where its queries are not those of the others.
        """
        entries: dict[str, tuple[str, str]] = {
            Entry.OLD: ("0", "0"),
            Entry.CROSS: (newest, "0"),
            Entry.NEW: (newest, newest),
            Entry.REFERENCE: (f"*{newest}", f"*{newest}"),
        }
        if all((ORACLE, "0") in [one.at for one in record.arrays] for record in runs.finished):
            entries[MetricName.ORACLE_MEAN] = ORACLE, "0"
        found = {name: [self.entry(record, *at) for record in runs.finished] for name, at in entries.items()}
        first = found[Entry.OLD][0]
        kept = first.answerable
        for results in (one for column in found.values() for one in column):
            if not (np.array_equal(results.ids, first.ids) and np.array_equal(results.relevant, first.relevant)):
                raise RequestError(f"{runs.label}: its records contain different queries; run its cells again")
        values = {
            (metric, name): np.stack([one.per_query(metric)[kept] for one in column])
            for name, column in found.items()
            for metric in DERIVED_FROM
        }
        lost = {
            (LOST, name): np.stack(
                [negative_flips(*pair, 1)[kept] for pair in zip(found[Entry.OLD], found[name], strict=True)]
            )
            for name in (Entry.CROSS, Entry.NEW)
        }
        return Scores(
            seeds=tuple(record.spec.seed for record in runs.finished),
            values=values | lost | self._followed(runs, found),
        )

    def _followed(
        self, runs: MethodRuns, found: Mapping[str, Sequence[Results]]
    ) -> dict[tuple[str, str], NDArray[np.float64]]:
        """The columns of random backfills; none where a record has none."""
        refs = [ref for record in runs.finished for ref in record.backfilled]
        if len(refs) < len(runs.finished):
            return {}
        means = [BackfillMeans.read(self.folder, ref.array) for ref in refs]
        if any(not np.array_equal(one.ids, means[0].ids) for one in means):
            raise RequestError(f"{runs.label}: its records followed different queries; run its cells again")
        columns: dict[tuple[str, str], NDArray[np.float64]] = {}
        for metric in DERIVED_FROM:
            columns[metric, MEAN] = np.stack([one.values[metric][one.answerable] for one in means]).astype(np.float64)
            for name, entry in ((FOLLOWED_OLD, Entry.OLD), (FOLLOWED_REFERENCE, Entry.REFERENCE)):
                columns[metric, name] = np.stack(
                    [one.of_entry(results, metric) for one, results in zip(means, found[entry], strict=True)]
                )
        return columns

    def entry(self, record: Record, query: str, gallery: str) -> Results:
        """Per-query results of one entry of a record's matrix. Raises RequestError if there are none."""
        for found in record.arrays:
            if (found.query_generation, found.gallery_generation, found.distance) == (query, gallery, "cosine"):
                if found.array not in self._results:
                    self._results[found.array] = read_results(self.folder, found.array)
                return self._results[found.array]
        raise RequestError(f"{file_of(record)}: no per-query arrays of M({query},{gallery}); run its cell again")

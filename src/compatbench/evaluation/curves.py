"""Backfill curves M(β), what is kept of them query by query, and the numbers read off them. Knows nothing of torch.

β is the share of the gallery that holds new vectors; M(0) is M(n,o) and M(1) is M(n,n).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults, StoredColumns, in_steps
from compatbench.evaluation.grouped_results import Results
from compatbench.storage.array_files import ArrayFiles, array_path, read_columns
from compatbench.storage.query_groups import GroupedColumns, entry_column
from compatbench.vocabulary import DERIVED_FROM, MetricName

BETAS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True, eq=False)
class QueryCurves:
    """The results of each query during one backfill, or their average over several."""

    ids: NDArray[np.int64]
    """(Q,) sample ids of the queries."""
    betas: tuple[float, ...]
    """The S shares at which the gallery was searched."""
    values: Mapping[str, NDArray[np.float32]]
    """(Q, S) by DERIVED_FROM; NaN where nothing is relevant."""

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """(Q,) the queries with a relevant item, i.e. those that enter the curves."""
        return ~np.isnan(self.values[MetricName.MAP][:, 0])

    def per_query(self, metric: str) -> NDArray[np.float64]:
        """(A, S) curves of the answerable queries; their mean is the curve of `metric`."""
        return self.values[metric][self.answerable].astype(np.float64)

    def curve(self, metric: str) -> NDArray[np.float64]:
        """(S,) M(β): the mean over the answerable queries, at least one."""
        means: NDArray[np.float64] = self.per_query(metric).mean(axis=0)
        return means


@dataclass(frozen=True, eq=False)
class CurvePoints(StoredColumns):
    """What is kept of each query's mAP curve: enough for the intervals of its area and of its minimum."""

    ids: NDArray[np.int64]
    """(A,) sample ids of the answerable queries."""
    area: NDArray[np.float32]
    """(A,) ∫ M(β) dβ, see `area`, in multiples of STEP; so is the next."""
    minimum: NDArray[np.float32]
    """(A,) M(β) at the β at which the mean over the queries is lowest."""
    grouped: GroupedColumns | None = None
    """Where the queries are in groups: the arrays but `ids` are then (G,)."""

    @classmethod
    def read(cls, folder: Path, reference: str) -> CurvePoints:
        """Read it by its reference; raises RequestError as `StoredColumns.read`."""
        columns = read_columns(folder, reference)
        grouped = _grouped(reference, columns, ("area", "minimum"))
        if grouped is None:
            return cls.of_columns(columns, array_path(folder, reference))
        area, minimum = (grouped.values(name).astype(np.float32) for name in ("area", "minimum"))
        return cls(grouped.ids, area, minimum, grouped)

    def of_entry(self, results: Results, metric: str) -> NDArray[np.float64]:
        """(A,) or (G,) numbers of an entry of the matrix over the same queries. Raises ValueError if one is missing."""
        return _of_entry(results, metric, self.ids, self.grouped)

    @classmethod
    def of(cls, curves: QueryCurves) -> CurvePoints:
        """From the curves, some of them of answerable queries."""
        each = curves.per_query(MetricName.MAP)
        lowest = int(each.mean(axis=0).argmin())
        return cls(curves.ids[curves.answerable], in_steps(area(curves.betas, each)), in_steps(each[:, lowest]))


def mean_curves(backfills: Sequence[QueryCurves]) -> QueryCurves:
    """Each query's average over several backfills of the same queries."""
    first = backfills[0]
    means = {metric: np.mean([one.values[metric] for one in backfills], axis=0) for metric in first.values}
    return QueryCurves(first.ids, first.betas, means)


@dataclass(frozen=True, eq=False)
class BackfillMeans:
    """Each query's mean over β of a whole backfill, averaged over several backfills."""

    ids: NDArray[np.int64]
    """(Q,) sample ids of the queries."""
    values: Mapping[str, NDArray[np.float32]]
    """(Q,) by DERIVED_FROM; NaN where nothing is relevant."""
    grouped: GroupedColumns | None = None
    """Where the queries are in groups: the values are then (G,)."""

    @classmethod
    def of(cls, backfills: Sequence[QueryCurves]) -> BackfillMeans:
        """The means of backfills of the same queries: ∫ M(β) dβ of each query's curve, see `area`."""
        first = backfills[0]
        means = {
            metric: np.stack([area(one.betas, one.values[metric]) for one in backfills]).mean(axis=0).astype(np.float32)
            for metric in first.values
        }
        return cls(first.ids, means)

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """(Q,) the queries with a relevant item."""
        return ~np.isnan(self.values[MetricName.MAP])

    @property
    def count(self) -> int:
        """The queries that enter the means."""
        return int(self.answerable.sum()) if self.grouped is None else len(self.ids)

    def of_entry(self, results: Results, metric: str) -> NDArray[np.float64]:
        """Numbers of an entry of the matrix over the answerable queries; raises ValueError if one is missing."""
        ids = self.ids if self.grouped else self.ids[self.answerable]
        return _of_entry(results, metric, ids, self.grouped)

    def put(self, files: ArrayFiles, name: str) -> str:
        """Add it to the arrays of a cell, in multiples of STEP, and return its reference."""
        values = {metric: in_steps(one) for metric, one in self.values.items()}
        return files.put(name, {"ids": self.ids, **values})

    @classmethod
    def read(cls, folder: Path, reference: str) -> BackfillMeans:
        """Read it by its reference.

        Raises RequestError where the file is missing, its bytes have another hash, or it is another kind of array.
        """
        columns = read_columns(folder, reference)
        grouped = _grouped(reference, columns, DERIVED_FROM)
        if grouped is not None:
            values = {str(name): grouped.values(name).astype(np.float32) for name in DERIVED_FROM}
            return cls(grouped.ids, values, grouped)
        if "ids" not in columns or MetricName.MAP not in columns:
            raise RequestError(f"{array_path(folder, reference)}: no means of backfills")
        return cls(columns.pop("ids"), columns)


def _grouped(reference: str, columns: Mapping[str, NDArray[Any]], needed: Iterable[str]) -> GroupedColumns | None:
    """The columns as sums over groups of queries, which have others beside those that are needed; else None."""
    if not {"ids", *needed} < columns.keys():
        return None
    return GroupedColumns.of(reference, columns)


def _of_entry(
    results: Results, metric: str, ids: NDArray[np.int64], grouped: GroupedColumns | None
) -> NDArray[np.float64]:
    if isinstance(results, QueryResults):
        return results.per_query(metric)[results.rows(ids)]
    if grouped is None:
        raise ValueError("results in groups are compared with groups of the same queries")
    return grouped.values(entry_column(results.name, metric))


@dataclass(frozen=True)
class BackfillNumbers:
    """Summary of a backfill curve."""

    area: float
    """∫ M(β) dβ from 0 to 1 by the trapezoidal rule: the mean quality of a backfill at constant pace."""
    minimum: float
    minimum_beta: float
    """The smallest β at which the curve is at its minimum."""
    crossing: float | None
    """The smallest of the betas from which on the curve stays above M(o,o); None where it ends at or below it."""


def backfill_numbers(betas: ArrayLike, curve: ArrayLike, status_quo: float) -> BackfillNumbers:
    """Numbers of a curve (S,) at ascending `betas` (S,) from 0 to 1, against `status_quo` = M(o,o)."""
    shares, scores = np.asarray(betas, dtype=np.float64), np.asarray(curve, dtype=np.float64)
    lowest = int(scores.argmin())
    not_above = np.flatnonzero(scores <= status_quo)
    stays_from = int(not_above[-1]) + 1 if len(not_above) else 0
    return BackfillNumbers(
        area=float(area(shares, scores)),
        minimum=float(scores[lowest]),
        minimum_beta=float(shares[lowest]),
        crossing=float(shares[stays_from]) if stays_from < len(shares) else None,
    )


def area(betas: ArrayLike, curves: ArrayLike) -> NDArray[np.float64]:
    """∫ M(β) dβ of curves (…, S) by the trapezoidal rule."""
    from scipy.integrate import trapezoid

    return np.asarray(trapezoid(np.asarray(curves), np.asarray(betas), axis=-1), dtype=np.float64)

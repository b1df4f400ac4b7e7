"""Quality while old vectors are replaced by new ones, over the seeds of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compatbench.errors import RequestError
from compatbench.evaluation.curves import CurvePoints, backfill_numbers
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import Means, Values
from compatbench.evaluation.significance import sign
from compatbench.records.parts import BackfillCurve
from compatbench.records.record import Record
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import file_of
from compatbench.report.rows.scores import ScoreReader
from compatbench.vocabulary import MetricName, Order

Curves = dict[str, Values]
"""(S, Q) values of the area, of the minimum and of M(o,o)."""


@dataclass(frozen=True, eq=False)
class RowBackfill:
    """One row's backfill in one kind of order, over all its seeds. All numbers are fractions."""

    row: MethodRow
    order: Order
    betas: tuple[float, ...]
    mean: Values
    """(S,) M(β)."""
    low: Values
    """(S,) the lowest of all backfills, over seeds and repeats."""
    high: Values
    queries: int
    status_quo: Estimate
    area: Estimate
    minimum: Estimate
    """The lowest M(β) of a seed, mean over the seeds."""
    minimum_beta: float
    """Where the mean over the seeds is lowest."""
    dip: Estimate
    """Minimum − M(o,o)."""
    crossing: float | None

    @property
    def incident(self) -> bool:
        """The minimum is significantly below M(o,o)."""
        return sign(self.dip) < 0


def row_backfills(rows: Sequence[MethodRow], reader: ScoreReader) -> list[RowBackfill]:
    """Every order of every row with curves of it in all its finished records; by order, then by row.

    Raises RequestError where per-query files are missing or the queries of a row's seeds differ.
    """
    found: list[tuple[MethodRow, list[BackfillCurve], Curves]] = []
    for order in Order:
        for row in rows:
            entries = [(record, curve) for record in row.runs.finished if (curve := _curve(record, order)) is not None]
            if entries and len(entries) == len(row.runs.finished):
                found.append((row, [curve for _, curve in entries], _columns(row, entries, reader)))
    return [_row_backfill(row, curves, columns) for row, curves, columns in found]


def _curve(record: Record, order: Order) -> BackfillCurve | None:
    kept = (one for one in record.backfill if "#" in one.array)  # not in early records
    return next((one for one in kept if (one.order, one.metric) == (order, MetricName.MAP)), None)


def _columns(row: MethodRow, entries: Sequence[tuple[Record, BackfillCurve]], reader: ScoreReader) -> Curves:
    """The S seeds must have followed the same queries."""
    points, status_quo = [], []
    for record, entry in entries:
        points.append(CurvePoints.read(reader.folder, entry.array))
        unchanged = reader.entry(record, entry.gallery_generation, entry.gallery_generation)
        try:
            status_quo.append(points[-1].of_entry(unchanged, entry.metric))
        except ValueError as error:
            raise RequestError(
                f"{file_of(record)}: its backfill curves are of other queries; run its cell again"
            ) from error
    same_betas = len({tuple(entry.beta) for _, entry in entries}) == 1
    if not same_betas or any(not np.array_equal(one.ids, points[0].ids) for one in points):
        raise RequestError(f"{row.label}: its records followed different queries; run its cells again")
    return {
        "area": np.stack([one.area.astype(np.float64) for one in points]),
        "minimum": np.stack([one.minimum.astype(np.float64) for one in points]),
        "status quo": np.stack(status_quo),
    }


def _row_backfill(row: MethodRow, curves: Sequence[BackfillCurve], columns: Curves) -> RowBackfill:
    betas = tuple(curves[0].beta)
    found = Means(columns)
    mean = np.mean([curve.mean for curve in curves], axis=0)
    numbers = backfill_numbers(betas, mean, float(found.means["status quo"]))
    return RowBackfill(
        row=row,
        order=curves[0].order,
        betas=betas,
        mean=mean,
        low=np.min([curve.low for curve in curves], axis=0),
        high=np.max([curve.high for curve in curves], axis=0),
        queries=curves[0].n,
        status_quo=found.mean("status quo"),
        area=found.mean("area"),
        minimum=found.mean("minimum"),
        minimum_beta=numbers.minimum_beta,
        dip=found.estimate(np.subtract, "minimum", "status quo"),
        crossing=numbers.crossing,
    )

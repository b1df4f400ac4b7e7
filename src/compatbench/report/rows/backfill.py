"""Quality while old vectors are replaced by new ones, over the seeds of each row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compatbench.errors import RequestError
from compatbench.evaluation.curves import QueryCurves, area, backfill_numbers
from compatbench.evaluation.statistics import hierarchical_bootstrap, percentile_interval
from compatbench.records.record import BackfillCurve, Record
from compatbench.report.rows.estimates import Estimate, Values
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import file_of
from compatbench.report.rows.scores import ScoreReader
from compatbench.vocabulary import MetricName, Order

_STATUS_QUO = "status quo"


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
    minimum_beta: float
    dip: Estimate
    """Minimum − M(o,o)."""
    crossing: float | None

    @property
    def incident(self) -> bool:
        """The minimum is significantly below M(o,o)."""
        return self.dip.high is not None and self.dip.high < 0


def row_backfills(rows: Sequence[MethodRow], reader: ScoreReader) -> list[RowBackfill]:
    """Every order of every row that has curves of it in all its finished records; by order, then as the rows.

    Raises RequestError where per-query files are missing or the queries of a row's seeds differ.
    """
    found: list[tuple[MethodRow, list[BackfillCurve], dict[str, Values]]] = []
    for order in Order:
        for row in rows:
            entries = [(record, curve) for record in row.runs.finished if (curve := _curve(record, order)) is not None]
            if entries and len(entries) == len(row.runs.finished):
                found.append((row, [curve for _, curve in entries], _columns(row, entries, reader)))
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, (_, _, columns) in enumerate(found):
        alike[columns[_STATUS_QUO].shape].append(place)
    draws: dict[int, dict[str, Values]] = defaultdict(dict)
    for places in alike.values():
        keys = [(place, name) for place in places for name in found[place][2]]
        together = hierarchical_bootstrap({str(key): found[key[0]][2][key[1]] for key in keys})
        for place, name in keys:
            draws[place][name] = together[str((place, name))]
    return [_row_backfill(row, curves, columns, draws[place]) for place, (row, curves, columns) in enumerate(found)]


def _curve(record: Record, order: Order) -> BackfillCurve | None:
    return next((one for one in record.backfill if (one.order, one.metric) == (order, MetricName.MAP)), None)


def _columns(row: MethodRow, entries: Sequence[tuple[Record, BackfillCurve]], reader: ScoreReader) -> dict[str, Values]:
    """(S, Q) values of the status quo and of every β; the S seeds must have followed the same queries."""
    curves, status_quo = [], []
    for record, entry in entries:
        stored = QueryCurves.read(reader.folder, entry.sha256)
        unchanged = reader.entry(record, entry.gallery_generation, entry.gallery_generation)
        ids = stored.ids[stored.answerable]
        curves.append(stored)
        try:
            status_quo.append(unchanged.per_query(entry.metric)[unchanged.rows(ids)])
        except ValueError as error:
            raise RequestError(
                f"{file_of(record)}: its backfill curves are of other queries; run its cell again"
            ) from error
    first = curves[0]
    if any(not np.array_equal(one.ids, first.ids) or one.betas != first.betas for one in curves):
        raise RequestError(f"{row.label}: its records followed different queries; run its cells again")
    stacked = np.stack([one.per_query(MetricName.MAP) for one in curves])
    return {_STATUS_QUO: np.stack(status_quo)} | {
        str(beta): stacked[:, :, step] for step, beta in enumerate(first.betas)
    }


def _row_backfill(
    row: MethodRow, curves: Sequence[BackfillCurve], columns: dict[str, Values], draws: dict[str, Values]
) -> RowBackfill:
    betas = tuple(curves[0].beta)
    mean = np.array([columns[str(beta)].mean() for beta in betas])
    status_quo = float(columns[_STATUS_QUO].mean())
    numbers = backfill_numbers(betas, mean, status_quo)
    lowest = draws[str(numbers.minimum_beta)]
    return RowBackfill(
        row=row,
        order=curves[0].order,
        betas=betas,
        mean=mean,
        low=np.min([curve.low for curve in curves], axis=0),
        high=np.max([curve.high for curve in curves], axis=0),
        queries=columns[_STATUS_QUO].shape[1],
        status_quo=Estimate(status_quo, *percentile_interval(draws[_STATUS_QUO])),
        area=Estimate(
            numbers.area, *percentile_interval(area(betas, np.stack([draws[str(b)] for b in betas], axis=1)))
        ),
        minimum=Estimate(numbers.minimum, *percentile_interval(lowest)),
        minimum_beta=numbers.minimum_beta,
        dip=Estimate(numbers.minimum - status_quo, *percentile_interval(lowest - draws[_STATUS_QUO])),
        crossing=numbers.crossing,
    )

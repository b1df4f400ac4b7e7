"""The course of the backfill: quality while old vectors are replaced by new ones, over the seeds of each row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.evaluation.curves import QueryCurves, area, backfill_numbers
from compatbench.evaluation.statistics import hierarchical_bootstrap, percentile_interval
from compatbench.records.record import BackfillCurve, Record
from compatbench.report.render.table import Cell, Column, Group, Row, Table, Unit
from compatbench.report.rows.estimates import Estimate
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns, file_of
from compatbench.report.rows.scores import METRICS, ScoreReader
from compatbench.report.tables.leaderboard import METHOD, OWN_OLD

ORDER_TITLES = {
    "random": "Random order",
    "class-wise": "Class after class",
    "uncertainty": "Most uncertain first",
    "own": "The method's own order",
}
"""Kinds of orders, by the names in records."""

INCIDENT = "▼"

_STATUS_QUO = "status quo"
_COLUMNS = (
    METHOD,
    Column("oo", "status quo", "M(o,o) over the queries of the curves. mAP in points."),
    Column(
        "area",
        "area",
        "Area under M(β), β the share of new vectors in the gallery: the mean mAP in the course of the backfill, in "
        "points.",
        interval=True,
    ),
    Column("minimum", "minimum", "The lowest M(β), mAP in points; its interval is that of M at this β.", interval=True),
    Column("minimum_beta", "at β", "The β of the minimum: 0 is the cross-test, 1 the full backfill.", Unit.SHARE),
    Column(
        "dip",
        "minimum − M(o,o)",
        "Below 0, the upgraded system is at some time worse than the old one was. mAP in points.",
        interval=True,
    ),
    Column(
        "crossing",
        "above from β",
        "The smallest β (in steps of the curve) from which on M(β) stays above M(o,o); – where it ends below.",
        Unit.SHARE,
    ),
)

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RowBackfill:
    """One row's backfill in one kind of order, over all its seeds. All numbers are fractions."""

    row: MethodRow
    order: str
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
    for order in ORDER_TITLES:
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


def _curve(record: Record, order: str) -> BackfillCurve | None:
    return next((one for one in record.backfill if (one.order, one.metric) == (order, METRICS[0])), None)


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
    stacked = np.stack([one.per_query(METRICS[0]) for one in curves])
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


def backfill_table(scenario: ScenarioRuns, backfills: Sequence[RowBackfill]) -> Table | None:
    """References and methods by kind of order; None where no record holds a curve."""
    shown = [one for role in ("reference", "method") for one in backfills if one.row.role == role]
    if not shown:
        return None
    notes = {
        OWN_OLD: ("against its own old model.", any(one.row.own_first_generation for one in shown)),
        INCIDENT: ("an incident: significantly below M(o,o).", any(one.incident for one in shown)),
    }
    return Table(
        name=f"{scenario.scenario}-backfill",
        title=f"{scenario.title}: the course of the backfill",
        caption=_caption(shown),
        columns=_COLUMNS,
        groups=tuple(
            Group(title, tuple(_row(one) for one in shown if one.order == order))
            for order, title in ORDER_TITLES.items()
            if any(one.order == order for one in shown)
        ),
        footnotes={mark: text for mark, (text, there) in notes.items() if there},
    )


def _caption(shown: Sequence[RowBackfill]) -> str:
    entry = shown[0].row.runs.finished[0].backfill[0]
    queries = sorted({one.queries for one in shown})
    return (
        "M(β): mAP of new queries while a share β of the gallery holds new vectors and the rest old ones "
        f"(generation {entry.gallery_generation} is replaced by generation {entry.query_generation}). "
        f"Over {' or '.join(f'{number:,}' for number in queries)} queries and the whole gallery. "
        f"Random and class-wise orders: mean over {entry.repeats} seeded ones. The most uncertain items are those "
        "whose old vectors have the highest entropy under the old classifier. 95% intervals: hierarchical bootstrap "
        "over seeds, then queries."
    )


def _row(one: RowBackfill) -> Row:
    marks = (OWN_OLD,) if one.row.own_first_generation else ()
    return Row(
        {
            "method": Cell(one.row.label, marks=marks),
            "oo": Cell(one.status_quo.in_points().value, marks=marks),
            "area": _points(one.area),
            "minimum": _points(one.minimum),
            "minimum_beta": Cell(one.minimum_beta),
            "dip": _points(one.dip, (INCIDENT,) if one.incident else ()),
            "crossing": Cell(one.crossing),
        },
        tags=tuple(one.row.runs.method.needs),
    )


def _points(estimate: Estimate, marks: tuple[str, ...] = ()) -> Cell:
    points = estimate.in_points()
    return Cell(points.value, points.low, points.high, marks=marks)

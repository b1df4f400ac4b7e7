"""The plots' data for the page: backfill curves and compatibility matrices, as columns of small integers."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.rows.backfill import RowBackfill
from compatbench.report.rows.chains import ChainRow
from compatbench.report.rows.row import MethodRow
from compatbench.report.site.page_data.numbers import Json, rounded
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.vocabulary import Entry, Order, Verdict


def backfill_json(backfills: Sequence[RowBackfill], labels: Sequence[str]) -> Json:
    """By order, `[row, status quo, M(β), distance down to the lowest, up to the highest backfill]`.

    In hundredths of a point; each order says its βs once.
    """
    orders: list[Json] = []
    for order in Order:
        shown = [one for one in backfills if one.order == order]
        for betas in sorted({one.betas for one in shown}):
            curves: list[Json] = [_curve(one, labels) for one in shown if one.betas == betas]
            orders.append({"title": order.heading, "betas": [rounded(beta, 4) for beta in betas], "curves": curves})
    return orders


def _curve(one: RowBackfill, labels: Sequence[str]) -> Json:
    mean = [_hundredths(value) for value in one.mean]
    low = [value - _hundredths(lowest) for value, lowest in zip(mean, one.low, strict=True)]
    high = [_hundredths(highest) - value for value, highest in zip(mean, one.high, strict=True)]
    status_quo = None if one.status_quo.value is None else _hundredths(one.status_quo.value)
    return [labels.index(one.row.label), status_quo, [*mean], [*low], [*high]]


def matrices_json(report: ScenarioReport) -> Json:
    """`[row, lower triangle line by line, places below M(j,j)]` of each row with numbers; mAP in points."""
    labels = [row.label for row in report.rows]
    if report.chains:
        return [_chain(chain, labels) for chain in report.chains]
    return [matrix for number, row in enumerate(report.rows) if (matrix := _upgrade(number, row)) is not None]


def _chain(chain: ChainRow, labels: Sequence[str]) -> Json:
    places = [(query, gallery) for query in range(len(chain.matrix)) for gallery in range(query + 1)]
    values: list[Json] = [_points(float(chain.matrix[place])) for place in places]
    below: list[Json] = [number for number, place in enumerate(places) if chain.below[place]]
    return [labels.index(chain.row.label), values, below]


def _upgrade(number: int, row: MethodRow) -> Json:
    """The three entries of a single upgrade."""
    if row.scores is None:
        return None
    entries = [row.number(entry).value for entry in (Entry.OLD, Entry.CROSS, Entry.NEW)]
    below: list[Json] = [1] if row.verdict is Verdict.NOT_COMPATIBLE else []
    return [number, [None if value is None else _points(value) for value in entries], below]


def _points(value: float) -> Json:
    return rounded(100 * value, 1)


def _hundredths(value: float) -> int:
    return round(10_000 * float(value))

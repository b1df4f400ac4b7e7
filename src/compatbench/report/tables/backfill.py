"""The table of the course of the backfill."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.significance import INTERVALS
from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.rows.backfill import RowBackfill
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.cells import points
from compatbench.report.tables.method_rows import METHOD, OWN_OLD, method_row, own_old, scenario_table
from compatbench.vocabulary import Order, Role

INCIDENT = "▼"

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
    Column(
        "minimum",
        "minimum",
        "The lowest M(β) of a seed, mean over the seeds, mAP in points; its interval is that of M at these β.",
        interval=True,
    ),
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


def backfill_table(scenario: ScenarioRuns, backfills: Sequence[RowBackfill]) -> Table | None:
    """References and methods by kind of order; None if no record contains a curve."""
    shown = [one for role in (Role.REFERENCE, Role.METHOD) for one in backfills if one.row.role == role]
    if not shown:
        return None
    groups = [(order, tuple(_row(one) for one in shown if one.order == order)) for order in Order]
    return scenario_table(
        scenario,
        "backfill",
        "the course of the backfill",
        _caption(shown),
        _COLUMNS,
        tuple(Group(order.heading, rows) for order, rows in groups if rows),
        {OWN_OLD: "against its own old model.", INCIDENT: "an incident: significantly below M(o,o)."},
    )


def _caption(shown: Sequence[RowBackfill]) -> str:
    entry = shown[0].row.runs.finished[0].backfill[0]
    queries = sorted({one.queries for one in shown})
    return (
        "M(β): mAP of new queries while a share β of the gallery contains new vectors and the rest old ones "
        f"(generation {entry.gallery_generation} is replaced by generation {entry.query_generation}). "
        f"Over {' or '.join(f'{number:,}' for number in queries)} queries and the whole gallery. "
        f"Random and class-wise orders: mean over {entry.repeats} seeded ones. {Order.UNCERTAINTY.heading}: "
        f"{Order.UNCERTAINTY.sentence} {INTERVALS}."
    )


def _row(one: RowBackfill) -> Row:
    return method_row(
        one.row,
        {
            "oo": TableCell(one.status_quo.in_points().value, marks=own_old(one.row)),
            "area": points(one.area),
            "minimum": points(one.minimum),
            "minimum_beta": TableCell(one.minimum_beta),
            "dip": points(one.dip, (INCIDENT,) if one.incident else ()),
            "crossing": TableCell(one.crossing),
        },
    )

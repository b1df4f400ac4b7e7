"""The table over the scenarios of a suite: every method's gain on day one, and the scenarios of its failures."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import sign
from compatbench.report.render.table import Cell, Column, Row, Table, Unit
from compatbench.report.rows.controls import ScenarioRows
from compatbench.report.rows.row import MethodRow
from compatbench.report.tables.leaderboard import STATUS_QUO
from compatbench.report.tables.method_rows import METHOD, NEEDS, OWN_OLD, by_role, method_row, needs_cell, used
from compatbench.vocabulary import Entry, MetricName, Role

ABOVE, BELOW, RED = "↑", "↓", "✗"
_COMPATIBLE = Column(
    "compatible",
    "compatible in",
    "Scenarios with M(n,o) > M(o,o), significantly (↑), of those in which the row was measured and the controls are as "
    "they must be.",
    Unit.TEXT,
)
_FOOTNOTES = {
    ABOVE: "more than the status quo: the 95% interval of the gain lies above 0, uncorrected for the number of cells.",
    BELOW: "less than the status quo: that interval lies below 0.",
    OWN_OLD: "trains its own first generation: the gain is against its own old model.",
    RED: "a control misbehaves in this scenario (see its table): nothing there counts.",
}


def overview_table(scenarios: Sequence[ScenarioRows]) -> Table | None:
    """The cross gain of every row in every scenario of one suite; None if there is only one scenario."""
    if len(scenarios) < 2:
        return None
    found: list[tuple[tuple[object, ...], tuple[Role, Row]]] = []
    for label in sorted({row.label for scenario in scenarios for row in scenario.rows}):
        rows = [next((row for row in scenario.rows if row.label == label), None) for scenario in scenarios]
        known = next(row for row in rows if row is not None)
        signs = [_sign(row) for row, scenario in zip(rows, scenarios, strict=True) if _counts(row, scenario)]
        order = (-signs.count(1) / max(1, len(signs)), signs.count(-1), label)
        found.append((order, (known.role, _row(known, rows, scenarios, signs))))
    lines = [line for _, line in sorted(found, key=lambda one: one[0])]
    one_seed = all(len(scenario.runs.seeds) == 1 for scenario in scenarios)
    intervals = (
        "Intervals are over queries only, as there is one seed." if one_seed else "Intervals: seeds, then queries."
    )
    meaning = "M(n,o) − M(o,o) in {}, mAP in points; – where the row did not run or did not end."
    names = [scenario.runs.scenario for scenario in scenarios]
    groups = by_role([(Role.REFERENCE, _status_quo(scenarios)), *lines])
    return Table(
        name="overview",
        title="All scenarios: what queries gain on day one",
        caption="M(n,o) − M(o,o) on mAP in points: new queries on the old gallery against the status quo, whose row "
        "has M(o,o) itself; of a chain, the newest generation's on the first one's gallery. "
        f"{intervals} Methods that are compatible in a larger share of their scenarios stand first; nothing "
        "is ranked here.",
        columns=(METHOD, _COMPATIBLE, *(Column(name, name, meaning.format(name)) for name in names), NEEDS),
        groups=groups,
        footnotes=used(_FOOTNOTES, groups),
    )


def explained(overview: Table) -> tuple[Column, ...]:
    """Those of its columns to explain in a legend: not one for each scenario."""
    return tuple(column for column in overview.columns if column.unit is Unit.TEXT)


def _counts(row: MethodRow | None, scenario: ScenarioRows) -> bool:
    return row is not None and row.scores is not None and not scenario.banner.problems


def _sign(row: MethodRow | None) -> int:
    """1 where the gain is significantly above 0, −1 below, else 0."""
    return sign(row.number(MetricName.CROSS_GAIN)) if row is not None else 0


def _row(
    known: MethodRow, rows: Sequence[MethodRow | None], scenarios: Sequence[ScenarioRows], signs: Sequence[int]
) -> Row:
    gains = {scenario.runs.scenario: _gain(row) for scenario, row in zip(scenarios, rows, strict=True)}
    compatible = Cell(f"{signs.count(1)}/{len(signs)}" if signs else None)
    return method_row(known, {"compatible": compatible, "needs": needs_cell(known.runs.method.needs), **gains})


def _gain(row: MethodRow | None) -> Cell:
    if row is None:
        return Cell()
    marks = {1: (ABOVE,), -1: (BELOW,), 0: ()}[_sign(row)]
    return Cell(row.number(MetricName.CROSS_GAIN).in_points().value, marks=marks)


def _status_quo(scenarios: Sequence[ScenarioRows]) -> Row:
    """M(o,o) of every scenario."""
    cells = {"method": Cell(STATUS_QUO)}
    for scenario in scenarios:
        row = scenario.status_quo
        old = row.number(Entry.OLD) if row else Estimate()
        cells[scenario.runs.scenario] = Cell(old.in_points().value, marks=(RED,) if scenario.banner.problems else ())
    return Row(cells)

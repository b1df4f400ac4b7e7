"""The table over the scenarios of a suite: what every method gains on day one, and where it breaks."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.leaderboard import NEEDS, OWN_OLD
from compatbench.report.rows import ROLE_TITLES, MethodRow
from compatbench.report.scenario_report import ScenarioReport
from compatbench.report.tables import Cell, Column, Group, Row, Table, Unit

BELOW = "↓"
_METHOD = Column("method", "method", "The method, with the parameters that differ from its defaults.", Unit.TEXT)
_COMPATIBLE = Column(
    "compatible",
    "compatible in",
    "Scenarios with M(n,o) > M(o,o), significantly, of those in which the row was measured.",
    Unit.TEXT,
)
_FOOTNOTES = {
    BELOW: "less than the status quo: the 95% interval of the gain lies below 0.",
    OWN_OLD: "trains its own first generation: the gain is against its own old model.",
}


def overview_table(reports: Sequence[ScenarioReport]) -> Table | None:
    """The cross gain of every row in every scenario of one suite; None where there is one scenario only."""
    if len(reports) < 2:
        return None
    found = [{row.label: row for row in report.rows} for report in reports]
    lines = {
        label: [rows.get(label) for rows in found] for label in sorted({label for rows in found for label in rows})
    }
    groups: dict[str, list[tuple[tuple[object, ...], Row]]] = {role: [] for role in ROLE_TITLES}
    for label, rows in lines.items():
        known = next(row for row in rows if row is not None)
        verdicts = [_sign(row) for row in rows if row is not None and row.compatibility is not None]
        order = (-verdicts.count(1), verdicts.count(-1), label)
        groups[known.role].append((order, _row(known, rows, reports, verdicts)))
    shown = {role: tuple(row for _, row in sorted(several, key=lambda one: one[0])) for role, several in groups.items()}
    marks = {mark for rows in shown.values() for row in rows for cell in row.cells.values() for mark in cell.marks}
    return Table(
        name="overview",
        title="All scenarios: what queries gain on day one",
        caption="M(n,o) − M(o,o) on mAP in points, new queries on the old gallery against the status quo; of a chain, "
        f"the newest generation's on the first one's gallery. Bold: the 95% interval lies above 0{_spread(reports)}. "
        "Methods that are compatible in more scenarios stand first; nothing is ranked here.",
        columns=(_METHOD, _COMPATIBLE, *(_column(report) for report in reports), NEEDS),
        groups=tuple(Group(ROLE_TITLES[role], rows) for role, rows in shown.items() if rows),
        footnotes={mark: text for mark, text in _FOOTNOTES.items() if mark in marks},
    )


def _spread(reports: Sequence[ScenarioReport]) -> str:
    one_seed = all(len(report.runs.seeds) == 1 for report in reports)
    return ", which with one seed is over queries only" if one_seed else ""


def _column(report: ScenarioReport) -> Column:
    name = report.scores.name
    return Column(name, name, f"M(n,o) − M(o,o) in {name}, mAP in points; – where the row did not run or did not end.")


def _sign(row: MethodRow) -> int:
    """1 where the gain is above 0 beyond its interval, −1 below, else 0."""
    if row.compatibility is None:
        return 0
    gain = row.compatibility.cross_gain
    return 0 if gain.value is None or not gain.significant else 1 if gain.value > 0 else -1


def _row(
    known: MethodRow, rows: Sequence[MethodRow | None], reports: Sequence[ScenarioReport], verdicts: Sequence[int]
) -> Row:
    needs = tuple(known.runs.method.needs)
    cells = {
        "method": Cell(known.label, marks=(OWN_OLD,) if known.own_first_generation else ()),
        "compatible": Cell(f"{verdicts.count(1)}/{len(verdicts)}" if verdicts else None),
        "needs": Cell(", ".join(needs) or "nothing"),
    }
    return Row(
        cells | {report.scores.name: _gain(row) for report, row in zip(reports, rows, strict=True)},
        tags=needs,
    )


def _gain(row: MethodRow | None) -> Cell:
    if row is None or row.compatibility is None:
        return Cell()
    sign = _sign(row)
    return Cell(row.compatibility.cross_gain.in_points().value, bold=sign > 0, marks=(BELOW,) if sign < 0 else ())

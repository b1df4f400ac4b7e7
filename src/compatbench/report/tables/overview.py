"""The table over the scenarios of a suite: every method's gain on day one, and the scenarios of its failures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from compatbench.evaluation.bootstrap import interval_estimate
from compatbench.evaluation.estimate import Estimate
from compatbench.report.render.table import Cell, Column, Place, Row, Table, Unit
from compatbench.report.rows.contests import averages
from compatbench.report.rows.controls import ScenarioRows
from compatbench.report.rows.row import MethodRow
from compatbench.report.tables.cells import plain
from compatbench.report.tables.leaderboard import STATUS_QUO
from compatbench.report.tables.method_rows import METHOD, NEEDS, OWN_OLD, grouped, method_row, needs_cell, used
from compatbench.vocabulary import Entry, League, MetricName, Role, Verdict

ABOVE, BELOW, RED, UNRANKED = "↑", "↓", "✗", "○"
FULL_BACKFILL = "full backfill"
"""The row of the independent new model on a gallery of its own."""
_COMPATIBLE = Column(
    "compatible",
    "compatible in",
    "Scenarios with M(n,o) > M(o,o), significantly (↑), of those in which the row was measured and the controls are as "
    "they must be.",
    Unit.TEXT,
)
_TAX = Column(
    "tax", "mean tax", f"{MetricName.TAX.sentence} Mean over all scenarios, mAP in points.", places=(Place.COMPACT,)
)
_FOOTNOTES = {
    ABOVE: f"{Verdict.COMPATIBLE}: {Verdict.COMPATIBLE.sentence}",
    BELOW: f"{Verdict.NOT_COMPATIBLE}: {Verdict.NOT_COMPATIBLE.sentence}",
    OWN_OLD: "trains its own first generation: the gain is against its own old model.",
    UNRANKED: "this scenario ranks nobody (see its table), and counts for no mean of a share.",
    RED: "a control misbehaves in this scenario (see its table): nothing there counts.",
}


def overview_table(scenarios: Sequence[ScenarioRows]) -> Table | None:
    """The cross gain of every row in every scenario of one suite, by league; None if there is only one scenario."""
    if len(scenarios) < 2:
        return None
    number = scenarios[0].rank_by
    means = _means(scenarios, number)
    found: list[tuple[tuple[object, ...], tuple[Role | League, Row]]] = []
    for label in sorted({row.label for scenario in scenarios for row in scenario.rows}):
        rows = [next((row for row in scenario.rows if row.label == label), None) for scenario in scenarios]
        known = next(row for row in rows if row is not None)
        signs = [_sign(row) for row, scenario in zip(rows, scenarios, strict=True) if _counts(row, scenario)]
        mean = means.get(label, Estimate())
        order = (-(mean.value or 0.0), -signs.count(1) / max(1, len(signs)), signs.count(-1), label)
        found.append((order, (known.section, _row(known, rows, scenarios, signs, mean))))
    lines = [line for _, line in sorted(found, key=lambda one: one[0])]
    one_seed = all(len(scenario.runs.seeds) == 1 for scenario in scenarios)
    verdicts = "There is one seed, so there are no verdicts." if one_seed else ""
    meaning = "M(n,o) − M(o,o) in {}, mAP in points; – where the row did not run or did not end."
    names = [scenario.runs.scenario for scenario in scenarios]
    groups = grouped([(Role.REFERENCE, line) for line in _ends(scenarios)] + lines)
    ranking = [scenario.runs.scenario for scenario in scenarios if not scenario.closed]
    return Table(
        name="overview",
        title="All scenarios: what queries gain on day one",
        caption="M(n,o) − M(o,o) on mAP in points: new queries on the old gallery against the status quo, whose row "
        "has M(o,o) itself, as that of the full backfill has M(*,*); of a chain, the newest generation's on the first "
        f"one's gallery. {verdicts} Methods stand by league, within it by mean {number.heading}"
        f"{f' over {_listed(ranking)}' if len(ranking) < len(scenarios) else ''}.",
        columns=(
            METHOD,
            Column(
                "mean",
                f"mean {number.heading}",
                f"Mean over the scenarios that rank. {number.sentence}",
                Unit.SHARE,
                interval=True,
                places=(Place.COMPACT,),
            ),
            *(Column(name, name, meaning.format(name), places=(Place.COMPACT,)) for name in names),
            _TAX,
            _COMPATIBLE,
            NEEDS,
        ),
        groups=groups,
        footnotes=used(_FOOTNOTES, groups),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no scenario, since none ranks"


def _means(scenarios: Sequence[ScenarioRows], number: MetricName) -> dict[str, Estimate]:
    """The mean of the number that ranks over the scenarios that rank, of all rows that have it, with few seeds too."""
    contests = [
        [row for row in scenario.rows if row.number(number).value is not None]
        for scenario in scenarios
        if not scenario.closed
    ]
    found = averages([rows for rows in contests if rows], number)
    return {label: interval_estimate(one.share, one.share_draws) for label, one in found.items()}


def explained(overview: Table) -> tuple[Column, ...]:
    """Those of its columns to explain in a legend: not one for each scenario."""
    return tuple(column for column in overview.columns if column.unit is Unit.TEXT)


def _counts(row: MethodRow | None, scenario: ScenarioRows) -> bool:
    return row is not None and row.scores is not None and not scenario.banner.problems


def _sign(row: MethodRow | None) -> int:
    """1 where the row is compatible, −1 where it is not, else 0."""
    return {Verdict.COMPATIBLE: 1, Verdict.NOT_COMPATIBLE: -1}.get(row.verdict, 0) if row and row.verdict else 0


def _row(
    known: MethodRow,
    rows: Sequence[MethodRow | None],
    scenarios: Sequence[ScenarioRows],
    signs: Sequence[int],
    mean: Estimate,
) -> Row:
    gains = {scenario.runs.scenario: _gain(row) for scenario, row in zip(scenarios, rows, strict=True)}
    taxes = [
        tax for row in rows if row is not None and (tax := row.number(MetricName.TAX).in_points().value) is not None
    ]
    cells = {
        "mean": plain(mean),
        "tax": Cell(fmean(taxes) if taxes else None),
        "compatible": Cell(f"{signs.count(1)}/{len(signs)}" if signs else None),
        "needs": needs_cell(known.runs.method.needs),
    }
    return method_row(known, cells | gains)


def _gain(row: MethodRow | None) -> Cell:
    if row is None:
        return Cell()
    marks = {1: (ABOVE,), -1: (BELOW,), 0: ()}[_sign(row)]
    return Cell(row.number(MetricName.CROSS_GAIN).in_points().value, marks=marks)


def _ends(scenarios: Sequence[ScenarioRows]) -> list[Row]:
    """M(o,o) and M(*,*) of every scenario."""
    lines = []
    for name, entry in ((STATUS_QUO, Entry.OLD), (FULL_BACKFILL, Entry.REFERENCE)):
        cells = {"method": Cell(name)}
        for scenario in scenarios:
            row = scenario.status_quo
            marks = (RED,) if scenario.banner.problems else (UNRANKED,) if scenario.closed else ()
            value = row.number(entry) if row else Estimate()
            cells[scenario.runs.scenario] = Cell(value.in_points().value, marks=marks if entry is Entry.OLD else ())
        lines.append(Row(cells))
    return lines

"""The table over the scenarios of a suite: every method's gain on day one, and the scenarios of its failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compatbench.evaluation.estimate import Estimate
from compatbench.report.render.table import NOT_SIGNIFICANT, Column, Place, Row, Table, TableCell, Unit
from compatbench.report.rows.controls import ScenarioRows, counted
from compatbench.report.rows.overview import OverviewRow, gain_sign, overview_rows
from compatbench.report.rows.row import MethodRow
from compatbench.report.tables.cells import plain
from compatbench.report.tables.leaderboard import STATUS_QUO
from compatbench.report.tables.method_rows import (
    METHOD,
    NEEDS,
    OWN_OLD,
    TIME,
    grouped,
    method_cell,
    needs_cell,
    timing,
    used,
)
from compatbench.vocabulary import Entry, MetricName, Role, Verdict

ABOVE, BELOW, RED, UNRANKED, MAPS_ALONE, UNCONVERGED = "↑", "↓", "✗", "○", "◇", "§"
FULL_BACKFILL = "full backfill"
"""The row of the independent new model on a gallery of its own."""
_RANK = Column(
    "rank",
    "rank",
    "Place within the league by the mean share; only of rows that are ranked in every scenario that counts and ranks "
    "any of the league.",
    Unit.PLACE,
)
_MEAN_RANK = Column(
    "mean_rank",
    "mean rank",
    "Mean of the rank over all contests of the league, scenarios with at least two ranked rows; 1 is the first. Only "
    "of rows that competed in every contest, since only they met the same rivals.",
    interval=True,
)
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
    NOT_SIGNIFICANT: "not significantly below the first of its league (bold): the paired interval contains 0.",
    OWN_OLD: "trains its own first generation: the gain is against its own old model.",
    UNCONVERGED: "a model of it had not converged in some upgrade.",
    UNRANKED: "this scenario ranks nobody (see its table), and counts for no mean of a share.",
    MAPS_ALONE: "between published encoders only maps can take part, so this scenario counts for no mean of a share.",
    RED: "a control misbehaves in this scenario (see its table): nothing there counts.",
}


def overview_table(scenarios: Sequence[ScenarioRows], rows: Sequence[OverviewRow]) -> Table:
    """The cross gain of every row in every scenario of one suite, by league; `rows` are those of the suite."""
    number = scenarios[0].rank_by
    longer = any(int(scenario.runs.newest) > 1 for scenario in scenarios)
    chains = "; of a chain, the newest generation's on the first one's gallery" if longer else ""
    one_seed = all(len(scenario.runs.seeds) == 1 for scenario in scenarios)
    verdicts = "There is one seed, so there are no verdicts." if one_seed else "↑ and ↓ are significant."
    upgrades = {
        one.runs.scenario: f"Old to new: {one.rows[0].runs.records[0].spec.upgrade}. M(n,o) − M(o,o), mAP in points; – "
        "where the row did not run or did not end."
        for one in scenarios
    }
    lines = [(row.known.section, _row(row, scenarios, number)) for row in rows]
    groups = grouped([(Role.REFERENCE, line) for line in _ends(scenarios)] + lines)
    ranking = [scenario.runs.scenario for scenario in counted(scenarios)]
    return Table(
        name="overview",
        title="All scenarios: what queries gain on day one",
        caption="M(n,o) − M(o,o) on mAP in points: new queries on the old gallery against the status quo, whose row "
        f"has M(o,o) itself, as that of the full backfill has M(*,*){chains}. {verdicts} Methods stand by league, "
        f"within it by mean {number.heading}"
        f"{f' over {_listed(ranking)}' if len(ranking) < len(scenarios) else ''}. {timing(scenarios[0].runs)}",
        columns=(
            *((_RANK,) if any(row.ranks for row in rows) else ()),
            METHOD,
            Column(
                "mean",
                f"mean {number.heading}",
                f"Mean over the scenarios that rank. {number.sentence}",
                Unit.SHARE,
                interval=True,
                places=(Place.COMPACT, Place.FRONT),
            ),
            *(Column(name, name, words, places=(Place.COMPACT, Place.FRONT)) for name, words in upgrades.items()),
            replace(_TAX, places=(Place.COMPACT, Place.FRONT)),
            TIME,
            _COMPATIBLE,
            *((_MEAN_RANK,) if any(row.mean_rank.value is not None for row in rows) else ()),
            NEEDS,
        ),
        groups=groups,
        footnotes=used(_FOOTNOTES, groups),
    )


def overview_of_several(scenarios: Sequence[ScenarioRows]) -> Table | None:
    """The overview of a suite; None if there is only one scenario, since its own table says all."""
    return overview_table(scenarios, overview_rows(scenarios)) if len(scenarios) > 1 else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no scenario, since none ranks"


def explained(overview: Table) -> tuple[Column, ...]:
    """Those of its columns to explain in a legend: not one for each scenario."""
    return tuple(column for column in overview.columns if column.unit is Unit.TEXT)


def _row(row: OverviewRow, scenarios: Sequence[ScenarioRows], number: MetricName) -> Row:
    gains = {scenario.runs.scenario: _gain(one) for scenario, one in zip(scenarios, row.rows, strict=True)}
    best = number in row.ranks and not row.ahead[number]
    marks = (NOT_SIGNIFICANT,) if best and row.ranks[number] > 1 else ()
    name = method_cell(row.known)
    cells = {
        "method": replace(name, marks=(*name.marks, *unconverged(row))),
        "rank": TableCell(row.ranks.get(number)),
        "mean": replace(plain(row.means[number], marks), bold=best),
        "tax": TableCell(row.tax),
        "time": TableCell(row.time),
        "compatible": TableCell(f"{row.gains}/{len(row.signs)}" if row.signs else None),
        "mean_rank": plain(row.mean_rank),
        "needs": needs_cell(row.needs),
    }
    return Row(cells | gains, tags=row.needs)


def unconverged(row: OverviewRow) -> tuple[str, ...]:
    """The mark of a row with a model that had not converged by the rule of the protocol."""
    return (UNCONVERGED,) if row.unconverged else ()


def _gain(row: MethodRow | None) -> TableCell:
    if row is None:
        return TableCell()
    marks = {1: (ABOVE,), -1: (BELOW,), 0: ()}[gain_sign(row)]
    return TableCell(row.number(MetricName.CROSS_GAIN).in_points().value, marks=marks)


def _ends(scenarios: Sequence[ScenarioRows]) -> list[Row]:
    """M(o,o) and M(*,*) of every scenario."""
    lines, counting = [], counted(scenarios)
    for name, entry in ((STATUS_QUO, Entry.OLD), (FULL_BACKFILL, Entry.REFERENCE)):
        cells = {"method": TableCell(name)}
        for scenario in scenarios:
            row = scenario.status_quo
            marks = _why_not(scenario, counting)
            value = row.number(entry) if row else Estimate()
            cells[scenario.runs.scenario] = TableCell(
                value.in_points().value, marks=marks if entry is Entry.OLD else ()
            )
        lines.append(Row(cells))
    return lines


def _why_not(scenario: ScenarioRows, counting: Sequence[ScenarioRows]) -> tuple[str, ...]:
    """The mark of a scenario that counts for no mean, or whose controls cannot be believed."""
    if scenario.banner.problems:
        return (RED,)
    if scenario.closed:
        return (UNRANKED,)
    return () if scenario in counting else (MAPS_ALONE,)

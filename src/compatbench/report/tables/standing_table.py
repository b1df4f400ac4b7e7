"""The table over all scenarios: mean ranks, contests, and the rank in every scenario or the reason for none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compatbench.report.render.table import NOT_SIGNIFICANT, Cell, Column, Group, Row, Table, Unit, number
from compatbench.report.rows.standing import Entry, Standing, Standings
from compatbench.report.tables.cells import plain
from compatbench.report.tables.method_rows import METHOD, NEEDS, needs_cell
from compatbench.vocabulary import Role

SUMMARY = (
    Column("place", "place", "By mean rank. Only methods that competed in every contest have one.", Unit.COUNT),
    METHOD,
    NEEDS,
    Column(
        "mean",
        "mean rank",
        "Mean over all contests of the rank by Γ, then tax; 1 is the first. Only for methods that competed in every "
        "contest, since only they met the same rivals.",
        interval=True,
    ),
    Column(
        "relative",
        "relative rank",
        "(rank − 1) / (n − 1) among the n ranked rows of a contest, mean over the contests in which the method "
        "competed: 0 is always the first, 1 always the last.",
        Unit.SHARE,
        interval=True,
    ),
    Column(
        "competed",
        "competed",
        "Contests in which the method was ranked, of all; a contest is a scenario with at least two ranked rows.",
        Unit.TEXT,
    ),
    Column(
        "compatible",
        "compatible in",
        "Scenarios with M(n,o) > M(o,o), significantly, of those in which the row was measured; n.s.: further ones "
        "in which the interval of the gain contains 0.",
        Unit.TEXT,
    ),
)
"""The columns before those of the scenarios."""
_FOOTNOTES = {NOT_SIGNIFICANT: "not significantly behind the first (bold): the paired interval contains 0."}


def standings_table(standings: Standings, *, name_suites: bool) -> Table:
    """All rows, with one column for each scenario with records; `name_suites` if there are several suites."""
    shown = [at for at, _ in enumerate(standings.scenarios) if any(row.entries[at].records for row in standings.rows)]
    columns = [_scenario_column(*standings.scenarios[at], name_suites) for at in shown]
    return _table(standings, (Role.REFERENCE, Role.CONTROL), shown, columns)


def summary_table(standings: Standings) -> Table:
    """The methods alone, without the columns of the scenarios."""
    return _table(standings, (), (), ())


def _table(standings: Standings, others: Sequence[Role], shown: Sequence[int], columns: Sequence[Column]) -> Table:
    methods = standings.of(Role.METHOD)
    groups = {
        "Competed everywhere": [row for row in methods if row.place is not None],
        "Competed in some contests": [row for row in methods if row.place is None and row.competed],
        "Not ranked anywhere": [row for row in methods if not row.competed],
        **{f"{role.heading} (never ranked)": standings.of(role) for role in others},
    }
    first = next((row.label for row in standings.rows if row.place is not None), "")
    lines = {title: tuple(_row(row, standings, shown, first) for row in rows) for title, rows in groups.items()}
    tied = sum(row.tied_with_first for row in standings.rows) > 1
    return Table(
        name="standings",
        title="All scenarios",
        caption=_caption(standings),
        columns=(*SUMMARY, *columns),
        groups=tuple(Group(title, rows) for title, rows in lines.items() if rows),
        footnotes=_FOOTNOTES if tied else {},
    )


def scenario_key(suite: str, scenario: str) -> str:
    """Key of the column of one scenario."""
    return f"{suite}/{scenario}"


def short_state(entry: Entry) -> str:
    """The rank, or in a word or two why there is none."""
    if entry.rank is not None:
        return number(entry.rank, Unit.COUNT if entry.rank.is_integer() else Unit.POINTS)
    return entry.why.partition(":")[0] or entry.verdict or ""


def _scenario_column(suite: str, scenario: str, name_suites: bool) -> Column:
    title = f"{scenario} ({suite})" if name_suites else scenario
    text = f"Rank in {scenario} of {suite}, or why there is none; of references and controls, what became of them."
    return Column(scenario_key(suite, scenario), title, text, Unit.TEXT)


def _row(row: Standing, standings: Standings, shown: Sequence[int], first: str) -> Row:
    mean, relative = row.mean_rank, row.relative_rank
    marks = (NOT_SIGNIFICANT,) if row.tied_with_first and row.label != first else ()
    more = f" + {row.compatible_not_significant} {NOT_SIGNIFICANT}" if row.compatible_not_significant else ""
    judged = row.role == Role.METHOD and row.measured
    cells = {
        "place": Cell(row.place),
        "method": Cell(row.label),
        "needs": needs_cell(row.needs),
        "mean": replace(plain(mean, marks), bold=row.tied_with_first),
        "relative": plain(relative),
        "competed": Cell(f"{row.competed}/{standings.contests}" if row.role == Role.METHOD else None),
        "compatible": Cell(f"{row.compatible}/{row.measured}{more}" if judged else None),
    }
    return Row(cells | {scenario_key(*standings.scenarios[at]): Cell(short_state(row.entries[at])) for at in shown})


def _caption(standings: Standings) -> str:
    if not standings.contests:
        return "No scenario has two rows with enough seeds to be ranked, so there are no mean ranks yet."
    contests = "1 contest" if standings.contests == 1 else f"{standings.contests} contests"
    return (
        f"Ranks over {contests}, by update gain Γ on mAP, then by tax; rows that are equal in both "
        "share the mean of their places. 95% intervals: bootstrap over contests, then seeds, then queries"
        + (" (one contest: over seeds and queries only)." if standings.contests == 1 else ".")
        + " References and controls are never ranked."
    )

"""The table over all scenarios: mean ranks, contests, and the rank in every scenario or the reason for none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compatbench.report.render.table import NOT_SIGNIFICANT, Cell, Column, Group, Row, Table, Unit, number
from compatbench.report.rows.standing import Entry, Standing, Standings
from compatbench.report.tables.cells import plain
from compatbench.report.tables.method_rows import METHOD, NEEDS, needs_cell
from compatbench.vocabulary import RANKED_BY, League, Role, Verdict

SUMMARY = (
    Column(
        "place",
        "place",
        "Within the league, by mean rank. Only methods that competed in every contest of their league have one.",
        Unit.COUNT,
    ),
    METHOD,
    NEEDS,
    Column(
        "mean",
        "mean rank",
        "Mean of the rank over all contests of the league; 1 is the first. Only for methods that competed in every "
        "contest, since only they met the same rivals.",
        interval=True,
    ),
    Column(
        "share",
        "mean share",
        "Mean of the number that ranks (A, unless the table says otherwise), over the scenarios in which the method is "
        "ranked.",
        Unit.SHARE,
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
        "Contests in which the method was ranked, of its league's: scenarios with at least two ranked rows of it.",
        Unit.TEXT,
    ),
    Column(
        "compatible",
        "compatible in",
        f"Scenarios in which the row is {Verdict.COMPATIBLE}, of those in which it was measured, and further ones that "
        f"are {Verdict.UNDECIDED}.",
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
        **{one.heading: [row for row in methods if row.league is one] for one in League},
        **{f"{role.heading} (never ranked)": standings.of(role) for role in others},
    }
    lines = {
        title: tuple(_row(row, standings, shown, rows[0].label) for row in rows)
        for title, rows in groups.items()
        if rows
    }
    marked = any(cell.marks for rows in lines.values() for line in rows for cell in line.cells.values())
    return Table(
        name="standings",
        title="All scenarios",
        caption=_caption(standings),
        columns=(*SUMMARY, *columns),
        groups=tuple(Group(title, rows) for title, rows in lines.items()),
        footnotes=_FOOTNOTES if marked else {},
    )


def scenario_key(suite: str, scenario: str) -> str:
    """Key of the column of one scenario."""
    return f"{suite}/{scenario}"


def short_state(entry: Entry) -> str:
    """The rank, or in a word or two why there is none."""
    if entry.rank is not None:
        return number(entry.rank, Unit.COUNT if entry.rank.is_integer() else Unit.POINTS)
    return entry.why.partition(":")[0] or entry.judgement or ""


def _scenario_column(suite: str, scenario: str, name_suites: bool) -> Column:
    title = f"{scenario} ({suite})" if name_suites else scenario
    text = f"Rank in {scenario} of {suite}, or why there is none; of references and controls, what became of them."
    return Column(scenario_key(suite, scenario), title, text, Unit.TEXT)


def _row(row: Standing, standings: Standings, shown: Sequence[int], first: str) -> Row:
    mean, relative = row.mean_rank, row.relative_rank
    marks = (NOT_SIGNIFICANT,) if row.tied_with_first and row.label != first else ()
    more = f" + {row.undecided} {Verdict.UNDECIDED}" if row.undecided else ""
    judged = row.role == Role.METHOD and row.measured
    cells = {
        "place": Cell(row.place),
        "method": Cell(row.label),
        "needs": needs_cell(row.needs),
        "mean": replace(plain(mean, marks), bold=row.tied_with_first),
        "share": plain(row.mean_share),
        "relative": plain(relative),
        "competed": Cell(f"{row.competed}/{standings.contests_of(row)}" if row.role == Role.METHOD else None),
        "compatible": Cell(f"{row.compatible}/{row.measured}{more}" if judged else None),
    }
    return Row(cells | {scenario_key(*standings.scenarios[at]): Cell(short_state(row.entries[at])) for at in shown})


def _caption(standings: Standings) -> str:
    if not standings.contests:
        return "No scenario has two ranked rows of one league, so there are no mean ranks yet."
    contests = ", ".join(f"{league} {number}" for league, number in standings.contests.items())
    first, second = standings.rank_by.heading, RANKED_BY[standings.rank_by].heading
    return (
        f"Ranks within each league, by {first} on mAP, then by {second}; rows that are equal in both share the mean of "
        f"their places. Contests: {contests}. 95% intervals: bootstrap over contests, then seeds, then queries"
        + (" (one contest: over seeds and queries only)." if max(standings.contests.values()) == 1 else ".")
        + " References and controls are never ranked."
    )

"""The standing of each method in its league over all scenarios: means with intervals, contests, reasons for absence.

docs/protocol.md, §5, defines contests, ranks, mean and relative rank, and their intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from compatbench.evaluation.bootstrap import interval_estimate
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import sign
from compatbench.evaluation.spread import ROUNDING
from compatbench.records.record import Record
from compatbench.report.rows.contests import Average, averages, point_ranks
from compatbench.report.rows.controls import ScenarioRows, judgement
from compatbench.report.rows.row import MethodRow, outcome, published_beneath
from compatbench.vocabulary import League, MetricName, Role, Verdict

State = Literal["ranked", "not ranked", "unfinished", "missing", "not planned"]
"""`not ranked`: it has numbers, but is no method, or something speaks against it. `missing`: it has no record."""


@dataclass(frozen=True)
class SuitePlan:
    """The cells of a suite's plan today: every row in every scenario with every seed."""

    scenarios: tuple[str, ...]
    """As the suite lists them."""
    kinds: Mapping[str, tuple[Role, League | None]]
    """Role and league of every row, by its label."""
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class SuiteRows:
    """All rows of one suite."""

    name: str
    plan: SuitePlan | None
    """None where the suite is no longer built in."""
    reports: Sequence[ScenarioRows]
    """In the order of the plan."""


@dataclass(frozen=True)
class Entry:
    """One row in one scenario."""

    suite: str
    scenario: str
    state: State
    rank: float | None
    """1 is the first; None unless ranked."""
    competitors: int
    """Ranked rows of its league in the scenario."""
    why: str
    """Why it has no rank: `skipped: …`, `✗ oom`, `2 of 3 seeds`; empty where it has one, and for other roles."""
    judgement: str | None
    """The verdict, or what stands in its place; None where no seed ended well."""
    gain: Estimate
    """M(n,o) − M(o,o) on mAP."""
    records: tuple[Record, ...]
    """By seed, whatever their status."""
    missing_seeds: tuple[int, ...]
    """Cells of the plan without a record."""


@dataclass(frozen=True)
class Standing:
    """One row over all scenarios."""

    label: str
    role: Role
    league: League | None
    """Of methods."""
    entries: tuple[Entry, ...]
    """One for each of the scenarios, in their order."""
    place: int | None
    """In its league, by mean rank; None where it has none. Equal mean ranks share a place."""
    mean_share: Estimate
    """Mean of the number that ranks, over the scenarios in which it is ranked."""
    mean_rank: Estimate
    """Undefined unless it competed in every contest."""
    relative_rank: Estimate
    """0 is always the first, 1 always the last; undefined where it competed in no contest."""
    tied_with_first: bool
    """The 95% interval of its mean rank's paired difference to the first's contains 0. Of the first itself: True."""

    @property
    def competed(self) -> int:
        """The contests of the row."""
        return sum(entry.rank is not None and entry.competitors > 1 for entry in self.entries)

    @property
    def needs(self) -> tuple[str, ...]:
        """The method's needs beyond the new training data, by its records."""
        return next((tuple(entry.records[-1].spec.method.needs) for entry in self.entries if entry.records), ())

    @property
    def measured(self) -> int:
        """Scenarios with numbers of the row."""
        return sum(entry.judgement is not None for entry in self.entries)

    @property
    def compatible(self) -> int:
        """Scenarios in which it is compatible."""
        return sum(entry.judgement == Verdict.COMPATIBLE for entry in self.entries)

    @property
    def undecided(self) -> int:
        """Scenarios whose data do not tell."""
        return sum(entry.judgement == Verdict.UNDECIDED for entry in self.entries)

    @property
    def missing(self) -> int:
        """Cells of the plan without a record."""
        return sum(len(entry.missing_seeds) for entry in self.entries)


@dataclass(frozen=True)
class Standings:
    """All rows over all scenarios of some suites."""

    scenarios: tuple[tuple[str, str], ...]
    """Suite and scenario, also those that are planned and were not run; in the order of the entries of every row."""
    rank_by: MetricName
    contests: Mapping[League, int]
    """Scenarios with at least two ranked rows, of each league with any."""
    rows: tuple[Standing, ...]
    """Methods by league, within it by mean rank, then those without one by relative rank, then the others; references;
    controls."""

    def of(self, role: Role) -> tuple[Standing, ...]:
        """The rows of one role, in their order."""
        return tuple(row for row in self.rows if row.role == role)

    def contests_of(self, row: Standing) -> int:
        """The contests of the row's league."""
        return self.contests.get(row.league, 0) if row.league else 0

    @property
    def missing(self) -> int:
        """Cells of the plans, of all roles, without a record."""
        return sum(row.missing for row in self.rows)


def standings(suites: Sequence[SuiteRows], rank_by: MetricName = MetricName.BACKFILL_SHARE) -> Standings:
    """Rank the methods of all scenarios of `suites`, all of one version of the protocol, league by league."""
    tables = [table for suite in suites for table in _tables(suite, rank_by)]
    rows: list[Standing] = []
    contests: dict[League, int] = {}
    by_league: dict[League | None, list[tuple[str, Role]]] = {}
    for label, (role, its_league) in _kinds(suites).items():
        by_league.setdefault(its_league, []).append((label, role))
    for its_league, members in by_league.items():
        ranked = [table.contests[its_league] for table in tables if its_league in table.contests] if its_league else []
        found = averages(ranked, rank_by)
        number = sum(len(several) > 1 for several in ranked)
        if its_league and number:
            contests[its_league] = number
        complete = {label: one for label, one in found.items() if one.competed == number > 0}
        rows += [_standing(label, role, its_league, tables, found.get(label), complete) for label, role in members]
    names = tuple((table.suite.name, table.scenario) for table in tables)
    return Standings(names, rank_by, contests, tuple(published_beneath(sorted(rows, key=_order))))


def _standing(
    label: str,
    role: Role,
    its_league: League | None,
    tables: Sequence[_Table],
    average: Average | None,
    complete: Mapping[str, Average],
) -> Standing:
    """`complete` are the averages of those who competed in every contest of the league."""
    mean, first = complete.get(label), min(complete.values(), key=lambda one: one.rank, default=None)
    tied = False
    if mean is not None and first is not None:
        tied = sign(interval_estimate(mean.rank - first.rank, mean.rank_draws - first.rank_draws)) <= 0
    return Standing(
        label=label,
        role=role,
        league=its_league,
        entries=tuple(_entry(label, its_league, table) for table in tables),
        place=1 + sum(other.rank < mean.rank - ROUNDING for other in complete.values()) if mean else None,
        mean_share=interval_estimate(average.share, average.share_draws) if average else Estimate(),
        mean_rank=interval_estimate(mean.rank, mean.rank_draws) if mean else Estimate(),
        relative_rank=interval_estimate(average.relative, average.relative_draws) if average else Estimate(),
        tied_with_first=tied,
    )


class _Table:
    """One scenario's rows, and the ranked ones of each league with their places."""

    def __init__(self, suite: SuiteRows, scenario: str, found: ScenarioRows | None, rank_by: MetricName) -> None:
        self.suite = suite
        self.scenario = scenario
        self.rows = {row.label: row for row in found.rows} if found else {}
        self.contests = found.contests if found else {}
        self.ranks = {
            label: place for rows in self.contests.values() for label, place in point_ranks(rows, rank_by).items()
        }


def _tables(suite: SuiteRows, rank_by: MetricName) -> list[_Table]:
    """Of every scenario that is planned or has records."""
    run = {one.runs.scenario: one for one in suite.reports}
    planned = suite.plan.scenarios if suite.plan else ()
    return [_Table(suite, scenario, run.get(scenario), rank_by) for scenario in dict.fromkeys([*planned, *run])]


def _kinds(suites: Sequence[SuiteRows]) -> dict[str, tuple[Role, League | None]]:
    """Role and league by label, of every row that is planned or has a record."""
    planned = {label: kind for suite in suites if suite.plan for label, kind in suite.plan.kinds.items()}
    run = {row.label: (row.role, row.league) for suite in suites for one in suite.reports for row in one.rows}
    return planned | run


def _order(row: Standing) -> tuple[object, ...]:
    numbers = (row.mean_rank.value, row.relative_rank.value)
    return (
        row.role != Role.METHOD,
        list(Role).index(row.role),
        list(League).index(row.league) if row.league else 0,
        *((one is None, one or 0.0) for one in numbers),
        -(row.mean_share.value or 0.0),
        row.label,
    )


def _entry(label: str, its_league: League | None, table: _Table) -> Entry:
    plan, row = table.suite.plan, table.rows.get(label)
    planned = plan is not None and label in plan.kinds and table.scenario in plan.scenarios
    left = {record.spec.seed for record in row.runs.records} if row else set()
    state, why = _state(row, planned=planned)
    return Entry(
        suite=table.suite.name,
        scenario=table.scenario,
        state=state,
        rank=table.ranks.get(label),
        competitors=len(table.contests.get(its_league, ())) if its_league else 0,
        why=why,
        judgement=judgement(row) if row else None,
        gain=row.number(MetricName.CROSS_GAIN) if row else Estimate(),
        records=row.runs.records if row else (),
        missing_seeds=tuple(seed for seed in plan.seeds if seed not in left) if plan and planned else (),
    )


def _state(row: MethodRow | None, *, planned: bool) -> tuple[State, str]:
    if row is None:
        return ("missing", "not run") if planned else ("not planned", "not in this suite")
    if row.scores is None:
        return "unfinished", outcome(row.runs.records, name_seeds=False)
    return ("ranked" if row.ranked else "not ranked"), row.unranked

"""The standing of each method over all scenarios: mean ranks with intervals, its contests, and reasons for absence.

docs/protocol.md, §5, defines contests, ranks, mean and relative rank, and their intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from compatbench.evaluation.bootstrap import interval_estimate
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import ROUNDING, sign
from compatbench.records.record import Record
from compatbench.report.rows.contests import averages, point_ranks
from compatbench.report.rows.controls import ScenarioRows, Verdict, verdict
from compatbench.report.rows.row import RANKED_SEEDS, MethodRow, outcome
from compatbench.vocabulary import Role

State = Literal["ranked", "not ranked", "unfinished", "missing", "not planned"]
"""`not ranked`: it has numbers, but is no method, has too few seeds or no Γ. `missing`: it has no record at all."""


@dataclass(frozen=True)
class SuitePlan:
    """The cells of a suite's plan today: every row in every scenario with every seed."""

    scenarios: tuple[str, ...]
    """As the suite lists them."""
    roles: Mapping[str, Role]
    """Of every row, by its label."""
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
    """Ranked rows of the scenario."""
    why: str
    """Why it has no rank: `skipped: …`, `✗ oom`, `2 of 3 seeds`; empty where it has one, and for other roles."""
    verdict: Verdict | None
    """None where no seed ended well."""
    records: tuple[Record, ...]
    """By seed, whatever their status."""
    missing_seeds: tuple[int, ...]
    """Cells of the plan without a record."""


@dataclass(frozen=True)
class Standing:
    """One row over all scenarios."""

    label: str
    role: Role
    entries: tuple[Entry, ...]
    """One for each of the scenarios, in their order."""
    place: int | None
    """By mean rank; None where it has none. Equal mean ranks share a place."""
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
        return sum(entry.verdict is not None for entry in self.entries)

    @property
    def compatible(self) -> int:
        """Scenarios with M(n,o) > M(o,o) beyond the interval of the gain."""
        return sum(entry.verdict is Verdict.COMPATIBLE for entry in self.entries)

    @property
    def compatible_not_significant(self) -> int:
        """Scenarios with M(n,o) > M(o,o) within that interval."""
        return sum(entry.verdict is Verdict.COMPATIBLE_NOT_SIGNIFICANT for entry in self.entries)

    @property
    def missing(self) -> int:
        """Cells of the plan without a record."""
        return sum(len(entry.missing_seeds) for entry in self.entries)


@dataclass(frozen=True)
class Standings:
    """All rows over all scenarios of some suites."""

    scenarios: tuple[tuple[str, str], ...]
    """Suite and scenario, also those that are planned and were not run; in the order of the entries of every row."""
    contests: int
    """Scenarios with at least two ranked rows."""
    rows: tuple[Standing, ...]
    """Methods by mean rank, then those without one by relative rank, then the others; references; controls."""

    def of(self, role: Role) -> tuple[Standing, ...]:
        """The rows of one role, in their order."""
        return tuple(row for row in self.rows if row.role == role)

    @property
    def missing(self) -> int:
        """Cells of the plans, of all roles, without a record."""
        return sum(row.missing for row in self.rows)


def standings(suites: Sequence[SuiteRows]) -> Standings:
    """Rank the methods of all scenarios of `suites`, all of one version of the protocol."""
    tables = [table for suite in suites for table in _tables(suite)]
    contests = [table.ranked for table in tables if len(table.ranked) > 1]
    found = averages(contests)
    complete = {label: one for label, one in found.items() if one.competed == len(contests)}
    first = min(complete.values(), key=lambda one: one.rank, default=None)
    rows = []
    for label, role in _roles(suites).items():
        average, mean = found.get(label), complete.get(label)
        tied = False
        if mean is not None and first is not None:
            tied = sign(interval_estimate(mean.rank - first.rank, mean.rank_draws - first.rank_draws)) <= 0
        rows.append(
            Standing(
                label=label,
                role=role,
                entries=tuple(_entry(label, table) for table in tables),
                place=1 + sum(other.rank < mean.rank - ROUNDING for other in complete.values()) if mean else None,
                mean_rank=interval_estimate(mean.rank, mean.rank_draws) if mean else Estimate(),
                relative_rank=interval_estimate(average.relative, average.relative_draws) if average else Estimate(),
                tied_with_first=tied,
            )
        )
    names = tuple((table.suite.name, table.scenario) for table in tables)
    return Standings(names, len(contests), tuple(sorted(rows, key=_order)))


class _Table:
    """One scenario's rows and the places of the ranked ones."""

    def __init__(self, suite: SuiteRows, scenario: str, rows: Sequence[MethodRow]) -> None:
        self.suite = suite
        self.scenario = scenario
        self.rows = {row.label: row for row in rows}
        self.ranked = [row for row in rows if row.ranked]
        self.ranks = dict(zip([row.label for row in self.ranked], point_ranks(self.ranked).tolist(), strict=True))


def _tables(suite: SuiteRows) -> list[_Table]:
    """Of every scenario that is planned or has records."""
    run = {one.runs.scenario: one.rows for one in suite.reports}
    planned = suite.plan.scenarios if suite.plan else ()
    return [_Table(suite, scenario, run.get(scenario, ())) for scenario in dict.fromkeys([*planned, *run])]


def _roles(suites: Sequence[SuiteRows]) -> dict[str, Role]:
    """Role by label, of every row that is planned or has a record."""
    planned = {label: role for suite in suites if suite.plan for label, role in suite.plan.roles.items()}
    run = {row.label: row.role for suite in suites for one in suite.reports for row in one.rows}
    return planned | run


def _order(row: Standing) -> tuple[object, ...]:
    numbers = (row.mean_rank.value, row.relative_rank.value)
    return (
        row.role != Role.METHOD,
        list(Role).index(row.role),
        *((one is None, one or 0.0) for one in numbers),
        row.label,
    )


def _entry(label: str, table: _Table) -> Entry:
    plan, row = table.suite.plan, table.rows.get(label)
    planned = plan is not None and label in plan.roles and table.scenario in plan.scenarios
    left = {record.spec.seed for record in row.runs.records} if row else set()
    state, why = _state(row, planned=planned)
    return Entry(
        suite=table.suite.name,
        scenario=table.scenario,
        state=state,
        rank=table.ranks.get(label),
        competitors=len(table.ranked),
        why=why,
        verdict=verdict(row) if row else None,
        records=row.runs.records if row else (),
        missing_seeds=tuple(seed for seed in plan.seeds if seed not in left) if plan and planned else (),
    )


def _state(row: MethodRow | None, *, planned: bool) -> tuple[State, str]:
    if row is None:
        return ("missing", "not run") if planned else ("not planned", "not in this suite")
    if row.ranked:
        return "ranked", ""
    if row.scores is None:
        return "unfinished", outcome(row.runs.records, name_seeds=False)
    if row.role != Role.METHOD:
        return "not ranked", ""
    if len(row.runs.finished) < RANKED_SEEDS:
        return "not ranked", f"{len(row.runs.finished)} of {RANKED_SEEDS} seeds"
    return "not ranked", "Γ undefined: M(*,*) ≤ M(o,o)"

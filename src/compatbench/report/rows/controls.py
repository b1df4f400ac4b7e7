"""Verdicts on the rows of a scenario: compatible or not, and whether references and controls behaved as they must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

from compatbench.evaluation.leaks import leak_p_value
from compatbench.evaluation.means import Values
from compatbench.evaluation.significance import ERROR_RATE, holm, sign
from compatbench.report.rows.closing import closed, little_gain
from compatbench.report.rows.contests import point_ranks
from compatbench.report.rows.row import MethodRow, how_ended, in_order, method_rows
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import LOST, ScoreReader
from compatbench.vocabulary import RANKED_BY, Behaviour, Entry, Expectation, League, MetricName, Status, Verdict

SAME_SELF = 1e-4
"""How far M(n,n) may lie from M(*,*) as a fraction: ties that a rotation's rounding breaks."""
SAME_CROSS = 1e-6

RowCheck = Callable[[MethodRow], str | None]
"""What is wrong with the row, or None."""


@dataclass(frozen=True)
class Banner:
    """The verdict on a table's references and controls."""

    checked: tuple[str, ...]
    """Rows whose expectations were tested."""
    problems: tuple[str, ...]
    misbehaves: bool
    """Whether a row failed its expectations or could not be checked; a reference that is missing is a problem alone."""

    @property
    def headline(self) -> str:
        """One line, for the top of a table."""
        if not self.checked:
            return "no control checks this table"
        if self.problems:
            return "controls not as expected: explain this before you trust the table"
        return f"controls as expected: {', '.join(self.checked)}"


def banner(scenario: ScenarioRuns, rows: Sequence[MethodRow]) -> Banner:
    """Check every row with an expectation. A table without `independent`, or with no row checked, is not green."""
    expecting = [row for row in rows if row.runs.method.expects]
    checked = tuple(sorted(row.label for row in expecting if row.scores is not None))
    problems = [f"{row.label}: {problem}" for row in expecting for problem in misbehaviour(row)]
    misbehaves = bool(problems)
    if scenario.independent is None:
        problems.append("independent: not among the records, so nothing shows what no compatibility term gives")
    if not checked:
        problems.append("no reference or control with an expectation ended well")
    return Banner(checked, tuple(problems), misbehaves)


def misbehaviour(row: MethodRow) -> list[str]:
    """The unmet expectations of a row; unfinished seeds count, unless they were skipped with a reason."""
    problems = []
    broken = [record for record in row.runs.unfinished if record.status is not Status.SKIPPED]
    if broken:
        problems.append(f"not checked, {how_ended(broken, name_seeds=len(broken) < len(row.runs.records))}")
    if row.scores is None:
        return problems
    for expectation in sorted(row.runs.method.expects):
        if problem := CHECKS[expectation](row):
            problems.append(problem)
    return problems


def _cross_at_chance(row: MethodRow) -> str | None:
    """All seeds together, on the samples that were rotated."""
    if row.leak_p_value is None:
        return "its records contain no rotations to compare M(n,o) with"
    if row.leak_p_value >= ERROR_RATE:
        return None
    cross, mean = (fmean(getattr(one, name) for one in row.rotated) for name in ("cross", "mean"))
    values = f"random rotations give {_points(mean)} (p = {row.leak_p_value:.2g})"
    return f"M(n,o) = {_points(cross)} is above chance: {values}"


def _cross_below_old(row: MethodRow) -> str | None:
    cross, old = float(_seed_means(row, Entry.CROSS).mean()), float(_seed_means(row, Entry.OLD).mean())
    if cross < old:
        return None
    return f"M(n,o) = {_points(cross)} should be below M(o,o) = {_points(old)}"


def _self_equals_independent(row: MethodRow) -> str | None:
    """Where the documents keep their old encoder there is no new gallery that could be compared."""
    if row.runs.records[0].spec.generations[-1].keeps_documents:
        return None
    return _equal(row, Entry.NEW, Entry.REFERENCE, SAME_SELF)


def _cross_equals_old(row: MethodRow) -> str | None:
    """The same scores, and no query whose first hit is lost, though others may gain as much."""
    if unequal := _equal(row, Entry.CROSS, Entry.OLD, SAME_CROSS):
        return unequal
    assert row.scores is not None  # only finished rows are checked
    lost = float(row.scores.of(LOST, Entry.CROSS).mean())
    return f"NFR@1 should be 0, and {100 * lost:.2g}% of the queries lose their first hit" if lost else None


CHECKS: dict[Expectation, RowCheck] = {
    Expectation.CROSS_AT_CHANCE: _cross_at_chance,
    Expectation.CROSS_BELOW_OLD: _cross_below_old,
    Expectation.SELF_EQUALS_INDEPENDENT: _self_equals_independent,
    Expectation.CROSS_EQUALS_OLD: _cross_equals_old,
}


def _equal(row: MethodRow, entry: str, other: str, tolerance: float) -> str | None:
    """Every seed by itself must agree: differences of either sign must not cancel."""
    first, second = _seed_means(row, entry), _seed_means(row, other)
    worst = int(abs(first - second).argmax())
    if abs(first[worst] - second[worst]) <= tolerance:
        return None
    values = f"{100 * first[worst]:.4f} and {100 * second[worst]:.4f} with seed {row.runs.finished[worst].spec.seed}"
    return f"{entry} should equal {other}, and they are {values}"


def _seed_means(row: MethodRow, entry: str) -> Values:
    assert row.scores is not None  # only finished rows are checked
    means: Values = row.scores.of(MetricName.MAP, entry).mean(axis=1)
    return means


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


ONE_SEED = "one seed"
"""Stands where a verdict would: intervals over queries alone say nothing of another training."""


def row_verdict(row: MethodRow) -> str | None:
    """The verdict on a row, ONE_SEED, or whether its expectations were met; None if no seed ended well."""
    if row.scores is None:
        return None
    if row.runs.method.expects:
        return Behaviour.NOT_AS_EXPECTED if misbehaviour(row) else Behaviour.AS_EXPECTED
    return row.verdict or ONE_SEED


def ordering(row: MethodRow) -> str | None:
    """Whether M(n,n) > M(n,o) > M(o,o), both significantly; None as for the judgement."""
    if row.scores is None:
        return None
    if len(row.scores.seeds) == 1:
        return ONE_SEED
    steps = [sign(row.number(step)) for step in (MetricName.CROSS_GAIN, MetricName.BACKFILL_GAIN)]
    return {1: "yes", 0: Verdict.UNDECIDED, -1: "no"}[min(steps)]


@dataclass(frozen=True)
class ScenarioRows:
    """All rows of one scenario."""

    runs: ScenarioRuns
    rows: tuple[MethodRow, ...]
    """Ranked ones first, in the order of `rank_by`."""
    banner: Banner
    rank_by: MetricName
    """One of RANKED_BY."""
    closed: tuple[str, ...]
    """Why the scenario ranks nobody; empty if it does."""

    @property
    def limits(self) -> tuple[str, ...]:
        """What its numbers cannot say, one line each."""
        lines = [f"not ranked: {reason}" for reason in self.closed]
        return (*lines, "one seed: no verdicts") if len(self.runs.seeds) == 1 else tuple(lines)

    @property
    def counts(self) -> bool:
        """Whether it may count for means and mean ranks of a suite: not closed, and no control misbehaves."""
        return not self.closed and not self.banner.misbehaves

    @property
    def trains(self) -> bool:
        """Whether its newest encoder is trained; one that is used as it was published leaves room for maps alone."""
        return not self.rows[0].runs.records[0].spec.generations[-1].head.none

    @property
    def in_points(self) -> bool:
        """Its tables have no shares of the gain, since they would be noise."""
        return bool(little_gain(self.status_quo))

    @cached_property
    def contests(self) -> dict[League, tuple[MethodRow, ...]]:
        """The ranked rows of each league that has any, the first first."""
        found = {league: tuple(row for row in self.rows if row.ranked and row.league is league) for league in League}
        return {league: rows for league, rows in found.items() if rows}

    @cached_property
    def ranks(self) -> dict[str, dict[MetricName, float]]:
        """The places of every ranked row within its league, by label and by each number that may rank."""
        found: dict[str, dict[MetricName, float]] = {}
        for rows in self.contests.values():
            for number in RANKED_BY:
                for label, place in point_ranks(rows, number).items():
                    found.setdefault(label, {})[number] = place
        return found

    @property
    def status_quo(self) -> MethodRow | None:
        """The row that shows the old model over the most seeds; None if no seed of any ended well."""
        return _status_quo(self.rows)


def counted(scenarios: Sequence[ScenarioRows]) -> list[ScenarioRows]:
    """Those that count for means and mean ranks over a suite; beside scenarios that train encoders, these alone.

    Between published encoders a map meets none of the methods that train, so a rank there is among other rivals.
    """
    found = [one for one in scenarios if one.counts]
    return [one for one in found if one.trains] or found


def suite_rows(
    several: Sequence[ScenarioRuns], reader: ScoreReader, rank_by: MetricName = MetricName.BACKFILL_SHARE
) -> list[ScenarioRows]:
    """The rows of each scenario of a suite. Raises RequestError for missing arrays, or arrays that do not fit."""
    tables = with_leaks([method_rows(runs, reader) for runs in several])
    return [_scenario_rows(runs, rows, rank_by) for runs, rows in zip(several, tables, strict=True)]


def with_leaks(tables: Sequence[Sequence[MethodRow]]) -> list[list[MethodRow]]:
    """The rows of all scenarios of a suite with p-values of their checks at chance, Holm-corrected over all checks."""
    checked = {
        (table, row.label): leak_p_value(row.rotated)
        for table, rows in enumerate(tables)
        for row in rows
        if Expectation.CROSS_AT_CHANCE in row.runs.method.expects and row.rotated
    }
    corrected = dict(zip(checked, holm([*checked.values()]).tolist(), strict=True))
    return [[replace(row, leak_p_value=corrected.get((n, row.label))) for row in rows] for n, rows in enumerate(tables)]


def _scenario_rows(runs: ScenarioRuns, rows: Sequence[MethodRow], rank_by: MetricName) -> ScenarioRows:
    reasons = closed(rows, _status_quo(rows))
    ordered = in_order([replace(row, closed=bool(reasons)) for row in rows], rank_by)
    return ScenarioRows(runs, ordered, banner(runs, ordered), rank_by, reasons)


def _status_quo(rows: Sequence[MethodRow]) -> MethodRow | None:
    known = [row for row in rows if row.scores is not None and not row.own_first_generation]
    return max(known, key=lambda one: len(one.runs.finished), default=None)

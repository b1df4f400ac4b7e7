"""Every row over all scenarios of one suite: gains, means with intervals, ranks within its league."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from compatbench.evaluation.bootstrap import interval_estimate
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import sign
from compatbench.report.rows.closing import convergences
from compatbench.report.rows.contests import Average, averages, ranks
from compatbench.report.rows.controls import ScenarioRows, counted
from compatbench.report.rows.row import MethodRow, published_beneath
from compatbench.vocabulary import RANKED_BY, League, MetricName, Need, Verdict


@dataclass(frozen=True)
class OverviewRow:
    """One row over the scenarios of a suite."""

    label: str
    rows: tuple[MethodRow | None, ...]
    """One for each scenario; None where it has no record."""
    signs: tuple[int, ...]
    """1 compatible, −1 not, 0 undecided; of the scenarios in which it was measured and no control misbehaves."""
    means: Mapping[MetricName, Estimate]
    """Of each of RANKED_BY, over the scenarios that count; undefined where it has none."""
    ahead: Mapping[MetricName, tuple[str, ...]]
    """Ranked rows of its league that are significantly above it: the paired interval of their means excludes 0."""
    ranks: Mapping[MetricName, float]
    """Within its league, by the mean; empty unless it is ranked in every one of them that ranks any of its league."""
    mean_rank: Estimate
    """Over the contests of its league; undefined unless it competed in all of them. docs/protocol.md, §5."""

    @property
    def known(self) -> MethodRow:
        """The row in the first scenario that has it."""
        return next(row for row in self.rows if row is not None)

    @property
    def needs(self) -> tuple[Need, ...]:
        """All needs that it has in some scenario."""
        found = {need for row in self.rows if row is not None for need in row.runs.method.needs}
        return tuple(need for need in Need if need in found)

    @property
    def gains(self) -> int:
        """Scenarios in which it is compatible, of those in `signs`."""
        return self.signs.count(1)

    @property
    def tax(self) -> float | None:
        """Mean over the scenarios, in points."""
        return self._over(lambda row: row.number(MetricName.TAX).in_points().value, fmean)

    @property
    def time(self) -> float | None:
        """Relative training time, median over the scenarios."""
        return self._over(lambda row: row.time.value, median)

    @property
    def unconverged(self) -> int:
        """Scenarios in which a model that it trained itself has not converged with some seed."""
        return sum(not all(one.converged for _, _, one in convergences(row)) for row in self.rows if row is not None)

    def _over(self, of: Callable[[MethodRow], float | None], middle: Callable[[list[float]], float]) -> float | None:
        values = [value for row in self.rows if row is not None and (value := of(row)) is not None]
        return middle(values) if values else None


def gain_sign(row: MethodRow | None) -> int:
    """1 where the row is compatible, −1 where it is not, else 0."""
    return {Verdict.COMPATIBLE: 1, Verdict.NOT_COMPATIBLE: -1}.get(row.verdict, 0) if row and row.verdict else 0


def leader(rows: Sequence[OverviewRow], league: League, number: MetricName) -> OverviewRow | None:
    """The first row of a league by the mean of `number`; None where none is ranked."""
    ranked = [row for row in rows if row.known.league is league and number in row.ranks]
    return min(ranked, key=lambda row: row.ranks[number], default=None)


def overview_rows(scenarios: Sequence[ScenarioRows]) -> list[OverviewRow]:
    """All rows of a suite by the mean of the number that ranks, published ones under their tuned ones."""
    counting = counted(scenarios)
    by_number = {number: _averages(counting, number) for number in RANKED_BY}
    leagues = _ranked_everywhere(counting)
    mean_ranks = _mean_ranks(counting)
    ahead = {number: _ahead(leagues, found) for number, found in by_number.items()}
    places = {number: _places(leagues, found) for number, found in by_number.items()}
    found = []
    for label in sorted({row.label for scenario in scenarios for row in scenario.rows}):
        rows = tuple(next((row for row in one.rows if row.label == label), None) for one in scenarios)
        signs = tuple(
            gain_sign(row)
            for row, one in zip(rows, scenarios, strict=True)
            if row is not None and row.scores is not None and not one.banner.problems
        )
        means = {
            number: interval_estimate(one[label].share, one[label].share_draws) if label in one else Estimate()
            for number, one in by_number.items()
        }
        found.append(
            OverviewRow(
                label,
                rows,
                signs,
                means,
                {number: several[label] for number, several in ahead.items() if label in several},
                {number: several[label] for number, several in places.items() if label in several},
                mean_ranks.get(label, Estimate()),
            )
        )
    rank_by = scenarios[0].rank_by
    return published_beneath(sorted(found, key=lambda row: _order(row, rank_by)))


def _order(row: OverviewRow, rank_by: MetricName) -> tuple[object, ...]:
    mean = row.means[rank_by].value
    gained = row.gains / max(1, len(row.signs))
    return mean is None, -(mean or 0.0), -gained, row.signs.count(-1), row.label


def _averages(scenarios: Sequence[ScenarioRows], number: MetricName) -> dict[str, Average]:
    """Of all rows that have the number, with few seeds too."""
    contests = [[row for row in scenario.rows if row.number(number).value is not None] for scenario in scenarios]
    return averages([rows for rows in contests if rows], number)


def _mean_ranks(scenarios: Sequence[ScenarioRows]) -> dict[str, Estimate]:
    """Of the rows that competed in every contest of their league."""
    found: dict[str, Estimate] = {}
    for league in League if scenarios else ():
        ranked = [one.contests[league] for one in scenarios if league in one.contests]
        number = sum(len(rows) > 1 for rows in ranked)
        for label, one in averages(ranked, scenarios[0].rank_by).items():
            if one.competed == number > 0:
                found[label] = interval_estimate(one.rank, one.rank_draws)
    return found


def _ranked_everywhere(scenarios: Sequence[ScenarioRows]) -> list[list[str]]:
    """By league, the rows ranked in every scenario that ranks any of the league: only they met equal rivals."""
    contests: dict[str, list[set[str]]] = {}
    for scenario in scenarios:
        for league, rows in scenario.contests.items():
            contests.setdefault(league, []).append({row.label for row in rows})
    return [sorted(set.intersection(*several)) for several in contests.values()]


def _ahead(leagues: Sequence[Sequence[str]], found: Mapping[str, Average]) -> dict[str, tuple[str, ...]]:
    def above(one: Average, other: Average) -> bool:
        return sign(interval_estimate(one.share - other.share, one.share_draws - other.share_draws)) > 0

    return {
        label: tuple(
            other for other in members if found[other].share > found[label].share and above(found[other], found[label])
        )
        for members in leagues
        for label in members
    }


def _places(leagues: Sequence[Sequence[str]], found: Mapping[str, Average]) -> dict[str, float]:
    places: dict[str, float] = {}
    for members in leagues:
        shares = np.array([found[label].share for label in members])
        places |= dict(zip(members, ranks(shares, shares).tolist(), strict=True))
    return places

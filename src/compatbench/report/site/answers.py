"""The reader's first questions about a suite: which method, its gain, its cost, on what data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from compatbench.errors import listed
from compatbench.records.record import Record
from compatbench.report.render.table import Unit, number
from compatbench.report.rows.controls import ScenarioRows
from compatbench.report.rows.overview import OverviewRow, gain_sign, leader
from compatbench.report.tables.overview import UNCONVERGED, unconverged
from compatbench.vocabulary import League, MetricName

SHOWN_GAINS = 4
"""Upgrades whose gains are told one by one; of more, their range."""
_SAME_SIZE = 0.005
"""Of a ratio that two decimals show as 1."""
_LEAST = 0.05
"""Points that are not 0.0 with one decimal."""
_SIGNS = {1: " ↑", 0: "", -1: " ↓"}


@dataclass(frozen=True)
class Answer:
    """The first row of a league over the scenarios of a suite, in words."""

    league: League
    label: str
    """With a mark where a model of it had not converged, as the names in `tied`."""
    tied: tuple[str, ...]
    """Ranked rows that are not significantly behind it; with the count of upgrades where they gain in more."""
    lead: str
    """What to say before its name: that no row of the league gains, where none is compatible in any upgrade."""
    gain: str
    cost: str


def answers(rows: Sequence[OverviewRow], scenarios: Sequence[ScenarioRows]) -> list[Answer]:
    """One for each league with a ranked row, in the order of leagues."""
    rank_by = scenarios[0].rank_by
    found = []
    for league in League:
        first = leader(rows, league, rank_by)
        if first is None:
            continue
        members = [row for row in rows if row.known.league is league]
        tied = tuple(_tied(row, first) for row in members if row is not first and row.ahead.get(rank_by) == ())
        none = any(row.signs for row in members) and not any(row.gains for row in members)
        lead = f"none gains beyond doubt; best by {rank_by.heading}: " if none else ""
        found.append(
            Answer(league, _name(first), tied, lead, _gain(first, scenarios, rank_by), _cost(first, scenarios))
        )
    return found


def _name(row: OverviewRow) -> str:
    return " ".join([row.label, *unconverged(row)])


def _tied(row: OverviewRow, first: OverviewRow) -> str:
    """A reader who looks at day one wants to know of a row behind by A that gains in more upgrades."""
    return _name(row) if row.gains <= first.gains else f"{_name(row)} ({compatible_in(row)}{_on_shared(row)})"


def compatible_in(row: OverviewRow) -> str:
    """`compatible in 6 of 8`, of the upgrades whose controls are as they must be."""
    return f"compatible in {row.gains} of {len(row.signs)}"


def _gain(row: OverviewRow, scenarios: Sequence[ScenarioRows], rank_by: MetricName) -> str:
    gains = []
    for scenario, one in zip(scenarios, row.rows, strict=True):
        gain = one.number(MetricName.CROSS_GAIN).in_points().value if one else None
        if gain is not None:
            plus = "+" if gain >= _LEAST else ""
            gains.append(f"{plus}{number(gain, Unit.POINTS)}{_SIGNS[gain_sign(one)]} ({scenario.runs.scenario})")
    share = row.means[rank_by].value
    mean = "" if share is None else f"; {rank_by.heading} {number(share, Unit.SHARE)}"
    told = ", ".join(gains)
    if len(gains) > SHOWN_GAINS:
        told = f"{compatible_in(row)} upgrades, {gain_range(row)}" if row.signs else gain_range(row)
    above = max(0.0, row.tax or 0.0)
    after = f"; after a backfill {_points(above)} points above a plain new model" if above >= _LEAST else ""
    missed = f"; {UNCONVERGED} not converged in {row.unconverged} of {len(gains)} upgrades" if row.unconverged else ""
    return f"{told} points of mAP on day one{_on_shared(row)}{mean}{after}{missed}"


def _on_shared(row: OverviewRow) -> str:
    """The gain of a row with a first generation of its own against the status quo that all others share."""
    shared = gain_range(row, MetricName.SHARED_GAIN) if row.known.own_first_generation else ""
    return f" on its own old model, {shared} points on the shared one" if shared else ""


def gain_range(row: OverviewRow, what: MetricName = MetricName.CROSS_GAIN) -> str:
    """The lowest and the highest gain of a row, in points, over the upgrades of a suite."""
    values = [one.number(what).in_points().value for one in row.rows if one is not None]
    known = [value for value in values if value is not None]
    return " to ".join(dict.fromkeys(number(end(known), Unit.POINTS) for end in (min, max) if known))


def _cost(row: OverviewRow, scenarios: Sequence[ScenarioRows]) -> str:
    parts = []
    if row.tax is not None and abs(row.tax) < _LEAST:
        parts.append("no loss after a backfill")
    elif row.tax is not None and row.tax < 0:
        parts.append(f"after a backfill {_points(row.tax)} points below a plain new model")
    if row.time is not None:
        parts.append(f"training time {number(row.time, Unit.TIMES)}")
    if abs((size := _vector_size(row, scenarios)) - 1) > _SAME_SIZE:
        parts.append(f"stored vectors {number(size, Unit.TIMES)}")
    return ", ".join([*parts, f"needs {', '.join(row.needs) or 'nothing'}"])


def _vector_size(row: OverviewRow, scenarios: Sequence[ScenarioRows]) -> float:
    """Bytes of a stored vector as a multiple of those of the independent model, median over the scenarios."""
    ratios = []
    for scenario, one in zip(scenarios, row.rows, strict=True):
        plain = scenario.runs.independent
        sizes = [
            record.costs.get("bytes_per_vector")
            for runs in (one and one.runs, plain)
            if runs
            for record in runs.finished[:1]
        ]
        if len(sizes) == 2 and sizes[0] and sizes[1]:
            ratios.append(sizes[0] / sizes[1])
    return median(ratios) if ratios else 1.0


def _points(tax: float) -> str:
    """Without its sign, which says gain where the word says loss."""
    return number(abs(tax), Unit.POINTS)


@dataclass(frozen=True)
class Facts:
    """Data, scale, date, commit and machine of the records of a suite."""

    dataset: str
    queries: int
    classes: int | None
    """Of the queries; None where relevance is judged."""
    trained_on: tuple[int, int]
    """Fewest and most training items of a generation; zeros where no record has them."""
    rows: int
    scenarios: int
    seeds: int
    records: int
    dates: tuple[str, str]
    commits: tuple[str, ...]
    machines: tuple[str, ...]
    upgrades: tuple[tuple[str, str], ...]
    """Name of each scenario, and what changes in it, in plain words."""

    @property
    def data(self) -> str:
        """`iconsets: 4,771 queries of 356 classes, models trained on 1,196 to 11,950 items`."""
        classes = f" of {self.classes:,} classes" if self.classes else ""
        low, high = self.trained_on
        trained = f", models trained on {low:,} to {high:,} items" if high else ""
        return f"{self.dataset}: {self.queries:,} queries{classes}{trained}"

    @property
    def scale(self) -> str:
        """`12 rows × 3 upgrades × 3 seeds`."""
        parts = [(self.rows, "row"), (self.scenarios, "upgrade"), (self.seeds, "seed")]
        return " × ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in parts)

    @property
    def origin(self) -> str:
        """`run on 2026-11-28 from commit 9fcc932e05 on AMD EPYC`."""
        first, last = self.dates
        days = first if first == last else f"{first} to {last}"
        return f"run on {days} from commit {listed(self.commits, 1) or 'unknown'} on {', '.join(self.machines)}"


def facts(scenarios: Sequence[ScenarioRows]) -> Facts:
    """From all records of the suite."""
    runs = [row.runs for scenario in scenarios for row in scenario.rows]
    records = [record for one in runs for record in one.records]
    finished = [record for one in runs for record in one.finished]
    steps = [
        int(count) for record in finished for one in record.step_costs.values() if (count := one.get("train_images"))
    ]
    days = sorted(record.started[:10] for record in records)
    return Facts(
        dataset=", ".join(sorted({record.spec.dataset for record in records})),
        queries=max((_queries(record) for record in finished), default=0),
        classes=max((record.query_classes or 0 for record in finished if not record.judged), default=0) or None,
        trained_on=(min(steps, default=0), max(steps, default=0)),
        rows=len({one.label for one in runs}),
        scenarios=len(scenarios),
        seeds=len({record.spec.seed for record in records}),
        records=len(records),
        dates=(days[0], days[-1]),
        commits=tuple(sorted({(record.environment.git_sha or "")[:10] for record in records} - {""})),
        machines=tuple(sorted({_machine(record) for record in records})),
        upgrades=tuple((one.runs.scenario, one.runs.rows[0].records[0].spec.upgrade) for one in scenarios),
    )


def _machine(record: Record) -> str:
    """Without marks of trade."""
    return re.sub(r"\((R|TM)\)| Processor$", "", record.environment.gpu or record.environment.cpu)


def _queries(record: Record) -> int:
    return max((metric.n for metric in record.metrics if metric.n is not None), default=0)

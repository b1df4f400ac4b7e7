"""One method label in one scenario: numbers over its seeds, or the reason for their absence."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median
from typing import Any, Protocol, TypeVar

from compatbench.errors import one_line
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.leaks import Rotated
from compatbench.evaluation.significance import corrected_p_values, verdict
from compatbench.records.parts import Metric
from compatbench.records.record import BASELINE, Record
from compatbench.report.rows.estimates import Numbers, Tested, estimate
from compatbench.report.rows.runs import MethodRuns, ScenarioRuns
from compatbench.report.rows.scores import ScoreReader, Scores
from compatbench.suite.times import Times
from compatbench.vocabulary import (
    RANKED_BY,
    Entry,
    League,
    MetricName,
    Need,
    ParameterSetting,
    Role,
    Status,
    Verdict,
    league,
    plain_label,
    row_label,
)

RANKED_SEEDS = 3
"""Rows with fewer finished seeds are shown and not ranked."""

LONGEST_REASON = 120
"""Characters of a record's reason that a table shows."""


@dataclass(frozen=True)
class MethodRow:
    """One row, before it is formatted. All numbers are fractions."""

    runs: MethodRuns
    scores: Scores | None
    """None where no seed ended well."""
    numbers: Numbers
    """Empty where no seed ended well."""
    gain_p_value: float | None
    """Of the cross gain on mAP, Holm-corrected over the scenario's rows without expectations, or over those with; None
    for one seed."""
    time: Estimate
    """Of training, as a multiple of that of `independent`, and 1 more where that model is trained too. Median, lowest
    and highest over repeats in turn; undefined where the suite was not timed."""
    leak_p_value: float | None = None
    """Of a cross-test above chance, Holm-corrected over the suite; None where none is expected or sampled."""
    closed: bool = False
    """Its scenario ranks nobody."""

    @property
    def label(self) -> str:
        """The row's name."""
        return self.runs.label

    @property
    def role(self) -> Role:
        """How the row is read."""
        return self.runs.method.role

    def number(self, word: Tested, metric: MetricName = MetricName.MAP) -> Estimate:
        """An entry of the matrix, or a number made of its entries; undefined if no seed ended well."""
        return self.numbers.get((metric, word), Estimate())

    @property
    def verdict(self) -> Verdict | None:
        """By the cross gain on mAP; None for one seed."""
        return None if self.gain_p_value is None else verdict(self.number(MetricName.CROSS_GAIN), self.gain_p_value)

    @property
    def is_baseline(self) -> bool:
        """Trained without any compatibility term, as the new models that all rows refer to."""
        return self.runs.method.name == BASELINE

    @property
    def own_first_generation(self) -> bool:
        """Its M(o,o) is its own, not the status quo."""
        return Need.OWN_FIRST_GENERATION in self.runs.method.needs

    @property
    def league(self) -> League | None:
        """Of a method; ranks, means and bold are within it."""
        return league(self.role, self.runs.method.needs)

    @property
    def setting(self) -> ParameterSetting | None:
        """Where its parameters come from, in a suite with tuned values."""
        return self.runs.method.setting

    @property
    def under(self) -> str:
        """Label of the tuned row under which tables show it; empty for a row of its own."""
        return tuned_label(self.label) if self.setting is ParameterSetting.PUBLISHED else ""

    @property
    def section(self) -> Role | League:
        """Where tables show it: by league if it is a method, else by role."""
        return self.league or self.role

    @property
    def ranked(self) -> bool:
        """It is a method, and nothing speaks against a rank."""
        return self.role == Role.METHOD and not self.unranked

    @property
    def unranked(self) -> str:
        """Why a method has no rank; empty if it has one, and for references and controls."""
        if self.role != Role.METHOD:
            return ""
        if self.scores is None:
            return how_ended(self.runs.records, name_seeds=False)
        against = {
            "the published setting, beside the tuned one": self.setting is ParameterSetting.PUBLISHED,
            "the scenario is not ranked": self.closed,
            f"{len(self.runs.finished)} of {RANKED_SEEDS} seeds": len(self.runs.finished) < RANKED_SEEDS,
            "nothing to gain: M(*,*) ≤ M(o,o)": self.number(MetricName.UPDATE_GAIN).value is None,
            "A was not measured": self.number(MetricName.BACKFILL_SHARE).value is None,
        }
        return next((reason for reason, holds in against.items() if holds), "")

    def cross(self, subset: str = "all", distance: str = "cosine") -> float | None:
        """M(n,o) on mAP by `distance` over the queries of `subset` (seen, unseen), mean over seeds."""
        entries = [_entry(record, MetricName.MAP, subset, distance) for record in self.runs.finished]
        values = [entry.value for entry in entries if entry is not None and entry.value is not None]
        return fmean(values) if values else None

    @cached_property
    def chance(self) -> Estimate:
        """M(n,o) on mAP between unrelated spaces, mean over seeds; undefined unless every finished record has it."""
        entries = [_entry(record, MetricName.CHANCE.of(MetricName.MAP)) for record in self.runs.finished]
        ends = ("value", "ci_low", "ci_high")
        columns: list[list[Any]] = [[getattr(entry, end, None) for entry in entries] for end in ends]
        known = entries and not any(None in column for column in columns)
        return Estimate(*map(fmean, columns)) if known else Estimate()

    @cached_property
    def rotated(self) -> tuple[Rotated, ...]:
        """M(n,o) of every seed beside random rotations; none unless every finished record has them."""
        names = (MetricName.CHANCE_CROSS, MetricName.CHANCE, MetricName.CHANCE_SPREAD, MetricName.CHANCE_SKEW)
        found = []
        for record in self.runs.finished:
            entries = [_entry(record, name.of(MetricName.MAP)) for name in names]
            values = [entry.value for entry in entries if entry is not None and entry.value is not None]
            if len(values) < len(names):
                return ()
            found.append(Rotated(*values))
        return tuple(found)


def tuned_label(published: str) -> str:
    """Label of the tuned row beside a published one: `bct(tuned)` for `bct(published)`."""
    plain = plain_label(published)
    return row_label(plain, ParameterSetting.TUNED) if published == row_label(plain, ParameterSetting.PUBLISHED) else ""


def method_rows(scenario: ScenarioRuns, reader: ScoreReader) -> list[MethodRow]:
    """The rows of one scenario, by label."""
    scores = {runs.label: reader.read(runs, scenario.newest) for runs in scenario.rows if runs.finished}
    own = {runs.label for runs in scenario.rows if Need.OWN_FIRST_GENERATION in runs.method.needs}
    others = (one for label, one in scores.items() if label not in own)
    shared = max(others, key=lambda one: len(one.seeds), default=None)  # of equal ones always the same, the first
    if shared is not None:
        scores |= {label: scores[label].against(shared) for label in own & scores.keys()}
    numbers = estimate(scores)
    gains = {
        label: one.of(MetricName.MAP, Entry.CROSS) - one.of(MetricName.MAP, Entry.OLD)
        for label, one in scores.items()
        if len(one.seeds) > 1
    }
    expecting = {runs.label for runs in scenario.rows if runs.method.expects}
    p_values = corrected_p_values(gains, family=lambda label: label in expecting)
    return [
        MethodRow(
            runs=runs,
            scores=scores.get(runs.label),
            numbers=numbers.get(runs.label, {}),
            gain_p_value=p_values.get(runs.label),
            time=_time(runs, scenario.timed),
        )
        for runs in scenario.rows
    ]


def in_order(rows: Iterable[MethodRow], rank_by: MetricName) -> tuple[MethodRow, ...]:
    """Ranked rows first, by this number on mAP and then the one that decides between equals; the others follow alike.

    Where the number is undefined, by the cross gain. A published row comes directly under its tuned one.
    """

    def key(row: MethodRow) -> tuple[object, ...]:
        if row.scores is None:
            return 2, row.label
        first, second = (row.number(number).value for number in (rank_by, RANKED_BY[rank_by]))
        shown = row.number(MetricName.CROSS_GAIN).value if first is None else first
        return int(not row.ranked), first is None, -(shown or 0.0), -(second or 0.0), row.label

    return tuple(published_beneath(sorted(rows, key=key)))


class Labelled(Protocol):
    """What has the label of a row."""

    @property
    def label(self) -> str:
        """Of the row."""


OneRow = TypeVar("OneRow", bound=Labelled)


def published_beneath(ordered: Sequence[OneRow]) -> list[OneRow]:
    """The same order, but for published rows: each comes directly under its tuned one, if that is there."""
    places = {row.label: place for place, row in enumerate(ordered)}

    def key(row: OneRow) -> tuple[int, bool]:
        tuned = places.get(tuned_label(row.label))
        return (places[row.label], False) if tuned is None else (tuned, True)

    return sorted(ordered, key=key)


def how_ended(records: Sequence[Record], *, name_seeds: bool) -> str:
    """How unfinished records ended: `skipped: <reason>`, `✗ oom` …; equal outcomes appear once."""
    ends: dict[str, list[int]] = defaultdict(list)
    for record in records:
        word = record.status.value if record.status is Status.SKIPPED else f"✗ {record.status.value}"
        reason = textwrap.shorten(one_line(record.reason), LONGEST_REASON, placeholder=" …")
        ends[f"{word}: {reason}" if reason else word].append(record.spec.seed)
    if len(ends) == 1 and not name_seeds:
        return next(iter(ends))
    return "; ".join(f"seed {', '.join(map(str, seeds))} {end}" for end, seeds in ends.items())


def _entry(record: Record, name: str, subset: str = "all", distance: str = "cosine") -> Metric | None:
    """A metric of M(n,o)."""
    return record.metric(name, str(len(record.spec.generations) - 1), "0", subset, distance)


def _time(runs: MethodRuns, timed: Times) -> Estimate:
    """An adapter trains the model of `independent`."""
    parent = Need.INDEPENDENT_MODEL in runs.method.needs
    trained = runs.label if runs.method.kind == "training" else BASELINE
    factors = [one + parent for one in timed.of(trained)]
    return Estimate(median(factors), min(factors), max(factors)) if factors else Estimate()

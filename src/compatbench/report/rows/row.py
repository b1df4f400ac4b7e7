"""What a table says about one method label in one scenario: numbers over its seeds, or why there are none."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from compatbench.errors import one_line
from compatbench.evaluation.estimate import Estimate
from compatbench.records.record import Record
from compatbench.report.rows.estimates import Compatibility, estimate
from compatbench.report.rows.runs import MethodRuns, ScenarioRuns
from compatbench.report.rows.scores import ScoreReader, Scores
from compatbench.vocabulary import MetricName, Need, Role, Status

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
    numbers: Mapping[str, Compatibility]
    """By retrieval number; empty where no seed ended well."""
    cross_seen: float | None
    """M(n,o) on mAP over queries of classes that the old generation knows, mean over seeds."""
    cross_unseen: float | None
    cross_l2: float | None
    """M(n,o) on mAP by L2 distance, mean over seeds."""
    chance: tuple[float, float, float] | None
    """M(n,o) on mAP between unrelated spaces: mean, low and high end, each the mean over the seeds."""
    relative_time: float | None
    """Training images/s of `independent` ÷ own, same scenario and seed, and 1 more where that model is trained too:
    median over seeds."""

    @property
    def label(self) -> str:
        """The row's name."""
        return self.runs.label

    @property
    def role(self) -> Role:
        """How the row is read."""
        return self.runs.method.role

    @property
    def compatibility(self) -> Compatibility | None:
        """The numbers on mAP, by which rows are ranked."""
        return self.numbers.get(MetricName.MAP)

    @property
    def own_first_generation(self) -> bool:
        """Its M(o,o) is its own, not the status quo."""
        return Need.OWN_FIRST_GENERATION in self.runs.method.needs

    @property
    def ranked(self) -> bool:
        """It is a method with enough seeds, and Γ is defined."""
        numbers = self.compatibility
        return (
            self.role == Role.METHOD
            and len(self.runs.finished) >= RANKED_SEEDS
            and numbers is not None
            and numbers.update_gain.value is not None
        )


def method_rows(scenario: ScenarioRuns, reader: ScoreReader) -> list[MethodRow]:
    """The rows of one scenario, ranked ones first by Γ on mAP, then tax; the others in the same order after them."""
    scores = {runs.label: reader.read(runs, scenario.newest) for runs in scenario.rows if runs.finished}
    numbers = estimate(scores)
    rows = [
        MethodRow(
            runs=runs,
            scores=scores.get(runs.label),
            numbers=numbers.get(runs.label, {}),
            cross_seen=_mean(runs, scenario.newest, subset="seen"),
            cross_unseen=_mean(runs, scenario.newest, subset="unseen"),
            cross_l2=_mean(runs, scenario.newest, distance="l2"),
            chance=_chance(runs, scenario.newest),
            relative_time=_relative_time(runs, scenario.independent),
        )
        for runs in scenario.rows
    ]
    return sorted(rows, key=_order)


def _order(row: MethodRow) -> tuple[object, ...]:
    numbers = row.compatibility
    if numbers is None:
        return 2, row.label
    gain = numbers.cross_gain if numbers.update_gain.value is None else numbers.update_gain
    return (
        int(not row.ranked),
        numbers.update_gain.value is None,
        _descending(gain),
        _descending(numbers.tax),
        row.label,
    )


def _descending(estimate: Estimate) -> float:
    return -estimate.value if estimate.value is not None else 0.0


def outcome(records: Sequence[Record], *, name_seeds: bool) -> str:
    """How unfinished records ended: `skipped: <reason>`, `✗ oom` …, equal outcomes told once."""
    ends: dict[str, list[int]] = defaultdict(list)
    for record in records:
        word = record.status.value if record.status is Status.SKIPPED else f"✗ {record.status.value}"
        reason = textwrap.shorten(one_line(record.reason), LONGEST_REASON, placeholder=" …")
        ends[f"{word}: {reason}" if reason else word].append(record.spec.seed)
    if len(ends) == 1 and not name_seeds:
        return next(iter(ends))
    return "; ".join(f"seed {', '.join(map(str, seeds))} {end}" for end, seeds in ends.items())


def _mean(runs: MethodRuns, newest: str, subset: str = "all", distance: str = "cosine") -> float | None:
    entries = [record.metric(MetricName.MAP, newest, "0", subset, distance) for record in runs.finished]
    values = [entry.value for entry in entries if entry is not None and entry.value is not None]
    return fmean(values) if values else None


def _chance(runs: MethodRuns, newest: str) -> tuple[float, float, float] | None:
    entries = [record.metric(f"chance:{MetricName.MAP}", newest, "0") for record in runs.finished]
    bands = [
        (entry.value, entry.ci_low, entry.ci_high)
        for entry in entries
        if entry is not None and entry.value is not None and entry.ci_low is not None and entry.ci_high is not None
    ]
    if not bands or len(bands) < len(entries):
        return None
    mean, low, high = (fmean(column) for column in zip(*bands, strict=True))
    return mean, low, high


def _relative_time(runs: MethodRuns, independent: MethodRuns | None) -> float | None:
    reference = _images_per_second(independent) if independent else {}
    own = _images_per_second(runs)
    parent = Need.INDEPENDENT_MODEL in runs.method.needs
    factors = [reference[seed] / own[seed] + parent for seed in own if seed in reference]
    return median(factors) if factors else None


def _images_per_second(runs: MethodRuns) -> dict[int, float]:
    rates = {record.spec.seed: record.costs.get("train_images_per_second") for record in runs.finished}
    return {seed: rate for seed, rate in rates.items() if rate}

"""Values and intervals of a row's numbers, and which rows differ: the only statistics of the report.

The estimator is the hierarchical bootstrap of `compatbench.evaluation.statistics`; all numbers are fractions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.compatibility import compatibility, update_gain
from compatbench.evaluation.statistics import (
    hierarchical_bootstrap,
    holm,
    paired_permutation_test,
    percentile_interval,
)
from compatbench.report.rows.scores import Scores
from compatbench.vocabulary import DERIVED_FROM, Entry, MetricName

SIGNIFICANCE = 0.05
"""Error rate of a family of comparisons after Holm's correction."""

ROUNDING = 1e-12
"""Fractions closer to 0 than this differ from it by the order of summation only."""

Values = NDArray[np.float64]
Tested = Entry | MetricName
"""A number by which rows are compared."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def significant(self) -> bool:
        """The interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > ROUNDING or self.high < -ROUNDING)

    def in_points(self) -> Estimate:
        """The same in percent points."""
        return Estimate(*(None if value is None else 100 * value for value in (self.value, self.low, self.high)))


@dataclass(frozen=True)
class Compatibility:
    """Protocol §3 for one row and one retrieval number, over all seeds."""

    old: Estimate
    """M(o,o)"""
    cross: Estimate
    """M(n,o)"""
    new: Estimate
    """M(n,n)"""
    reference: Estimate
    """M(*,*)"""
    cross_gain: Estimate
    """M(n,o) − M(o,o)"""
    backfill_gain: Estimate
    """M(n,n) − M(n,o): what re-embedding the gallery would still add"""
    update_gain: Estimate
    """Γ"""
    tax: Estimate
    """M(n,n) − M(*,*)"""


def bootstrap_means(
    rows: Mapping[str, Scores], metrics: Sequence[str] = DERIVED_FROM
) -> dict[tuple[str, str], dict[str, Values]]:
    """Resampled means (B,) of every entry of the matrix, by row and retrieval number, then by entry.

    Rows with equally many seeds share the bootstrap's draws.
    """
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for label, scores in rows.items():
        alike[scores.of(metrics[0], Entry.OLD).shape].append(label)
    found: dict[tuple[str, str], dict[str, Values]] = {}
    for labels in alike.values():
        columns = {
            f"{metric}/{entry}/{label}": rows[label].of(metric, entry)
            for label in labels
            for metric in metrics
            for entry in Entry
        }
        draws = hierarchical_bootstrap(columns)
        for label in labels:
            for metric in metrics:
                found[label, metric] = {entry: draws[f"{metric}/{entry}/{label}"] for entry in Entry}
    return found


def estimate(rows: Mapping[str, Scores]) -> dict[str, dict[str, Compatibility]]:
    """Compatibility by row and retrieval number."""
    draws = bootstrap_means(rows)
    return {
        label: {
            metric: _compatibility(
                *((float(scores.of(metric, entry).mean()), draws[label, metric][entry]) for entry in Entry)
            )
            for metric in DERIVED_FROM
        }
        for label, scores in rows.items()
    }


def _compatibility(
    old: tuple[float, Values], cross: tuple[float, Values], new: tuple[float, Values], reference: tuple[float, Values]
) -> Compatibility:
    values = compatibility(old[0], cross[0], new[0], reference[0])
    return Compatibility(
        old=_estimate(*old),
        cross=_estimate(*cross),
        new=_estimate(*new),
        reference=_estimate(*reference),
        cross_gain=_estimate(values[MetricName.CROSS_GAIN], cross[1] - old[1]),
        backfill_gain=_estimate(new[0] - cross[0], new[1] - cross[1]),
        update_gain=_estimate(values[MetricName.UPDATE_GAIN], update_gain(old[1], cross[1], reference[1])),
        tax=_estimate(values[MetricName.TAX], new[1] - reference[1]),
    )


def _estimate(value: float | None, draws: Values) -> Estimate:
    return Estimate(value) if value is None else Estimate(value, *percentile_interval(draws))


def contributions(scores: Scores, number: Tested, metric: str = MetricName.MAP) -> Values | None:
    """Per-query values (S, Q) whose mean is `number`, an entry of the matrix, Γ or the tax; None if undefined.

    For Γ the denominator M(*,*) − M(o,o) is the row's own over all seeds, held fixed.
    """
    if number is MetricName.TAX:
        return scores.of(metric, Entry.NEW) - scores.of(metric, Entry.REFERENCE)
    if isinstance(number, Entry):
        return scores.of(metric, number)
    room = float(scores.of(metric, Entry.REFERENCE).mean() - scores.of(metric, Entry.OLD).mean())
    return (scores.of(metric, Entry.CROSS) - scores.of(metric, Entry.OLD)) / room if room > 0 else None


def best_rows(rows: Mapping[str, Scores], numbers: Iterable[Tested]) -> dict[Tested, list[str]]:
    """For each of `numbers`, the row with the highest value and all that are not significantly below it, best first.

    A row is below when both say so: the paired permutation test on the queries, Holm-corrected over the rows, and
    the 95% hierarchical bootstrap interval of the paired difference, which alone knows the spread over seeds. Rows
    are compared on the seeds that they share; without one they cannot be told apart.
    """
    orders: dict[Tested, list[str]] = {}
    differences: dict[tuple[Tested, str], Values] = {}
    for number in numbers:
        values = {label: found for label, one in rows.items() if (found := contributions(one, number)) is not None}
        orders[number] = sorted(values, key=lambda label: (-float(values[label].mean()), label))
        for label in orders[number][1:]:
            best = orders[number][0]
            seeds = [seed for seed in rows[best].seeds if seed in rows[label].seeds]
            if seeds:
                first = values[best][[rows[best].seeds.index(seed) for seed in seeds]]
                second = values[label][[rows[label].seeds.index(seed) for seed in seeds]]
                differences[number, label] = first - second
    below = _positive(differences)
    return {number: [label for label in order if (number, label) not in below] for number, order in orders.items()}


def _positive(differences: Mapping[tuple[Tested, str], Values]) -> set[tuple[Tested, str]]:
    """The keys (number, row) of the differences (S, Q) whose mean is significantly above 0; see `best_rows`."""
    if not differences:
        return set()
    keys = list(differences)
    over_seeds = np.stack([differences[key].mean(axis=0, keepdims=True) for key in keys])
    p_values = dict(zip(keys, paired_permutation_test(over_seeds, 0.0), strict=True))
    adjusted: dict[tuple[Tested, str], float] = {}
    for number in {number for number, _ in keys}:
        family = [key for key in keys if key[0] == number]
        adjusted |= zip(family, holm([p_values[key] for key in family]), strict=True)
    draws: dict[tuple[Tested, str], Values] = {}
    for seeds in {len(values) for values in differences.values()}:
        alike = {key: values for key, values in differences.items() if len(values) == seeds}
        columns = {str(place): values for place, values in enumerate(alike.values())}
        draws |= zip(alike, hierarchical_bootstrap(columns).values(), strict=True)
    lows = {key: percentile_interval(draws[key])[0] for key in keys}
    return {key for key in keys if adjusted[key] < SIGNIFICANCE and (lows[key] or 0) > ROUNDING}

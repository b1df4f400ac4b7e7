"""Values and intervals of a row's numbers, and significant differences of rows: the only statistics of the report.

The estimator is the hierarchical bootstrap of `compatbench.evaluation.bootstrap`; all numbers are fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product

import numpy as np

from compatbench.evaluation.bootstrap import Bootstrap, Values, mean_estimate
from compatbench.evaluation.compatibility import gain_share
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import corrected_p_values, sign
from compatbench.report.rows.scores import FOLLOWED_OLD, FOLLOWED_REFERENCE, MEAN, SHARED_OLD, Scores
from compatbench.vocabulary import DERIVED_FROM, Entry, MetricName

Tested = Entry | MetricName
"""A number of a row."""


Numbers = Mapping[tuple[MetricName, Tested], Estimate]
"""Of one row over all its seeds: by retrieval number, the entries of the matrix and what is made of them."""

_FORMULAS: Mapping[MetricName, tuple[Callable[..., Values], tuple[str, ...]]] = {
    MetricName.CROSS_GAIN: (np.subtract, (Entry.CROSS, Entry.OLD)),
    MetricName.SHARED_GAIN: (np.subtract, (Entry.CROSS, SHARED_OLD)),
    MetricName.BACKFILL_GAIN: (np.subtract, (Entry.NEW, Entry.CROSS)),
    MetricName.UPDATE_GAIN: (gain_share, (Entry.OLD, Entry.CROSS, Entry.REFERENCE)),
    MetricName.FINAL_SHARE: (gain_share, (Entry.OLD, Entry.NEW, Entry.REFERENCE)),
    MetricName.BACKFILL_SHARE: (gain_share, (FOLLOWED_OLD, MEAN, FOLLOWED_REFERENCE)),
    MetricName.TAX: (np.subtract, (Entry.NEW, Entry.REFERENCE)),
}
"""Every number that is made of per-query scores: its formula, and the columns of `Scores` that it takes."""


def bootstrap(rows: Mapping[str, Scores]) -> Bootstrap[tuple[str, str, str]]:
    """The means of all scores by row, retrieval number and column; rows with equally many seeds share draws."""
    return Bootstrap({(label, *key): column for label, scores in rows.items() for key, column in scores.values.items()})


def estimate(rows: Mapping[str, Scores]) -> dict[str, Numbers]:
    """The numbers of every row; those of absent columns are left out."""
    found = bootstrap(rows)
    numbers: dict[str, dict[tuple[MetricName, Tested], Estimate]] = {label: {} for label in rows}
    for label, metric in product(rows, DERIVED_FROM):
        for entry in Entry:
            numbers[label][metric, entry] = found.mean((label, metric, entry))
        for word, (formula, columns) in _FORMULAS.items():
            keys = [(label, metric, column) for column in columns]
            if found.means.keys() >= {*keys}:
                numbers[label][metric, word] = found.estimate(formula, *keys)
    return {**numbers}


def tuning_gain(tuned: Scores, published: Scores) -> Estimate:
    """How much mAP the tuned setting of a method has more than the published one, on average during a backfill.

    Paired over the seeds that both have; undefined without one.
    """
    seeds = [seed for seed in tuned.seeds if seed in published.seeds]
    if not seeds or any((MetricName.MAP, MEAN) not in one.values for one in (tuned, published)):
        return Estimate()
    first, second = (
        one.of(MetricName.MAP, MEAN)[[one.seeds.index(seed) for seed in seeds]] for one in (tuned, published)
    )
    return mean_estimate(first - second)


def resampled(rows: Mapping[str, Scores], number: MetricName) -> dict[str, Values]:
    """The resampled values (B,) of a number on mAP by row, NaN where undefined."""
    formula, columns = _FORMULAS[number]
    draws = Bootstrap(
        {(label, name): one.of(MetricName.MAP, name) for label, one in rows.items() for name in columns}
    ).draws
    return {label: formula(*(draws[label, name] for name in columns)) for label in rows}


def contributions(scores: Scores, number: Tested, metric: str = MetricName.MAP) -> Values | None:
    """Per-query values (S, Q) with the mean `number`; None if undefined.

    For shares of the gain the denominator M(*,*) − M(o,o) is the row's own over all seeds, held fixed.
    """
    if isinstance(number, Entry):
        return scores.of(metric, number)
    formula, names = _FORMULAS[number]
    if any((metric, name) not in scores.values for name in names):
        return None
    columns = [scores.of(metric, name) for name in names]
    if formula is not gain_share:
        return formula(*columns)
    old, score, reference = columns
    room = float(reference.mean() - old.mean())
    return (score - old) / room if room > 0 else None


def best_rows(rows: Mapping[str, Scores], numbers: Iterable[Tested]) -> dict[Tested, list[str]]:
    """For each of `numbers`, the row with the highest value and all rows not significantly below it, best first.

    By the rule of `compatbench.evaluation.significance`; the family is all rows of a number. Rows are compared on the
    seeds that they share; without one they cannot be told apart.
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
    p_values = corrected_p_values(differences, family=lambda key: key[0])
    compared = Bootstrap(differences)
    below = {key for key in differences if sign(compared.mean(key), p_values[key]) > 0}
    return {number: [label for label in order if (number, label) not in below] for number, order in orders.items()}

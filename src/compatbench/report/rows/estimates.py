"""Values and intervals of a row's numbers, and significant differences of rows: the only statistics of the report.

Intervals are those of `compatbench.evaluation.means`; all numbers are fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from weakref import WeakKeyDictionary

import numpy as np

from compatbench.evaluation.compatibility import gain_share, p_1, p_comp, p_up
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import Means, Values, ratio
from compatbench.evaluation.significance import behind_the_first
from compatbench.report.rows.scores import FOLLOWED_OLD, FOLLOWED_REFERENCE, MEAN, SHARED_OLD, Scores
from compatbench.vocabulary import DERIVED_FROM, Entry, MetricName

Tested = Entry | MetricName
"""A number of a row."""


Numbers = Mapping[tuple[MetricName, Tested], Estimate]
"""Of one row over all its seeds: by retrieval number, the entries of the matrix and what is made of them."""

_DRAWS: WeakKeyDictionary[Scores, dict[str, Values]] = WeakKeyDictionary()
"""Resampled means (B,) of columns on mAP, for as long as their scores are kept: means, ranks and orders share them."""

_FORMULAS: Mapping[MetricName, tuple[Callable[..., Values], tuple[str, ...]]] = {
    MetricName.CROSS_GAIN: (np.subtract, (Entry.CROSS, Entry.OLD)),
    MetricName.SHARED_GAIN: (np.subtract, (Entry.CROSS, SHARED_OLD)),
    MetricName.BACKFILL_GAIN: (np.subtract, (Entry.NEW, Entry.CROSS)),
    MetricName.UPDATE_GAIN: (gain_share, (Entry.OLD, Entry.CROSS, Entry.REFERENCE)),
    MetricName.FINAL_SHARE: (gain_share, (Entry.OLD, Entry.NEW, Entry.REFERENCE)),
    MetricName.BACKFILL_SHARE: (gain_share, (FOLLOWED_OLD, MEAN, FOLLOWED_REFERENCE)),
    MetricName.TAX: (np.subtract, (Entry.NEW, Entry.REFERENCE)),
    MetricName.P_UP: (p_up, (Entry.NEW, Entry.REFERENCE)),
    MetricName.P_COMP: (p_comp, (Entry.OLD, Entry.CROSS, Entry.REFERENCE)),
    MetricName.P_1: (p_1, (Entry.OLD, Entry.CROSS, Entry.NEW, Entry.REFERENCE)),
    MetricName.RETENTION: (ratio, (Entry.CROSS, Entry.REFERENCE)),
    MetricName.OLD_RETENTION: (ratio, (Entry.OLD, Entry.REFERENCE)),
}
"""Every number that is made of per-query scores: its formula, and the columns of `Scores` that it takes."""


def estimate(rows: Mapping[str, Scores]) -> dict[str, Numbers]:
    """The numbers of every row; those of absent columns are left out."""
    found = Means({(label, *key): column for label, one in rows.items() for key, column in one.values.items()})
    numbers: dict[str, dict[tuple[MetricName, Tested], Estimate]] = {label: {} for label in rows}
    for label, metric in product(rows, DERIVED_FROM):
        for entry in (*Entry, MetricName.ORACLE_MEAN):
            if (label, metric, entry) in found.means:
                numbers[label][metric, entry] = found.mean((label, metric, entry))
        for word, (formula, columns) in _FORMULAS.items():
            keys = [(label, metric, column) for column in columns]
            if found.means.keys() >= {*keys}:
                numbers[label][metric, word] = found.estimate(formula, *keys)
    return {**numbers}


def tuning_gain(tuned: Scores, published: Scores, number: MetricName = MetricName.BACKFILL_SHARE) -> Values | None:
    """How much mAP the tuned setting of a method has more than the published one, by seed and query (S, Q).

    Of CROSS_GAIN, M(n,o) − M(o,o); of BACKFILL_SHARE, which has no queries of its own, the mean M(β) that it is made
    of. Paired over the seeds that both have; None without one.
    """
    if number is MetricName.BACKFILL_SHARE:
        first, second = (one.values.get((MetricName.MAP, MEAN)) for one in (tuned, published))
    else:
        first, second = (contributions(one, number) for one in (tuned, published))
    seeds = [seed for seed in tuned.seeds if seed in published.seeds]
    if not seeds or first is None or second is None:
        return None
    more: Values = first[[tuned.seeds.index(seed) for seed in seeds]]
    more = more - second[[published.seeds.index(seed) for seed in seeds]]
    return more


def resampled(rows: Mapping[str, Scores], number: MetricName) -> dict[str, Values]:
    """The resampled values (B,) of a number on mAP by row, NaN where undefined; equally many seeds share the draws."""
    formula, columns = _FORMULAS[number]
    drawn = {one: _DRAWS.setdefault(one, {}) for one in rows.values()}
    absent = [(one, name) for one, known in drawn.items() for name in columns if name not in known]
    for (one, name), means in Means({(one, name): one.of(MetricName.MAP, name) for one, name in absent}).draws.items():
        drawn[one][name] = means
    return {label: formula(*(drawn[one][name] for name in columns)) for label, one in rows.items()}


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
    best: dict[Tested, list[str]] = {}
    for number in numbers:
        values = {label: found for label, one in rows.items() if (found := contributions(one, number)) is not None}
        order = sorted(values, key=lambda label: (-float(values[label].mean()), label))
        behind = behind_the_first({label: values[label] for label in order}, {key: rows[key].seeds for key in order})
        best[number] = [label for label in order if label not in behind]
    return best

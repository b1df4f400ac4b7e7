"""From per-query results to the numbers of each system: intervals, gains, flips, thresholds. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from compatbench.compare.comparison import FULL_BACKFILL, STATUS_QUO, Number
from compatbench.evaluation.acceptance import Acceptance, acceptance_rates
from compatbench.evaluation.arrays import METRICS, QueryResults
from compatbench.evaluation.compatibility import update_gain
from compatbench.evaluation.flips import CUTOFFS, flip_estimates
from compatbench.evaluation.statistics import (
    hierarchical_bootstrap,
    holm,
    paired_permutation_test,
    percentile_interval,
)
from compatbench.vocabulary import DERIVED_FROM, MetricName

Values = NDArray[np.float64]
Results = Mapping[str, QueryResults]


def retrieval_numbers(results: Results) -> dict[str, dict[str, Number]]:
    """By system and name: METRICS, `cross_gain:`, `update_gain:` and `retention:` of DERIVED_FROM, NFR@k and PFR@k.

    Everything is against the system STATUS_QUO on the same queries, with intervals of one paired bootstrap.
    """
    columns = {(name, metric): one.per_query(metric) for name, one in results.items() for metric in METRICS}
    draws = hierarchical_bootstrap({str(key): values for key, values in columns.items()})
    flips = flip_estimates({name: [(results[STATUS_QUO], one)] for name, one in results.items()}, CUTOFFS)
    found: dict[str, dict[str, Number]] = {}
    for name in results:
        numbers = {metric: _number(_mean, columns, draws, (name, metric)) for metric in METRICS}
        for metric in DERIVED_FROM:
            old, own, full = (STATUS_QUO, metric), (name, metric), (FULL_BACKFILL, metric)
            numbers[f"{MetricName.CROSS_GAIN}:{metric}"] = _number(lambda oo, no: no - oo, columns, draws, old, own)
            numbers[f"{MetricName.UPDATE_GAIN}:{metric}"] = _number(update_gain, columns, draws, old, own, full)
            numbers[f"{MetricName.RETENTION}:{metric}"] = _number(_ratio, columns, draws, own, full)
        for rate, estimate in flips[name].items():
            numbers[rate] = Number(value=estimate.value, low=estimate.low, high=estimate.high)
        found[name] = numbers
    return found


def tax(results: Results, name: str, after_backfill: str, metric: str = MetricName.MAP) -> Number:
    """M(n,n) − M(*,*) of an adapter that changes new vectors too, with a paired interval."""
    columns = {(one, metric): results[one].per_query(metric) for one in (after_backfill, FULL_BACKFILL)}
    draws = hierarchical_bootstrap({str(key): values for key, values in columns.items()})
    return _number(lambda nn, full: nn - full, columns, draws, (after_backfill, metric), (FULL_BACKFILL, metric))


def gain_p_values(results: Results, adapters: Sequence[str], metric: str = MetricName.MAP) -> dict[str, float]:
    """Of each adapter's cross gain: paired permutation test on the queries, Holm-corrected over the adapters."""
    if not adapters:
        return {}
    old = results[STATUS_QUO].per_query(metric)
    cross = np.stack([results[name].per_query(metric)[None] for name in adapters])
    adjusted = holm(paired_permutation_test(cross, old[None]))
    return {name: float(value) for name, value in zip(adapters, adjusted, strict=True)}


def verification_numbers(
    own: Mapping[str, Mapping[float, Acceptance]], transferred: Mapping[str, Mapping[float, Acceptance]]
) -> dict[str, dict[str, Number]]:
    """By system: TAR at its own threshold, and TAR and FAR at the old system's, for each false accept rate.

    `TAR@FAR=0.001`, `transfer_TAR@FAR=0.001` and `transfer_FAR@FAR=0.001`.
    """
    systems = {
        (name, kind, rate): [acceptance]
        for kind, by_system in (("own", own), ("transfer", transferred))
        for name, by_rate in by_system.items()
        for rate, acceptance in by_rate.items()
    }
    found: dict[str, dict[str, Number]] = {name: {} for name in own}
    for (name, kind, rate), (tar, far) in acceptance_rates(systems).items():
        prefix = "transfer_" if kind == "transfer" else ""
        found[name][f"{prefix}TAR@FAR={rate:g}"] = Number(value=tar.value, low=tar.low, high=tar.high)
        if kind == "transfer":
            found[name][f"{prefix}FAR@FAR={rate:g}"] = Number(value=far.value, low=far.low, high=far.high)
    return found


def _number(
    formula: Callable[..., object],
    columns: Mapping[tuple[str, str], Values],
    draws: Mapping[str, Values],
    *keys: tuple[str, str],
) -> Number:
    """`formula` of the means of these columns, and its interval from the same formula of the resampled means."""
    means = [float(columns[key].mean()) for key in keys]
    samples = [draws[str(key)] for key in keys]
    value, resampled = float(np.asarray(formula(*means))), np.asarray(formula(*samples))
    if np.isnan(value):
        return Number()
    low, high = percentile_interval(resampled)
    return Number(value=value, low=low, high=high)


def _mean(own: Values | float) -> Values | float:
    return own


def _ratio(own: Values | float, full: Values | float) -> Values:
    undefined: Values = np.full(np.shape(own), np.nan)
    return np.divide(own, full, out=undefined, where=np.asarray(full) > 0)

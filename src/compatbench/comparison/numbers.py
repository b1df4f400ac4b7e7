"""From per-query results to the numbers of each system: intervals, gains, flips, thresholds. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from compatbench.comparison.comparison import FULL_BACKFILL, STATUS_QUO
from compatbench.errors import RequestError
from compatbench.evaluation.acceptance import Acceptance, acceptance_rates
from compatbench.evaluation.arrays import RETRIEVAL, QueryResults
from compatbench.evaluation.compatibility import gain_share
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.flips import CUTOFFS, flip_estimates
from compatbench.evaluation.means import Means, ratio
from compatbench.evaluation.significance import corrected_p_values
from compatbench.vocabulary import MetricName

Results = Mapping[str, QueryResults]


def retrieval_numbers(results: Results) -> dict[str, dict[str, Estimate]]:
    """By system and name: RETRIEVAL as measured, `cross_gain:`, `update_gain:` and `retention:` of each, NFR@k
    and PFR@k.

    Everything is against the system STATUS_QUO on the same queries, with paired intervals.
    """
    columns = {(name, metric): one.per_query(metric) for name, one in results.items() for metric in one.names}
    means = Means(columns)
    flips = flip_estimates({name: [(results[STATUS_QUO], one)] for name, one in results.items()}, CUTOFFS)
    found: dict[str, dict[str, Estimate]] = {}
    for name, one in results.items():
        numbers = {str(metric): means.mean((name, metric)) for metric in one.names}
        for metric in one.names:
            old, own, full = (STATUS_QUO, metric), (name, metric), (FULL_BACKFILL, metric)
            numbers[f"{MetricName.CROSS_GAIN}:{metric}"] = means.estimate(np.subtract, own, old)
            numbers[f"{MetricName.UPDATE_GAIN}:{metric}"] = means.estimate(gain_share, old, own, full)
            numbers[f"{MetricName.RETENTION}:{metric}"] = means.estimate(ratio, own, full)
        found[name] = numbers | flips[name]
    return found


def metric_named(text: str) -> MetricName:
    """A retrieval number by its name in any case. Raises RequestError for another word."""
    found = next((one for one in RETRIEVAL if one.lower() == text.lower()), None)
    if found is None:
        raise RequestError(f"--metric {text}: there are {', '.join(RETRIEVAL)}")
    return found


def tax(results: Results, name: str, after_backfill: str, metric: str = MetricName.MAP) -> Estimate:
    """M(n,n) − M(*,*) of an adapter with a map for new vectors, with a paired interval."""
    means = Means({one: results[one].per_query(metric) for one in (after_backfill, FULL_BACKFILL)})
    return means.estimate(np.subtract, after_backfill, FULL_BACKFILL)


def gain_p_values(results: Results, adapters: Sequence[str], metric: str = MetricName.MAP) -> dict[str, float]:
    """Of each adapter's cross gain: on the same queries, Holm-corrected over the adapters."""
    old = results[STATUS_QUO].per_query(metric)
    return corrected_p_values({name: results[name].per_query(metric) - old for name in adapters})


def acceptance_numbers(
    own: Mapping[str, Mapping[float, Acceptance]], transferred: Mapping[str, Mapping[float, Acceptance]]
) -> dict[str, dict[str, Estimate]]:
    """By system: TAR at its own threshold, and TAR and FAR at the old system's, for each false accept rate.

    `TAR@FAR=0.001`, `transfer_TAR@FAR=0.001` and `transfer_FAR@FAR=0.001`.
    """
    systems = {
        (name, kind, rate): [acceptance]
        for kind, by_system in (("own", own), ("transfer", transferred))
        for name, by_rate in by_system.items()
        for rate, acceptance in by_rate.items()
    }
    found: dict[str, dict[str, Estimate]] = {name: {} for name in own}
    for (name, kind, rate), (tar, far) in acceptance_rates(systems).items():
        if kind == "own":
            found[name][MetricName.TAR.at_rate(rate)] = tar
        else:
            found[name][MetricName.TRANSFER_TAR.at_rate(rate)] = tar
            found[name][MetricName.TRANSFER_FAR.at_rate(rate)] = far
    return found

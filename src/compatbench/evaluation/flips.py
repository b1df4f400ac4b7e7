"""Negative and positive flips: broken and mended queries of an upgrade. Knows nothing of torch.

Yan et al., CVPR 2021 (arXiv 2011.09161), with a hit in the first k in place of a right classification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.grouped_results import Results
from compatbench.evaluation.means import Key, Means, ratio
from compatbench.vocabulary import MetricName

SystemPair = tuple[Results, Results]

CUTOFFS = (1, 10)
"""The k of the flips that are reported."""
FLIP_RATES = tuple(name.at(k) for k in CUTOFFS for name in (MetricName.NFR, MetricName.PFR, MetricName.RELATIVE_NFR))


def negative_flips(old: Results, system: Results, k: int) -> NDArray[np.float64]:
    """(Q,) 1 if the old system had a hit in the first `k` and `system` has none, else 0; NaN if unanswerable."""
    return system.lost(old, k)


def positive_flips(old: Results, system: Results, k: int) -> NDArray[np.float64]:
    """(Q,) 1 if `system` has a hit in the first `k` and the old system had none, else 0; NaN if unanswerable."""
    won = system.per_query(f"CMC@{k}") - old.per_query(f"CMC@{k}") + system.lost(old, k)
    return np.maximum(won, 0.0)  # what rounding leaves below


def worst_negative_flips(old: QueryResults, system: QueryResults, count: int) -> NDArray[np.intp]:
    """Rows of at most `count` negative flips at 1, the deepest first hit first, then the largest loss of AP."""
    rows = np.flatnonzero(negative_flips(old, system, 1) == 1)
    loss = old.average_precision[rows] - system.average_precision[rows]
    return rows[np.lexsort((old.ids[rows], -loss, -system.first_rank[rows]))][:count]


_COLUMNS: Mapping[str, Callable[[Results, Results, int], NDArray[np.float64]]] = {
    "negative": negative_flips,
    "positive": positive_flips,
    "hits": lambda old, system, k: old.per_query(f"CMC@{k}"),
}
"""(Q,) each: the rates are made of their means."""


def flip_estimates(
    systems: Mapping[Key, Sequence[SystemPair]], cutoffs: Sequence[int]
) -> dict[Key, dict[str, Estimate]]:
    """NFR@k = mean h_o(1 − h_sys), PFR@k = mean (1 − h_o)h_sys and relative NFR = NFR / mean h_o of each system.

    By name, with intervals. h = hit in the first `k`, for all `cutoffs`; means are over the answerable queries.
    Undefined where there is nothing to divide by.

    A system is one pair (old, system) of results a seed. Several seeds give the ratio of means over all of them, not
    the mean of ratios.
    """
    means = Means(
        {
            (key, k, name): np.stack([column(*pair, k) for pair in pairs])
            for key, pairs in systems.items()
            for k in cutoffs
            for name, column in _COLUMNS.items()
        }
    )
    found: dict[Key, dict[str, Estimate]] = {key: {} for key in systems}
    for key in systems:
        for k in cutoffs:
            found[key][MetricName.NFR.at(k)] = means.mean((key, k, "negative"))
            found[key][MetricName.PFR.at(k)] = means.mean((key, k, "positive"))
            relative = means.estimate(ratio, (key, k, "negative"), (key, k, "hits"))
            found[key][MetricName.RELATIVE_NFR.at(k)] = relative.within(0.0, 1.0)
    return found

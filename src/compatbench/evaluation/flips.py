"""Negative and positive flips: queries that an upgrade breaks or mends. Knows nothing of torch.

Yan et al., CVPR 2021 (arXiv 2011.09161), with a hit in the first k in place of a right classification.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.arrays import QueryResults


def negative_flips(old: QueryResults, system: QueryResults, k: int) -> NDArray[np.float64]:
    """(Q,) 1 where the old system had a hit in the first `k` and `system` has none, else 0; NaN if unanswerable."""
    before, after = _hits(old, system, k)
    return before * (1 - after)


def positive_flips(old: QueryResults, system: QueryResults, k: int) -> NDArray[np.float64]:
    """(Q,) 1 where `system` has a hit in the first `k` and the old system had none, else 0; NaN if unanswerable."""
    before, after = _hits(old, system, k)
    return (1 - before) * after


def flip_rates(old: QueryResults, system: QueryResults, k: int) -> dict[str, float | None]:
    """NFR@k = mean h_o(1 − h_sys), PFR@k = mean (1 − h_o)h_sys and relative NFR = NFR / mean h_o, by name.

    h = hit in the first `k`; means are over the answerable queries. None where there is nothing to divide by.
    """
    negative, positive = negative_flips(old, system, k), positive_flips(old, system, k)
    answerable = ~np.isnan(negative)
    hits = float(old.hits(k)[answerable].sum())
    count = float(answerable.sum())
    broken, mended = float(negative[answerable].sum()), float(positive[answerable].sum())
    return {
        f"NFR@{k}": broken / count if count else None,
        f"PFR@{k}": mended / count if count else None,
        f"relative_NFR@{k}": broken / hits if hits else None,
    }


def _hits(old: QueryResults, system: QueryResults, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not np.array_equal(old.ids, system.ids):
        raise ValueError("flips compare the same queries in the same order, but the query ids differ")
    metric = f"CMC@{k}"
    return old.per_query(metric), system.per_query(metric)

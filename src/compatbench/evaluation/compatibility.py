"""Compatibility numbers (protocol §3) from the entries of the compatibility matrix. Knows nothing of torch.

M(q, g) is any retrieval number with queries of generation q and a gallery of generation g; o old, n new, * the
new generation trained independently.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.means import ratio
from compatbench.vocabulary import MetricName

Values = NDArray[np.float64]


def compatibility(oo: float, no: float, nn: float, reference: float) -> dict[MetricName, float | None]:
    """Gains and costs of an upgrade, from M(o,o), M(n,o), M(n,n) and `reference` = M(*,*).

    cross_gain   M(n,o) − M(o,o)
    update_gain  Γ = (M(n,o) − M(o,o)) / (M(*,*) − M(o,o)); None where there is nothing to gain
    tax          M(n,n) − M(*,*)
    criterion    1 where M(n,o) > M(o,o), else 0
    ordering     1 where M(n,n) > M(n,o) > M(o,o), else 0
    """
    gain = float(gain_share(oo, no, reference))
    return {
        MetricName.CROSS_GAIN: no - oo,
        MetricName.UPDATE_GAIN: None if np.isnan(gain) else gain,
        MetricName.TAX: nn - reference,
        MetricName.CRITERION: float(no > oo),
        MetricName.ORDERING: float(nn > no > oo),
    }


LEAST_GAIN = 0.05
"""M(*,*) − M(o,o) on mAP; below it shares of the gain divide by noise."""


def gain_share(oo: ArrayLike, score: ArrayLike, reference: ArrayLike) -> Values:
    """(score − M(o,o)) / (M(*,*) − M(o,o)): the share of a full backfill's gain that `score` reaches.

    Γ  of M(n,o), without any backfill
    Φ  of M(n,n), after it
    A  of the mean over β of M(β), on average while it runs: with S equal steps from β = 0 to 1, the trapezoidal
       ∫ M(β) dβ, mean over random orders, all three terms over the queries that were followed

    NaN where M(*,*) ≤ M(o,o). Shapes broadcast, so resampled means (B,) give resampled shares (B,).
    """
    oo, score, reference = (np.asarray(value, dtype=np.float64) for value in (oo, score, reference))
    return ratio(score - oo, reference - oo)


def p_up(nn: ArrayLike, reference: ArrayLike) -> Values:
    """AdvBCT's P_up of a data set, σ((M(n,n) − M(*,*)) / M(*,*)), σ the logistic function: 0.5 is no tax.

    This and the two below are of Pan et al., CVPR 2023 (arXiv 2305.02610), as fractions; their table has 100 times the
    mean over data sets.
    """
    nn, reference = np.asarray(nn, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    return _logistic((nn - reference) / reference)


def p_comp(oo: ArrayLike, no: ArrayLike, reference: ArrayLike) -> Values:
    """AdvBCT's P_comp of a data set, σ(Γ): 0.5 is no gain; NaN where there is nothing to gain."""
    return _logistic(gain_share(oo, no, reference))


def p_1(oo: ArrayLike, no: ArrayLike, nn: ArrayLike, reference: ArrayLike) -> Values:
    """AdvBCT's P_1 of a data set, the harmonic mean of P_up and P_comp."""
    up, comp = p_up(nn, reference), p_comp(oo, no, reference)
    return 2 * up * comp / (up + comp)


def _logistic(value: ArrayLike) -> Values:
    from scipy.special import expit

    found: Values = expit(np.asarray(value, dtype=np.float64))
    return found


def chain_numbers(
    matrix: ArrayLike, significantly_below: ArrayLike | None = None, tolerance: float = 0.0
) -> dict[str, Values]:
    """Numbers (…,) of chains of T ≥ 2 generations from matrices (…, T, T); does not read above a diagonal.

    AC              Average Compatibility (Biondi et al., TPAMI 2023, arXiv 2111.07632): the share of pairs
                    i > j that do not violate M_ij ≥ M_jj
    AC_strict       the same where a tie, i.e. a difference of at most `tolerance`, is a violation too
    AC_significant  the same where only pairs flagged in `significantly_below` (T, T) are violations, i.e. those
                    whose paired interval of M_ij − M_jj lies below 0; there only if flags are given
    AM              mean of the lower triangle with the diagonal
    BC              mean_{i<T} (M_Ti − M_ii)
    FC              mean_{i≥2} (M_{i,i−1} − M_ii)
    """
    scores = np.asarray(matrix, dtype=np.float64)
    size = scores.shape[-1] if scores.ndim else 0
    if scores.ndim < 2 or scores.shape[-2] != size or size < 2:
        raise ValueError(f"expected a square matrix of at least 2 generations, got shape {scores.shape}")
    lower = np.tril_indices(size)
    if np.isnan(scores[..., *lower]).any():
        raise ValueError("the lower triangle of the compatibility matrix has missing entries")
    own = scores.diagonal(axis1=-2, axis2=-1)
    difference = scores - own[..., None, :]
    numbers = {
        "AC": average_compatibility(difference < -tolerance),
        "AC_strict": average_compatibility(difference <= tolerance),
    }
    if significantly_below is not None:
        numbers["AC_significant"] = average_compatibility(significantly_below)
    return numbers | {
        "AM": scores[..., *lower].mean(axis=-1),
        "BC": (scores[..., -1, :-1] - own[..., :-1]).mean(axis=-1),
        "FC": (scores.diagonal(-1, axis1=-2, axis2=-1) - own[..., 1:]).mean(axis=-1),
    }


def average_compatibility(violated: ArrayLike) -> Values:
    """1 − #{i > j: violated_ij} / (T(T−1)/2) for flags (…, T, T); reads only below a diagonal."""
    flags = np.asarray(violated, dtype=np.bool_)
    share: Values = 1 - flags[..., *np.tril_indices(flags.shape[-1], -1)].mean(axis=-1)
    return share

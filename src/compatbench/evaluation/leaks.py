"""Tests a cross-test against that of unrelated spaces, over seeds. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from compatbench.evaluation.spread import ROUNDING


@dataclass(frozen=True)
class Rotated:
    """One seed's cross-test beside those of its own queries under random rotations, all on one sample."""

    cross: float
    mean: float
    spread: float
    """Standard deviation over the rotations."""
    skew: float

    @classmethod
    def of(cls, cross: float, rotations: ArrayLike) -> Rotated:
        """From the score of every rotation (R,), of which there are at least two."""
        scores = np.asarray(rotations, dtype=np.float64)
        centred = scores - scores.mean()
        spread = float(scores.std(ddof=1))
        skew = float((centred**3).mean() / spread**3) if spread > ROUNDING else 0.0
        return cls(cross, float(scores.mean()), spread, skew)


def leak_p_value(seeds: Sequence[Rotated]) -> float:
    """Probability that cross-tests of unrelated spaces exceed chance by so much, over all seeds together.

    With few classes chance is skewed: whole clusters of a class land on their own kind, or not. So the sum over the
    seeds follows Pearson's type III distribution, a shifted gamma distribution with the mean, the variance and the
    skewness of that sum.
    """
    from scipy.special import gammaincc, ndtr

    above = sum(one.cross - one.mean for one in seeds)
    variance = sum(one.spread**2 for one in seeds)
    if not variance > ROUNDING**2:
        return float(above <= ROUNDING)
    distance = above / np.sqrt(variance)
    skew = max(0.0, sum(one.skew * one.spread**3 for one in seeds) / variance**1.5)
    if skew < 1e-3:
        return float(ndtr(-distance))
    shape = 4 / skew**2
    return float(gammaincc(shape, max(0.0, shape + distance * np.sqrt(shape))))

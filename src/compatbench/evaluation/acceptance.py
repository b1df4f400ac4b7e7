"""Acceptance rates: the share of pairs with a score above a threshold. Knows nothing of torch.

A pair is a query and a gallery item other than itself; it is genuine if the item is relevant to the query, else an
impostor. At a threshold t the pairs with a score above t are accepted: TAR and FAR are the accepted shares of the
genuine and of the impostor pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.arrays import StoredColumns
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import Key, Means, ratio

Counts = NDArray[np.int64]

FARS = (1e-2, 1e-3, 1e-4)
"""False accept rates at which systems are read."""

FEWEST_FALSE_ACCEPTS = 100
"""A false accept rate below so many pairs is a matter of luck."""


@dataclass(frozen=True, eq=False)
class Acceptance(StoredColumns):
    """Pairs of each query, and how many of them a system accepts at one threshold. All arrays are (Q,) int64."""

    ids: Counts
    genuine: Counts
    impostors: Counts
    accepted_genuine: Counts
    accepted_impostors: Counts


def acceptance_rates(systems: Mapping[Key, Sequence[Acceptance]]) -> dict[Key, tuple[Estimate, Estimate]]:
    """TAR and FAR of each system, given its acceptances a seed, with intervals.

    Several seeds give the shares of the pairs of all of them. The intervals hold the threshold fixed.
    """
    columns = {
        (key, name): np.stack([getattr(one, name) for one in seeds]).astype(np.float64)
        for key, seeds in systems.items()
        for name in ("genuine", "impostors", "accepted_genuine", "accepted_impostors")
    }
    means = Means(columns)

    def rate(key: Key, accepted: str, pairs: str) -> Estimate:
        return means.estimate(ratio, (key, accepted), (key, pairs)).within(0.0, 1.0)

    return {
        key: (rate(key, "accepted_genuine", "genuine"), rate(key, "accepted_impostors", "impostors")) for key in systems
    }


def supported_rates(impostors: int) -> tuple[float, ...]:
    """Those of FARS with enough impostor pairs."""
    return tuple(far for far in FARS if far * impostors >= FEWEST_FALSE_ACCEPTS)


def allowed_pairs(rate: float, impostors: int) -> int:
    """The largest number of accepted ones among these impostor pairs at a false accept rate."""
    return int(np.floor(rate * impostors * (1 + 1e-12)))  # 0.29 · 100 is 28.999…

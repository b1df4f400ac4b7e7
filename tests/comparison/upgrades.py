"""A small upgrade, by a poor old model and a better new one, and made-up rows of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compatbench.comparison.comparison import FULL_BACKFILL, ORACLE, STATUS_QUO, UNADAPTED, Outcome
from compatbench.evaluation.estimate import Estimate

ITEMS, CLASSES = 400, 8


class Upgrade(NamedTuple):
    folder: Path
    old: NDArray[np.float32]
    new: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]


def embeddings(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Old (N, 12) and new (N, 10) vectors of items of these classes."""
    fixed, drawn = np.random.default_rng(0), np.random.default_rng(seed)
    means, turns = fixed.normal(size=(CLASSES, 8)), [fixed.normal(size=(8, dim)) for dim in (12, 10)]
    hidden = means[labels] + 0.8 * drawn.normal(size=(len(labels), 8))
    old, new = (
        hidden @ turn + noise * drawn.normal(size=(len(labels), turn.shape[1]))
        for turn, noise in zip(turns, (4.0, 1.0), strict=True)
    )
    return old.astype(np.float32), new.astype(np.float32)


def interval(value: float, margin: float) -> Estimate:
    return Estimate(value, value - margin, value + margin)


def row(name: str, gain: float, margin: float = 0.01, p_value: float = 0.0, **facts: object) -> Outcome:
    """An adapter's row with a gain on mAP."""
    return Outcome(
        name=name,
        role="adapter",
        p_value=p_value,
        metrics={"cross_gain:mAP": interval(gain, margin), "cross_gain:CMC@1": interval(gain, margin)},
        **facts,  # type: ignore[arg-type]
    )


def references(backfill: float, margin: float = 0.01) -> list[Outcome]:
    """The reference rows, of which the full backfill gains so much."""
    gains = {STATUS_QUO: 0.0, FULL_BACKFILL: backfill, UNADAPTED: -0.3, ORACLE: 0.4}
    return [
        Outcome(name=name, role="reference", metrics={"cross_gain:mAP": interval(gain, 0.0 if gain == 0 else margin)})
        for name, gain in gains.items()
    ]

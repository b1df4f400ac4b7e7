"""Scores of a cross-test at chance, for rows that are expected there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compatbench.evaluation.chance import chance_distribution
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.record import Metric

ROTATIONS = 100
"""Enough that a row at chance leaves their range once in a hundred times."""


def chance_metrics(chain: ServedChain) -> Iterator[Metric]:
    """Mean and range of mAP over random rotations, for each upgrade and from the newest generation to the oldest."""
    newest, _ = chain.upgrade
    for query, gallery in dict.fromkeys([*((step, step - 1) for step in chain.references), (newest, 0)]):
        scores = chance_distribution(*chain.pair(query, gallery), rotations=ROTATIONS, seed=chain.seed)
        yield Metric(
            name="chance:mAP",
            query_generation=str(query),
            gallery_generation=str(gallery),
            value=float(np.mean(scores)),
            ci_low=float(np.min(scores)),
            ci_high=float(np.max(scores)),
            n=len(scores),
        )

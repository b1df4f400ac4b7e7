"""Scores of a cross-test at chance, for rows that are expected there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compatbench.evaluation.chance import chance_distribution
from compatbench.evaluation.estimate import Estimate
from compatbench.measurement.numbers import metric
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import Metric
from compatbench.vocabulary import MetricName

ROTATIONS = 100
"""Enough that a row at chance leaves their range once in a hundred times."""


def chance_metrics(chain: ServedChain) -> Iterator[Metric]:
    """Mean and range of mAP over random rotations, for each upgrade and from the newest generation to the oldest."""
    newest, _ = chain.upgrade
    for query, gallery in dict.fromkeys([*((step, step - 1) for step in chain.references), (newest, 0)]):
        scores = chance_distribution(*chain.pair(query, gallery), rotations=ROTATIONS, seed=chain.seed)
        level = Estimate(*(float(part) for part in (np.mean(scores), np.min(scores), np.max(scores))))
        yield metric(MetricName.CHANCE.of(MetricName.MAP), (str(query), str(gallery)), level, len(scores))

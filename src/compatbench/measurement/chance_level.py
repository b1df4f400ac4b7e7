"""Scores of a cross-test at chance, for rows of that expectation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compatbench.evaluation.chance import chance_distribution, sample
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.leaks import Rotated
from compatbench.evaluation.retrieval import Side, evaluate
from compatbench.measurement.numbers import metric
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import Metric
from compatbench.vocabulary import MetricName

ROTATIONS = 200
QUERIES, GALLERY = 300, 1000
"""At most, in proportion to their labels: for 60 classes a tenth of the old vector mixed in is found with these."""


def chance_metrics(chain: ServedChain) -> Iterator[Metric]:
    """Of each upgrade, and of the newest generation's queries on the oldest gallery."""
    newest, _ = chain.upgrade
    for query, gallery in dict.fromkeys([*((step, step - 1) for step in chain.references), (newest, 0)]):
        yield from level(chain.pair(query, gallery), (str(query), str(gallery)), seed=chain.seed)


def level(side: Side, at: tuple[str, str], *, seed: int, rotations: int = ROTATIONS) -> Iterator[Metric]:
    """Mean and range of mAP over random rotations of the queries, its spread and skewness, and mAP without a rotation.

    All on one sample of queries and gallery.
    """
    query, gallery = sample(*side, max_queries=QUERIES, max_gallery=GALLERY, seed=seed)
    scores = chance_distribution(query, gallery, rotations=rotations, seed=seed)
    found = Rotated.of(evaluate(query, gallery).metrics()[MetricName.MAP], scores)
    numbers = {
        MetricName.CHANCE: Estimate(found.mean, float(np.min(scores)), float(np.max(scores))),
        MetricName.CHANCE_SPREAD: Estimate(found.spread),
        MetricName.CHANCE_SKEW: Estimate(found.skew),
        MetricName.CHANCE_CROSS: Estimate(found.cross),
    }
    for name, number in numbers.items():
        yield metric(name.of(MetricName.MAP), at, number, len(scores))

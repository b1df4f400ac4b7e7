"""Scores of a cross-test between two unrelated spaces.

With few classes chance is no number but a wide distribution: whole class clusters of the queries land on or off
whole clusters of the gallery. It is sampled by turning the queries into random directions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.evaluation.retrieval import Vectors, evaluate

MAX_QUERIES, MAX_GALLERY = 500, 2000


def chance_distribution(
    query: Vectors,
    gallery: Vectors,
    *,
    rotations: int = 50,
    max_queries: int = MAX_QUERIES,
    max_gallery: int = MAX_GALLERY,
    seed: int = 0,
) -> NDArray[np.float64]:
    """mAP (rotations,) by cosine of the query vectors under random orthogonal maps (Haar measure).

    Scored on `sample(query, gallery, …)`. mAP depends a little on how many items there are, so compare it with
    the mAP of that same sample where the margin is small.
    """
    query, gallery = sample(query, gallery, max_queries=max_queries, max_gallery=max_gallery, seed=seed)
    generator = np.random.default_rng([seed, 1])
    scores = np.empty(rotations)
    for trial in range(rotations):
        turned = query.values.float() @ _orthogonal(query.values.shape[1], generator).to(query.values.device)
        scores[trial] = evaluate(replace(query, values=turned), gallery).metrics()["mAP"]
    return scores


def sample(
    query: Vectors, gallery: Vectors, *, max_queries: int = MAX_QUERIES, max_gallery: int = MAX_GALLERY, seed: int = 0
) -> tuple[Vectors, Vectors]:
    """At most so many queries and gallery items, drawn without replacement and in proportion to their labels."""
    generator = np.random.default_rng([seed, 0])
    return _stratified(query, max_queries, generator), _stratified(gallery, max_gallery, generator)


def _stratified(side: Vectors, size: int, generator: np.random.Generator) -> Vectors:
    if len(side) <= size:
        return side
    # every (N / size)-th of the items sorted by label, in random order within a label
    order = np.lexsort((generator.random(len(side)), side.labels.cpu().numpy()))
    spaced = np.floor((np.arange(size) + generator.random()) * (len(side) / size)).astype(np.int64)
    chosen = torch.from_numpy(np.sort(order[spaced])).to(side.labels.device)
    return side.at(chosen)


def _orthogonal(dim: int, generator: np.random.Generator) -> torch.Tensor:
    from scipy.stats import ortho_group

    return torch.from_numpy(np.asarray(ortho_group.rvs(dim, random_state=generator), dtype=np.float32)).view(dim, dim)

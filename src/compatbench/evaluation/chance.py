"""Scores of a cross-test between two unrelated spaces.

With few classes chance is no number but a wide distribution: whole class clusters of the queries land on or off
whole clusters of the gallery. It is sampled by turning the queries into random directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.evaluation.retrieval import Vectors, evaluate

MAX_QUERIES, MAX_GALLERY = 500, 2000
SCORED_AT_ONCE = 2**13
"""Queries, of all rotations together."""


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
    turns = [_orthogonal(query.values.shape[1], generator).to(query.values.device) for _ in range(rotations)]
    at_once = max(1, SCORED_AT_ONCE // len(query))
    parts = [_scores(query, gallery, turns[begin : begin + at_once]) for begin in range(0, rotations, at_once)]
    return np.concatenate(parts)


def _scores(query: Vectors, gallery: Vectors, turns: Sequence[torch.Tensor]) -> NDArray[np.float64]:
    """mAP of the queries by each of these maps, in one search: a small one costs more to begin than to do."""
    turned = torch.cat([query.values.float() @ turn for turn in turns])
    rows = torch.arange(len(query)).to(query.ids.device).repeat(len(turns))
    found = evaluate(replace(query.at(rows), values=turned), gallery)
    per_query = found.per_query("mAP").reshape(len(turns), -1)
    means: NDArray[np.float64] = per_query[:, found.answerable[: len(query)]].mean(axis=1)
    return means


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

"""A dataset with fewer queries, for suites that must be quick: the gallery, and so the task, stays whole."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.seeds import stream

QUERY_SEED = 0
"""The sample belongs to the suite, not to the seed of a cell."""


def limit_queries(dataset: Dataset, limit: int | None) -> Dataset:
    """`dataset` with about `limit` of its queries, every class at the same share (at least one image)."""
    if limit is None or limit >= len(dataset.query):
        return dataset
    rows = _stratified(dataset.query.labels, limit / len(dataset.query))
    query = dataset.query
    names = tuple(query.names[row] for row in rows.tolist()) if query.names is not None else None
    return replace(dataset, query=Split(query.gather(rows), query.labels[rows], query.ids[rows], names))


def _stratified(labels: Tensor, share: float) -> Tensor:
    """Sorted rows (n,), the same share of each label."""
    parts = []
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label).flatten()
        order = torch.randperm(len(members), generator=stream(QUERY_SEED, "queries", label))
        parts.append(members[order[: max(1, round(len(members) * share))]])
    return torch.cat(parts).sort().values

"""Parts of a dataset to test on: fewer queries, for quick suites, or some of the classes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.machine.seeds import stream

QUERY_SEED = 0
"""The sample belongs to the suite, not to the seed of a cell."""


def limit_queries(dataset: Dataset, limit: int | None) -> Dataset:
    """`dataset` with about `limit` of its queries, every class at the same share (at least one image).

    The gallery, and so the task, stays whole.
    """
    if limit is None or limit >= len(dataset.query):
        return dataset
    rows = _stratified(dataset.query.labels, limit / len(dataset.query))
    return replace(dataset, query=dataset.query.at(rows))


def only_classes(dataset: Dataset, classes: Collection[int]) -> Dataset:
    """`dataset` with the queries and the gallery images of `classes` only; its training images stay."""

    def part(split: Split) -> Split:
        return split.at(torch.isin(split.labels, torch.tensor(sorted(classes))).nonzero().flatten())

    query = part(dataset.query)
    return replace(dataset, query=query, gallery=query if dataset.gallery is dataset.query else part(dataset.gallery))


def _stratified(labels: Tensor, share: float) -> Tensor:
    """Sorted rows (n,), the same share of each label."""
    parts = []
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label).flatten()
        order = torch.randperm(len(members), generator=stream(QUERY_SEED, "queries", label))
        parts.append(members[order[: max(1, round(len(members) * share))]])
    return torch.cat(parts).sort().values

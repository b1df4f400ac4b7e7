"""The oracle's queries against a loop over the formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.data.lists import Lists
from compatbench.evaluation import oracle
from compatbench.evaluation.oracle import oracle_queries
from compatbench.evaluation.relevance import Relevance


@pytest.mark.parametrize("size", [7, 100])
def test_it_is_the_normalised_mean_of_the_other_relevant_items(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(oracle, "CHUNK_ITEMS", size)
    gallery = F.normalize(torch.randn(50, 5, generator=torch.Generator().manual_seed(0)))
    groups = [np.array([0, 3, 49]), np.array([7]), np.array([3, 4])]
    group, own = np.array([0, 0, 1, 2]), np.array([3, -1, 8, 4])

    def chunks(items: int) -> Iterator[Mapping[str, Tensor]]:
        for begin in range(0, 50, items):
            yield {"old": gallery[begin : begin + items]}

    own_vectors = gallery[own.clip(min=0)]
    relevance = Relevance.of(Lists.of(groups), group, own, Lists.empty(4), 50, by_label=True)
    found = oracle_queries(relevance, chunks, "old", own_vectors)
    for query in range(4):
        members = [item for item in groups[group[query]] if item != own[query]]
        expected = gallery[members].mean(0)
        assert torch.allclose(found[query], expected / expected.norm(), atol=1e-6)

"""The smallest of all adapters: one vector, the mean drift, taken off every new query."""

import torch
from torch import Tensor, nn

from compatbench.method import Adapter, Maps, Need, to_dim


class Shift(nn.Module):
    """x ↦ x[:D_o] − Δ, zero-padded where x has fewer dimensions."""

    drift: Tensor

    def __init__(self, old_dim: int) -> None:
        super().__init__()
        self.register_buffer("drift", torch.zeros(old_dim))

    def forward(self, vectors: Tensor) -> Tensor:
        return to_dim(vectors, len(self.drift)) - self.drift


class QueryDrift(Adapter):
    """Query drift compensation, QDC (Goswami et al., CoLLAs 2025, arXiv 2506.00037).

        q = f_n − Δ,  Δ = mean_i (f_n,i − f_o,i)

    f_n and f_o (n, D_o) are the paired embeddings of unit length; with D_n ≠ D_o the first D_o dimensions of the new
    one, or the new one zero-padded (ours). One bias, no rotation: exact where the new space is the old one shifted, as
    after a fine-tuning that moved all queries alike, and at chance between independently trained models. The baseline
    that every adapter must beat. The authors fit Δ on queries of the new task; here on the pairs of all adapters.
    """

    name = "query_drift"
    needs = frozenset({Need.OLD_FEATURES})

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=Shift(old_dim))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        maps.query.drift.copy_((to_dim(new, old.shape[1]) - old).mean(dim=0))
        return maps

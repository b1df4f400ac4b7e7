"""A query's way back to the old space, trained so that both galleries' distances fit into one list."""

from typing import ClassVar

import torch
from torch import Tensor

from compatbench.method import Adapter, Field, Maps, Need, Params, tunable

from ._adam import minimise
from .mlp import ResidualMLP


class ReverseQuery(Adapter):
    """Reverse query transform, after the abstract of Seo et al. (WACV 2025, arXiv 2301.03767).

        q' = ψ(f_n),   min mean_i (r_i + λ ‖q'_i − f_o,i‖²)
        r_i = −mean_{p ∈ P(i), t ∈ {o, n}} log e^{s^t_ip} / (e^{s^t_ip} + Σ_{j: y_j ≠ y_i} (e^{s^o_ij} + e^{s^n_ij}))
        s^o_ij = cos(q'_i, f_o,j) / τ,   s^n_ij = cos(f_n,i, f_n,j) / τ

    ψ (D_n → D_o) the residual perceptron of `mlp`, f_n and f_o (B, D) paired unit embeddings, P(i) the others of the
    class of i in the batch. While a backfill runs, a query searches old items by q' and new ones by f_n, and the two
    lists are merged by cosine: the ranking loss makes relevant items of either kind beat irrelevant items of both, so
    that the scales agree; without the query's old vector, which `rank_merge` takes. The paper learns new features
    with such a loss too; here they are given, so that M(n,n) is M(*,*). Loss, λ = 1, τ = 0.1, Adam 1e-3 along a
    cosine, 50 epochs and batches of 256 are ours. Images without another of their class in the batch have r_i = 0.
    """

    name = "reverse_query"
    needs = frozenset({Need.OLD_FEATURES, Need.LABELS})
    quick: ClassVar = {"steps": 400}

    class Params(Params):
        regression: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(0.1, low=0.02, high=1, log=True, gt=0)
        hidden: int = Field(256, ge=1)
        epochs: int = tunable(50, low=10, high=200, log=True, ge=1)
        batch_size: int = Field(256, ge=2)
        lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=ResidualMLP(dim, old_dim, self.params.hidden))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)

        def loss(rows: Tensor) -> Tensor:
            mapped = maps.query(new[rows])
            distances = (mapped - old[rows]).square().sum(dim=1).mean()
            return self.ranking(mapped, new[rows], old[rows], labels[rows]) + self.params.regression * distances

        settings = self.params.model_dump(include={"epochs", "batch_size", "lr"})
        minimise(loss, maps.parameters(), len(new), **settings)
        return maps

    def ranking(self, mapped: Tensor, new: Tensor, old: Tensor, labels: Tensor) -> Tensor:
        """mean_i r_i of q' (B, D_o), new (B, D_n) and old (B, D_o) embeddings with labels (B,)."""
        unit = torch.nn.functional.normalize(mapped)
        to_old, to_new = unit @ old.T / self.params.temperature, new @ new.T / self.params.temperature
        same = labels[:, None] == labels[None, :]
        others = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        negatives = torch.cat([side.masked_fill(same, -torch.inf) for side in (to_old, to_new)], dim=1)
        against = negatives.logsumexp(dim=1, keepdim=True)
        losses = torch.logaddexp(to_old, against) - to_old + torch.logaddexp(to_new, against) - to_new
        return ((losses * others).sum(dim=1) / (2 * others.sum(dim=1)).clamp(min=1)).mean()

"""Queries between the old model's and the new one's, on the arc that joins them."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from compatbench.method import Adapter, Field, Maps, Need, Params

from ._linear_map import procrustes

SUPPORT_GALLERY = 10_000
"""Pairs at most whose old vectors the support queries search."""


class Slerp(nn.Module):
    """(f_n, f_o) ↦ the point at share α of the arc from f_o to Rᵀ f_n."""

    rotation: Tensor
    alpha: Tensor

    def __init__(self, dim: int, old_dim: int) -> None:
        super().__init__()
        self.register_buffer("rotation", torch.zeros(dim, old_dim))
        self.register_buffer("alpha", torch.zeros(()))

    def forward(self, new: Tensor, old: Tensor) -> Tensor:
        aligned = new @ self.rotation
        cosine = (old * aligned).sum(dim=1, keepdim=True).clamp(-1 + 1e-7, 1 - 1e-7)
        angle = cosine.acos()
        shares = [(share * angle).sin() / angle.sin() for share in (1 - self.alpha, self.alpha)]
        return shares[0] * old + shares[1] * aligned


class SphericalInterpolation(Adapter):
    """Spherical interpolation of both models' queries, SLERP (Ricci et al., NeurIPS 2026, arXiv 2609.39836).

        q = sin((1 − α) θ)/sin θ · f_o + sin(α θ)/sin θ · Rᵀ f_n,  cos θ = f_oᵀ Rᵀ f_n

    f_n (B, D_n) and f_o (B, D_o) are a query's unit embeddings by both models, R (D_n, D_o) the orthogonal Procrustes
    map of `procrustes`. α = 0 is the old model, α = 1 the Procrustes map. Where D_n > D_o the paper zero-pads f_o;
    the padded coordinates of q then meet zeros in the gallery, and are left out here.

    α is the best of 0, 0.1, …, 1 on a support set. The paper has one of its own and takes Recall@1 on it; here
    (ours) it is held out of the training pairs at random: a fifth of them, at most 1,000, as queries, the others (at
    most 10,000) as the old gallery and to fit R, scored by mAP, since both models know their training images too well
    for Recall@1 to tell. R is fitted on all pairs afterwards. Where no class has two images, α = ½.
    """

    name = "slerp"
    needs = frozenset({Need.OLD_FEATURES, Need.LABELS, Need.BOTH_ENCODERS_ONLINE})
    quick: ClassVar = {"support": 500}

    class Params(Params):
        steps: int = Field(10, ge=1)
        support: int = Field(1000, ge=1)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=Slerp(dim, old_dim))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        maps.query.alpha.fill_(self.choose_alpha(maps.query, new, old, labels))
        maps.query.rotation.copy_(procrustes(new, old))
        return maps

    def choose_alpha(self, slerp: Slerp, new: Tensor, old: Tensor, labels: Tensor) -> float:
        """The best α on held-out pairs; leaves `slerp` fitted to the others."""
        order = torch.randperm(len(new)).to(new.device)
        queries, rest = order.tensor_split([min(self.params.support, len(new) // 5)])
        slerp.rotation.copy_(procrustes(new[rest], old[rest]))
        gallery = rest[:SUPPORT_GALLERY]
        relevant = labels[queries][:, None] == labels[gallery][None, :]
        answerable = relevant.any(dim=1)
        queries, relevant = queries[answerable], relevant[answerable]
        if not len(queries):
            return 0.5
        scores = []
        for step in range(self.params.steps + 1):
            slerp.alpha.fill_(step / self.params.steps)
            scores.append(average_precision(slerp(new[queries], old[queries]) @ old[gallery].T, relevant).mean())
        return int(torch.stack(scores).argmax()) / self.params.steps


def average_precision(scores: Tensor, relevant: Tensor) -> Tensor:
    """AP (Q,) of each query, given scores (Q, N) and which items are relevant (Q, N), one at least."""
    ranked = relevant.gather(1, scores.argsort(dim=1, descending=True)).double()
    precision = ranked.cumsum(dim=1) / torch.arange(1, scores.shape[1] + 1, device=scores.device)
    return (precision * ranked).sum(dim=1) / ranked.sum(dim=1)

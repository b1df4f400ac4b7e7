"""Relative representations: a vector is described by its cosines with anchors that both models have embedded."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.method import Adapter, Maps, Need, Params, tunable


class Cosines(nn.Module):
    """x ↦ [cos(x, a_1), …, cos(x, a_M)]."""

    anchors: Tensor

    def __init__(self, dim: int, anchors: int) -> None:
        super().__init__()
        self.register_buffer("anchors", torch.zeros(anchors, dim))

    def forward(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors) @ F.normalize(self.anchors).T


class Relative(Adapter):
    """Relative representations (Moschella et al., ICLR 2023, arXiv 2209.15430).

        q = [cos(f_n, a_n,1), …, cos(f_n, a_n,M)],   g_o ← [cos(f_o, a_o,1), …, cos(f_o, a_o,M)]

    a_n,j and a_o,j are the new and the old embedding of anchor j, M = 300 of the pairs, drawn uniformly as published.
    Stored vectors and queries become M-dimensional, whatever D_n and D_o. Nothing is trained, and nothing is lost
    where one space is a rotation of the other: then both descriptions are equal. Anchors beyond the number of pairs
    are repeated, which changes no ranking.
    """

    name = "relative"
    needs = frozenset({Need.OLD_FEATURES, Need.GALLERY_REWRITE})

    class Params(Params):
        anchors: int = tunable(300, low=50, high=2000, log=True, ge=2)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=Cosines(dim, self.params.anchors), gallery=Cosines(old_dim, self.params.anchors))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        chosen = torch.randperm(len(new)).repeat(-(-self.params.anchors // len(new)))[: self.params.anchors]
        maps.query.anchors.copy_(new[chosen.to(new.device)])
        maps.gallery.anchors.copy_(old[chosen.to(old.device)])
        return maps

"""Reduced-rank ridge regression from new embeddings to old ones."""

import torch
from torch import Tensor, nn

from compatbench.method import Adapter, Maps, Need, Params, tunable

from ._linear_map import ridge, set_linear


class LowRank(Adapter):
    """Low-rank affine query map, Drift-Adapter LA (Vejendla, EMNLP 2025, arXiv 2509.23471).

        q = V Uᵀ f_n + b,  (U, V) = argmin ‖A_c U Vᵀ − B_c‖² + n ε ‖U Vᵀ‖²  over U (D_n, r), V (D_o, r)

    A_c (n, D_n) and B_c (n, D_o) are the paired new and old embeddings of the training images, of unit length, less
    their means; b (D_o,) puts the means on again. Published rank r = 64; where D_n or D_o is no larger, it is `ridge`.

    Ours: the minimum is taken in closed form, where the paper trains U and V by gradient descent. With X of `ridge`,
    V are the r leading eigenvectors of XᵀA_cᵀB_c and U = X V (reduced-rank ridge regression, Mukherjee and Zhu, 2011).
    ε = 1e-4 (ours). Only queries pass the map.
    """

    name = "low_rank"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        rank: int = tunable(64, low=8, high=128, log=True, ge=1)
        epsilon: float = tunable(1e-4, low=1e-6, high=1e-1, log=True, gt=0)

    def build(self, dim: int, old_dim: int) -> Maps:
        rank = min(self.params.rank, dim, old_dim)
        return Maps(query=nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, old_dim)))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1])
        down, up = maps.query
        found = ridge(new, old, self.params.epsilon)
        leading = torch.linalg.eigh(found.explained).eigenvectors[:, -down.out_features :]
        left = found.matrix @ leading
        set_linear(down, left)
        set_linear(up, leading.T, found.mean_old - found.mean_new @ left @ leading.T)
        return maps

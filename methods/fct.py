"""Forward-compatible training: old gallery vectors are rewritten for the new model."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Adapter, Maps, Need

from ._transformation import Transformation, TransformationParams, train_transformation


class FCT(Adapter):
    """Forward-compatible training, FCT (Ramanujan et al., CVPR 2022, arXiv 2112.02805).

        g_o ← h(g_o, s),  min mean_i ‖h(f_o,i, s_i) − f_n,i‖² / D_n

    h rewrites every stored old vector (D_o) into the new space (D_n), with side information s that was stored with
    it. f_o (n, D_o) and f_n (n, D_n) are the paired embeddings of the training images, of unit length. Two branches
    D_o → 2 D_o → 2 D_n for f_o and s, then 4 D_n → 2048 → 2048 → D_n, with BatchNorm and ReLU (the paper's 256 and 512
    at D = 128). M(n,n) is M(*,*) by construction: the new model is free.

    As published: Adam 5e-4, weight decay 2⁻¹⁵ = 3.05e-5, 5 epochs of warm-up and a cosine over 80, batches of 1,024,
    BatchNorm frozen in the second half (the authors' code). No side information is at hand, so s = f_o, their variant
    without it; a model that was trained without labels on other images is what they store. Vectors are compared by
    cosine here, by L2 distance there.
    """

    name = "fct"
    needs = frozenset({Need.OLD_FEATURES, Need.GALLERY_REWRITE})
    quick: ClassVar = {"steps": 320, "batch_size": 128, "inner": 512, "lr": 1e-3, "warmup": 0}
    Params = TransformationParams

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(gallery=Transformation(old_dim, dim, self.params.inner))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)

        def loss(rows: Tensor) -> Tensor:
            return F.mse_loss(maps.gallery(old[rows]), new[rows])

        train_transformation(maps.gallery, loss, maps.parameters(), len(new), self.params)
        return maps

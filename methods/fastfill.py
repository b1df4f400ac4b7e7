"""FastFill: FCT that knows how uncertain each rewritten vector is, and has the worst ones embedded anew first."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.method import Adapter, Field, Maps, Need, tunable
from compatbench.model import mean_by_class

from ._similarity import cosines
from ._transformation import Transformation, TransformationParams, train_transformation


class LogVariance(nn.Linear):
    """s = log σ² (B,) of rewritten vectors h (B, D_n)."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 1)

    def forward(self, vectors: Tensor) -> Tensor:
        return super().forward(vectors).squeeze(1)


class FastFill(Adapter):
    """FastFill (Jaeckle et al., ICLR 2023, arXiv 2303.04766).

        paper:  mean_i [ ‖h_i − f_n,i‖² / (2 σ_i²) + ½ D_n log σ_i² + μ · CE(z_i, y_i) ]
        code:   mean_i [ (‖h_i − f_n,i‖² / D_n + μ · CE(z_i, y_i)) / (2 σ_i²) + ½ log σ_i² ]

    h = h(f_o) (n, D_n) is the transformation of `fct`, which rewrites the gallery, with its network and training;
    log σ² is linear in h, and the backfill goes by decreasing σ. z_i are logits of h_i by the new model's classifier
    W_n: the paper's negative log-likelihood of a Gaussian, and what the authors' code computes. μ = 1, and CE has
    labels smoothed by 0.1, as in that code.

    Ours: an adapter is given embeddings and no classifier, so that W_n is the class means of the new embeddings, their
    nearest-mean classifier: z = 16 · cos(h, mean), with the scale of the suite's normalised softmax. No side
    information, as in `fct`.
    """

    name = "fastfill"
    needs = frozenset({Need.OLD_FEATURES, Need.LABELS, Need.GALLERY_REWRITE})
    quick: ClassVar = {"steps": 160, "batch_size": 256, "inner": 512, "lr": 1e-3, "warmup": 2}

    class Params(TransformationParams):
        variant: Literal["paper", "code"] = "paper"
        weight: float = tunable(1.0, low=0.1, high=10, log=True, ge=0)
        label_smoothing: float = Field(0.1, ge=0, lt=1)
        scale: float = tunable(16.0, low=4, high=64, log=True, gt=0)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(gallery=Transformation(old_dim, dim, self.params.inner), order=LogVariance(dim))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        means = mean_by_class(new, labels, int(labels.max()) + 1)

        def loss(rows: Tensor) -> Tensor:
            rewritten = maps.gallery(old[rows])
            return self.loss(rewritten, maps.order(rewritten), new[rows], means, labels[rows])

        train_transformation(maps.gallery, loss, maps.parameters(), len(new), self.params)
        return maps

    def loss(self, rewritten: Tensor, log_variance: Tensor, new: Tensor, means: Tensor, labels: Tensor) -> Tensor:
        """The objective, a scalar, of rewritten (B, D), log_variance (B,), new (B, D), means (C, D) and labels (B,)."""
        distance = (rewritten - new).square().sum(dim=1)
        classification = self.params.weight * F.cross_entropy(
            self.params.scale * cosines(rewritten, means),
            labels,
            reduction="none",
            label_smoothing=self.params.label_smoothing,
        )
        dim, precision = new.shape[1], (-log_variance).exp()
        if self.params.variant == "code":
            return ((distance / dim + classification) * precision / 2 + log_variance / 2).mean()
        return (distance * precision / 2 + dim * log_variance / 2 + classification).mean()

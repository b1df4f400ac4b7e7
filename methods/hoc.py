"""Stationary representations that also keep each image near its own old embedding."""

from typing import Literal

import torch
from torch import Tensor

from compatbench.method import Batch, Field, Params, tunable
from compatbench.model import View

from ._similarity import cosines
from ._simplex import ContinuedSimplexMethod


class HOC(ContinuedSimplexMethod):
    """Higher-order compatibility on a fixed simplex, HOC (Biondi et al., CVPR 2024, arXiv 2405.02581).

        L = λ · CE(Vᵀ f_n, y) + (1 − λ) · mean_i l_i                            (eq. 3)
        published:  l_i = −μ s_ii + log Σ_j e^{μ s_ij · 1[y_i ≠ y_j]}           (eq. 4 as in the authors' code)
        infonce:    l_i = −μ s_ii + log(e^{μ s_ii} + Σ_{j: y_j ≠ y_i} e^{μ s_ij})

    V as in `simplex`, with `reserve` vertices (K, where there are more classes): 1,024 as published, thus
    1,023 dimensions. s_ij = f̂_o,i · f̂_n,j (B, B) between unit embeddings of the old and the new model on the
    same images; λ = 0.1, μ = 10. In the authors' code the entries of the own class, the positive among them,
    become 0 in the exponent, not −∞: each adds 1 to the sum. `infonce` is the textbook form. A later generation
    starts from the weights of the one before, as in the authors' run, where the architecture is the same, and from
    scratch where it is not, or with `from_old = false`. Deviations: the first generation has no old model and trains
    with CE alone (the authors start from a pre-trained model); the learning rate is the suite's (there 1e-3).
    """

    name = "hoc"

    class Params(Params):
        variant: Literal["published", "infonce"] = "published"
        weight: float = tunable(0.1, low=0.02, high=0.9, ge=0, le=1)
        scale: float = tunable(10.0, low=2, high=50, log=True, gt=0)
        reserve: int = Field(1024, ge=2)
        from_old: bool = True

    @property
    def vertices(self) -> int:
        return max(self.params.reserve, self.task.total_classes)

    def classification(self, batch: Batch, new: View, old: View | None) -> Tensor:
        loss = super().classification(batch, new, old)
        return loss if old is None else self.params.weight * loss

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        if old is None:
            return {}
        similarity = self.params.scale * cosines(old.embeddings, new.embeddings)
        positive = similarity.diagonal()
        same_class = batch.labels[:, None] == batch.labels[None, :]
        if self.params.variant == "published":
            compared = similarity.masked_fill(same_class, 0.0)
        else:
            compared = similarity.masked_fill(same_class.fill_diagonal_(False), -torch.inf)
        losses = compared.logsumexp(dim=1) - positive
        return {"higher_order": (1 - self.params.weight) * losses.mean()}

"""Asymmetric metric learning: queries are embedded by one model, the gallery by another."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._hard_negatives import hardest_negatives
from ._similarity import distances


class AML(TrainingMethod):
    """Asymmetric metric learning, AML (Budnik and Avrithis, CVPR 2021, arXiv 2006.16331).

    L = CE(W_n f_n, y) + λ · mean_i l_i, with d_ij = ‖f̂_n,i − f̂_o,j‖ (B, B): the anchor is new, as a query,
    positives and negatives are old, as the gallery. f̂_n (B, D_o) is the first D_o dimensions of the new
    embedding and f̂_o (B, D_o) the old one, both of unit length:

        contrastive:       l_i = mean_{p ≠ i: y_p = y_i} ½ d_ip² + Σ_{j} ½ relu(m − d_ij)²
        contrastive_plus:  l_i = ½ d_ii² + the above
        regression:        l_i = ½ d_ii²

    j the k nearest to i with y_j ≠ y_i. These are Contr, Contr+ and Reg of the paper, m = 0.7 and k = 5 as in
    its code. Deviations (ours): classification goes on beside it with λ = 1, where the paper has no other
    loss; negatives and positives come from the batch, where the code mines a pool of 20,000 images once an
    epoch and draws one positive (the mean is its expectation); losses are averaged over the anchors, not
    summed. An anchor without another image of its class in the batch has no first term.
    """

    name = "aml"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        variant: Literal["contrastive", "contrastive_plus", "regression"] = "contrastive"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        margin: float = tunable(0.7, low=0.1, high=1.2, ge=0, le=2)
        top_k: int = Field(5, ge=1)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        distance = distances(self.compatible(new.embeddings), old.embeddings)
        own = 0.5 * distance.diagonal().square()
        if self.params.variant == "regression":
            losses = own
        else:
            losses = self.contrastive(distance, batch.labels[:, None] == batch.labels[None, :])
            if self.params.variant == "contrastive_plus":
                losses = own + losses
        return {"asymmetric": self.params.weight * losses.mean()}

    def contrastive(self, distance: Tensor, same_class: Tensor) -> Tensor:
        """The contrastive loss (B,) of distances (B, B), an image's own old embedding left out."""
        positives = same_class & ~torch.eye(len(distance), dtype=torch.bool, device=distance.device)
        pull = 0.5 * (distance.square() * positives).sum(dim=1) / positives.sum(dim=1).clamp(min=1)
        nearest = -hardest_negatives(-distance, same_class, self.params.top_k)
        return pull + 0.5 * F.relu(self.params.margin - nearest).square().sum(dim=1)

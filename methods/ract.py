"""Regression-alleviating compatible training: what is old of an image beats new negatives too."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._dimensions import refuse_smaller
from ._hard_negatives import contrast, hardest_negatives
from ._similarity import cosines, distances


class RACT(TrainingMethod):
    """Regression-alleviating compatible training (Zhang et al., ICLR 2022, arXiv 2201.09724).

        L = CE(W_n f_n, y) + λ · mean_i l_i
        contrastive:  l_i = −log e^{s_ii/τ} / (e^{s_ii/τ} + Σ_{top-k j: y_j ≠ y_i} (e^{s_ij/τ} + e^{r_ij/τ}))
        triplet:      l_i = mean_j relu(d_ii − d_ij + m) + mean_j relu(d_ii − e_ij + m),  j the nearest k: y_j ≠ y_i
        bct:          l_i = −log e^{z_o,i y} / (Σ_c e^{z_o,i c} + Σ_{c ≠ y_i} e^{z_n,i c})

    s_ij = f̂_n,i · f̂_o,j (B, B) new against old, over the first D_o dimensions of the new embedding;
    r_ij = f̂_n,i · f̂_n,j (B, B) new against new, over all D_n; d and e the distances likewise; all of unit length.
    z_o = W_o f_n (B, C_o) and z_n = W_n f_n (B, C) the new embedding's logits under either head, without a margin.
    λ = 1, τ = 0.01, m = 0.8 and k = 10 of each kind, as published with about 2,000 negatives; they come from the
    batch. Without the new negatives these are `contrastive`, `triplet` and `bct`; `triplet` and `bct` with them are
    combinations of the authors' code. They are there for the mixed gallery of a backfill: a new vector of another
    class must not outrank the old vector of the right one. Deviations: the gradient passes through both sides of r
    and e, as the formula has it (the code stops it at the negatives that it gathers from other GPUs); `bct` takes the
    mean over images of classes that the old head has. The paper's refresh order (by the entropy of the class
    posterior) is an order of the backfill curve, not of training.
    """

    name = "ract"
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_CLASSIFIER})

    class Params(Params):
        variant: Literal["contrastive", "triplet", "bct"] = "contrastive"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(0.01, low=0.005, high=1, log=True, variants=("contrastive",), gt=0)
        margin: float = tunable(0.8, low=0.1, high=1.2, variants=("triplet",), ge=0, le=2)
        top_k: int = Field(10, ge=1)

    old_row: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        self.needs = frozenset({Need.OLD_CLASSIFIER if params.variant == "bct" else Need.OLD_ENCODER})

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        self.register_buffer("old_row", old.rows.clone())

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        same_class = batch.labels[:, None] == batch.labels[None, :]
        losses = {"contrastive": self.contrastive, "triplet": self.triplet}
        if self.params.variant == "bct":
            mean = self.influence(new, old, batch.labels)
        else:
            mean = losses[self.params.variant](new, old, same_class)
        return {"regression_alleviating": self.params.weight * mean}

    def contrastive(self, new: View, old: View, same_class: Tensor) -> Tensor:
        """mean_i l_i over similarities."""
        to_old = cosines(self.compatible(new.embeddings), old.embeddings) / self.params.temperature
        to_new = cosines(new.embeddings, new.embeddings) / self.params.temperature
        negatives = (hardest_negatives(logits, same_class, self.params.top_k) for logits in (to_old, to_new))
        return contrast(to_old.diagonal(), *negatives).mean()

    def triplet(self, new: View, old: View, same_class: Tensor) -> Tensor:
        """mean_i l_i over distances."""
        to_old = distances(self.compatible(new.embeddings), old.embeddings)
        total = to_old.new_zeros(())
        for side in (to_old, distances(new.embeddings, new.embeddings)):
            nearest = -hardest_negatives(-side, same_class, self.params.top_k)
            hinges = F.relu(to_old.diagonal()[:, None] - nearest + self.params.margin)
            total = total + hinges.sum() / nearest.isfinite().sum().clamp(min=1)
        return total

    def influence(self, new: View, old: View, labels: Tensor) -> Tensor:
        """mean_i l_i over the logits of both heads."""
        targets = self.old_row[labels]
        others = new.logits.scatter(1, labels[:, None], -torch.inf)
        logits = torch.cat([old.head(self.compatible(new.embeddings)), others], dim=1)
        total = F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
        return total / (targets >= 0).sum().clamp(min=1)

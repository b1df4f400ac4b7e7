"""Triplets across two models: a new embedding lies nearer to its old one than to old ones of other classes."""

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._hard_negatives import hardest_negatives
from ._similarity import distances


class Triplet(TrainingMethod):
    """Backward-compatible triplet loss, new against old (Zhang et al., ICLR 2022, arXiv 2201.09724).

        L = CE(W_n f_n, y) + λ · mean_{i, j} relu(d_ii − d_ij + m),   j the k nearest to i with y_j ≠ y_i

    d_ij = ‖f̂_n,i − f̂_o,j‖ (B, B), f̂_n (B, D_o) the first D_o dimensions of the new embedding and f̂_o (B, D_o)
    the old one, both of unit length; the negatives come from the batch. The triplet loss of the paper's code,
    with its λ = 1, m = 0.8 and k = 10. Deviation (ours): where an image has fewer than k negatives the mean is
    over those there are, and a batch of one class gives 0; the code counts the missing ones as zeros.
    """

    name = "triplet"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        margin: float = tunable(0.8, low=0.1, high=1.2, ge=0, le=2)
        top_k: int = Field(10, ge=1)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        distance = distances(self.compatible(new.embeddings), old.embeddings)
        same_class = batch.labels[:, None] == batch.labels[None, :]
        negatives = -hardest_negatives(-distance, same_class, self.params.top_k)
        losses = F.relu(distance.diagonal()[:, None] - negatives + self.params.margin)
        return {"triplet": self.params.weight * losses.sum() / negatives.isfinite().sum().clamp(min=1)}

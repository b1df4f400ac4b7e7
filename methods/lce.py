"""Learning compatible embeddings: class centres coincide, and no member strays farther than the old ones did."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View, mean_by_class

from ._dimensions import refuse_smaller


class LCE(TrainingMethod):
    """Learning compatible embeddings, LCE (Meng et al., ICCV 2021, arXiv 2108.01958).

        L = L_cls + λ_a · MSE(Ŵ, C) + λ_b · mean_i relu(m_{y_i} − f̂_i · c_{y_i}),   m_k = min_{i ∈ k} f̂_o,i · c_k

    C (C_n, D_o) rows c_k: the mean of the unit old embeddings f̂_o of class k over the new training set, brought
    to unit length. Ŵ the rows of the new classifier and f̂ (B, D_o) the new embedding, both cut to the first
    D_o dimensions (ours; the paper learns a transformation there) and of unit length. m_k (C_n,) is the cosine
    of the loosest old member: a new one may stray as far without a cost. λ_a = 100, λ_b = 1 as in the
    authors' code, where the squares are averaged over classes and dimensions (2,048): where there are fewer
    of either, the same λ_a pulls each row harder. L_cls is the scenario's; in that code ArcFace with s = 16,
    m = 0.1. `boundary_form = "code"` takes the features as that code does, f_i · c clamped to [−1, 1] and f_i not of
    unit length: where embeddings are longer than 1, as they are beside softmax, the boundary is inert.
    """

    name = "lce"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        alignment: float = tunable(100.0, low=1, high=1000, log=True, ge=0)
        boundary: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        boundary_form: Literal["cosine", "code"] = "cosine"

    centres: Tensor
    loosest: Tensor

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        features, labels = F.normalize(old.train_embeddings), old.train_labels
        centres = F.normalize(mean_by_class(features, labels, self.task.num_classes))
        cosines = (features * centres[labels]).sum(dim=1)
        loosest = torch.ones(len(centres), device=cosines.device).scatter_reduce(0, labels, cosines, "amin")
        self.register_buffer("centres", centres)
        self.register_buffer("loosest", loosest)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        rows = F.normalize(self.compatible(new.head.weight))
        embeddings = self.compatible(new.embeddings)
        if self.params.boundary_form == "cosine":
            embeddings = F.normalize(embeddings)
        cosines = (embeddings * self.centres[batch.labels]).sum(dim=1).clamp(-1, 1)
        return {
            "alignment": self.params.alignment * F.mse_loss(rows, self.centres),
            "boundary": self.params.boundary * F.relu(self.loosest[batch.labels] - cosines).mean(),
        }

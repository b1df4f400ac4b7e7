"""A wider space whose first dimensions stay where the old one was; the classifier sees it rotated."""

import torch.nn.functional as F
from torch import Tensor

from compatbench.heads import Head, build_head
from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._mapped_head import MappedHead
from ._pseudo_classifier import pseudo_classifier, pseudo_logits
from ._rotation import rotation


class OCA(TrainingMethod):
    """Orthogonal Compatible Aligned, OCA (Ricci et al., ECCV Workshops 2024, arXiv 2408.08793).

        L = 5 · CE(W_n Q f̂, y) + 10 · CE(b̂ Cᵀ, y) + 5 · mean_i (1 − cos(b_i, c_{y_i})),   b = f̂[:, :D_o]

    f̂ (B, E) the encoder's output of unit length, which is stored and searched, E = D_o + 32; b (B, D_o) its aligned
    part, with which queries search the old gallery. Q (E, E) a learned orthogonal matrix, W_n (C, E) the new
    classifier: both are used in training only. C (C, D_o) fixed prototypes, c_k the mean of the old model's unit
    embeddings of class k over the new training set. Weights, the 32 dimensions and the missing scale of b̂ Cᵀ are
    those of the authors' code; the second and third term together are its loss on the aligned part.

    Deviations: E = max(D_n, D_o) + 32, the same where D_n = D_o as in the paper (ours, so that the scenario's dimension
    counts); Q without bias; no label smoothing (0.1 in their recipe), which belongs to the suite.
    """

    name = "oca"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        extra_dims: int = Field(32, ge=0)
        classification_weight: float = tunable(5.0, low=0.5, high=50, log=True, ge=0)
        influence_weight: float = tunable(10.0, low=0.5, high=50, log=True, ge=0)
        alignment_weight: float = tunable(5.0, low=0.5, high=50, log=True, ge=0)

    prototypes: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        self.rotation = rotation(self.encoder_dim(task.dim))

    def encoder_dim(self, dim: int) -> int:
        return max(dim, self.task.old_dim or 0) + self.params.extra_dims

    def head(self, dim: int, num_classes: int) -> Head:
        return MappedHead(build_head(self.task.loss, dim, num_classes), self.rotation)

    def setup(self, new: NewModel, old: OldModel) -> None:
        self.register_buffer("prototypes", pseudo_classifier(old))

    def embed(self, features: Tensor) -> Tensor:
        return F.normalize(features)

    def classification(self, batch: Batch, new: View, old: View) -> Tensor:
        return self.params.classification_weight * super().classification(batch, new, old)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        aligned = self.compatible(new.embeddings)
        logits = pseudo_logits(aligned, self.prototypes)
        distances = 1 - F.cosine_similarity(aligned, self.prototypes[batch.labels])
        return {
            "influence": self.params.influence_weight * F.cross_entropy(logits, batch.labels),
            "alignment": self.params.alignment_weight * distances.mean(),
        }

"""Neighbourhood consensus: many old embeddings teach each new one, outliers among them less."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, to_dim, tunable
from compatbench.model import NewModel, OldModel, View

from ._dimensions import refuse_smaller
from ._similarity import cosines, inner_products


class NCCL(TrainingMethod):
    """Neighborhood consensus contrastive learning, NCCL (Wu et al., AAAI 2022, arXiv 2108.03372).

        L = CE(W_n f_n, y) + λ_f · mean_i l(f̂_n,i, f̂_o) + λ_z · mean_i l(z_n,i, z_o)
        l(a_i, b) = −1/|P(i)| · Σ_{j ∈ P(i)} w_ij · log e^{a_i·b_j/τ} / Σ_{j ∈ queue} e^{a_i·b_j/τ}

    The queue holds the last Q = 8,192 old embeddings f̂_o (Q, D_o) of unit length, the present batch included,
    and their logits z_o (Q, C_n) under the new classifier as it was when they entered; P(i) are those of the
    class y_i. f̂_n (B, D_o) is the first D_o dimensions of the new embedding, of unit length, and z_n (B, C_n)
    the new logits, without a margin. Gradient reaches f_n and z_n only. The weights come from old embeddings:

    - `neighbors`: w_ij = ½ (1 + cos(f_o,i, f_o,j)), less for what lies in another part of the class, as in the
      public implementation by the authors of MixBCT (no code of the paper's own authors is known);
    - `class_mean`: w_ij = ½ (1 + cos(f_o,j, μ_{y_j})), less for what lies far from its class mean μ (C_n, D_o), as
      the paper's text can be read (in no code).

    λ_f = 1, λ_z = 0.01, τ = 1 and Q as there. Deviations (ours): old embeddings are of the augmented images,
    slots that are still empty are no negatives, and the filter of old embeddings by the entropy of their class
    posterior is left out, as it is there, where it removed almost nothing.
    """

    name = "nccl"
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_FEATURES})

    class Params(Params):
        variant: Literal["neighbors", "class_mean"] = "neighbors"
        feature_weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        logit_weight: float = tunable(0.01, low=0.001, high=10, log=True, ge=0)
        temperature: float = tunable(1.0, low=0.02, high=2, log=True, gt=0)
        queue_size: int = Field(8192, ge=1)

    means: Tensor
    features: Tensor
    logits: Tensor
    labels: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        if params.variant == "neighbors":
            self.needs = frozenset({Need.OLD_ENCODER})

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        if self.params.variant == "class_mean":
            self.register_buffer("means", old.class_means(), persistent=False)
        self.register_buffer("features", torch.empty(0, old.dim), persistent=False)
        self.register_buffer("logits", torch.empty(0, self.task.num_classes), persistent=False)
        self.register_buffer("labels", torch.empty(0, dtype=torch.long), persistent=False)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        in_new_space = to_dim(old.embeddings, new.embeddings.shape[1])
        self.enqueue(old.normalized, new.head(in_new_space).detach(), batch.labels)
        positives = batch.labels[:, None] == self.labels[None, :]
        weights = positives * self.weights(old) / positives.sum(dim=1, keepdim=True).clamp(min=1)
        features = cosines(self.compatible(new.embeddings), self.features)
        logits = inner_products(new.logits, self.logits)
        return {
            "feature_consensus": self.params.feature_weight * self.contrast(features, weights),
            "logit_consensus": self.params.logit_weight * self.contrast(logits, weights),
        }

    def enqueue(self, features: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Put a batch of old embeddings (B, D_o) in front of the queue, and drop the oldest beyond Q."""
        size = self.params.queue_size
        self.features = torch.cat([features.float(), self.features])[:size]
        self.logits = torch.cat([logits.float(), self.logits])[:size]
        self.labels = torch.cat([labels, self.labels])[:size]

    def weights(self, old: View) -> Tensor:
        """w_ij in [0, 1] of the queue, (1, Q), or for each image of the batch, (B, Q)."""
        if self.params.variant == "neighbors":
            return (1 + cosines(old.embeddings, self.features)) / 2
        return (1 + F.cosine_similarity(self.features, self.means[self.labels])[None, :]) / 2

    def contrast(self, similarity: Tensor, weights: Tensor) -> Tensor:
        """mean_i l, given similarities (B, Q) and w_ij / |P(i)| (B, Q), which are 0 off P(i)."""
        return -(weights * (similarity / self.params.temperature).log_softmax(dim=1)).sum(dim=1).mean()

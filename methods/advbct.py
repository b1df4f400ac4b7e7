"""Adversarial backward-compatible training: a discriminator must not tell new embeddings from old ones."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View, mean_by_class

from ._dimensions import refuse_smaller
from ._gradient_reversal import reverse_gradient


class AdvBCT(TrainingMethod):
    """Boundary-aware adversarial training, AdvBCT (Pan et al., CVPR 2023, arXiv 2305.02610).

        L = CE(W_n f_n, y) + λ_b · L_p2s + λ_a · (1 − p) · L_adv
        L_p2s = mean over violating i of relu(‖f̂_n,i − c_{y_i}‖ − r_{y_i})
        r_k   = rmax_k ± |rmax_k − T_k| · σ(w_k) = rmax_k + (T_k − rmax_k) · σ(w_k)
        L_adv = mean_i [CE(d(R_α f_n,i), 0) + CE(d(f_o,i), 1)],   α = 2/(1 + e^{−10 p}) − 1

    f_n (B, D_o) the first D_o dimensions of the new embedding and f_o (B, D_o) the old one, raw; f̂ of unit
    length. c_k (D_o,) the mean of the unit old embeddings of class k over the new training set (not of unit
    length itself, as in the authors' code), for classes that the old model knows; rmax_k the largest distance
    to it, of the n distances without those above q3 + 1.5 · (q3 − q1), q1 and q3 the values of rank ⌊n/4⌋ and
    ⌊3n/4⌋ (q3 is the largest where n < 4: all count). Classes with one image have no boundary. w_k is learned,
    from U(−1, 1). Variants, by T_k:

    - `absolute` (the paper's): T = 1.0 for every class (0.5 is the code's default, 1.0 that of its published
      settings), for features behind a batch norm of models that start from ImageNet weights. Where classes lie
      closer, other classes lie within it and it binds nothing;
    - `quantile` (ours): the given quantile of the class's own distances.

    d: D_o → 100 → 2 with batch norm and ReLU; R_α hands its gradient back reversed, times α; p in [0, 1) the
    progress of training. Deviation: the weight of L_adv falls with the progress and not by whole epochs, (E − e +
    1)/E, which with few epochs ends far above 0. λ_b = λ_a = 1. A batch without an old class has L_p2s = 0.
    Published with 256 dimensions behind a batch norm, SGD 0.1, 30 epochs.
    """

    name = "advbct"
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_FEATURES})

    class Params(Params):
        variant: Literal["absolute", "quantile"] = "absolute"
        boundary: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        adversarial: float = tunable(1.0, low=0.01, high=10, log=True, ge=0)
        threshold: float = tunable(1.0, low=0.1, high=1.5, variants=("absolute",), ge=0, le=2)
        quantile: float = tunable(0.5, low=0.1, high=0.95, variants=("quantile",), ge=0, le=1)

    centres: Tensor
    largest: Tensor
    reference: Tensor
    bounded: Tensor

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        features, labels = F.normalize(old.train_embeddings), old.train_labels
        centres = mean_by_class(features, labels, self.task.num_classes)
        distances = (features - centres[labels]).norm(dim=1)
        counts = torch.bincount(labels, minlength=self.task.num_classes)
        by_class = distances[labels.argsort(stable=True)].split(counts.tolist())
        self.register_buffer("centres", centres)
        self.register_buffer("largest", torch.stack([largest_inlier(of_class) for of_class in by_class]))
        self.register_buffer("reference", torch.stack([self.reference_radius(of_class) for of_class in by_class]))
        self.register_buffer("bounded", old.known & (counts > 1))
        self.elasticity = nn.Parameter(torch.empty(self.task.num_classes).uniform_(-1, 1))
        self.discriminator = nn.Sequential(
            nn.Linear(old.dim, 100), nn.BatchNorm1d(100), nn.ReLU(inplace=True), nn.Linear(100, 2)
        )

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        embeddings = self.compatible(new.embeddings)
        return {
            "boundary": self.params.boundary * self.boundary(embeddings, batch.labels),
            "adversarial": self.params.adversarial
            * (1 - batch.progress)
            * self.confusion(embeddings, old.embeddings, batch.progress),
        }

    def reference_radius(self, distances: Tensor) -> Tensor:
        """T_k of a class, given its distances (n,)."""
        if self.params.variant == "absolute" or not len(distances):
            return distances.new_tensor(self.params.threshold)
        return distances.quantile(self.params.quantile)

    def radii(self) -> Tensor:
        """r (C_n,), between the largest old distance and T_k."""
        return self.largest + (self.reference - self.largest) * self.elasticity.sigmoid()

    def boundary(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """L_p2s of new embeddings (B, D_o)."""
        distances = (F.normalize(embeddings) - self.centres[labels]).norm(dim=1)
        excess = F.relu(distances - self.radii()[labels]) * self.bounded[labels]
        return excess.sum() / (excess > 0).sum().clamp(min=1)

    def confusion(self, new: Tensor, old: Tensor, progress: float) -> Tensor:
        """L_adv of new and old embeddings (B, D_o): the discriminator's loss, which the encoder raises."""
        on_new = self.discriminator(reverse_gradient(new, 2 / (1 + math.exp(-10 * progress)) - 1))
        on_old = self.discriminator(old)
        label = torch.zeros(len(new), dtype=torch.long, device=new.device)
        return F.cross_entropy(on_new, label) + F.cross_entropy(on_old, label + 1)


def largest_inlier(distances: Tensor) -> Tensor:
    """The largest of the distances (n,) of one class that is no outlier by 1.5 interquartile ranges; 0 if n = 0."""
    ordered = distances.sort().values
    count = len(ordered)
    if count == 0:
        return distances.new_zeros(())
    first, third = ordered[count // 4], ordered[3 * count // 4]
    return ordered[ordered <= third + 1.5 * (third - first)][-1]

"""Old space and new space side by side in one embedding, each kept whole by a learned change of basis."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.heads import Head, build_head
from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._mapped_head import MappedHead
from ._pseudo_classifier import pseudo_classifier, pseudo_logits
from ._rotation import rotation


class BT2(TrainingMethod):
    """Basis transformation, BT² (Zhou et al., ICCV 2023, arXiv 2211.03989).

        u (B, D_n + D_o)  the encoder's output
        h = u[:, :D_n] / ‖u[:, :D_n]‖             what the independent new model knows
        g = (V relu(u) + v) / ‖V relu(u) + v‖     (B, a), what only the old model knows
        m = [g, P₁ · s h]                         (B, a + D_n), P₁ (D_n, D_n) learned and orthogonal
        f = [P₂ · m[:, :D_o], m[:, D_o:]]         P₂ (D_o, D_o) learned and orthogonal; b = f[:, :D_o]
        L = CE(W_n h, y) + 10 · CE(b̂ Cᵀ, y) + 5 · mean_i (1 − cos(b, f_o)) + 1 · mean_i (1 − cos(h, f_*))

    f is stored and searched, b (B, D_o) searches the old gallery. a = 32 added dimensions, s = 2: ‖f‖² = 1 + s² always,
    and h can be read from f without loss. f_o the old and f_* the independent new model's embedding of the same image,
    C (C, D_o) the pseudo-classifier, row c the mean of the old unit embeddings of class c over the new training set.
    Weights and sizes are those of the authors' code (an early trainer has 10 in place of 5).

    The independent model starts from other weights and sees the images in another order than this one; with
    `shared_start` it is the baseline of the cell, which shares both with it: imitation is then much easier.

    Deviations: a is at least D_o − D_n and at most D_o (ours), for dimensions that the code cannot take. Of its map V
    (D_o rows), only the a rows that reach f exist here. The independent model is trained first: its cost counts.
    """

    name = "bt2"
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_FEATURES, Need.INDEPENDENT_MODEL})

    class Params(Params):
        extra_dims: int = Field(32, ge=1)
        scale: float = tunable(2.0, low=0.5, high=20, log=True, gt=0)
        influence_weight: float = tunable(10.0, low=0.1, high=30, log=True, ge=0)
        old_weight: float = tunable(5.0, low=0.1, high=30, log=True, ge=0)
        new_weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        shared_start: bool = False

    prototypes: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        old_dim = task.old_dim or task.dim
        added = min(old_dim, max(params.extra_dims, old_dim - task.dim))
        self.shares_start = params.shared_start
        self.only_old = nn.Linear(self.encoder_dim(task.dim), added)
        self.basis = BasisTransformation(task.dim, old_dim, added, params.scale)

    def encoder_dim(self, dim: int) -> int:
        return dim + (self.task.old_dim or dim)

    def head(self, dim: int, num_classes: int) -> Head:
        return MappedHead(build_head(self.task.loss, self.task.dim, num_classes), ContentOf(self.basis))

    def setup(self, new: NewModel, old: OldModel) -> None:
        self.register_buffer("prototypes", pseudo_classifier(old))

    def embed(self, features: Tensor) -> Tensor:
        return self.basis(F.normalize(self.only_old(F.relu(features))), self.content(features))

    def content(self, features: Tensor) -> Tensor:
        """h (B, D_n) of the encoder's output u."""
        return F.normalize(features[:, : self.task.dim])

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        aligned = self.compatible(new.embeddings)
        logits = pseudo_logits(aligned, self.prototypes)
        independent = batch.independent.embeddings
        return {
            "influence": self.params.influence_weight * F.cross_entropy(logits, batch.labels),
            "old": self.params.old_weight * (1 - F.cosine_similarity(aligned, old.embeddings)).mean(),
            "new": self.params.new_weight * (1 - F.cosine_similarity(self.content(new.features), independent)).mean(),
        }


class BasisTransformation(nn.Module):
    """f (B, a + D_n) from g (B, a) and h (B, D_n), and back to h."""

    def __init__(self, dim: int, old_dim: int, added: int, scale: float) -> None:
        super().__init__()
        self.first = rotation(dim)
        self.second = rotation(old_dim)
        self.old_dim, self.added, self.scale = old_dim, added, scale

    def forward(self, only_old: Tensor, content: Tensor) -> Tensor:
        merged = torch.cat([only_old, self.first(self.scale * content)], dim=1)
        return torch.cat([self.second(merged[:, : self.old_dim]), merged[:, self.old_dim :]], dim=1)

    def content_of(self, embeddings: Tensor) -> Tensor:
        """h (B, D_n) of embeddings f."""
        merged = torch.cat([embeddings[:, : self.old_dim] @ self.second.weight, embeddings[:, self.old_dim :]], dim=1)
        return merged[:, self.added :] @ self.first.weight / self.scale


class ContentOf(nn.Module):
    """f ↦ h, and its matrix."""

    def __init__(self, basis: BasisTransformation) -> None:
        super().__init__()
        self.basis = basis

    @property
    def weight(self) -> Tensor:
        """(D_n, a + D_n)."""
        size = self.basis.added + self.basis.first.weight.shape[0]
        return self.basis.content_of(torch.eye(size, device=self.basis.first.weight.device)).T

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.basis.content_of(embeddings)

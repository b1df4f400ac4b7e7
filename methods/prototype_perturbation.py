"""Old prototypes that are moved away from their neighbours before new embeddings are aligned to them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._dimensions import refuse_smaller


class PrototypePerturbation(TrainingMethod):
    """Prototype perturbation, after the abstract of arXiv 2503.14824.

        L = CE(W_n f, y) + λ · CE(P f[:, :D_o], y),   p_k = ‖c_k‖ · (ĉ_k + δ_k) / ‖ĉ_k + δ_k‖
        ndpp:  δ_k = α · mean_{j ∈ N(k)} (ĉ_k − ĉ_j) / ‖ĉ_k − ĉ_j‖
        odpp:  δ = argmin_δ mean_k τ log Σ_{j ≠ k} e^{cos(p_k, p_j)/τ} + ρ · mean_k ‖δ_k‖²

    c_k (C, D_o) the mean old embedding of class k over the new training set, ĉ_k of unit length, N(k) its m nearest
    other prototypes by cosine. P is scored as the old head scores its own rows. Where the old model confuses two
    classes, the new one need not. Neighbour-driven (`ndpp`, the default) and optimisation-driven (`odpp`) are the two
    forms of the abstract; the formulas are ours, with α = 0.1, m = 5, τ = 0.1, ρ = 1 and 200 steps of gradient descent
    of size 0.02, and so is that δ is found once: the authors renew it with the new model's features. With α = 0 it is
    `bct` with `variant = prototypes`.
    """

    name = "prototype_perturbation"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        variant: Literal["ndpp", "odpp"] = "ndpp"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        strength: float = tunable(0.1, low=0.01, high=1, log=True, variants=("ndpp",), ge=0)
        neighbours: int = Field(5, ge=1)
        temperature: float = Field(0.1, gt=0)
        distance_weight: float = tunable(1.0, low=0.1, high=10, log=True, variants=("odpp",), ge=0)

    rows: Tensor

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        means = old.class_means()
        directions = F.normalize(means)
        perturb = self.away_from_neighbours if self.params.variant == "ndpp" else self.spread
        moved = F.normalize(directions + perturb(directions))
        self.register_buffer("rows", means.norm(dim=1, keepdim=True) * moved)

    def away_from_neighbours(self, prototypes: Tensor) -> Tensor:
        """δ (C, D_o) of unit prototypes (C, D_o) by `ndpp`."""
        count = min(self.params.neighbours, len(prototypes) - 1)
        similarity = (prototypes @ prototypes.T).fill_diagonal_(-torch.inf)
        nearest = prototypes[similarity.topk(count, dim=1).indices]
        return self.params.strength * F.normalize(prototypes[:, None, :] - nearest, dim=2).sum(dim=1) / max(count, 1)

    @torch.enable_grad()
    def spread(self, prototypes: Tensor) -> Tensor:
        """δ (C, D_o) of unit prototypes (C, D_o) by `odpp`."""
        delta = torch.zeros_like(prototypes, requires_grad=True)
        for _ in range(200):
            (slope,) = torch.autograd.grad(self.crowding(prototypes, delta), delta)
            delta = (delta - 0.02 * len(prototypes) * slope).detach().requires_grad_(True)
        return delta.detach()

    def crowding(self, prototypes: Tensor, delta: Tensor) -> Tensor:
        """The objective of `odpp`, a scalar."""
        moved = F.normalize(prototypes + delta)
        itself = torch.eye(len(moved), dtype=torch.bool, device=moved.device)
        others = (moved @ moved.T / self.params.temperature).masked_fill(itself, -torch.inf)
        return (
            self.params.temperature * others.logsumexp(dim=1).mean()
            + self.params.distance_weight * delta.square().sum(dim=1).mean()
        )

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        logits = old.score(self.compatible(new.embeddings), self.rows)
        return {"prototypes": self.params.weight * F.cross_entropy(logits, batch.labels)}

"""Universal backward-compatible training: old prototypes, cleaned by what the new model has learnt so far."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.heads import arcface_logits
from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._dimensions import refuse_smaller
from ._prototype_refinement import refined_prototypes
from ._similarity import cosines

REFINED_AT = (10 / 35, 20 / 35)
"""Shares of the training at which the prototypes are refined."""


class UniBCT(TrainingMethod):
    """Universal backward-compatible training, UniBCT (Zhang et al., IJCAI 2022, arXiv 2203.01583).

        L = CE(W_n f, y) + λ_t · L_old(f[:, :D_o], P, y),   P_c = mean_{i ∈ c} F'_i
        F' = (1 − a) (I − a E)⁻¹ F_o,   E_ij = softmax_{j ≠ i, y_j = y_i} f̂_i · f̂_j / τ

    P (C_n, D_o) prototypes, F_o (N, D_o) the old features of the new training set, E the graph within each
    class of the new model's unit features f̂ (N, D_n) at the time: members that the new model finds among
    others weigh more than strays. a = 0.9, τ = 0.05. P is refined after 10/35 and 20/35 of the steps (the paper:
    before epochs 10 and 20 of 35; by whole epochs, few of them would put both refinements at the end); λ_t = 0
    before the first refinement and λ = 1 after. L_old, by variant:

    - `ce`: cross-entropy of P scored as the old head scores its own rows;
    - `arcface`: with s · cos and the margin m, s = 30, m = 0.3.

    Of two public re-implementations one leaves the refinement out and uses the plain means; the other makes
    the columns of E sum to 1, not its rows, whereby P stays the plain means too. `_prototype_refinement`
    solves for P without an inverse.
    """

    name = "unibct"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        variant: Literal["ce", "arcface"] = "ce"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        damping: float = Field(0.9, ge=0, le=0.99)
        temperature: float = tunable(0.05, low=0.01, high=1, log=True, gt=0)
        scale: float = tunable(30.0, low=8, high=64, log=True, variants=("arcface",), gt=0)
        margin: float = tunable(0.3, low=0, high=0.5, variants=("arcface",), ge=0, lt=math.pi / 2)

    prototypes: Tensor
    refinements: Tensor

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        self.register_buffer("prototypes", old.class_means())
        self.register_buffer("refinements", torch.zeros((), device=self.prototypes.device))
        self.refine = lambda: refined_prototypes(
            old.train_embeddings,
            new.train_embeddings(),
            old.train_labels,
            self.task.num_classes,
            self.params.damping,
            self.params.temperature,
        )

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        due = sum(batch.progress >= share for share in REFINED_AT)
        if due > self.refinements:
            self.prototypes.copy_(self.refine())
            self.refinements.fill_(due)
        embeddings = self.compatible(new.embeddings)
        if self.params.variant == "ce":
            logits = old.score(embeddings, self.prototypes)
        else:
            angles = cosines(embeddings, self.prototypes)
            logits = arcface_logits(angles, batch.labels, self.params.scale, self.params.margin)
        weight = self.params.weight * self.refinements.clamp(max=1)
        return {"prototypes": weight * F.cross_entropy(logits, batch.labels)}

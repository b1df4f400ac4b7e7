"""Focal distillation: the new classifier imitates the old one, most of all where the old one is right."""

from typing import Literal

from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Role, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._divergence import tempered_divergence


class FocalLogits(TrainingMethod):
    """Focal distillation of logits, positive-congruent training (reference; Yan et al., CVPR 2021, arXiv 2011.09161).

        L = CE(W_n f_n, y) + λ · mean_i (α + β · [argmax z_o,i = y_i]) · D_i
        fd_kl:  D_i = τ² · KL(softmax(z_o,i / τ) ‖ softmax(z_n,i / τ))
        fd_lm:  D_i = ½ ‖z_n,i − z_o,i‖²
        fd_kl_code:  L = CE(W_n f_n, y) + λ · mean_i (α + β · [argmax z_o,i = y_i]) · mean_i D_i, D as in fd_kl

    z_o (B, C) the old model's logits and z_n (B, C) the new model's, by its own new head without a margin, over
    the C classes that both know: the rows of the new head for classes that the old one has, and the old rows
    of the same classes. The mean is over images of these classes, as in the authors' code; a batch without any
    gives 0. Whether the old model is right is judged over all its classes. λ = 1, α = 1, β = 5, τ = 100 as
    published (the code's example weighs CE by 0.1 and D by 0.9; its squared error is a mean over C without ½).
    `fd_kl_code` is what the authors' code computes: weights (N, 1) times distances (N,) give N × N products, whose
    mean is that of both, so that the focus is inert.

    It was built against negative flips of a classifier. The new head is free, so that any rotation of the embedding
    leaves the loss unchanged and new vectors are not comparable with old ones: a reference for the flips after the
    backfill, never ranked. `focal_distillation` is the form that ties the vectors.
    """

    name = "focal_logits"
    role = Role.REFERENCE
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_CLASSIFIER})

    class Params(Params):
        variant: Literal["fd_kl", "fd_lm", "fd_kl_code"] = "fd_kl"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        alpha: float = Field(1.0, ge=0)
        beta: float = Field(5.0, ge=0)
        temperature: float = tunable(100.0, low=1, high=200, log=True, variants=("fd_kl", "fd_kl_code"), gt=0)

    old_row: Tensor
    shared: Tensor

    def skip(self, task: Task) -> str | None:
        if task.old_dim is not None and not set(task.classes) & set(task.old_classes):
            return "it distils the logits of classes that both models know, and there are none"
        return None

    def setup(self, new: NewModel, old: OldModel) -> None:
        self.register_buffer("old_row", old.rows.clone())
        self.register_buffer("shared", old.known.nonzero()[:, 0])

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        teacher, student = old.logits[:, self.old_row[self.shared]], new.logits[:, self.shared]
        if self.params.variant == "fd_lm":
            distances = 0.5 * (student - teacher).square().sum(dim=1)
        else:
            distances = tempered_divergence(student, teacher, self.params.temperature)
        target = self.old_row[batch.labels]
        focus = self.params.alpha + self.params.beta * (old.logits.argmax(dim=1) == target)
        chosen = target >= 0
        count = chosen.sum().clamp(min=1)
        if self.params.variant == "fd_kl_code":
            focus = (focus[chosen].sum() / count).expand(len(focus))
        mean = (focus * distances)[chosen].sum() / count
        return {"focal_distillation": self.params.weight * mean}

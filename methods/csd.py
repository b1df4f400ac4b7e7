"""Contrastive supervised distillation: the images of a class meet across the two models."""

import torch
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._dimensions import refuse_smaller
from ._divergence import tempered_divergence
from ._similarity import cosines


class CSD(TrainingMethod):
    """Contrastive supervised distillation, CSD (Barletti et al., ICIAP 2022, arXiv 2205.06476).

        L = CE(W_n f, y) + λ · mean_i l_i + λ_d · mean_i KL(softmax(z_o,i / T) ‖ softmax(z_n,i / T))
        l_i = −1/|P(i)| Σ_{p ∈ P(i)} log e^{s_ip/τ} / Σ_{a ∈ A(i)} e^{s_ia/τ}

    The anchor i is new; A(i) are the new embeddings of the other images of the batch and the old ones of all, P(i)
    those of its class. s are cosines, of new with new over D_n dimensions, of new with old over the first D_o. z_o and
    z_n (B, C) the logits of either model's own head over the classes that both know, without a margin; without such
    classes the term falls away. λ = λ_d = 1, τ = 0.07 and T = 2 (not multiplied by T²) as in the authors' code.
    Deviations: the triplet loss that is there beside the cross-entropy, for the first generation as well, belongs to
    the scenario; the new head is a new one, where there the old one grows and only new classes enter the CE.
    """

    name = "csd"
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_CLASSIFIER})

    class Params(Params):
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        distillation: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(0.07, low=0.01, high=1, log=True, gt=0)
        logit_temperature: float = Field(2.0, gt=0)

    old_row: Tensor
    shared: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        if not set(task.classes) & set(task.old_classes):
            self.needs = frozenset({Need.OLD_ENCODER})

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        self.register_buffer("shared", old.known.nonzero()[:, 0])
        self.register_buffer("old_row", old.rows[self.shared])

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        sides = cosines(new.embeddings, new.embeddings), cosines(self.compatible(new.embeddings), old.embeddings)
        same_class = batch.labels[:, None] == batch.labels[None, :]
        itself = torch.eye(len(same_class), dtype=torch.bool, device=same_class.device)
        logits = torch.cat([sides[0].masked_fill(itself, -torch.inf), sides[1]], dim=1) / self.params.temperature
        positives = torch.cat([same_class & ~itself, same_class], dim=1)
        chosen = logits.log_softmax(dim=1).masked_fill(~positives, 0)
        terms = {"contrast": -self.params.weight * (chosen.sum(dim=1) / positives.sum(dim=1)).mean()}
        if len(self.shared):
            student, teacher = new.logits[:, self.shared], old.logits[:, self.old_row]
            temperature = self.params.logit_temperature
            divergence = tempered_divergence(student, teacher, temperature).mean() / temperature**2
            terms["distillation"] = self.params.distillation * divergence
        return terms

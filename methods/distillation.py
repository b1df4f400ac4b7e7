"""Distillation: the old model teaches the new one, through the old classifier or by its embedding."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._divergence import tempered_divergence


class Distillation(TrainingMethod):
    """Distillation from the old model (LwF: Li and Hoiem, ECCV 2016, arXiv 1606.09282; Hinton et al., 2015).

        kl:       L = CE(W_n f_n, y) + λ · T² · mean_i KL(softmax(z_o,i / T) ‖ softmax(z_n,i / T))
        logits:   L = CE(W_n f_n, y) + λ · mean_i ½ ‖z_n,i − z_o,i‖²
        feature:  L = CE(W_n f_n, y) + λ · mean_i (1 − cos(f_n,i, f_o,i))

    z_o = W_o f_o (B, C_o) the teacher's logits; z_n = W_o f_n[:, :D_o] those of the new embedding under the
    same frozen old classifier (as the old head scores, without a margin), where LwF gives the student an old
    head of its own: only a shared one ties the two spaces. λ = 1, T = 2 as in LwF. `logits` is the form of
    FD-LM (Yan et al., CVPR 2021, arXiv 2011.09161) without its focal weights; `feature` compares the first
    D_o dimensions of the new embedding with the old one. The logits tie the new embedding only within the span of
    the old class rows: with D_o > C_o (beside softmax, C_o − 1) the other dimensions are free. `feature` ties them
    all.
    """

    name = "distillation"
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_CLASSIFIER})

    class Params(Params):
        variant: Literal["kl", "logits", "feature"] = "kl"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(2.0, low=0.5, high=20, log=True, variants=("kl",), gt=0)

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        if params.variant == "feature":
            self.needs = frozenset({Need.OLD_ENCODER})

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        student = self.compatible(new.embeddings)
        if self.params.variant == "feature":
            distances = 1 - F.cosine_similarity(student, old.embeddings)
        elif self.params.variant == "logits":
            distances = 0.5 * (old.head(student) - old.logits).square().sum(dim=1)
        else:
            distances = tempered_divergence(old.head(student), old.logits, self.params.temperature)
        return {"distillation": self.params.weight * distances.mean()}

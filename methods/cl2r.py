"""Stationary representations held in place, image by image, by the old embedding."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Params, Task, tunable
from compatbench.model import View

from ._simplex import ContinuedSimplexMethod

SMALLEST_SHARE = 1 / 20
"""Of new classes, in the published configurations."""


class CL2R(ContinuedSimplexMethod):
    """Global and local stationarity, CL²R (Biondi et al., ACM TOMM 2023, arXiv 2211.09032).

        L = CE(Vᵀ f_n, y) + λ · sqrt(max(ν, 1/20)) · mean_{i ∈ I} (1 − cos(f_n,i, f_o,i))

    V as in `simplex` (global stationarity), f_n and f_o (B, K−1) the new and the old embedding of the same
    augmented image (local stationarity), λ = 5, ν the share of the classes that the old model was not trained on,
    as in the authors' code. Its smallest share is 1/20, the least that is taken here (ours), since ν is 0 where only
    the images grow. Variants, by what I is:

    - `old_classes` (the paper's): the images of classes that the old model was trained on. There these are
      the samples of an episodic memory; here all of the new training set's (ours), which is no lifelong
      learner's;
    - `all`: every image, also where the old embedding lies between vertices of other classes (ours).

    A batch without such an image adds 0. The first generation trains with CE alone. A later one starts from the
    weights of the one before, as in that code, where the architecture is the same, and from scratch where it is not,
    or with `from_old = false`.
    """

    name = "cl2r"

    class Params(Params):
        variant: Literal["old_classes", "all"] = "old_classes"
        weight: float = tunable(5.0, low=0.1, high=30, log=True, ge=0)
        from_old: bool = True

    distilled: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        classes = set(task.old_classes if params.variant == "old_classes" else task.classes)
        self.register_buffer("distilled", torch.tensor([one in classes for one in task.classes]))
        self.new_share = len(set(task.classes) - set(task.old_classes)) / len(task.classes)

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        if old is None:
            return {}
        distances = 1 - F.cosine_similarity(new.embeddings, old.embeddings)
        chosen = self.distilled[batch.labels]
        mean = (distances * chosen).sum() / chosen.sum().clamp(min=1)
        return {"distillation": self.params.weight * max(self.new_share, SMALLEST_SHARE) ** 0.5 * mean}

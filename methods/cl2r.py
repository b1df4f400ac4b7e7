"""Stationary representations held in place, image by image, by the old embedding."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task
from compatbench.model import View

from ._simplex import SimplexMethod


class CL2R(SimplexMethod):
    """Global and local stationarity, CL²R (Biondi et al., ACM TOMM 2023, arXiv 2211.09032).

        L = CE(Vᵀ f_n, y) + λ · mean_{i ∈ I} (1 − cos(f_n,i, f_o,i))

    V as in `simplex` (global stationarity), f_n and f_o (B, K−1) the new and the old embedding of the same
    augmented image (local stationarity), λ = 5 as published. Variants, by what I is:

    - `old_classes` (the paper's): the images of classes that the old model was trained on. There these are
      the samples of an episodic memory; here all of the new training set's (ours), which is no lifelong
      learner's;
    - `all`: every image, also where the old embedding lies between vertices of other classes (ours).

    A batch without such an image adds 0. The first generation trains with CE alone.
    """

    name = "cl2r"
    needs = frozenset({Need.OWN_FIRST_GENERATION, Need.OLD_ENCODER})

    class Params(Params):
        variant: Literal["old_classes", "all"] = "old_classes"
        weight: float = Field(5.0, ge=0)

    distilled: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        classes = set(task.old_classes if params.variant == "old_classes" else task.classes)
        self.register_buffer("distilled", torch.tensor([one in classes for one in task.classes]))

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        if old is None:
            return {}
        distances = 1 - F.cosine_similarity(new.embeddings, old.embeddings)
        chosen = self.distilled[batch.labels]
        mean = (distances * chosen).sum() / chosen.sum().clamp(min=1)
        return {"distillation": self.params.weight * mean}

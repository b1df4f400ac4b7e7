"""Backward-compatible training: the old classifier judges the new embeddings too."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._dimensions import refuse_smaller
from ._old_rows import old_and_synthesised


class BCT(TrainingMethod):
    """Backward-compatible training, BCT (Shen et al., CVPR 2020, arXiv 2003.11942).

        L = CE(W_n f, y) + λ · CE(W f[:, :D_o], y)

    f (B, D_n) the new embedding, W_n (C_n, D_n) the new classifier, W the frozen class rows of the influence
    loss, λ = 1 as published. W is scored as the old head scores its own rows (inner product or scaled cosine,
    no margin). Variants, by what W is:

    - `synthesised` (the paper's): the old rows W_o (C_o, D_o), and for each class that the old classifier
      lacks μ_c, its mean old embedding;
    - `old_classes`: W_o alone, and only samples whose class it knows;
    - `prototypes`: μ_c (C_n, D_o) for every class.

    μ_c keeps its own norm, as in the paper; `rescale` gives synthesised rows the mean norm of W_o (ours),
    since beside softmax rows an un-normalised mean acts as an inverse temperature.
    """

    name = "bct"
    needs = frozenset({Need.OLD_CLASSIFIER, Need.OLD_FEATURES})

    class Params(Params):
        variant: Literal["synthesised", "old_classes", "prototypes"] = "synthesised"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        rescale: bool = False

    rows: Tensor
    row_of_class: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        if params.variant == "prototypes":
            self.needs = frozenset({Need.OLD_FEATURES})
        elif params.variant == "old_classes" or set(task.classes) <= set(task.old_classes):
            self.needs = frozenset({Need.OLD_CLASSIFIER})

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        if self.params.variant == "prototypes":
            rows, row_of_class = old.class_means(), torch.arange(self.task.num_classes)
        elif self.params.variant == "old_classes":
            rows, row_of_class = old.weight, old.rows
        else:
            rows, row_of_class = old_and_synthesised(old, rescale=self.params.rescale)
        self.register_buffer("rows", rows.clone())
        self.register_buffer("row_of_class", row_of_class.clone())

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        logits = old.score(self.compatible(new.embeddings), self.rows)
        targets = self.row_of_class[batch.labels]
        known = (targets >= 0).sum().clamp(min=1)
        total = F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
        return {"influence": self.params.weight * total / known}

"""Focal distillation of features: the new embedding stays near the old one, most of all where it is right already."""

from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller


class FocalDistillation(TrainingMethod):
    """Focal distillation of features (after Yan et al., CVPR 2021, arXiv 2011.09161, as OpenCompatible trains it).

        L = CE(W_n f_n, y) + λ · mean_i (α + β · [argmax z_n,i = y_i]) · 1/D_o Σ_d (f_n,id − f_o,id)²

    f_n (B, D_o) the first D_o dimensions of the new embedding and f_o (B, D_o) the old one, neither normalised, z_n
    (B, C) the new model's logits without a margin. λ = 1, α = 1, β = 5 as in that code, by which retrieval papers
    compare. The source distils logits, weighed by where the *old* model is right: see `focal_logits`. The mean over
    the dimensions makes the term small where D_o is large.
    """

    name = "focal_distillation"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        alpha: float = Field(1.0, ge=0)
        beta: float = tunable(5.0, low=0, high=20, ge=0)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        distances = (self.compatible(new.embeddings) - old.embeddings).square().mean(dim=1)
        focus = self.params.alpha + self.params.beta * (new.logits.argmax(dim=1) == batch.labels)
        return {"focal_distillation": self.params.weight * (focus * distances).mean()}

"""Contrastive compatibility: a new embedding finds its own old embedding among those of the batch."""

from typing import Any, Literal

from pydantic import model_validator
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._hard_negatives import contrast, hardest_negatives
from ._similarity import cosines

TEMPERATURES = {"hardest": 0.01, "supervised": 0.05, "label_free": 0.07}


class Contrastive(TrainingMethod):
    """Backward-compatible contrastive loss, new against old (Zhang et al., ICLR 2022, arXiv 2201.09724).

    L = CE(W_n f_n, y) + λ · mean_i l_i, with s_ij = f̂_n,i · f̂_o,j (B, B), f̂_n (B, D_o) the first D_o
    dimensions of the new embedding and f̂_o (B, D_o) the old one, both of unit length:

        hardest:     l_i = −log e^{s_ii/τ} / (e^{s_ii/τ} + Σ_{top-k j: y_j ≠ y_i} e^{s_ij/τ})
        supervised:  l_i = −mean_{p: y_p = y_i} log e^{s_ip/τ} / Σ_j e^{s_ij/τ}
        label_free:  l_i = −log e^{s_ii/τ} / Σ_j e^{s_ij/τ}

    `hardest` is the plain new-to-old term of the paper's code with its λ = 1, τ = 0.01 and k = 10, published
    with about 2,000 negatives; at small batches τ from 0.05 to 0.07 suits better (ours). `supervised` is
    SupCon (Khosla et al., NeurIPS 2020, arXiv 2004.11362, eq. 2) across the two models, τ = 0.05.
    `label_free` needs no labels, τ = 0.07 (ours). Negatives come from the batch; a batch of one class has
    none and gives 0 under `hardest`. Each variant brings its own τ unless one is given.
    """

    name = "contrastive"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        variant: Literal["hardest", "supervised", "label_free"] = "hardest"
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(TEMPERATURES["hardest"], low=0.01, high=1, log=True, gt=0)
        top_k: int = Field(10, ge=1)

        @model_validator(mode="before")
        @classmethod
        def _temperature_of_variant(cls, values: dict[str, Any]) -> dict[str, Any]:
            variant = values.get("variant", "hardest")
            return {"temperature": TEMPERATURES.get(variant, 0.05), **values}

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        similarity = cosines(self.compatible(new.embeddings), old.embeddings) / self.params.temperature
        same_class = batch.labels[:, None] == batch.labels[None, :]
        if self.params.variant == "hardest":
            losses = contrast(similarity.diagonal(), hardest_negatives(similarity, same_class, self.params.top_k))
        elif self.params.variant == "supervised":
            losses = -(similarity.log_softmax(dim=1) * same_class).sum(dim=1) / same_class.sum(dim=1)
        else:
            losses = -similarity.log_softmax(dim=1).diagonal()
        return {"contrastive": self.params.weight * losses.mean()}

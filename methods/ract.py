"""Regression-alleviating compatible training: the old embedding of an image beats new negatives too."""

from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._hard_negatives import contrast, hardest_negatives
from ._similarity import cosines


class RACT(TrainingMethod):
    """Regression-alleviating compatible training (Zhang et al., ICLR 2022, arXiv 2201.09724).

        L = CE(W_n f_n, y) + λ · mean_i l_i
        l_i = −log e^{s_ii/τ} / (e^{s_ii/τ} + Σ_{top-k j: y_j ≠ y_i} e^{s_ij/τ} + Σ_{top-k j: y_j ≠ y_i} e^{r_ij/τ})

    s_ij = f̂_n,i · f̂_o,j (B, B) new against old, over the first D_o dimensions of the new embedding;
    r_ij = f̂_n,i · f̂_n,j (B, B) new against new, over all D_n; all of unit length. λ = 1, τ = 0.01 and k = 10 of
    each kind, as published with about 2,000 negatives; they come from the batch. Without the last sum this is
    `contrastive`. It is there for the mixed gallery of a backfill: a new vector of another class must not
    outrank the old vector of the right one. Deviation: the gradient passes through both sides of r, as the
    formula has it (the paper's code stops it at the negatives that it gathers from other GPUs). The paper's
    refresh order (by the entropy of the class posterior) is an order of the backfill curve, not of training.
    """

    name = "ract"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(0.01, low=0.005, high=1, log=True, gt=0)
        top_k: int = Field(10, ge=1)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        to_old = cosines(self.compatible(new.embeddings), old.embeddings) / self.params.temperature
        to_new = cosines(new.embeddings, new.embeddings) / self.params.temperature
        same_class = batch.labels[:, None] == batch.labels[None, :]
        negatives = (hardest_negatives(logits, same_class, self.params.top_k) for logits in (to_old, to_new))
        return {"regression_alleviating": self.params.weight * contrast(to_old.diagonal(), *negatives).mean()}

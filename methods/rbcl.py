"""Ranking-based compatible learning: the old gallery, ranked by new queries, has relevant items first."""

from torch import Tensor

from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._similarity import cosines


class RBCL(TrainingMethod):
    """Ranking-based backward-compatible learning, after the abstract of arXiv 2207.05658 (smooth AP: 2007.12163).

        L = CE(W_n f, y) + λ · mean_i (1 − AP_i)
        AP_i = 1/|P(i)| Σ_{p ∈ P(i)} (1 + Σ_{j ∈ P(i), j ≠ p} σ((s_ij − s_ip)/τ)) / (1 + Σ_{j ≠ p} σ((s_ij − s_ip)/τ))

    s_ij = cos(f_n,i, f_o,j) (B, B) over the first D_o dimensions of the new embedding: queries are new, the gallery is
    the old batch. P(i) are the images of the class of i, its own old embedding among them. σ the logistic function,
    which counts softly what ranks before p; τ = 0.01 as in smooth AP. λ = 1 and the batch as the gallery are ours.
    """

    name = "rbcl"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(0.01, low=0.005, high=0.2, log=True, gt=0)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        similarity = cosines(self.compatible(new.embeddings), old.embeddings)
        relevant = batch.labels[:, None] == batch.labels[None, :]
        precision = smooth_average_precision(similarity, relevant, self.params.temperature)
        return {"ranking": self.params.weight * (1 - precision).mean()}


def smooth_average_precision(similarity: Tensor, relevant: Tensor, temperature: float) -> Tensor:
    """AP (Q,) of similarities (Q, N), given which items are relevant (Q, N), one at least."""
    query, item = relevant.nonzero(as_tuple=True)
    ahead = ((similarity[query] - similarity[query, item][:, None]) / temperature).sigmoid()
    ahead = ahead.scatter(1, item[:, None], 0.0)  # an item is not ahead of itself
    precision = (1 + (ahead * relevant[query]).sum(dim=1)) / (1 + ahead.sum(dim=1))
    return similarity.new_zeros(len(similarity)).index_add(0, query, precision) / relevant.sum(dim=1)

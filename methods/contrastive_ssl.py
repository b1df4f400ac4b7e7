"""Compatibility without labels: both generations are trained by contrast alone."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.heads import Head
from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._similarity import cosines


class ContrastiveSSL(TrainingMethod):
    """Label-free contrastive compatibility on SimCLR (Chen et al., ICML 2020, arXiv 2002.05709; ours).

        L = L_NT-Xent + λ · mean_i −log e^{s_ii/τ_o} / Σ_j e^{s_ij/τ_o}
        L_NT-Xent = mean_{a of 2B} −log e^{ẑ_a·ẑ_p(a)/τ} / Σ_{b ≠ a} e^{ẑ_a·ẑ_b/τ}

    ẑ (2B, D_n) the unit embeddings of two augmented views of each image, p(a) the other view of the image of a;
    s_ij = f̂_n,i · f̂_o,j (B, B), the first D_o dimensions of the new embedding of the first view against the
    old embedding of the same view, each image its own only positive. No label is used anywhere, so that this
    serves encoders that have no classifier. The first generation is trained by L_NT-Xent alone.

    τ = 0.2 (MoCo v2, arXiv 2003.04297), λ = 1 and τ_o = 0.07 (ours; as `contrastive` without labels).
    Deviation: no projection MLP between encoder and loss, since what is contrasted is what is stored. The
    classification head is there because every model has one: it is frozen and never read.
    """

    name = "contrastive_ssl"
    classification_term = "nt_xent"
    needs = frozenset({Need.TWO_VIEWS, Need.OWN_FIRST_GENERATION, Need.OLD_ENCODER})

    class Params(Params):
        weight: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(0.2, low=0.02, high=1, log=True, gt=0)
        old_temperature: float = tunable(0.07, low=0.01, high=1, log=True, gt=0)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def head(self, dim: int, num_classes: int) -> Head:
        return super().head(dim, num_classes).requires_grad_(False)

    def classification(self, batch: Batch, new: View, old: View | None) -> Tensor:
        views = torch.cat([new.embeddings, new.embed(batch.second_view)])
        itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
        logits = (cosines(views, views) / self.params.temperature).masked_fill(itself, -torch.inf)
        return F.cross_entropy(logits, torch.arange(len(views), device=views.device).roll(len(batch.images)))

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        if old is None:
            return {}
        logits = cosines(self.compatible(new.embeddings), old.embeddings) / self.params.old_temperature
        itself = torch.arange(len(logits), device=logits.device)
        return {"contrastive": self.params.weight * F.cross_entropy(logits, itself)}

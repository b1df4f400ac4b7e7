"""Darwinian model upgrades: the new model inherits what the old one knew well, and lifts the vectors of the rest."""

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, tunable
from compatbench.model import View

from ._influence import influence
from .bict import BiCT


class DMU(BiCT):
    """Darwinian model upgrades, DMU, after the abstract of Zhang et al. (AAAI 2023, arXiv 2210.06954).

        L = CE(W_n f_n, y) + λ_b · mean_i w_i b_i + λ_f · mean_i (2 − w_i) ‖ĥ(f̂_o,i) − f̂_n,i‖² + λ_c · mean_i c_i
        b_i = CE(W f_n,i[:, :D_o], y_i),   w_i = softmax(W f_o,i)_{y_i},   c_i = CE(W_n ‖f_n,i‖ ĥ(f̂_o,i), y_i)

    W, h and what the gradient of the third term reaches as in `bict`; g_o ← ĥ(f̂_o). w_i in [0, 1] says how well the old
    embedding is classified: only discriminative ones are inherited by the new model (selective compatibility), while
    those of poor quality count twice where the map is learned, whose output the new classifier must also tell apart
    (its gradient does not reach W_n). λ_b = λ_f = λ_c = 1. Selection by discriminativeness and the light map of the
    gallery are the abstract's; the formulas are ours.
    """

    name = "dmu"

    class Params(BiCT.Params):
        classification: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        targets = self.row_of_class[batch.labels]
        known = (-influence(old, old.embeddings, self.rows, targets)).exp()
        backward = influence(old, new.embeddings, self.rows, targets)
        mapped = self.gallery(old.embeddings)
        distances = (mapped - new.normalized.detach()).square().sum(dim=1)
        lifted = new.embeddings.detach().norm(dim=1, keepdim=True) * mapped
        logits = new.score(lifted, new.head.weight.detach())
        return {
            "backward": self.params.backward * (known * backward).mean(),
            "forward": self.params.forward * ((2 - known) * distances).mean(),
            "classified": self.params.classification * F.cross_entropy(logits, batch.labels),
        }

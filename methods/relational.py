"""A control: keeping the relations of the old space is not keeping its coordinates."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Expectation, Need, Params, Role, TrainingMethod, tunable
from compatbench.model import View


class Relational(TrainingMethod):
    """Relational distillation, RKD-D (control; Park et al., CVPR 2019, arXiv 1904.05068).

        L = CE(W_n f_n, y) + λ · mean_ij huber(ψ_n,ij − ψ_o,ij),  ψ_ij = ‖f_i − f_j‖ / μ

    f (B, D) the embeddings of the batch, not normalised, i and j over the whole batch, μ the mean distance of the same
    model's pairs i ≠ j (mean in place of the paper's sum, as in its code), huber(d) = ½ d² for |d| ≤ 1, else
    |d| − ½. λ = 25, the paper's weight for classification. The two dimensions may differ. The term is blind to
    rotations of the new space, so the cross-test must stay at chance however alike the two spaces become: a
    compatibility method has to fix coordinates.
    """

    name = "relational"
    role = Role.CONTROL
    needs = frozenset({Need.OLD_ENCODER})
    expects = frozenset({Expectation.CROSS_AT_CHANCE})

    class Params(Params):
        weight: float = tunable(25.0, low=1, high=200, log=True, ge=0)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        difference = F.smooth_l1_loss(relations(new.embeddings), relations(old.embeddings))
        return {"relations": self.params.weight * difference}


def relations(embeddings: Tensor) -> Tensor:
    """ψ (B, B) of embeddings (B, D)."""
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    pairs = len(distances) * (len(distances) - 1)
    return distances / (distances.sum() / max(pairs, 1)).clamp(min=1e-12)

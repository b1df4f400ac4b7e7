"""Feature regression: the new embedding of an image stays where the old one was."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller


class L2(TrainingMethod):
    """Feature regression beside classification (the ℓ2 baseline of Shen et al., CVPR 2020, arXiv 2003.11942).

        norm:       L = CE(W_n f_n, y) + λ · mean_i ‖f̂_n,i − f̂_o,i‖
        squared:    L = CE(W_n f_n, y) + λ · mean_i ‖f̂_n,i − f̂_o,i‖²
        dead_zone:  L = CE(W_n f_n, y) + λ · mean_i relu(‖f̂_n,i − f̂_o,i‖ − th)

    f̂_o (B, D_o) the old embedding and f̂_n (B, D_o) the first D_o dimensions of the new one, both of unit
    length. The norm sums over D: averaged over D, as in one public implementation, the term is inert.
    The source prints λ = 10 for the plain norm beside ArcFace with s = 64, whose loss starts near 25, "to match
    the scale of the classification loss". Relative to it λ is 10/25 = 0.4, the default beside a softmax loss near 1
    (ours): with 10 the new model copies the old one. th = 0.2 as in the public code of the dead zone (its λ is 10
    too, beside ArcFace). `squared` equals 2λ·(1 − cos).
    """

    name = "l2"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        variant: Literal["norm", "squared", "dead_zone"] = "norm"
        weight: float = tunable(0.4, low=0.1, high=10, log=True, ge=0)
        threshold: float = tunable(0.2, low=0.05, high=0.8, variants=("dead_zone",), ge=0, le=2)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        difference = F.normalize(self.compatible(new.embeddings)) - old.normalized
        if self.params.variant == "squared":
            distances = difference.square().sum(dim=1)
        else:
            inert = self.params.threshold if self.params.variant == "dead_zone" else 0.0
            distances = F.relu(difference.norm(dim=1) - inert)
        return {"regression": self.params.weight * distances.mean()}

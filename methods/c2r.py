"""Two transfer nets, old to new and new to old, that are trained beside the new model and undo one another."""

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from .mlp import ResidualMLP


class C2R(TrainingMethod):
    """Bidirectional transfer nets, after one line about C2R (CVPR 2024): "transfer nets old ↔ new".

        L = CE(W_n f_n, y) + λ_f · mean_i ‖ψ̂(f̂_o,i) − f̂_n,i‖² + λ_b · mean_i ‖ω̂(f̂_n,i) − f̂_o,i‖²
            + λ_c · mean_i ‖ω̂(ψ̂(f̂_o,i)) − f̂_o,i‖²,   g_o ← ψ̂(f̂_o)

    ψ (D_o → D_n) and ω (D_n → D_o) residual perceptrons as in `mlp`, ψ̂ and ω̂ their outputs of unit length. The first
    term teaches ψ alone; through the second the new embedding keeps what the old one can be read from, in any
    coordinates; the third makes the nets inverse to one another, so that mapped vectors lose nothing. Neither paper
    nor code could be read: formulas and constants (λ = 1, 256 hidden units) are ours.
    """

    name = "c2r"
    needs = frozenset({Need.OLD_ENCODER, Need.GALLERY_REWRITE})

    class Params(Params):
        forward: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        backward: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        cycle: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        hidden: int = Field(256, ge=1)

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        old_dim = task.old_dim or task.dim
        self.forward_map = ResidualMLP(old_dim, task.dim, params.hidden)
        self.backward_map = ResidualMLP(task.dim, old_dim, params.hidden)

    def gallery(self, embeddings: Tensor) -> Tensor:
        return F.normalize(self.forward_map(F.normalize(embeddings)))

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        lifted = self.gallery(old.embeddings)
        pairs = {
            "forward": (lifted, new.normalized.detach()),
            "backward": (F.normalize(self.backward_map(new.normalized)), old.normalized),
            "cycle": (F.normalize(self.backward_map(lifted)), old.normalized),
        }
        return {
            name: getattr(self.params, name) * (one - other).square().sum(dim=1).mean()
            for name, (one, other) in pairs.items()
        }

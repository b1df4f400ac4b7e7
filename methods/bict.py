"""Bidirectional compatible training: the new model comes to the old one, and stored vectors come to the new one."""

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View

from ._influence import influence
from ._old_rows import old_and_synthesised
from .mlp import ResidualMLP


class BiCT(TrainingMethod):
    """Bidirectional compatible training, BiCT, after the abstract of Su et al. (2022, arXiv 2204.13919).

        L = CE(W_n f_n, y) + λ_b · CE(W f_n[:, :D_o], y) + λ_f · mean_i ‖ĥ(f̂_o,i) − f̂_n,i‖²,   g_o ← ĥ(f̂_o)

    The second term is the influence loss of `bct` with synthesised rows W; h (D_o → D_n) the residual perceptron of
    `mlp` with 256 hidden units, ĥ its output of unit length. Every stored vector f_o is mapped by h once; queries
    are f_n. The gradient of the third term reaches h alone, so that the new model is no worse for it. λ_b = λ_f = 1.
    Training both directions together is the abstract's; network and constants are ours.
    """

    name = "bict"
    needs = frozenset({Need.OLD_ENCODER, Need.OLD_CLASSIFIER, Need.OLD_FEATURES, Need.GALLERY_REWRITE})

    class Params(Params):
        backward: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        forward: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        hidden: int = Field(256, ge=1)

    rows: Tensor
    row_of_class: Tensor

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        if set(task.classes) <= set(task.old_classes):
            self.needs = frozenset({Need.OLD_ENCODER, Need.OLD_CLASSIFIER, Need.GALLERY_REWRITE})
        self.forward_map = ResidualMLP(task.old_dim or task.dim, task.dim, params.hidden)

    def setup(self, new: NewModel, old: OldModel) -> None:
        rows, row_of_class = old_and_synthesised(old, rescale=False)
        self.register_buffer("rows", rows)
        self.register_buffer("row_of_class", row_of_class)

    def gallery(self, embeddings: Tensor) -> Tensor:
        return F.normalize(self.forward_map(F.normalize(embeddings)))

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        backward = influence(old, new.embeddings, self.rows, self.row_of_class[batch.labels])
        distances = (self.gallery(old.embeddings) - new.normalized.detach()).square().sum(dim=1)
        return {
            "backward": self.params.backward * backward.mean(),
            "forward": self.params.forward * distances.mean(),
        }

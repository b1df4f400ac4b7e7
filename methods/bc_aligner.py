"""A backward map that is learned together with the new model, and maps that compose."""

import torch
from torch import Tensor, nn

from compatbench.method import Batch, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import NewModel, OldModel, View


class BCAligner(TrainingMethod):
    """BC-Aligner, joint backward transformation (Hu et al., KDD 2022, arXiv 2206.03040).

        L = CE(W_n f_k, y) + λ · Σ_{j<k} mean_{i,d} (r_j)²,   r_{k−1} = B_k f_k − f_{k−1},   r_{j−1} = B_j r_j

    f_k (B, D_k) the embedding of generation k (0 is the first), B_k (D_{k−1}, D_k) its learned backward map, without
    bias, all earlier maps frozen. Queries for the gallery of generation j pass B_{j+1} ∘ … ∘ B_k; the gallery stays
    as it is. λ = 16 and the mean over the dimensions are those of the authors' code, on embeddings that are not
    normalised. The sum over j is their multi-step alignment loss: what B_k leaves over is weighed in every earlier
    space, as the composition will see it. With two generations it is the single-step loss ‖B_1 f_1 − f_0‖².

    Deviations: item recommendation is replaced by classification; B_k follows the suite's optimiser.
    """

    name = "bc_aligner"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        weight: float = tunable(16.0, low=0.1, high=100, log=True, ge=0)

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        self.backward_map = nn.Linear(task.dim, task.old_dim or task.dim, bias=False)

    def setup(self, new: NewModel, old: OldModel) -> None:
        with torch.no_grad():
            self.earlier_maps = old.to_earlier(torch.eye(old.dim, device=old.rows.device))

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        residual = self.compatible(new.embeddings) - old.embeddings
        residuals = [residual, *(residual @ earlier for earlier in self.earlier_maps)]
        errors = [each.square().mean() for each in residuals]
        return {"alignment": self.params.weight * torch.stack(errors).sum()}

    def compatible(self, embeddings: Tensor) -> Tensor:
        return self.backward_map(embeddings)

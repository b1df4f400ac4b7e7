"""A learned orthogonal map: it turns a space without losing anything of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal


class Rotation(nn.Module):
    """x ↦ Q x for x (B, D), Q (D, D) orthogonal at every step of training, in float32 also under mixed precision.

    Q = Q₀ (I + A/2)⁻¹ (I − A/2), A the skew part of what is learned and Q₀ a random start: the Cayley map, which
    is exact and several times cheaper than torch's default, the matrix exponential.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = orthogonal(nn.Linear(dim, dim, bias=False), orthogonal_map="cayley")

    @property
    def weight(self) -> Tensor:
        """Q (D, D), float32."""
        with torch.autocast(self.linear.parametrizations.weight.original.device.type, enabled=False):
            return self.linear.weight

    def forward(self, vectors: Tensor) -> Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            return F.linear(vectors.float(), self.weight)

    def inverse(self, vectors: Tensor) -> Tensor:
        """Qᵀ x."""
        with torch.autocast(vectors.device.type, enabled=False):
            return vectors.float() @ self.weight

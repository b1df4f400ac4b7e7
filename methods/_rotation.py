"""A learned orthogonal map: it turns a space without losing anything of it."""

from torch import nn
from torch.nn.utils.parametrizations import orthogonal


def rotation(dim: int) -> nn.Linear:
    """x ↦ Q x for x (B, D), whose `weight` Q (D, D) is orthogonal at every step of training: Qᵀ y is `y @ Q`.

    Q = Q₀ (I + A/2)⁻¹ (I − A/2), A the skew part of what is learned and Q₀ a random start: the Cayley map, which
    is exact and several times cheaper than torch's default, the matrix exponential.
    """
    return orthogonal(nn.Linear(dim, dim, bias=False), orthogonal_map="cayley")

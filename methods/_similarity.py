"""Every vector of one batch against every vector of another, in float32 also under mixed precision.

Contrastive temperatures go down to 0.01: there the rounding of bfloat16 (2⁻⁹ near 1) shifts a logit by 0.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def inner_products(a: Tensor, b: Tensor) -> Tensor:
    """Inner products (A, B) of vectors a (A, D) and b (B, D)."""
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float().T


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarities (A, B) of embeddings a (A, D) and b (B, D)."""
    return inner_products(F.normalize(a.float()), F.normalize(b.float()))


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (A, B), in [0, 2], of embeddings a (A, D) and b (B, D) scaled to unit length.

    Exact near 0, where sqrt(2 − 2 cos) is not; the gradient at 0 is 0.
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = F.normalize(a.float()), F.normalize(b.float())
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")

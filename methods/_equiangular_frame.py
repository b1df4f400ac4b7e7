"""The equiangular tight frame: K unit vectors as far apart as K vectors can be."""

import torch
from torch import Tensor


def equiangular_frame(dim: int, classes: int, seed: int) -> Tensor:
    """K unit vectors (K, D) with pairwise cosine −1/(K−1), K = `classes`, D = `dim` ≥ K − 1, float32.

    sqrt(K/(K−1)) · U Rᵀ with U (K, K−1) an orthonormal basis of the vectors orthogonal to 1, and R (D, K−1)
    the orthogonal factor of a Gaussian matrix drawn from `seed`. The signs of both factors are fixed, since
    linear algebra libraries choose them differently.
    """
    centring = torch.eye(classes, dtype=torch.float64) - 1 / classes
    basis, basis_triangle = torch.linalg.qr(centring[:, :-1])
    generator = torch.Generator().manual_seed(seed)
    factor, triangle = torch.linalg.qr(torch.randn(dim, classes - 1, dtype=torch.float64, generator=generator))
    basis, factor = basis * basis_triangle.diagonal().sign(), factor * triangle.diagonal().sign()
    return ((classes / (classes - 1)) ** 0.5 * basis @ factor.T).float()

"""Linear and affine maps from closed forms, computed in float64 on the CPU."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


def set_linear(layer: nn.Linear, matrix: Tensor, offset: Tensor | None = None) -> None:
    """Make `layer` the map x ↦ x X + b for rows x, X (D_in, D_out) and b (D_out,); a layer without bias takes none."""
    with torch.no_grad():
        layer.weight.copy_(matrix.T)
        if layer.bias is not None and offset is not None:
            layer.bias.copy_(offset)


def in_double(*sides: Tensor) -> tuple[Tensor, ...]:
    """Each matrix on the CPU in float64."""
    return tuple(side.detach().cpu().double() for side in sides)


def procrustes(new: Tensor, old: Tensor) -> Tensor:
    """R = U Vᵀ (D_n, D_o) from the thin SVD U S Vᵀ of AᵀB, A (n, D_n) and B (n, D_o); float64.

    min ‖A R − B‖ over RᵀR = I where D_n = D_o. With D_n > D_o it is the first D_o columns of the orthogonal R for B
    zero-padded to D_n dimensions, and with D_n < D_o the first D_n rows of the one for A padded to D_o.
    """
    a, b = in_double(new, old)
    left, _, right = torch.linalg.svd(a.T @ b, full_matrices=False)
    return left @ right


class Ridge(NamedTuple):
    """A ridge regression; float64."""

    matrix: Tensor
    """X (D_n, D_o)."""
    mean_new: Tensor
    mean_old: Tensor
    explained: Tensor
    """XᵀA_cᵀB_c (D_o, D_o): the Gram matrix of the fitted values [A_c; √(nε) I] X."""


def ridge(new: Tensor, old: Tensor, epsilon: float) -> Ridge:
    """X = (A_cᵀA_c + nεI)⁻¹ A_cᵀB_c for A (n, D_n) and B (n, D_o) less their means."""
    a, b = in_double(new, old)
    mean_a, mean_b = a.mean(0), b.mean(0)
    a = a - mean_a
    cross = a.T @ (b - mean_b)
    matrix = torch.linalg.solve(a.T @ a + len(a) * epsilon * torch.eye(a.shape[1], dtype=a.dtype), cross)
    return Ridge(matrix, mean_a, mean_b, matrix.T @ cross)

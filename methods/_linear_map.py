"""Linear and affine maps from closed forms, computed in float64 on the CPU."""

import torch
from torch import Tensor, nn


def set_linear(layer: nn.Linear, matrix: Tensor, offset: Tensor | None = None) -> None:
    """Make `layer` the map x ↦ x X + b for rows x, X (D_in, D_out) and b (D_out,), zero where it is not given."""
    with torch.no_grad():
        layer.weight.copy_(matrix.T)
        if layer.bias is not None:
            layer.bias.copy_(offset if offset is not None else torch.zeros(len(layer.bias)))


def in_double(*sides: Tensor) -> tuple[Tensor, ...]:
    """Each matrix on the CPU in float64, where closed forms are exact enough on every device."""
    return tuple(side.detach().cpu().double() for side in sides)


def ridge(new: Tensor, old: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """X = (AᵀA + nεI)⁻¹ AᵀB (D_n, D_o) for the centred A (n, D_n) and B (n, D_o), and the two means (1, D)."""
    a, b = in_double(new, old)
    mean_a, mean_b = a.mean(0, keepdim=True), b.mean(0, keepdim=True)
    a, b = a - mean_a, b - mean_b
    gram = a.T @ a + len(a) * epsilon * torch.eye(a.shape[1], dtype=torch.float64)
    return torch.linalg.solve(gram, a.T @ b), mean_a, mean_b


def procrustes(new: Tensor, old: Tensor) -> Tensor:
    """R = U Vᵀ (D_n, D_o) from the thin SVD U S Vᵀ of AᵀB, A (n, D_n) and B (n, D_o).

    min ‖A R − B‖ over RᵀR = I where D_n = D_o. With D_n > D_o it is the first D_o columns of the orthogonal R for B
    zero-padded to D_n dimensions, and with D_n < D_o the first D_n rows of the one for A padded to D_o.
    """
    a, b = in_double(new, old)
    left, _, right = torch.linalg.svd(a.T @ b, full_matrices=False)
    return left @ right

"""Several rotations in place of one: each region of the new space has its own way back."""

from typing import Literal

import torch
from torch import Tensor, nn

from compatbench.method import Adapter, Maps, Need, Params, tunable

from ._k_means import k_means
from ._linear_map import in_double, procrustes


class Mixture(nn.Module):
    """x ↦ Σ_k w_k(x) (X_kᵀ x + b_k), w(x) = softmax_k(−β ‖x − c_k‖²)."""

    centres: Tensor
    matrices: Tensor
    offsets: Tensor

    def __init__(self, dim: int, old_dim: int, cells: int, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.register_buffer("centres", torch.zeros(cells, dim))
        self.register_buffer("matrices", torch.zeros(cells, dim, old_dim))
        self.register_buffer("offsets", torch.zeros(cells, old_dim))

    def weights(self, vectors: Tensor) -> Tensor:
        """w (B, K)."""
        squares = (vectors[:, None, :] - self.centres[None]).square().sum(dim=2)
        return (-self.sharpness * squares).softmax(dim=1)

    def forward(self, vectors: Tensor) -> Tensor:
        mapped = torch.einsum("bd,kde->bke", vectors, self.matrices) + self.offsets
        return (self.weights(vectors)[:, :, None] * mapped).sum(dim=1)


class LocalProcrustes(Adapter):
    """Soft mixture of local maps (ours; Procrustes: Schönemann 1966).

        q = Σ_k w_k(f_n) (X_kᵀ f_n + b_k),   w(f_n) = softmax_k(−β ‖f_n − c_k‖²)
        orthogonal:  X_k = U Vᵀ,  U S Vᵀ = svd(C_k),  C_k = Aᵀ diag(w̄_k) B + γ/n AᵀB,  b_k = 0
        affine:      (X_k, b_k) = argmin Σ_i (w̄_ik + γ/n) ‖X_kᵀ a_i + b_k − b_i‖² + (1 + γ) ε ‖X_k‖²

    A (n, D_n) and B (n, D_o) are the paired unit embeddings with rows a_i and b_i, c_k the K = 8 centres of k-means on
    A, w̄_k = w_k(A) divided by its sum over the pairs. γ = 0.5 draws each map towards the one of all pairs, so that a
    cell with few of them does not make up a rotation; β = 4, ε = 1e-4. With K = 1 or β = 0 every map is that of
    `procrustes`, or of `ridge` (with ε there). All constants are ours.
    """

    name = "local_procrustes"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        variant: Literal["orthogonal", "affine"] = "orthogonal"
        cells: int = tunable(8, low=1, high=32, log=True, ge=1)
        sharpness: float = tunable(4.0, low=0.5, high=50, log=True, ge=0)
        shrinkage: float = tunable(0.5, low=0.01, high=10, log=True, ge=0)
        epsilon: float = tunable(1e-4, low=1e-6, high=1e-1, log=True, variants=("affine",), gt=0)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=Mixture(dim, old_dim, self.params.cells, self.params.sharpness))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        found = k_means(new, min(self.params.cells, len(new)))
        maps.query.centres[: len(found)] = found
        maps.query.centres[len(found) :] = found[-1]
        a, b, weights = in_double(new, old, maps.query.weights(new))
        for cell, weight in enumerate((weights / weights.sum(dim=0)).T):
            shares = weight + self.params.shrinkage / len(a)
            if self.params.variant == "orthogonal":
                maps.query.matrices[cell] = procrustes(a * shares[:, None], b).to(new)
                continue
            matrix, offset = weighted_ridge(a, b, shares, self.params.epsilon)
            maps.query.matrices[cell], maps.query.offsets[cell] = matrix.to(new), offset.to(new)
        return maps


def weighted_ridge(a: Tensor, b: Tensor, shares: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """X (D_n, D_o) and offset (D_o,) of the ridge regression from a (n, D_n) to b (n, D_o), each pair by its share."""
    mean_a, mean_b = ((shares[:, None] * side).sum(dim=0) / shares.sum() for side in (a, b))
    centred = a - mean_a
    gram = centred.T @ (shares[:, None] * centred) + shares.sum() * epsilon * torch.eye(a.shape[1], dtype=a.dtype)
    matrix = torch.linalg.solve(gram, centred.T @ (shares[:, None] * (b - mean_b)))
    return matrix, mean_b - mean_a @ matrix

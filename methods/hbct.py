"""Hyperbolic compatibility: the new embedding lies in the cone of what the old one can become."""

import torch
from torch import Tensor

from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, tunable
from compatbench.model import View

from ._dimensions import refuse_smaller
from ._hard_negatives import contrast


class HBCT(TrainingMethod):
    """Hyperbolic backward-compatible training, HBCT, after the abstract of Bui et al. (ICML 2025, arXiv 2506.05826).

        L = CE(W_n f, y) + λ_c · mean_i w_i l_i + λ_e · mean_i relu(ext(o_i, n_i) − aper(o_i))
        l_i = −log e^{−d_ii/τ} / (e^{−d_ii/τ} + Σ_{j: y_j ≠ y_i} e^{−d_ij/τ}),   d_ij = arcosh(−⟨n_i, o_j⟩)
        exp(v) = (cosh ‖v‖, sinh ‖v‖ · v/‖v‖),   ⟨x, y⟩ = Σ_d x_d y_d − x_t y_t
        aper(x) = arcsin(2κ/‖x_s‖),   ext(x, y) = arccos((y_t + x_t ⟨x, y⟩) / (‖x_s‖ sqrt(⟨x, y⟩² − 1)))

    n = exp(v_n) and o = exp(v_o) on the hyperboloid, x_t their time and x_s (D_o,) their space coordinates; v the first
    D_o dimensions of the new and the old embedding, divided by the mean length of the batch's old ones and cut to
    length R. An entailment cone opens at each old embedding, away from the origin, wider the nearer to it (Desai et
    al., 2023, arXiv 2304.09172, κ = 0.1). w_i = ‖v_o,i‖ / R: near the origin is where the model is not sure.

    Lifting, cones and weights by the uncertainty of old embeddings are the abstract's; formulas and constants, λ_c =
    λ_e = 1, τ = 0.1, R = 2, are ours. Deviation: the index is searched by cosine, which sees the directions of v alone.
    """

    name = "hbct"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        contrast: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        entailment: float = tunable(1.0, low=0.1, high=30, log=True, ge=0)
        temperature: float = tunable(0.1, low=0.02, high=1, log=True, gt=0)
        radius: float = Field(2.0, gt=0, le=10)
        aperture: float = Field(0.1, gt=0)

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def loss(self, batch: Batch, new: View, old: View) -> dict[str, Tensor]:
        scale = old.embeddings.norm(dim=1).mean().clamp(min=1e-12)
        of_new, of_old = (
            cut(side.float() / scale, self.params.radius) for side in (self.compatible(new.embeddings), old.embeddings)
        )
        n, o = lift(of_new), lift(of_old)
        distance = torch.acosh((-lorentz(n, o)).clamp(min=1 + 1e-6))
        same_class = batch.labels[:, None] == batch.labels[None, :]
        logits = -distance / self.params.temperature
        sure = of_old.norm(dim=1) / self.params.radius
        losses = sure * contrast(logits.diagonal(), logits.masked_fill(same_class, -torch.inf))
        outside = torch.relu(exterior_angle(o, n) - half_aperture(o, self.params.aperture))
        return {
            "contrast": self.params.contrast * losses.mean(),
            "entailment": self.params.entailment * outside.mean(),
        }


def cut(vectors: Tensor, radius: float) -> Tensor:
    """Vectors (B, D), those longer than `radius` cut to it."""
    return vectors * (radius / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)


def lift(vectors: Tensor) -> Tensor:
    """exp(v) (B, 1 + D) of v (B, D), time first."""
    length = vectors.norm(dim=1, keepdim=True)
    return torch.cat([length.cosh(), length.sinh() / length.clamp(min=1e-12) * vectors], dim=1)


def lorentz(x: Tensor, y: Tensor) -> Tensor:
    """⟨x, y⟩ (A, B) of points x (A, 1 + D) and y (B, 1 + D)."""
    return x[:, 1:] @ y[:, 1:].T - x[:, :1] @ y[:, :1].T


def half_aperture(x: Tensor, kappa: float) -> Tensor:
    """aper (B,) of points x (B, 1 + D)."""
    return (2 * kappa / x[:, 1:].norm(dim=1).clamp(min=1e-6)).clamp(max=1 - 1e-6).asin()


def exterior_angle(x: Tensor, y: Tensor) -> Tensor:
    """ext (B,) between the ray through x (B, 1 + D) from the origin, and the way from x to y (B, 1 + D)."""
    inner = (x[:, 1:] * y[:, 1:]).sum(dim=1) - x[:, 0] * y[:, 0]
    length = x[:, 1:].norm(dim=1).clamp(min=1e-6) * (inner.square() - 1).clamp(min=1e-6).sqrt()
    return ((y[:, 0] + x[:, 0] * inner) / length).clamp(-1 + 1e-6, 1 - 1e-6).acos()

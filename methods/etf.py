"""Stationary head: both generations classify against the same simplex, fixed before any model is trained."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.heads import Head
from compatbench.method import Field, Need, Params, Task, TrainingMethod, tunable

from ._equiangular_frame import equiangular_frame


class ETF(TrainingMethod):
    """Fixed equiangular tight frame as head (Yang et al., NeurIPS 2022, 2203.09081; ICLR 2023, 2302.03004).

        M = sqrt(K/(K−1)) · P (I_K − 11ᵀ/K)            (D, K), unit columns, pairwise cosine −1/(K−1)
        ce:              L = CE(s · Mᵀ f̂, y)
        dot_regression:  L = λ · mean_i ½ (f̂_i · m_{y_i} − 1)²

    f̂ (B, D) the normalised embedding, m_k column k of M, K all classes that may ever come (the softmax
    runs over all K, so that the vertices of unseen classes stay free), P (D, K) with orthonormal columns from
    a seeded random matrix: `seed` is the contract between generations. λ = 10 with unit norms as published
    (dot_regression only), s = 16 (ours, the scale of the suite's cosine head). Deviations: P (I_K − 11ᵀ/K)
    is built as R Uᵀ, U (K, K−1) orthonormal and orthogonal to 1 and R (D, K−1) random orthonormal: the same
    frame for D ≥ K, and one for D = K − 1 too. The projection MLP of ICLR 2023 is left out.
    """

    name = "etf"
    needs = frozenset({Need.OWN_FIRST_GENERATION})

    class Params(Params):
        variant: Literal["ce", "dot_regression"] = "dot_regression"
        weight: float = tunable(10.0, low=1, high=100, log=True, gt=0)
        scale: float = tunable(16.0, low=4, high=64, log=True, variants=("ce",), gt=0)
        seed: int = Field(0, ge=0)

    def skip(self, task: Task) -> str | None:
        needed = task.total_classes - 1
        if task.dim < needed:
            return f"its frame of {task.total_classes} classes needs {needed} dimensions, not {task.dim}"
        if task.old_dim is not None and task.old_dim != task.dim:
            return f"generations share one frame, and the dimension changes from {task.old_dim} to {task.dim}"
        return None

    def head(self, dim: int, num_classes: int) -> Head:
        vertices = equiangular_frame(dim, self.task.total_classes, self.params.seed)
        return FrameHead(vertices, torch.tensor(self.task.classes), self.params)


class FrameHead(Head):
    """Scaled cosines with the vertices of this generation's classes; nothing in it is learned."""

    vertices: Tensor
    vertex_of_label: Tensor

    def __init__(self, vertices: Tensor, vertex_of_label: Tensor, params: ETF.Params) -> None:
        super().__init__()
        self.register_buffer("vertices", vertices)
        self.register_buffer("vertex_of_label", vertex_of_label)
        self.params = params

    @property
    def weight(self) -> Tensor:
        """(C, D) vertices of this generation's classes."""
        return self.vertices[self.vertex_of_label]

    def logits(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        return self.params.scale * F.linear(F.normalize(embeddings), F.normalize(rows))

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        targets = self.vertex_of_label[labels]
        if self.params.variant == "ce":
            return F.cross_entropy(self.logits(embeddings, self.vertices), targets)
        cosines = (F.normalize(embeddings) * self.vertices[targets]).sum(dim=1)
        return self.params.weight * 0.5 * (cosines - 1).square().mean()

"""The d-simplex fixed classifier: K vertices in K − 1 dimensions, known before any model is trained."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.heads import Head
from compatbench.method import Need, Task, TrainingMethod
from compatbench.model import NewModel, OldModel


def regular_simplex(vertices: int) -> Tensor:
    """Unit vertices (K, K−1), K = `vertices` ≥ 2, of the regular simplex centred at the origin, float32.

    The standard basis e_1 … e_d, d = K − 1, and (1 − sqrt(d + 1))/d · (1, …, 1), centred and brought to unit
    length (Biondi et al., TPAMI 2023, arXiv 2111.07632): pairwise cosines are −1/(K−1). A closed form, so that
    generations agree on it by K alone, without a seed.
    """
    dim = vertices - 1
    last = torch.full((1, dim), (1 - (dim + 1) ** 0.5) / dim, dtype=torch.float64)
    points = torch.cat([torch.eye(dim, dtype=torch.float64), last])
    return F.normalize(points - points.mean(dim=0)).float()


class SimplexHead(Head):
    """Inner products with the vertices of this generation's classes; nothing in it is learned.

    The cross-entropy runs over all vertices, so that those of classes not yet seen stay free.
    """

    vertices: Tensor
    vertex_of_label: Tensor

    def __init__(self, vertices: int, classes: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("vertices", regular_simplex(vertices))
        self.register_buffer("vertex_of_label", torch.tensor(classes))

    @property
    def weight(self) -> Tensor:
        """(C, K−1) vertices of this generation's classes."""
        return self.vertices[self.vertex_of_label]

    def logits(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        return F.linear(embeddings, rows)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(embeddings, self.vertices), self.vertex_of_label[labels])


class SimplexMethod(TrainingMethod):
    """A method whose generations all classify against the same simplex, dataset class k at vertex k.

    Every generation therefore embeds into K − 1 dimensions, whatever dimension the scenario names.
    """

    needs = frozenset({Need.OWN_FIRST_GENERATION})

    @property
    def vertices(self) -> int:
        """K: all classes that may ever come."""
        return self.task.total_classes

    def encoder_dim(self, dim: int) -> int:
        return self.vertices - 1

    def head(self, dim: int, num_classes: int) -> Head:
        return SimplexHead(self.vertices, self.task.classes)


class ContinuedSimplexMethod(SimplexMethod):
    """One whose generations after the first start from the weights of the one before, where these fit.

    Where they do not, the new generation starts from scratch, and `OLD_WEIGHTS` is none of the method's needs.
    """

    needs = frozenset({Need.OWN_FIRST_GENERATION, Need.OLD_ENCODER, Need.OLD_WEIGHTS})

    def __init__(self, params: Any, task: Task) -> None:
        super().__init__(params, task)
        if task.old_dim is None or task.other_encoder or not params.from_old:
            self.needs = frozenset({Need.OWN_FIRST_GENERATION, Need.OLD_ENCODER})

    def setup(self, new: NewModel, old: OldModel | None) -> None:
        if old is not None and Need.OLD_WEIGHTS in self.needs:
            new.encoder.load_state_dict(old.state_dict())

"""A residual perceptron from new embeddings to old ones."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.method import Adapter, Field, Maps, Need, Params, tunable

from ._adam import minimise


class ResidualMLP(nn.Module):
    """x ↦ x + W₂ GELU(W₁ x + b₁) + b₂, with S x in place of x where the dimensions differ; starts at x or S x."""

    def __init__(self, dim: int, old_dim: int, hidden: int) -> None:
        super().__init__()
        self.skip = nn.Identity() if dim == old_dim else nn.Linear(dim, old_dim, bias=False)
        self.inner = nn.Linear(dim, hidden)
        self.outer = nn.Linear(hidden, old_dim)
        if isinstance(self.skip, nn.Linear):
            nn.init.eye_(self.skip.weight)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.skip(vectors) + self.outer(F.gelu(self.inner(vectors)))


class MLP(Adapter):
    """Residual MLP query map, Drift-Adapter (Vejendla, EMNLP 2025, arXiv 2509.23471).

        q = g(f_n) = f_n + W₂ GELU(W₁ f_n + b₁) + b₂,  min mean_i ‖g(f_n,i) − f_o,i‖²

    f_n (n, D_n) and f_o (n, D_o) are the paired embeddings of the training images, of unit length; W₁ (256, D_n),
    W₂ (D_o, 256). Where D_n ≠ D_o, a learned S f_n, S (D_o, D_n), stands in place of f_n. Hidden width as published.

    Ours, since the paper's settings are not among what was read: W₂ and b₂ start at 0 and S at the first coordinates,
    so that the map starts as the identity; Adam 1e-3 falling along a cosine, 50 epochs, batches of 256. The residual
    term suits a new model that lies near the old one, which independently trained ones do not. Only queries pass it.
    """

    name = "mlp"
    needs = frozenset({Need.OLD_FEATURES})
    quick: ClassVar = {"steps": 400}

    class Params(Params):
        hidden: int = Field(256, ge=1)
        epochs: int = tunable(50, low=10, high=200, log=True, ge=1)
        batch_size: int = Field(256, ge=1)
        lr: float = tunable(1e-3, low=1e-4, high=1e-2, log=True, gt=0)
        weight_decay: float = Field(0.0, ge=0)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=ResidualMLP(dim, old_dim, self.params.hidden))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        self.train(maps, new, old)
        return maps

    def train(self, maps: Maps, new: Tensor, old: Tensor) -> list[float]:
        """Fit the map in place, and return the mean loss of each epoch."""

        def loss(rows: Tensor) -> Tensor:
            return (maps.query(new[rows]) - old[rows]).square().sum(dim=1).mean()

        settings = self.params.model_dump(exclude={"hidden"})
        return minimise(loss, maps.parameters(), len(new), **settings)

"""A world of random images small enough to check every loss by hand, with linear encoders for speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.discovery.plugins import Catalogue, discover
from compatbench.generations.chain import embedding_dim
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.loop import loss_terms
from compatbench.heads import build_head
from compatbench.method import Adapter, Batch, Need, Task, TrainingMethod
from compatbench.model import NewModel, OldModel, View

PIXELS = 6


class LinearEncoder(nn.Module):
    """Stands in for a timm backbone: images (B, 1, 1, PIXELS) to features (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.spec = SimpleNamespace(dim=dim)
        self.embedding = nn.Linear(PIXELS, dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.embedding(images.flatten(1))


@dataclass
class World:
    """One method on one task, its models, and the training set that it sees."""

    method: TrainingMethod
    new: EmbeddingModel
    old: EmbeddingModel
    old_model: OldModel
    images: Tensor
    labels: Tensor
    independent: EmbeddingModel
    """For methods that need it: a new model that they do not train."""

    def batch(self, index: list[int]) -> Batch:
        rows = torch.tensor(index)
        generator = torch.Generator().manual_seed(1)
        images = self.images[rows]
        second = self.second_images[rows] if Need.TWO_VIEWS in self.method.needs else None
        independent = View(self.independent, images, frozen=True)
        if Need.INDEPENDENT_MODEL not in self.method.needs:
            independent = None
        return Batch(images, self.labels[rows], rows, 0, 1, 0.0, generator, second, independent)

    @property
    def second_images(self) -> Tensor:
        """Stands in for a second augmentation of every image: its pixels reversed."""
        return self.images.flip(3)

    def terms(self, index: list[int]) -> dict[str, Tensor]:
        """Classification and the method's own terms on the images at `index`."""
        batch = self.batch(index)
        old = self.old_model.view(batch.images) if self.old_model is not None else None
        return loss_terms(self.method, batch, View(self.new, batch.images, frozen=False), old)

    def copy_old_into_new(self) -> None:
        """Make the new encoder equal to the old one (same dimension)."""
        self.new.encoder.load_state_dict(self.old.encoder.state_dict())


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return discover()


@pytest.fixture
def world(catalogue: Catalogue) -> Callable[..., World]:
    """Builds a world: `world("bct", {"weight": 2}, old_dim=4)`."""

    def build(
        name: str,
        params: dict[str, Any] | None = None,
        *,
        old_dim: int = 4,
        dim: int = 4,
        old_classes: tuple[int, ...] = (0, 1, 2),
        classes: tuple[int, ...] = (0, 1, 2, 3, 4),
        old_loss: str = "softmax",
        loss: str = "softmax",
        total_classes: int = 5,
        backward_maps: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> World:
        torch.manual_seed(7)
        plugin, plain = catalogue.get(name), catalogue.get("independent")
        task = Task(1, "linear", dim, loss, classes, total_classes, "linear", old_dim, old_classes)
        old_task = Task(0, "linear", old_dim, old_loss, old_classes, total_classes)
        old_head = build_head(old_loss, old_dim, len(old_classes))
        old = EmbeddingModel(LinearEncoder(old_dim), old_head, plain.cls(plain.resolve({}), old_task))
        old.eval().requires_grad_(False)
        method = plugin.cls(plugin.resolve(params or {}), task)
        new = EmbeddingModel(
            LinearEncoder(method.encoder_dim(dim)), method.head(embedding_dim(method), len(classes)), method
        )
        labels = torch.arange(4 * len(classes)) % len(classes)
        images = torch.randn(len(labels), 1, 1, PIXELS)
        rows = torch.tensor([old_classes.index(c) if c in old_classes else -1 for c in classes])
        old_model = OldModel(old, method.needs, rows, labels, lambda: old(images), backward_maps)
        method.setup(NewModel(new, lambda: new(images).detach(), labels), old_model)
        head = build_head(loss, dim, len(classes))
        independent = EmbeddingModel(LinearEncoder(dim), head, plain.cls(plain.resolve({}), task))
        return World(method, new, old, old_model, images, labels, independent)

    return build


@pytest.fixture(scope="session")
def adapter(catalogue: Catalogue) -> Callable[..., Adapter]:
    """An adapter on a plain task: `adapter("ridge", dim=6, old_dim=4, epsilon=0.1)`."""

    def build(name: str, *, dim: int = 4, old_dim: int = 4, classes: int = 3, **params: Any) -> Adapter:
        plugin = catalogue.get(name)
        task = Task(1, "b", dim, "softmax", tuple(range(classes)), classes, "b", old_dim, tuple(range(classes)))
        return plugin.cls(plugin.resolve(params), task)

    return build


@pytest.fixture
def pairs() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Unit vectors new (N, D_n) and old (N, D_o) that share hidden causes, and labels: `pairs(6, 4, count=50)`."""

    def build(dim: int = 4, old_dim: int = 4, *, count: int = 50, classes: int = 3) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(3)
        hidden = torch.randn(count, 5, generator=generator)
        noise = [0.3 * torch.randn(count, size, generator=generator) for size in (dim, old_dim)]
        new, old = (hidden @ torch.randn(5, each.shape[1], generator=generator) + each for each in noise)
        return F.normalize(new), F.normalize(old), torch.arange(count) % classes

    return build

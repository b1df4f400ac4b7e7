"""The fixture of the contract test: forty images, two small generations, and the suite's own training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor

from compatbench.data.normalization import Normalization
from compatbench.discovery.contract.report import Violation
from compatbench.discovery.datasets import NO_OPTIONS
from compatbench.discovery.plugins import Plugin
from compatbench.encoders import Encoder, feature_dim
from compatbench.generations.batches import TrainingSet
from compatbench.generations.chain import embedding_dim
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.features import Features
from compatbench.generations.loop import embed_images, loss_terms, train
from compatbench.machine.seeds import global_stream, stream
from compatbench.method import Batch, Params, Task, TrainingMethod
from compatbench.model import NewModel, OldModel, View
from compatbench.suite.encoder_spec import BackboneSpec, EmbeddingHeadSpec, EncoderSpec
from compatbench.suite.recipe import Recipe
from compatbench.vocabulary import HeadName, Need

BACKBONE = "test_resnet"
OTHER_BACKBONE = "test_vit"
Trunks = tuple[str, str]
"""Backbones of the old and of the new model."""
OLD_CLASSES = (0, 1, 2)
CLASSES = (0, 1, 2, 3, 4)
PER_CLASS = 8
RECIPE = Recipe(epochs=2, batch_size=20, lr=0.02)
NORMALIZE = Normalization(mean=(127.0,), std=(70.0,))


class RecordedNeeds(frozenset[Need]):
    """The declared needs of a method, with a record of those used."""

    used: set[Need]

    def __new__(cls, needs: frozenset[Need] | set[Need]) -> RecordedNeeds:
        """The declared needs, none of them used yet."""
        recorded = super().__new__(cls, needs)
        recorded.used = set()
        return recorded

    def __contains__(self, need: object) -> bool:
        if isinstance(need, Need):
            self.used.add(need)
        return super().__contains__(need)


@cache
def training_set(classes: tuple[int, ...]) -> TrainingSet:
    """Random images with a brightness for each class, in an order that mixes the classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(PER_CLASS * len(classes)) % len(classes)
    noise = torch.randint(0, 120, (len(labels), 1, 32, 32), generator=generator)
    return TrainingSet((noise + 20 * labels[:, None, None, None]).to(torch.uint8), labels)


@cache
def frozen_set(classes: tuple[int, ...], trunk: str) -> TrainingSet:
    """As many items of `classes` as two views of features, by any frozen trunk; they are those of the new `trunk`."""
    labels = training_set(classes).labels

    @cache
    def views(trunk: BackboneSpec) -> tuple[Features, ...]:
        generator = torch.Generator().manual_seed(len(trunk.backbone))
        means = 2 * torch.randn(len(CLASSES), feature_dim(trunk), generator=generator)
        noise = torch.randn(2, len(labels), means.shape[1], generator=generator)
        return tuple(
            Features(matrix=view.half().numpy(), rows=torch.arange(len(labels)), rate=1.0)
            for view in (means[labels] + noise).relu()
        )

    return TrainingSet(views(_spec(trunk, frozen=True).trunk)[0], labels, views)


@dataclass
class Fixture:
    """A method on one task: the model in training, and the method's inputs."""

    model: EmbeddingModel
    old: EmbeddingModel | None
    old_model: OldModel | None
    needs: RecordedNeeds
    independent: EmbeddingModel | None
    data: TrainingSet

    @property
    def method(self) -> TrainingMethod:
        """The method under test."""
        return self.model.method

    @property
    def undeclared(self) -> set[Need]:
        """Undeclared uses of the old model by the method."""
        return self.needs.used.difference(self.needs)

    def setup(self, seed: int = 0) -> None:
        """Call the method's `setup` as the suite does, without training."""
        new = NewModel(self.model, lambda: embed_images(self.model, self.data.images, NORMALIZE), self.data.labels)
        with global_stream(seed, "setup", self.method.task.generation):
            self.method.setup(new, self.old_model)

    def train(self, seed: int = 0) -> None:
        """Set up and train for two epochs as the suite does."""
        train(
            self.model,
            self.data,
            NORMALIZE,
            RECIPE,
            seed,
            generation=self.method.task.generation,
            old=self.old_model,
            independent=self.independent,
        )

    def batch(self, index: Sequence[int]) -> Batch:
        """The training images at `index`, in the middle of training."""
        rows = torch.tensor(index)
        inputs = self.data.images
        assert isinstance(inputs, Tensor | Features)
        images = inputs.read(rows) if isinstance(inputs, Features) else NORMALIZE(inputs[rows])
        return Batch(
            images=images,
            labels=self.data.labels[rows],
            index=rows,
            epoch=1,
            epochs=2,
            progress=0.5,
            generator=stream(0, "method"),
            second_view=images.flip(images.ndim - 1) if Need.TWO_VIEWS in self.method.needs else None,
            independent=View(self.independent, images, frozen=True) if self.independent else None,
        )

    def view(self, batch: Batch, *, mixed_precision: bool = False) -> View:
        """The new model's view of a batch, in training mode."""
        self.model.train()
        return View(self.model, batch.images, frozen=False, mixed_precision=mixed_precision)

    def terms(self, index: Sequence[int], *, mixed_precision: bool = False) -> dict[str, Tensor]:
        """All loss terms of the training images at `index`."""
        batch = self.batch(index)
        old = self.old_model.view(batch.images, mixed_precision=mixed_precision) if self.old_model else None
        return loss_terms(self.method, batch, self.view(batch, mixed_precision=mixed_precision), old)

    def embeddings(self) -> Tensor:
        """Embeddings (N, D) of the training images."""
        return embed_images(self.model, self.data.images, NORMALIZE)


def plain_task(dim: int, old_dim: int | None, loss: HeadName, trunks: Trunks = (BACKBONE, BACKBONE)) -> Task:
    """The second generation of dimension `dim`, or the first one if `old_dim` is None."""
    first = old_dim is None
    return Task(
        generation=0 if first else 1,
        backbone=trunks[0 if first else 1],
        dim=dim,
        loss=loss,
        classes=OLD_CLASSES if first else CLASSES,
        total_classes=len(CLASSES),
        old_backbone=None if first else trunks[0],
        old_dim=old_dim,
        old_classes=() if first else OLD_CLASSES,
    )


def variants(plugin: Plugin) -> dict[str, dict[str, Any]]:
    """Parameters, by name, of one variant for each other value of each `Literal` or boolean parameter."""
    found = {}
    for name, field in plugin.cls.Params.model_fields.items():
        values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        for value in (False, True) if field.annotation is bool else values:
            if value != field.get_default(call_default_factory=True):
                found[f"{name}={value}"] = {name: value}
    return found


def skip(plugin: Plugin, dim: int, old_dim: int, trunks: Trunks = (BACKBONE, BACKBONE)) -> str | None:
    """The reason why the method skips an upgrade from `old_dim` to `dim`, if it does; a finding if it gives none."""
    task = plain_task(dim, old_dim, HeadName.SOFTMAX, trunks)
    reason = plugin.cls(plugin.resolve({}), task).skip(task)
    if reason is not None and not (isinstance(reason, str) and reason.strip()):
        raise Violation(f"skip() returned {reason!r}: return None, or the reason in words")
    return reason


def build_fixture(
    plugin: Plugin,
    *,
    dim: int,
    old_dim: int,
    loss: HeadName = HeadName.SOFTMAX,
    params: Mapping[str, Any] = NO_OPTIONS,
    old: EmbeddingModel | None = None,
    frozen: Trunks | None = None,
) -> Fixture:
    """`plugin` about to train the second generation; `old` in place of a new old model.

    With `frozen` trunks, of the old and the new model, the two are heads on their features.
    """
    if old is None:
        old = _old_model(plugin, old_dim, loss, params, frozen)
    old.eval().requires_grad_(False).zero_grad()
    task = plain_task(dim, embedding_dim(old.method), loss, frozen or (BACKBONE, BACKBONE))
    method = _method(plugin, params, task)
    data = frozen_set(CLASSES, frozen[1]) if frozen else training_set(CLASSES)
    own = frozen_set(CLASSES, frozen[0]) if frozen else data
    needs = RecordedNeeds(method.needs)
    rows = torch.tensor([OLD_CLASSES.index(c) if c in OLD_CLASSES else -1 for c in CLASSES])
    independent = None
    if Need.INDEPENDENT_MODEL in method.needs:
        independent = _plain_model(task, "independent", frozen is not None).eval().requires_grad_(False)
    return Fixture(
        model=_model(method, "new", frozen is not None),
        old=old,
        old_model=OldModel(old, needs, rows, data.labels, lambda: embed_images(old, own.images, NORMALIZE)),
        needs=needs,
        independent=independent,
        data=data,
    )


def _old_model(
    plugin: Plugin, dim: int, loss: HeadName, params: Mapping[str, Any], frozen: Trunks | None
) -> EmbeddingModel:
    """An untrained plain model, or for a method that trains its own first generation, just that."""
    task = plain_task(dim, None, loss, frozen or (BACKBONE, BACKBONE))
    if Need.OWN_FIRST_GENERATION not in plugin.needs:
        return _plain_model(task, "old", frozen is not None)
    method = _method(plugin, params, task)
    data = frozen_set(OLD_CLASSES, frozen[0]) if frozen else training_set(OLD_CLASSES)
    fixture = Fixture(_model(method, "old", frozen is not None), None, None, RecordedNeeds(method.needs), None, data)
    fixture.train()
    return fixture.model


def _method(plugin: Plugin, params: Mapping[str, Any], task: Task) -> TrainingMethod:
    with global_stream(0, "method modules"):
        return plugin.cls(plugin.resolve({**params}), task)  # type: ignore[no-any-return]


def _plain_model(task: Task, name: str, frozen: bool) -> EmbeddingModel:
    return _model(TrainingMethod(Params(), task), name, frozen)


def _model(method: TrainingMethod, name: str, frozen: bool) -> EmbeddingModel:
    task = method.task
    spec = _spec(task.backbone, method.encoder_dim(task.dim), frozen=frozen)
    with global_stream(0, name):
        return EmbeddingModel(Encoder(spec), method.head(embedding_dim(method), task.num_classes), method)


def _spec(backbone: str, dim: int = 1, *, frozen: bool) -> EncoderSpec:
    head = EmbeddingHeadSpec(mlp=(24,), batch_norm=True, dropout=0.1) if frozen else EmbeddingHeadSpec()
    return EncoderSpec(backbone=backbone, dim=dim, image_size=32, channels=1, frozen=frozen, head=head)

"""Trains, or finds already trained, the models of a chain of generations.

A trained model is named by the hash of all it depends on: images, encoder, recipe, seed, the method with its
source, and its parent models. So old and independent models are trained once for all methods, and changing a
method's file retrains that method only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.data.id_lookup import IdLookup
from compatbench.data.normalization import Normalization
from compatbench.discovery.plugins import Catalogue, Plugin
from compatbench.encoders import DATA, Encoder
from compatbench.generations.batches import TrainingSet
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.features import Features
from compatbench.generations.loop import TrainingReport, embed_images, embedding_rate, train, training_stage
from compatbench.generations.trunk import FEATURES_VERSION, TrunkFeatures, weights_hash
from compatbench.machine.seeds import global_stream, stream_seed
from compatbench.method import Map, Params, Task, TrainingMethod
from compatbench.model import NewModel, OldModel
from compatbench.records.record import BASELINE
from compatbench.records.store import Store
from compatbench.storage.artefacts import Artefact, Notify, get_or_make_together, tensors_hash
from compatbench.storage.canonical import digest
from compatbench.suite.encoder_spec import BackboneSpec
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec, TowerSpec, documents_from
from compatbench.suite.splits import Half, held_out_indices, split_hash, training_indices
from compatbench.vocabulary import Need, TrainPart

TRAINING_VERSION = 2
"""Raised when the engine changes what a training computes; part of every model's name."""

SideName = Literal["query", "gallery"]

HELD_OUT_IMAGES = 2000
"""Held-out images at most that an encoder without frozen trunk embeds after every epoch."""

StageProgress = Callable[[str, float], None]
"""Told the stage and the share of it that is done."""


def task_of(chain: tuple[GenerationSpec, ...], generation: int, train_classes: Sequence[int]) -> Task:
    """Known facts about one generation before training; `train_classes` are those with training images."""
    spec = chain[generation]
    old = chain[documents_from(chain, generation - 1)] if generation > 0 else None
    # classes are numbered among those with training images: no method reserves room for one that is only tested on
    place = {class_id: number for number, class_id in enumerate(train_classes)}
    return Task(
        generation=generation,
        backbone=_backbone(spec.query_encoder, spec),
        dim=spec.dim,
        loss=spec.loss,
        classes=tuple(place[class_id] for class_id in spec.class_ids(train_classes)),
        total_classes=len(place),
        old_backbone=_backbone(old.document_encoder, old) if old else None,
        old_dim=old.dim if old else None,
        old_classes=tuple(place[class_id] for class_id in old.class_ids(train_classes)) if old else (),
        other_encoder=_other_encoder(spec, old) if old else None,
    )


def _other_encoder(new: GenerationSpec, old: GenerationSpec) -> str | None:
    """In what the encoder differs from the old one of the documents, beyond the embedding dimension."""
    before, now = old.documents(3, 32) or old.encoder(3, 32), new.encoder(3, 32)
    for name in ("backbone", "small_image_stem", "batch_norm", "frozen", "head"):
        new_one, old_one = (getattr(encoder, name) for encoder in (now, before))
        if new_one != old_one:
            return f"{name} is {new_one}, and was {old_one}"
    return None


def _backbone(tower: TowerSpec | str | None, spec: GenerationSpec) -> str:
    return tower.backbone or spec.backbone if isinstance(tower, TowerSpec) else spec.backbone


def embedding_dim(method: TrainingMethod) -> int:
    """D: dimensions of the embeddings that `method` stores, possibly more than the scenario's."""
    with torch.no_grad():
        return method.embed(torch.zeros(2, method.encoder_dim(method.task.dim))).shape[1]


@dataclass(frozen=True)
class TrainedModel:
    """A generation's model, ready to embed, and the report of its training."""

    id: str
    model: EmbeddingModel
    dim: int
    """D: dimensions of its embeddings."""
    facts: dict[str, Any]
    old: TrainedModel | None
    """The one that embedded the documents before it."""

    @property
    def report(self) -> TrainingReport:
        """How it was trained."""
        return TrainingReport.of(self.facts)

    def side(self, side: SideName) -> EmbeddingModel:
        """The model as it embeds queries, or as it embeds documents."""
        return self.model if side == "query" else self.model.documents

    def backward_maps(self) -> list[Map]:
        """Map its embeddings to the previous generation, from there to the one before, and so on."""
        return [] if self.old is None else [self.model.method.compatible, *self.old.backward_maps()]


@dataclass
class ChainTrainer:
    """The models of one chain, one dataset and one seed."""

    chain: tuple[GenerationSpec, ...]
    dataset: Dataset
    train_limit: int | None
    recipe: Recipe
    seed: int
    catalogue: Catalogue
    store: Store
    device: torch.device
    progress: StageProgress
    notify: Notify
    data: Path = DATA
    """Folder of packaged weights."""
    whole: Dataset | None = None
    """The dataset with all its test images, where `dataset` has some of them: features are shared by all scenarios."""
    tuning: bool = False
    """The test is on one half of the held-out images, so adapters are fitted on the other."""

    def __post_init__(self) -> None:
        labels, classes = self.dataset.train.labels, self.dataset.train_classes
        self.indices = [training_indices(labels, spec, self.train_limit) for spec in self.chain]
        of_classes = [spec.class_ids(classes) for spec in self.chain]
        self.held_out = [held_out_indices(labels, one, self.train_limit) for one in of_classes]
        half: Half | None = "pairs" if self.tuning else None
        self.pairs = [held_out_indices(labels, one, self.train_limit, half) for one in of_classes]

    @cached_property
    def normalize(self) -> Normalization:
        """Of the training images, without those that are held out under any limit."""
        train = self.dataset.train
        trained_on = torch.ones(len(train), dtype=torch.bool)
        trained_on[held_out_indices(train.labels, self.dataset.train_classes)] = False
        return Normalization.of(train.at(trained_on.nonzero().flatten()))

    @cached_property
    def features(self) -> TrunkFeatures:
        """Of frozen trunks."""
        return TrunkFeatures(
            self.whole or self.dataset,
            self.train_limit,
            self.recipe,
            self.store.features,
            self.data,
            self.device,
            self.progress,
            self.notify,
        )

    def compute_features(self) -> None:
        """Compute the missing features of the chain's frozen trunks."""
        shape = self.dataset.train.item_shape
        encoders = [encoder for spec in self.chain for encoder in (spec.encoder(*shape), spec.documents(*shape))]
        self.features.compute(dict.fromkeys(one.trunk for one in encoders if one is not None and one.frozen))

    @property
    def split_hash(self) -> str:
        """Names the training and held-out images of each generation, and the test data."""
        return split_hash(self.dataset.fingerprint, self.indices, self.held_out)

    def baseline(self, generation: int) -> TrainedModel:
        """The independently trained model of `generation`."""
        plugin = self.catalogue.get(BASELINE)
        return self._trained(plugin, plugin.resolve({}), generation, old=None)

    def _teacher(self, generation: int, shares_start: bool) -> TrainedModel:
        """The independent model that a method of `generation` learns from.

        The baseline has the same initial weights and sees the images in the same order, which no team's new model
        would have in common with its predecessor; so it is one of another seed, unless the method says otherwise.
        """
        seed = self.seed if shares_start else stream_seed(self.seed, "teacher")
        return replace(self, seed=seed).baseline(generation)

    def models(self, plugin: Plugin, params: Params) -> list[TrainedModel]:
        """The chain of a training method, oldest first."""
        own_first = Need.OWN_FIRST_GENERATION in plugin.needs
        models = [self._trained(plugin, params, 0, old=None) if own_first else self.baseline(0)]
        for generation in range(1, len(self.chain)):
            old = models[documents_from(self.chain, generation - 1)]
            models.append(self._trained(plugin, params, generation, old=old))
        return models

    def images_of(self, generation: int, part: TrainPart) -> Tensor:
        """(N,) positions of the images that `generation` is trained on, or of those that adapters are fitted on."""
        return self.indices[generation] if part is TrainPart.TRAIN else self.pairs[generation]

    def labels(self, generation: int, part: TrainPart = TrainPart.TRAIN) -> Tensor:
        """(N,) labels of the images of a part of `generation` on the device, as rows of its head."""
        return self._labels(generation, self.images_of(generation, part))

    def training_set(
        self, generation: int, encoder: Encoder | None = None, part: TrainPart = TrainPart.TRAIN
    ) -> TrainingSet:
        """Images of a part of `generation` on the device, with labels as rows of its head.

        A frozen `encoder` takes the features of its trunk in their place.
        """
        return self._set(generation, encoder, self.images_of(generation, part))

    def _labels(self, generation: int, indices: Tensor) -> Tensor:
        classes = torch.tensor(self.chain[generation].class_ids(self.dataset.train_classes))
        return torch.searchsorted(classes, self.dataset.train.labels[indices]).to(self.device)

    def _set(self, generation: int, encoder: Encoder | None, indices: Tensor) -> TrainingSet:
        labels = self._labels(generation, indices)
        if encoder is None or not encoder.spec.frozen:
            return TrainingSet(self.dataset.train.images[indices].to(self.device), labels)

        @cache
        def views(trunk: BackboneSpec) -> Sequence[Features]:
            return self.features.views(trunk, indices)

        return TrainingSet(self.features.train(encoder.spec.trunk, indices), labels, views)

    def embed_training_set(
        self, trained: TrainedModel, generation: int, side: SideName = "query", part: TrainPart = TrainPart.TRAIN
    ) -> Tensor:
        """Embeddings (N, D) of a part of the images of `generation` by any model of the chain, as one of its sides."""
        model = trained.side(side)
        own = {"side": side} if trained.model.document_encoder is not None else {}
        name = digest({"model": trained.id, "train": digest(self.images_of(generation, part).tolist()), **own})

        def make() -> Artefact:
            images = self.training_set(generation, model.encoder, part).images
            return Artefact({"embeddings": embed_images(model, images, self.normalize)})

        stored = get_or_make_together(self.store.embeddings, name, make, self.notify)
        return stored.tensors["embeddings"].to(self.device)

    def embed_split(self, trained: TrainedModel, side: SideName, generation: int) -> tuple[Tensor, float]:
        """Embeddings (N, D) of the queries or the gallery on the CPU, and images per second (median of batches).

        Queries that are gallery images too are embedded once, unless documents have an encoder of their own.
        """
        split: Split = getattr(self.dataset, side)
        gallery = self.dataset.gallery
        if side == "query" and trained.model.document_encoder is None:
            rows = IdLookup(gallery.ids.numpy()).rows(split.ids.numpy())
            if (rows >= 0).all():
                embeddings, rate = self.embed_split(trained, "gallery", generation)
                return embeddings[torch.from_numpy(rows)], rate
        model = trained.side(side)
        name = digest({"model": trained.id, "test": self.dataset.fingerprint, "gallery": side == "gallery"})

        def make() -> Artefact:
            spec = model.encoder.spec
            images = self.features.test(spec.trunk, split) if spec.frozen else split.images.to(self.device)
            self.progress(f"embed {generation}", 0.0)
            embeddings = embed_images(model, images, self.normalize).cpu()  # also for the process that made them
            rate = embedding_rate(model, images, self.normalize)
            return Artefact({"embeddings": embeddings}, {"images_per_second": rate})

        stored = get_or_make_together(self.store.embeddings, name, make, self.notify)
        return stored.tensors["embeddings"], stored.facts["images_per_second"]

    def _trunk_identity(self, encoder: Encoder) -> dict[str, Any]:
        """What a frozen encoder's features depend on beside its spec and the images."""
        return {"weights": weights_hash(encoder.spec.trunk), "features": FEATURES_VERSION}

    def _task(self, generation: int) -> Task:
        return task_of(self.chain, generation, self.dataset.train_classes)

    def _build(self, plugin: Plugin, params: Params, generation: int, old: TrainedModel | None) -> EmbeddingModel:
        """The untrained model: the same initial encoder for every method of the cell."""
        task = self._task(generation)
        if old is not None:
            task = replace(task, old_dim=old.dim)
        with global_stream(self.seed, "method modules", generation):
            method: TrainingMethod = plugin.cls(params, task)
        shape = self.dataset.train.item_shape
        dim = {"dim": method.encoder_dim(task.dim)}
        with global_stream(self.seed, "encoder", generation):
            encoder = Encoder(self.chain[generation].encoder(*shape).model_copy(update=dim), self.data)
        documents = self.chain[generation].documents(*shape)
        with global_stream(self.seed, "document encoder", generation):
            document_encoder = Encoder(documents.model_copy(update=dim), self.data) if documents else None
        with global_stream(self.seed, "head", generation):
            head = method.head(embedding_dim(method), task.num_classes)
        return EmbeddingModel(encoder, head, method, document_encoder)

    def _trained(self, plugin: Plugin, params: Params, generation: int, old: TrainedModel | None) -> TrainedModel:
        model = self._build(plugin, params, generation, old)
        dim = embedding_dim(model.method)
        needs_old = old is not None and bool(set(model.method.needs) - {Need.OWN_FIRST_GENERATION, Need.TWO_VIEWS})
        needs_independent = Need.INDEPENDENT_MODEL in model.method.needs and generation > 0
        independent = self._teacher(generation, model.method.shares_start) if needs_independent else None
        identity = {
            "training": TRAINING_VERSION,
            "dataset": self.dataset.train_fingerprint,
            "images": digest(self.indices[generation].tolist()),
            "classes": self.chain[generation].class_ids(self.dataset.train_classes),
            "encoder": model.encoder.spec.model_dump(mode="json"),
            **({"documents": model.document_encoder.spec.model_dump(mode="json")} if model.document_encoder else {}),
            **({"trunks": [self._trunk_identity(one) for one in model.encoders]} if model.encoder.spec.frozen else {}),
            "loss": self.chain[generation].loss,
            "position": generation,
            "task": digest(model.method.task.__dict__) if plugin.name != BASELINE else "",
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.seed,
            "method": [plugin.name, params.model_dump(mode="json"), plugin.source_hash],
            "old": old.id if old is not None and needs_old else None,
            "independent": independent.id if independent else None,
        }
        name = digest(identity)

        trained_here = False

        def make() -> Artefact:
            nonlocal trained_here
            trained_here = True
            return self._train(model, plugin.name, generation, old, independent)

        def waiting(seconds: float) -> None:
            self.progress(f"{training_stage(f'{plugin.name} {generation}')}: another cell does, {seconds:.0f} s", 0.0)

        stored = get_or_make_together(self.store.models, name, make, self.notify, waiting)
        if not trained_here:
            self._restore(model, stored, old, generation)
        return TrainedModel(name, model.eval().requires_grad_(False), dim, stored.facts, old)

    def _train(
        self,
        model: EmbeddingModel,
        label: str,
        generation: int,
        old: TrainedModel | None,
        independent: TrainedModel | None,
    ) -> Artefact:
        stage = training_stage(f"{label} {generation}")
        self.progress(stage, 0.0)
        model.to(self.device)
        data = self.training_set(generation, model.encoder)
        report = train(
            model,
            data,
            self.normalize,
            self.recipe,
            self.seed,
            held_out=self._watched(generation, model.encoder),
            generation=generation,
            old=self._old_model(old, model.method, generation, data.labels) if old else None,
            independent=independent.model if independent else None,
            progress=lambda share: self.progress(stage, share),
        )
        weights = model.state_dict()
        return Artefact(weights, report.facts | {"weights_sha256": tensors_hash(weights)})

    def _watched(self, generation: int, encoder: Encoder) -> TrainingSet | None:
        """The held-out images whose loss and accuracy are noted after every epoch; None where there are none."""
        indices = self.held_out[generation]
        if not encoder.spec.frozen and len(indices) > HELD_OUT_IMAGES:
            indices = indices[torch.arange(HELD_OUT_IMAGES) * len(indices) // HELD_OUT_IMAGES]
        return self._set(generation, encoder, indices) if len(indices) else None

    def _restore(self, model: EmbeddingModel, stored: Artefact, old: TrainedModel | None, generation: int) -> None:
        """Load stored weights. `setup` runs first, since it makes the modules that a method adds."""
        model.to(self.device)
        data = self.training_set(generation, model.encoder)
        new = NewModel(model, lambda: embed_images(model, data.images, self.normalize), data.labels)
        with global_stream(self.seed, "setup", generation):
            model.method.setup(new, self._old_model(old, model.method, generation, data.labels) if old else None)
        model.to(self.device).to(memory_format=torch.channels_last)
        model.load_state_dict(stored.tensors)

    def _old_model(self, old: TrainedModel, method: TrainingMethod, generation: int, labels: Tensor) -> OldModel:
        """The model that embedded the documents which the new queries are to search."""
        known = {class_id: row for row, class_id in enumerate(old.model.method.task.classes)}
        rows = torch.tensor([known.get(class_id, -1) for class_id in self._task(generation).classes])
        return OldModel(
            old.model.to(self.device).to(memory_format=torch.channels_last).documents,
            set(method.needs),
            rows.to(self.device),
            labels,
            lambda: self.embed_training_set(old, generation, "gallery"),
            old.backward_maps(),
        )

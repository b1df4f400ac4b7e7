"""Frozen trunks: features of a dataset's images, computed once and kept for all methods, seeds and scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compatbench.data.dataset import Dataset, Split
from compatbench.data.id_lookup import IdLookup
from compatbench.data.image_files import in_order, read_batches
from compatbench.data.normalization import Normalization
from compatbench.data.published_weights import package_of
from compatbench.encoders import build_backbone
from compatbench.errors import InvalidResultError
from compatbench.generations.augmentation import augment
from compatbench.generations.batches import channels_last
from compatbench.generations.features import Features
from compatbench.machine import processes
from compatbench.machine.seeds import global_stream, stream
from compatbench.storage.artefacts import Notify, tensors_hash
from compatbench.storage.canonical import digest
from compatbench.storage.disk_cache import cached_on_disk
from compatbench.storage.matrices import Matrix, get_or_fill_together
from compatbench.suite.encoder_spec import BackboneSpec
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.splits import training_indices

FEATURES_VERSION = 1
"""Raised when features are computed otherwise; part of their names."""

BLOCK = 256
"""Images whose features are computed at a time; the draws of their augmentation depend on it."""

VIEWS_SEED = 0
"""Views belong to the dataset, not to the seed: every seed draws from the same V views of an image."""


def build_trunk(spec: BackboneSpec, data: Path) -> nn.Module:
    """The frozen backbone; without published weights its random ones are the same everywhere."""
    with global_stream(VIEWS_SEED, "trunk"):
        return build_backbone(spec, data).eval().requires_grad_(False)


def weights_hash(spec: BackboneSpec) -> str:
    """Sha256 (hex) of the weights of a trunk: that of their package, or of the tensors."""
    if spec.pretrained and spec.weights == "package":
        return package_of(spec.backbone).sha256
    return _built_weights_hash(spec)


@cached_on_disk("timm", "torch")
def _built_weights_hash(spec: BackboneSpec) -> str:
    return tensors_hash(build_trunk(spec, Path()).state_dict())


def trunk_normalization(trunk: nn.Module, channels: int) -> Normalization:
    """The normalisation of a trunk's own training, for pixel values 0 … 255."""
    config: Any = trunk.pretrained_cfg
    values = [[255.0 * value for value in config[name]] for name in ("mean", "std")]
    mean, std = (tuple(one if len(one) == channels else [sum(one) / len(one)] * channels) for one in values)
    return Normalization(mean, std)


@dataclass(frozen=True, eq=False)
class TrunkFeatures:
    """Features of a dataset's images by any trunk, each computed at its first use."""

    dataset: Dataset
    """With all its test images, also where a scenario is tested on some of them."""
    train_limit: int | None
    recipe: Recipe
    folder: Path
    """Of the computed features."""
    data: Path
    """Folder of packaged weights."""
    device: torch.device
    progress: Callable[[str, float], None]
    notify: Notify

    def compute(self, spec: BackboneSpec) -> None:
        """Compute the missing features of the trunk `spec`."""
        everything = torch.empty(0, dtype=torch.int64)
        self.train(spec, everything)
        self.views(spec, everything)
        for split in (self.dataset.gallery, self.dataset.query):
            self.test(spec, split)

    def train(self, spec: BackboneSpec, indices: Tensor) -> Features:
        """Of the training images at `indices` (N,), without augmentation."""
        return self._of_train(spec, indices, None)

    def views(self, spec: BackboneSpec, indices: Tensor) -> tuple[Features, ...]:
        """Of V augmented views of the training images at `indices` (N,); of one plain view without augmentation."""
        views = range(self.recipe.drawn_views) or (None,)
        return tuple(self._of_train(spec, indices, view) for view in views)

    def test(self, spec: BackboneSpec, split: Split) -> Features:
        """Features of the images of `split`, queries or gallery images of the dataset."""
        for whole, name in ((self.dataset.gallery, "gallery"), (self.dataset.query, "query")):
            rows = torch.from_numpy(IdLookup(whole.ids.numpy()).rows(split.ids.numpy()))
            if (rows >= 0).all():
                matrix = self._matrix(spec, whole, name, None, None)
                return Features(matrix.rows, rows, matrix.rows_per_second, self.device)
        raise ValueError("the split has images that are neither queries nor in the gallery")

    def _of_train(self, spec: BackboneSpec, indices: Tensor, view: int | None) -> Features:
        matrix = self._matrix(spec, self.dataset.train, "train", self._pool, view)
        return Features(matrix.rows, torch.searchsorted(self._pool, indices), matrix.rows_per_second, self.device)

    @cached_property
    def _pool(self) -> Tensor:
        """(P,) training images that any generation may see, rising: as many as the suite's limit leaves."""
        return training_indices(self.dataset.train.labels, GenerationSpec(backbone="any"), self.train_limit)

    def _matrix(self, spec: BackboneSpec, split: Split, name: str, pool: Tensor | None, view: int | None) -> Matrix:
        content = {
            "version": FEATURES_VERSION,
            "trunk": spec.model_dump(mode="json"),
            "weights": weights_hash(spec),
            "images": split.content_sha256,
            "rows": digest(pool.tolist()) if pool is not None and len(pool) < len(split) else None,
            "augmentation": None if view is None else [self.recipe.augmentation.model_dump(mode="json"), view],
        }
        what = name if view is None else f"{name} view {view}"
        images = split.images if pool is None else split.images[pool]

        def blocks() -> Iterator[NDArray[np.float16]]:
            trunk = build_trunk(spec, self.data).to(self.device).to(memory_format=torch.channels_last)
            normalize = trunk_normalization(trunk, spec.channels)
            generator = stream(VIEWS_SEED, "trunk view", view or 0)
            places = in_order(len(images), BLOCK)
            for place, block in zip(places, read_batches(images, places), strict=True):
                self.progress(f"features of {spec.backbone}, {what}", place.start / len(images))
                drawn = block if view is None else augment(block, self.recipe.augmentation, generator)
                own = drawn[processes.share(len(drawn))].to(self.device)
                with torch.inference_mode():
                    part = trunk(channels_last(normalize(own)))
                features = processes.gather(part, len(drawn)).half()
                if not torch.isfinite(features).all():
                    raise InvalidResultError(f"features of '{spec.backbone}' are not finite in 16 bits ({what})")
                yield features.cpu().numpy()

        file = f"{spec.backbone}--{what.replace(' ', '-')}--{digest(content)}"
        return get_or_fill_together(self.folder, file, len(images), blocks, self.notify)

"""Frozen trunks: features of a dataset's items, computed once and kept for all methods, seeds and scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compatbench.data.dataset import Dataset, Split
from compatbench.data.id_lookup import IdLookup
from compatbench.data.image_files import Images, read_batches, slices
from compatbench.data.items import CPU, Items, Texts, TrunkVectors
from compatbench.data.normalization import Normalization
from compatbench.data.published_weights import package_of
from compatbench.data.text.trunks import load_text_trunk, packages_of
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
from compatbench.storage.matrices import StoredMatrix, get_or_fill_together, is_stored
from compatbench.suite.encoder_spec import VECTORS, BackboneSpec
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.splits import held_out_indices, training_indices

FEATURES_VERSION = 1
"""Raised when features are computed otherwise; part of their names."""

BLOCK = 256
"""Images whose features are computed at a time; the draws of their augmentation depend on it."""

GPU_SHARE = 1 / 32
"""Of a GPU's free memory, what one file of features may take there: a cell reads some ten, beside three others."""

NAME_DIGITS, CONTENT_DIGITS = 12, 16
"""Of the hashes of features that a record keeps: enough to find the files, and not to take others for them."""

VIEWS_SEED = 0
"""Views belong to the dataset, not to the seed: every seed draws from the same V views of an image."""


def build_trunk(spec: BackboneSpec, data: Path) -> nn.Module:
    """The frozen backbone; without published weights its random ones are the same everywhere."""
    with global_stream(VIEWS_SEED, "trunk"):
        return build_backbone(spec, data).eval().requires_grad_(False)


def weights_hash(spec: BackboneSpec) -> str:
    """Sha256 (hex) of the weights of a trunk: that of their package, or of the tensors.

    Nothing for vectors that come with the items, whose hash covers them, and for text trunks of the hub.
    """
    if not spec.image_size:
        return " ".join(one.sha256 for one in packages_of(spec.backbone))
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


STAGE = "features"
"""What a cell's progress begins with while it computes features, or waits for those of another cell."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images whose features are in one file."""

    name: str
    """`train`, `gallery`, `query` or `train view 0`."""
    split: Split
    pool: Tensor | None = None
    """(P,) the positions of those of the split; all if None."""
    view: int | None = None

    def __len__(self) -> int:
        return len(self.split) if self.pool is None else len(self.pool)


class _MadeElsewhereError(Exception):
    """Another process computes the features at this moment."""


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
    device: torch.device = CPU
    progress: Callable[[str, float], None] = lambda stage, share: None
    notify: Notify = lambda line: None
    _found: dict[tuple[BackboneSpec, str], StoredMatrix] = field(default_factory=dict)
    _held: dict[tuple[BackboneSpec, str], Tensor] = field(default_factory=dict)
    """On the GPU."""

    def compute(self, specs: Iterable[BackboneSpec]) -> None:
        """Compute the missing features of the trunks `specs`.

        Files that another process computes at the moment come last, so that cells side by side share the work.
        """
        left = []
        for spec in specs:
            for part in self.parts:
                try:
                    self._matrix(spec, part, leave_to_others=processes.size() == 1)
                except _MadeElsewhereError:
                    left.append((spec, part))
        for spec, part in left:
            self._matrix(spec, part)

    @property
    def contents(self) -> dict[str, str]:
        """Beginnings of the hashes of what is in the files in use, by those in their names."""
        parts = {part.name: part for part in self.parts}
        return {
            self.file(spec, parts[name]).rpartition("--")[2][:NAME_DIGITS]: matrix.sha256[:CONTENT_DIGITS]
            for (spec, name), matrix in self._found.items()
        }

    def missing(self, spec: BackboneSpec) -> int:
        """How many images, each view counted, the trunk `spec` has still to look at."""
        if not any(self.folder.glob(f"{spec.backbone}--*.npy")):
            return sum(map(len, self.parts))  # and the weights need not be there to tell their hash
        return sum(len(part) for part in self.parts if not is_stored(self.folder, self.file(spec, part)))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All files of a trunk: training images, their views, gallery and queries that are not in it."""
        train, gallery, query = self.dataset.train, self.dataset.gallery, self.dataset.query
        views = [Part(f"train view {view}", train, self._pool, view) for view in range(self.recipe.drawn_views)]
        tests = [Part("gallery", gallery), *([Part("query", query)] if self._rows(gallery, query) is None else [])]
        return Part("train", train, self._whole_pool), *views, *tests

    def train(self, spec: BackboneSpec, indices: Tensor) -> Features:
        """Of the training or held-out images at `indices` (N,), without augmentation."""
        return self._of_train(spec, "train", indices)

    def views(self, spec: BackboneSpec, indices: Tensor) -> tuple[Features, ...]:
        """Of V augmented views of the training images at `indices` (N,); of one plain view without augmentation."""
        names = [part.name for part in self.parts if part.view is not None] or ["train"]
        return tuple(self._of_train(spec, name, indices) for name in names)

    def test(self, spec: BackboneSpec, split: Split) -> Features:
        """Features of the images of `split`: queries, gallery images, or held-out ones of the dataset."""
        for part in self.parts[1 + self.recipe.drawn_views :]:
            rows = self._rows(part.split, split)
            if rows is not None:
                return self._features(spec, part, rows)
        rows = self._rows(self.dataset.train, split)
        if rows is None:
            raise ValueError("the split has images that the dataset has not")
        return self.train(spec, rows)

    @staticmethod
    def _rows(whole: Split, some: Split) -> Tensor | None:
        """Where the images of `some` are in `whole`; None if one of them is not."""
        rows = torch.from_numpy(IdLookup(whole.ids.numpy()).rows(some.ids.numpy()))
        return rows if bool((rows >= 0).all()) else None

    def _of_train(self, spec: BackboneSpec, name: str, indices: Tensor) -> Features:
        [part] = [part for part in self.parts if part.name == name]
        assert part.pool is not None
        return self._features(spec, part, torch.searchsorted(part.pool, indices))

    def _features(self, spec: BackboneSpec, part: Part, rows: Tensor) -> Features:
        matrix = self._matrix(spec, part)
        held = self._on_gpu(spec, part.name, matrix.rows)
        return Features(matrix=held, rows=rows, rate=matrix.rows_per_second, device=self.device)

    def _on_gpu(self, spec: BackboneSpec, name: str, rows: NDArray[np.float16]) -> NDArray[np.float16] | Tensor:
        """The features on the GPU if there is one with room for them: from the disk, every step would wait for it."""
        if self.device.type != "cuda":
            return rows
        if (spec, name) not in self._held:
            if rows.nbytes > torch.cuda.mem_get_info(self.device)[0] * GPU_SHARE:
                return rows
            self._held[spec, name] = torch.from_numpy(np.array(rows)).to(self.device)
        return self._held[spec, name]

    @cached_property
    def _pool(self) -> Tensor:
        """(P,) training images that any generation may see, rising: as many as the suite's limit leaves."""
        return training_indices(self.dataset.train.labels, GenerationSpec(backbone="any"), self.train_limit)

    @cached_property
    def _whole_pool(self) -> Tensor:
        """(P + H,) these and the held-out images, rising."""
        held_out = held_out_indices(self.dataset.train.labels, self.dataset.train_classes, self.train_limit)
        return torch.cat((self._pool, held_out)).sort().values

    def file(self, spec: BackboneSpec, part: Part) -> str:
        """The name of a file, without its ending."""
        rows = part.pool if part.pool is not None and len(part.pool) < len(part.split) else None
        content = {
            "version": FEATURES_VERSION,
            "trunk": spec.model_dump(mode="json"),
            "weights": weights_hash(spec),
            "images": part.split.content_sha256,
            "rows": None if rows is None else digest(rows.tolist()),
            "augmentation": None
            if part.view is None
            else [self.recipe.augmentation.model_dump(mode="json"), part.view],
        }
        return f"{spec.backbone.replace('/', '-')}--{part.name.replace(' ', '-')}--{digest(content)}"

    def _matrix(self, spec: BackboneSpec, part: Part, *, leave_to_others: bool = False) -> StoredMatrix:
        """Found, checked once and kept open; or computed."""

        def waiting(seconds: float) -> None:
            if leave_to_others:
                raise _MadeElsewhereError
            told = f"{STAGE} of {spec.backbone}, {part.name}: another cell computes them, {seconds:.0f} s"
            self.progress(told, 0.0)  # another text each time: who waits for a slow cell does not stand still

        if (spec, part.name) not in self._found:
            blocks = partial(self._blocks, spec, part)
            found = get_or_fill_together(self.folder, self.file(spec, part), len(part), blocks, self.notify, waiting)
            self._found[spec, part.name] = found
        return self._found[spec, part.name]

    def _blocks(self, spec: BackboneSpec, part: Part) -> Iterator[NDArray[np.float16]]:
        items = part.split.images if part.pool is None else part.split.images[part.pool]
        places = slices(len(items), BLOCK)
        if isinstance(items, Items):
            shares = self._of_items(spec, items, places)
        else:
            shares = self._of_images(spec, items, places, part.view)
        for place in places:
            self.progress(f"{STAGE} of {spec.backbone}, {part.name}", place.start / len(items))
            features = processes.gather(next(shares), place.stop - place.start).half()
            if not torch.isfinite(features).all():
                raise InvalidResultError(f"features of '{spec.backbone}' are not finite in 16 bits ({part.name})")
            yield features.cpu().numpy()

    def _of_images(
        self, spec: BackboneSpec, images: Images, places: Sequence[slice], view: int | None
    ) -> Iterator[Tensor]:
        """Features (B, F) of this process's share of each block, in one augmented view or in none."""
        trunk = build_trunk(spec, self.data).to(self.device).to(memory_format=torch.channels_last)
        normalize = trunk_normalization(trunk, spec.channels)
        generator = stream(VIEWS_SEED, "trunk view", view or 0)
        for block in read_batches(images, places):
            drawn = block if view is None else augment(block, self.recipe.augmentation, generator)
            own = drawn[processes.share(len(drawn))].to(self.device)
            with torch.inference_mode():
                yield trunk(channels_last(normalize(own)))

    def _of_items(self, spec: BackboneSpec, items: Items, places: Sequence[slice]) -> Iterator[Tensor]:
        """Features (B, F) of this process's share of each block, scaled to length √F, so that one recipe fits all."""
        trunk = load_text_trunk(spec.backbone, self.data, self.device) if isinstance(items, Texts) else None
        for place in places:
            own = items[place][processes.share(place.stop - place.start)]
            with torch.inference_mode():
                if isinstance(own, TrunkVectors):
                    part = torch.from_numpy(own.read(spec.backbone.removeprefix(VECTORS)))
                else:
                    assert trunk is not None
                    assert isinstance(own, Texts)
                    part = trunk.embed(own.read(), own.role)
                yield part * part.shape[1] ** 0.5 / torch.linalg.vector_norm(part, dim=1, keepdim=True)

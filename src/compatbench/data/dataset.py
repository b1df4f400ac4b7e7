"""A dataset: three splits of images with labels and sample ids, and checks that they fit together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from compatbench.data.image_files import Images, read, read_batches, slices
from compatbench.data.items import Items
from compatbench.data.judgements import Judgements
from compatbench.data.pairs import Pairs
from compatbench.errors import RequestError
from compatbench.storage.canonical import digest

CHUNK = 4096
"""Images that are hashed or counted at a time."""
CHUNK_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class Split:
    """Images, labels and sample ids, row by row. Users of a split need no more than its public names."""

    images: Images
    """(N, C, H, W) uint8, in memory, or in files where they are too many for it; or texts or vectors."""
    labels: Tensor
    """(N,) int64: class ids 0 … K−1 of the dataset."""
    ids: Tensor
    """(N,) int64, one id an image of the whole dataset: an image in query and in gallery has one id."""
    names: tuple[str, ...] | None = None
    """What a person calls each image, such as its relative path."""

    @classmethod
    def of(cls, images: NDArray[np.uint8], labels: ArrayLike, ids: NDArray[np.int64] | int) -> Split:
        """From arrays: images (N, C, S, S), labels (N,), and ids (N,) or the first of N consecutive ids."""
        labels = np.asarray(labels)
        if labels.dtype.kind not in "iu":
            raise TypeError(f"labels are whole numbers, class ids from 0, and not {labels.dtype}")
        if isinstance(ids, int):
            ids = np.arange(ids, ids + len(labels))
        return cls(
            torch.from_numpy(np.ascontiguousarray(images)),
            torch.from_numpy(labels.astype(np.int64)),
            torch.from_numpy(ids),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """C: 1 for grey, 3 for RGB; 0 for items that are no images."""
        return self.images.shape[1]

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels; 0 for items that are no images."""
        return self.images.shape[-1]

    @property
    def item_shape(self) -> tuple[int, int, Mapping[str, int]]:
        """C, S, and F of each trunk whose features come with the items: what an encoder has to know."""
        brought = self.images.brought if isinstance(self.images, Items) else {}
        return self.channels, self.image_size, brought

    @cached_property
    def content_sha256(self) -> str:
        """Over ids, labels, shape and images: the bytes of files or texts, the vectors, else the pixels."""
        state = _sha256(self.ids, self.labels)
        state.update(f"{self.channels}x{self.image_size}".encode())
        if not isinstance(self.images, Tensor):
            state.update(self.images.content_sha256.encode())
            return state.hexdigest()
        for block in self.chunks():
            state.update(block.cpu().contiguous().numpy().data)
        return state.hexdigest()

    def at(self, rows: Tensor) -> Split:
        """The images at `rows` (n,), not read yet if they are in files."""
        names = tuple(self.names[row] for row in rows.tolist()) if self.names is not None else None
        return Split(self.images[rows], self.labels[rows], self.ids[rows], names)

    def gather(self, indices: Tensor) -> Tensor:
        """The images (B, C, H, W) uint8 at positions `indices` (B,) int64 on the split's device."""
        return read(self.images, indices)

    def chunks(self) -> Iterator[Tensor]:
        """All images in order, as blocks (≤ 4096, C, H, W) uint8 of some 64 MiB at most; none of other items."""
        if isinstance(self.images, Items):
            return
        fitting = CHUNK_BYTES // max(1, self.channels * self.image_size**2)
        yield from read_batches(self.images, slices(len(self), max(1, min(CHUNK, fitting))))


@dataclass(frozen=True, eq=False)
class Dataset:
    """One dataset as a benchmark sees it. `query is gallery` is usual for small sets."""

    name: str
    class_names: tuple[str, ...]
    train: Split
    query: Split
    gallery: Split
    judgements: Judgements | None = None
    """What is relevant to each query and what does not count; None where that is: all images of its class."""
    protocols: Mapping[str, Judgements] = field(default_factory=dict)
    """Further judgements of the same queries, by the name of the protocol, such as `hard`."""
    pairs: Pairs | None = None
    """Pairs of test images to be told apart; their ids are those of queries (first) and gallery images (second)."""

    @property
    def num_classes(self) -> int:
        """K: classes of all splits together."""
        return len(self.class_names)

    @cached_property
    def train_classes(self) -> tuple[int, ...]:
        """Ids of the classes with training images, ascending: all, or fewer if test classes are new ones."""
        return tuple(sorted(set(self.train.labels.tolist())))

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 (hex) over ids, labels and image bytes of every split, and the answers: equal on every machine.

        Of images in files the bytes of the files count, else those of the pixels.
        """
        splits = {"train": self.train, "query": self.query, "gallery": self.gallery}
        return digest({name: split.content_sha256 for name, split in splits.items()} | self._answers())

    @cached_property
    def train_fingerprint(self) -> str:
        """Sha256 (hex) over ids, labels and image bytes of the training split: all of it that enters a model."""
        return self.train.content_sha256

    def _answers(self) -> dict[str, str]:
        """Hashes of judgements, protocols and pairs, where there are any."""
        named = {"judgements": self.judgements, "pairs": self.pairs, **self.protocols}
        return {name: answers.sha256 for name, answers in named.items() if answers is not None}


def check_dataset(dataset: Dataset) -> None:
    """Raise RequestError, in one line, unless the splits of `dataset` fit together.

    Labels lie in 0 … K−1, ids are unique in each split and carry one label, no training image is also query
    or gallery, each class of the queries is in the gallery, and all images have one size and depth. Judgements are
    there for every query and speak of gallery images, and so do pairs.
    """
    named = {"train": dataset.train, "query": dataset.query, "gallery": dataset.gallery}
    for where, split in named.items():
        for problem in _problems(split, dataset.num_classes):
            raise RequestError(f"dataset '{dataset.name}', {where} split: {problem}")
    shapes = {(split.channels, split.image_size) for split in named.values()}
    if len(shapes) > 1:
        raise RequestError(f"dataset '{dataset.name}': splits differ in (channels, image size): {sorted(shapes)}")
    for where in ("query", "gallery"):
        shared = torch.isin(named[where].ids, dataset.train.ids)
        if shared.any():
            raise RequestError(
                f"dataset '{dataset.name}': {int(shared.sum())} training images are in {where} too, "
                f"first id {int(named[where].ids[shared][0])}; keep each image on one side"
            )
    missing = sorted(set(dataset.query.labels.tolist()) - set(dataset.gallery.labels.tolist()))
    if missing:
        names = ", ".join(dataset.class_names[label] for label in missing[:5])
        raise RequestError(
            f"dataset '{dataset.name}': {len(missing)} classes have queries but no gallery image: {names}; "
            "add gallery images of them or leave their queries out"
        )
    label_of = dict(zip(dataset.gallery.ids.tolist(), dataset.gallery.labels.tolist(), strict=True))
    for sample, label in zip(dataset.query.ids.tolist(), dataset.query.labels.tolist(), strict=True):
        if label_of.get(sample, label) != label:
            raise RequestError(
                f"dataset '{dataset.name}': id {sample} has two labels, one as query, one in the gallery"
            )
    for problem in _answer_problems(dataset):
        raise RequestError(f"dataset '{dataset.name}': {problem}")


def check_disjoint_classes(first: Tensor, second: Tensor, what: str) -> None:
    """Raise RequestError, with `what` as their names, if the label tensors `first` and `second` share a class."""
    shared = sorted(set(first.tolist()) & set(second.tolist()))
    if shared:
        raise RequestError(f"{what} must not share classes, but both have {', '.join(map(str, shared[:5]))}")


def _answer_problems(dataset: Dataset) -> Iterator[str]:
    """What is wrong with judgements, protocols and pairs."""
    queries, gallery = dataset.query.ids.numpy(force=True), dataset.gallery.ids.numpy(force=True)
    named = dict(dataset.protocols) if dataset.judgements is None else {"": dataset.judgements, **dataset.protocols}
    for name, judgements in named.items():
        which = f"the judgements of '{name}'" if name else "the judgements"
        if unjudged := int((~np.isin(queries, judgements.queries)).sum()):
            yield f"{which} leave {unjudged} queries out; judge every query, if only by empty lists"
        listed = np.concatenate((judgements.relevant.values, judgements.ignored.values))
        if (strange := listed[~np.isin(listed, gallery)]).size:
            yield f"{which} name {strange.size} images that are not in the gallery, first id {strange[0]}"
    if dataset.pairs is not None:
        for side, ids, there in (("query", dataset.pairs.first, queries), ("gallery", dataset.pairs.second, gallery)):
            if (strange := ids[~np.isin(ids, there)]).size:
                yield f"{strange.size} pairs have an image that is no {side} image, first id {strange[0]}"


def _sha256(*columns: Tensor) -> hashlib._Hash:
    """Over int64 columns, little-endian whatever the machine."""
    state = hashlib.sha256()
    for column in columns:
        state.update(column.cpu().numpy().astype("<i8").tobytes())
    return state


def _problems(split: Split, num_classes: int) -> Iterator[str]:
    """What is wrong with one split; each check may rely on those before it."""
    if len(split) == 0:
        yield "it is empty"
    if split.labels.dtype != torch.int64 or split.ids.dtype != torch.int64:
        yield f"labels and ids must be int64, not {split.labels.dtype} and {split.ids.dtype}"
    images = split.images
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[2] != images.shape[3]:
        yield f"images must be square uint8 (N, C, S, S), not {images.dtype} {tuple(images.shape)}"
    if not len(images) == len(split.labels) == len(split.ids):
        yield f"{len(images)} images, {len(split.labels)} labels, {len(split.ids)} ids; they go row by row"
    if split.names is not None and len(split.names) != len(split):
        yield f"{len(split.names)} names for {len(split)} images"
    low, high = int(split.labels.min()), int(split.labels.max())
    if low < 0 or high >= num_classes:
        yield f"labels run from {low} to {high}, outside 0 … {num_classes - 1}"
    if duplicates := len(split) - len(set(split.ids.tolist())):
        yield f"{duplicates} ids are used twice; each image needs its own"

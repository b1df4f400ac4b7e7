"""What is published of datasets that cannot be fetched in passing, so that their suites can be planned without them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from compatbench.data.dataset import Dataset, Split
from compatbench.data.image_file import Decoding
from compatbench.data.image_files import ImageFiles

NOT_HERE = "not here"
"""In place of the fingerprint of data that nobody has read."""


@dataclass(frozen=True)
class Outline:
    """Sizes of a dataset."""

    train_classes: int
    classes: int
    """K: of all splits together; those after the training classes are in the test alone."""
    train: int
    query: int
    gallery: int | None = None
    """None where every query searches the other test images."""


OUTLINES = {
    "cifar100": Outline(100, 100, 50_000, 10_000),
    "imagenet": Outline(1_000, 1_000, 1_281_167, 50_000),
    "cub200": Outline(100, 200, 5_864, 5_924),
    "online_products": Outline(11_318, 22_634, 59_551, 60_502),
    "landmarks_roxford5k": Outline(81_313, 81_313 + 12, 1_580_470, 70, 4_993),
    "landmarks_rparis6k": Outline(81_313, 81_313 + 13, 1_580_470, 70, 6_322),
}
"""By dataset. The landmarks of the test sets: 11 and 12 buildings, and everything else."""


@dataclass(frozen=True, eq=False)
class StandIn(Dataset):
    """A dataset of the right sizes without an image: for plans, never to be trained on."""

    @cached_property
    def fingerprint(self) -> str:
        """No hash: there is nothing to hash."""
        return NOT_HERE


def stand_in(name: str, image_size: int) -> StandIn | None:
    """The outline of dataset `name` as a dataset, classes of equal sizes; None where nothing is known of it."""
    outline = OUTLINES.get(name)
    if outline is None:
        return None
    first_test_class = outline.train_classes % outline.classes
    train = _split(outline.train, 0, outline.train_classes, 0, image_size)
    query = _split(outline.query, first_test_class, outline.classes, outline.train, image_size)
    gallery = query
    if outline.gallery is not None:
        first_id = outline.train + outline.query
        gallery = _split(outline.gallery, first_test_class, outline.classes, first_id, image_size)
    return StandIn(name, tuple(map(str, range(outline.classes))), train, query, gallery)


def _split(images: int, first_class: int, end_class: int, first_id: int, image_size: int) -> Split:
    labels = torch.arange(images) % (end_class - first_class) + first_class
    blank = ImageFiles(
        folder=Path(),
        paths=np.zeros(1, dtype=np.bytes_),
        hashes=np.zeros((1, 32), dtype=np.uint8),
        decoding=Decoding(),
        size=image_size,
        rows=torch.zeros(images, dtype=torch.int64),
    )
    return Split(blank, labels, torch.arange(first_id, first_id + images))

"""Stands in for a missing dataset in the plans of its suites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from compatbench.data.dataset import Dataset, Split
from compatbench.data.family import Counts
from compatbench.data.image_file import Decoding
from compatbench.data.image_files import ImageFiles

NOT_HERE = "0" * 64
"""In place of the fingerprint of data that nobody has read; no data have this hash."""


@dataclass(frozen=True, eq=False)
class StandIn(Dataset):
    """A dataset of the right sizes without an image: for plans, never to be trained on."""

    @cached_property
    def fingerprint(self) -> str:
        """There is nothing to hash."""
        return NOT_HERE


def stand_in(name: str, counts: Counts, image_size: int) -> StandIn | None:
    """A dataset `name` of the published sizes, classes of equal sizes; None if they are not published."""
    if not (counts.train and counts.query and counts.train_classes and counts.classes):
        return None
    first_test_class = counts.train_classes % counts.classes
    train = _split(counts.train, 0, counts.train_classes, 0, image_size)
    query = _split(counts.query, first_test_class, counts.classes, counts.train, image_size)
    gallery = query
    if counts.gallery is not None:
        first_id = counts.train + counts.query
        gallery = _split(counts.gallery, first_test_class, counts.classes, first_id, image_size)
    return StandIn(name, tuple(map(str, range(counts.classes))), train, query, gallery)


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

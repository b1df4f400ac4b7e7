"""CUB-200-2011: 11,788 photographs of birds, 200 species.

Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", CNS-TR-2011-001, 2011, https://data.caltech.edu/records/65de6-vp158.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing

TRAIN_CLASSES = 100


class CubOptions(Options):
    """Options of the dataset `cub200`."""

    crop: bool = False
    """Use the published bounding box of each bird instead of the whole image."""


class Cub200(FileFamily[CubOptions]):
    """The retrieval split: the first 100 species are trained on, query = gallery are all images of the other 100.

    It is that of Song et al. (CVPR 2016); the authors' own `train_test_split.txt` is one for classification.
    """

    name = "cub200"
    description = "11,788 photographs of birds, 200 species"
    size = 1_200_000_000
    licence = "non-commercial research and education"
    options_type = CubOptions
    homepage = "https://data.caltech.edu/records/65de6-vp158"
    required = ("images.txt", "image_class_labels.txt", "classes.txt", "bounding_boxes.txt", "images")
    archive_folder = "CUB_200_2011"
    published = Counts(train=5_864, query=5_924, train_classes=100, classes=200)
    archive = (
        "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        "0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
    )

    def list_images(self, folder: Path, options: CubOptions) -> Listed:
        """From `images.txt` and `image_class_labels.txt`, with ids and classes counted from 1."""
        paths = {int(image): path for image, path in _rows(folder / "images.txt")}
        classes = {int(image): int(label) - 1 for image, label in _rows(folder / "image_class_labels.txt")}
        names = {int(label) - 1: name for label, name in _rows(folder / "classes.txt")}
        boxes = {int(row[0]): [float(number) for number in row[1:]] for row in _rows(folder / "bounding_boxes.txt")}

        def listing(ids: list[int]) -> Listing:
            # x, y, width, height become left, top, right, bottom
            cut = [(x, y, x + width, y + height) for x, y, width, height in (boxes[image] for image in ids)]
            return Listing(
                tuple(f"images/{paths[image]}" for image in ids),
                np.array([classes[image] for image in ids], dtype=np.int64),
                np.array(ids, dtype=np.int64),
                np.array(cut).astype(np.int64) if options.crop else None,
            )

        return Listed(
            tuple(names[label] for label in range(len(names))),
            listing([image for image in sorted(paths) if classes[image] < TRAIN_CLASSES]),
            listing([image for image in sorted(paths) if classes[image] >= TRAIN_CLASSES]),
            new_test_classes=True,
        )


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.split()

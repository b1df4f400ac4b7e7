"""Places365-Standard, small images: 1,839,960 photographs of 256x256 pixels, 365 kinds of scenes.

Zhou et al., "Places: A 10 Million Image Database for Scene Recognition", TPAMI 2018, http://places2.csail.mit.edu.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing

TRAIN = ("data_256", "data_256_standard")
"""The folder that the authors' archive unpacks into, and the name that torchvision gives it."""


class Places365(FileFamily[Options]):
    """Train is the published standard training set, query = gallery the validation set, read by torchvision."""

    name = "places365"
    description = "1,839,960 photographs of scenes, 256x256, 365 classes"
    size = 26_000_000_000
    licence = "research and education; the photographs belong to their owners"
    options_type = Options
    homepage = "http://places2.csail.mit.edu/download.html"
    required = ("categories_places365.txt", "places365_train_standard.txt", "places365_val.txt", "val_256", TRAIN)
    published = Counts(train=1_803_460, query=36_500, train_classes=365, classes=365)

    def list_images(self, folder: Path, options: Options) -> Listed:
        """From the authors' lists."""
        train, names = _read(folder, "train-standard", 0)
        val, _ = _read(folder, "val", len(train))
        return Listed(names, train, val)


def _read(folder: Path, split: str, first_id: int) -> tuple[Listing, tuple[str, ...]]:
    from torchvision.datasets import Places365 as Reader

    try:
        found = Reader(str(folder), split=split, small=True)
    except RuntimeError as error:  # a list has not the published md5
        raise ValueError(str(error)) from error
    paths = tuple(Path(os.path.relpath(path, folder)).as_posix() for path, _ in found.imgs)
    if split != "val" and not (folder / TRAIN[1]).is_dir():
        paths = tuple(path.replace(TRAIN[1], TRAIN[0], 1) for path in paths)
    names = sorted(found.class_to_idx, key=found.class_to_idx.__getitem__)
    ids = np.arange(first_id, first_id + len(paths))
    return Listing(paths, np.array(found.targets, dtype=np.int64), ids), tuple(names)

"""Handwritten digits, 1,797 images of 8x8 pixels: for smoke tests that take seconds and need no download.

Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998, as scikit-learn has it.
"""

from pathlib import Path

import numpy as np
import torch

from compatbench.data.dataset import Dataset, Split
from compatbench.data.family import Family, Notify, Options

TRAIN_PER_CLASS = 100


class Digits(Family[Options]):
    """Train is the first 100 images of each class (1,000), query = gallery the other 797.

    "First" is in scikit-learn's order, where the images of one writer stand together: a shuffled split would
    put most writers on both sides.
    """

    name = "digits"
    description = "1,797 handwritten digits, 8x8 grey, 10 classes"
    size = None
    licence = "CC BY 4.0"
    options_type = Options

    def load(self, root: Path, options: Options, image_size: int | None) -> Dataset:
        """Scikit-learn's arrays, grey levels 0 … 16 scaled to 0 … 255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(np.rint(digits.images * (255 / 16)).astype(np.uint8))[:, None]
        labels = torch.from_numpy(digits.target.astype(np.int64))
        position_in_class = torch.nn.functional.one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0] - 1
        train = (position_in_class < TRAIN_PER_CLASS).nonzero()[:, 0]
        test = (position_in_class >= TRAIN_PER_CLASS).nonzero()[:, 0]
        test_split = Split(images[test], labels[test], test)
        return Dataset(
            name=self.name,
            class_names=tuple("0123456789"),
            train=Split(images[train], labels[train], train),
            query=test_split,
            gallery=test_split,
        )

    def get(self, root: Path, options: Options, notify: Notify) -> str:
        """Nothing to bring."""
        return f"{self.name}: ships with scikit-learn"

    def link(self, root: Path) -> None:
        """None of its own."""
        return

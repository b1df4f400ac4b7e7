"""Handwritten digits, 1,797 images of 8x8 pixels: for smoke tests of seconds, without download.

Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998, as scikit-learn has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compatbench.data.family import Counts, Family, Notify, Options

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset

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
    linked = False
    published = Counts(train=1_000, query=797, train_classes=10, classes=10)

    def load(self, root: Path, options: Options, image_size: int | None) -> Dataset:
        """Scikit-learn's arrays, grey levels 0 … 16 scaled to 0 … 255."""
        from sklearn.datasets import load_digits

        from compatbench.data.dataset import Dataset, Split

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
        one_hot = np.eye(10, dtype=np.int64)[digits.target]
        position_in_class = (one_hot.cumsum(axis=0) * one_hot).sum(axis=1) - 1

        def split(rows: NDArray[np.intp]) -> Split:
            return Split.of(images[rows], digits.target[rows], rows)

        test = split(np.flatnonzero(position_in_class >= TRAIN_PER_CLASS))
        train = split(np.flatnonzero(position_in_class < TRAIN_PER_CLASS))
        return Dataset(self.name, tuple("0123456789"), train, test, test)

    def get(self, root: Path, options: Options, notify: Notify) -> str:
        """Nothing to fetch."""
        return f"{self.name}: ships with scikit-learn"

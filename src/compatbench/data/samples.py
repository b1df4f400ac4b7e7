"""The test images of a dataset by sample id, for reports."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.data.dataset import Dataset, Split
from compatbench.data.items import Items


class Samples:
    """Queries and gallery items, by the sample ids of records."""

    def __init__(self, dataset: Dataset) -> None:
        self._class_names = dataset.class_names
        self._places: dict[int, tuple[Split, int]] = {}
        for split in (dataset.gallery, dataset.query):
            self._places |= {sample: (split, row) for row, sample in enumerate(split.ids.tolist())}

    def __contains__(self, sample: int) -> bool:
        return sample in self._places

    def label(self, sample: int) -> str:
        """Name of its class."""
        split, row = self._places[sample]
        return self._class_names[int(split.labels[row])]

    def name(self, sample: int) -> str | None:
        """A readable name of the image, if the dataset has one."""
        split, row = self._places[sample]
        return split.names[row] if split.names is not None else None

    def pixels(self, sample: int) -> NDArray[np.uint8]:
        """The image (C, H, W) uint8, in the suite's size; without channels for items that are no images."""
        split, row = self._places[sample]
        if isinstance(split.images, Items):
            return np.empty((0, 0, 0), dtype=np.uint8)
        image: NDArray[np.uint8] = split.gather(torch.tensor([row]))[0].numpy()
        return image

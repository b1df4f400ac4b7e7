"""Cars196: 16,185 photographs of cars, 196 models.

Krause et al., "3D Object Representations for Fine-Grained Categorization", 3dRR 2013,
https://ai.stanford.edu/~jkrause/cars/car_dataset.html (the files are no longer there; copies are around).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing

TRAIN_CLASSES = 98


class CarsOptions(Options):
    """Options of the dataset `cars196`."""

    crop: bool = False
    """Use the published bounding box of each car instead of the whole image."""


class Cars196(FileFamily[CarsOptions]):
    """The retrieval split: the first 98 models are trained on, query = gallery are all images of the other 98.

    It is that of Song et al. (CVPR 2016), over the single folder `car_ims` and its list `cars_annos.mat`.
    """

    name = "cars196"
    description = "16,185 photographs of cars, 196 models"
    size = 1_960_000_000
    licence = "non-commercial research, as ImageNet"
    options_type = CarsOptions
    homepage = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
    required = ("cars_annos.mat", "car_ims")
    published = Counts(train=8_054, query=8_131, train_classes=98, classes=196)

    def list_images(self, folder: Path, options: CarsOptions) -> Listed:
        """From `cars_annos.mat`, with classes and pixels counted from 1."""
        from scipy.io import loadmat

        content = loadmat(folder / "cars_annos.mat", squeeze_me=True)
        cars = content["annotations"]
        paths = np.array([str(path) for path in cars["relative_im_path"]])
        labels = cars["class"].astype(np.int64) - 1
        ids = np.array([int(Path(path).stem) for path in paths], dtype=np.int64)
        boxes = np.stack([cars[f"bbox_{side}"].astype(np.int64) for side in ("x1", "y1", "x2", "y2")], axis=1)
        boxes[:, :2] -= 1  # from 1 on and both ends inside, to from 0 on and the last one outside

        def listing(chosen: NDArray[np.bool_]) -> Listing:
            return Listing(tuple(paths[chosen]), labels[chosen], ids[chosen], boxes[chosen] if options.crop else None)

        return Listed(
            tuple(str(name) for name in content["class_names"]),
            listing(labels < TRAIN_CLASSES),
            listing(labels >= TRAIN_CLASSES),
            new_test_classes=True,
        )

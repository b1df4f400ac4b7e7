"""Cars196: 16,185 photographs of cars, 196 models.

Krause et al., "3D Object Representations for Fine-Grained Categorization", 3dRR 2013,
https://ai.stanford.edu/~jkrause/cars/car_dataset.html (the files are no longer there; copies are around).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing
from compatbench.data.matlab_file import read_matlab
from compatbench.errors import RequestError

TRAIN_CLASSES = 98
TEST_FROM = 100_000
"""Added to the numbers of the images in `cars_test`, which begin at 1 like those in `cars_train`."""


class CarsOptions(Options):
    """Options of the dataset `cars196`."""

    crop: bool = False
    """Use the published bounding box of each car instead of the whole image."""


class Cars196(FileFamily[CarsOptions]):
    """The retrieval split: the first 98 models are trained on, query = gallery are all images of the other 98.

    It is that of Song et al. (CVPR 2016), over the single folder `car_ims` and its list `cars_annos.mat`. Copies that
    are passed on today have the same photographs in two folders, `cars_train` and `cars_test`, with a list of each in
    `devkit`. The split is the same; ids, and so the split's hash, are not, since the numbers of the files differ.
    """

    name = "cars196"
    description = "16,185 photographs of cars, 196 models"
    size = 1_960_000_000
    licence = "non-commercial research, as ImageNet"
    options_type = CarsOptions
    homepage = (
        "one of the copies around, since its page is gone (car_ims with cars_annos.mat; or cars_train, cars_test and "
        "devkit, with cars_test_annos_withlabels.mat in one of them)"
    )
    required = (("cars_annos.mat", "devkit", "car_devkit"), ("car_ims", "cars_train"))
    published = Counts(train=8_054, query=8_131, train_classes=98, classes=196)

    def list_images(self, folder: Path, options: CarsOptions) -> Listed:
        """From the lists, with classes and pixels counted from 1."""
        single = (folder / "cars_annos.mat").exists() and (folder / "car_ims").exists()
        names, cars, paths = _one_list(folder) if single else _two_lists(folder)
        labels = cars["class"].astype(np.int64) - 1
        numbers = np.array([int(Path(path).stem) for path in paths], dtype=np.int64)
        ids = numbers if single else numbers + TEST_FROM * np.char.startswith(paths, "cars_test")
        boxes = np.stack([cars[f"bbox_{side}"].astype(np.int64) for side in ("x1", "y1", "x2", "y2")], axis=1)
        boxes[:, :2] -= 1  # from 1 on and both ends inside, to from 0 on and the last one outside

        def listing(chosen: NDArray[np.bool_]) -> Listing:
            kept = tuple(str(path) for path in paths[chosen])
            return Listing(kept, labels[chosen], ids[chosen], boxes[chosen] if options.crop else None)

        return Listed(names, listing(labels < TRAIN_CLASSES), listing(labels >= TRAIN_CLASSES), new_test_classes=True)


CarLists = tuple[tuple[str, ...], NDArray[Any], NDArray[np.str_]]
"""Class names, annotations, and the path of each."""


def _one_list(folder: Path) -> CarLists:
    content = read_matlab(folder / "cars_annos.mat")
    cars = content["annotations"]
    return _names(content), cars, np.array([str(path) for path in cars["relative_im_path"]])


def _two_lists(folder: Path) -> CarLists:
    """Of `cars_train` and `cars_test`, which some copies have once more inside themselves."""
    kit = next((folder / name for name in ("devkit", "car_devkit/devkit") if (folder / name).is_dir()), folder)
    parts, paths = [], []
    for images, name in (("cars_train", "cars_train_annos.mat"), ("cars_test", "cars_test_annos_withlabels.mat")):
        found = next((place / name for place in (kit, folder) if (place / name).exists()), None)
        if found is None:
            raise RequestError(
                f"dataset 'cars196': {kit} has no {name}, which names the model on each image of {images}"
            )
        cars = read_matlab(found)["annotations"]
        inner = f"{images}/{images}" if (folder / images / images).is_dir() else images
        parts.append(cars[["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class"]])
        paths += [f"{inner}/{name}" for name in cars["fname"]]
    return _names(read_matlab(kit / "cars_meta.mat")), np.concatenate(parts), np.array(paths)


def _names(content: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(name) for name in content["class_names"])

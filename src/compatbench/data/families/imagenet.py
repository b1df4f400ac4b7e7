"""ImageNet-1k (ILSVRC 2012): 1,331,167 photographs, 1,000 classes.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015, https://image-net.org.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing
from compatbench.data.matlab_file import read_matlab

DEVKIT = "ILSVRC2012_devkit_t12/data"


class ImageNet(FileFamily[Options]):
    """Train is the published training set, query = gallery the validation set.

    `val` holds either one folder a class, as torchvision and most scripts unpack it, or the 50,000 images as they are
    in the authors' archive; then their development kit is needed beside it.
    """

    name = "imagenet"
    description = "1,331,167 photographs, 1,000 classes"
    size = 155_000_000_000
    licence = "non-commercial research and education, on registration at image-net.org"
    options_type = Options
    homepage = "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php"
    required = ("train", "val")
    published = Counts(train=1_281_167, query=50_000, train_classes=1_000, classes=1_000)

    def list_images(self, folder: Path, options: Options) -> Listed:
        """One folder a class below `train`, named by its WordNet id; classes in the order of these."""
        classes = self._classes(folder)
        train = _by_class(folder, "train", classes)
        if any((folder / "val" / wnid).is_dir() for wnid in classes):
            val = _by_class(folder, "val", classes)
        else:
            label_of = {wnid: label for label, wnid in enumerate(classes)}
            truth = _validation_classes(folder / DEVKIT)
            names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, len(truth) + 1)]
            nameless = sorted(set(_images(folder / "val")) - set(names))
            if nameless:
                raise ValueError(f"it does not say what val/{nameless[0]} shows")
            val = [(f"val/{name}", label_of[wnid]) for name, wnid in zip(names, truth, strict=True) if wnid in label_of]
        return Listed(classes, Listing.of(train, 0), Listing.of(val, len(train)))

    def _classes(self, folder: Path) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in (folder / "train").iterdir() if path.is_dir()))


def _by_class(folder: Path, part: str, classes: Collection[str]) -> list[tuple[str, int]]:
    """Paths and labels of the images of one folder a class."""
    return [
        (f"{part}/{wnid}/{name}", label) for label, wnid in enumerate(classes) for name in _images(folder / part / wnid)
    ]


def _images(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.upper().endswith(".JPEG"))


def _validation_classes(devkit: Path) -> list[str]:
    """WordNet ids of the validation images in the order of their names, from the development kit."""
    synsets = read_matlab(devkit / "meta.mat")["synsets"]
    wnid_of = {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in synsets if int(one["num_children"]) == 0}
    numbers = (devkit / "ILSVRC2012_validation_ground_truth.txt").read_text(encoding="ascii").split()
    return [wnid_of[int(number)] for number in numbers]

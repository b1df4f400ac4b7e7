"""ImageNet-1k (ILSVRC 2012): 1,331,167 photographs, 1,000 classes; and its subset of 100 classes.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015, https://image-net.org.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from compatbench.data.family import Options
from compatbench.data.file_family import Counts, FileFamily
from compatbench.data.listing import Listed, Listing

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
    published = Counts(train=1_281_167, query=50_000)

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
        return Listed(classes, _listing(train, 0), _listing(val, len(train)))

    def _classes(self, folder: Path) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in (folder / "train").iterdir() if path.is_dir()))


class ImageNet100(ImageNet):
    """The 100 classes of Tian, Krishnan & Isola ("Contrastive Multiview Coding", ECCV 2020), out of the same files."""

    name = "imagenet100"
    place = "imagenet"
    description = "a subset of ImageNet-1k, 131,689 photographs, 100 classes"
    published = Counts(train=126_689, query=5_000)

    def _classes(self, folder: Path) -> tuple[str, ...]:
        return _known(super()._classes(folder))


def _known(present: Collection[str]) -> tuple[str, ...]:
    missing = sorted(set(CLASSES_100) - set(present))
    if missing:
        raise ValueError(f"train has no folder {missing[0]}")
    return tuple(sorted(CLASSES_100))


def _by_class(folder: Path, part: str, classes: Collection[str]) -> list[tuple[str, int]]:
    """Paths and labels of the images of one folder a class."""
    return [
        (f"{part}/{wnid}/{name}", label) for label, wnid in enumerate(classes) for name in _images(folder / part / wnid)
    ]


def _images(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.upper().endswith(".JPEG"))


def _listing(rows: list[tuple[str, int]], first_id: int) -> Listing:
    labels = np.array([label for _, label in rows], dtype=np.int64)
    return Listing(tuple(path for path, _ in rows), labels, np.arange(first_id, first_id + len(rows)))


def _validation_classes(devkit: Path) -> list[str]:
    """WordNet ids of the validation images in the order of their names, from the development kit."""
    from scipy.io import loadmat

    synsets = loadmat(devkit / "meta.mat", squeeze_me=True)["synsets"]
    wnid_of = {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in synsets if int(one["num_children"]) == 0}
    numbers = (devkit / "ILSVRC2012_validation_ground_truth.txt").read_text(encoding="ascii").split()
    return [wnid_of[int(number)] for number in numbers]


# fmt: off
CLASSES_100 = (
    "n01558993", "n01692333", "n01729322", "n01735189", "n01749939", "n01773797", "n01820546", "n01855672",
    "n01978455", "n01980166", "n01983481", "n02009229", "n02018207", "n02085620", "n02086240", "n02086910",
    "n02087046", "n02089867", "n02089973", "n02090622", "n02091831", "n02093428", "n02099849", "n02100583",
    "n02104029", "n02105505", "n02106550", "n02107142", "n02108089", "n02109047", "n02113799", "n02113978",
    "n02114855", "n02116738", "n02119022", "n02123045", "n02138441", "n02172182", "n02231487", "n02259212",
    "n02326432", "n02396427", "n02483362", "n02488291", "n02701002", "n02788148", "n02804414", "n02859443",
    "n02869837", "n02877765", "n02974003", "n03017168", "n03032252", "n03062245", "n03085013", "n03259280",
    "n03379051", "n03424325", "n03492542", "n03494278", "n03530642", "n03584829", "n03594734", "n03637318",
    "n03642806", "n03764736", "n03775546", "n03777754", "n03785016", "n03787032", "n03794056", "n03837869",
    "n03891251", "n03903868", "n03930630", "n03947888", "n04026417", "n04067472", "n04099969", "n04111531",
    "n04127249", "n04136333", "n04229816", "n04238763", "n04336792", "n04418357", "n04429376", "n04435653",
    "n04485082", "n04493381", "n04517823", "n04589890", "n04592741", "n07714571", "n07715103", "n07753275",
    "n07831146", "n07836838", "n13037406", "n13040303",
)
# fmt: on
"""WordNet ids, as in the authors' imagenet100.txt."""

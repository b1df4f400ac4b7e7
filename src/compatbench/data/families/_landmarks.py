"""The shared part of both landmark datasets: trained on Google Landmarks v2, tested on the revisited Oxford or Paris.

Weyand et al., "Google Landmarks Dataset v2", CVPR 2020, cleaned by Yokoo et al., "Two-stage Discriminative
Re-ranking", CVPRW 2020; Radenović et al., "Revisiting Oxford and Paris", CVPR 2018, https://github.com/filipradenovic/revisitop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compatbench.data.family import Options
from compatbench.data.file_family import FileFamily
from compatbench.data.image_file import Decoding
from compatbench.data.judgements import Judgements
from compatbench.data.listing import Listed, Listing
from compatbench.data.lists import Lists
from compatbench.data.plain_pickle import load_plain

BACKGROUND = "background"
PROTOCOLS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
"""Lists of the ground truth that are relevant, and that are ignored."""


class Landmarks(FileFamily[Options]):
    """Queries, cropped to the published boxes, search all other images of the test set.

    The protocol for every number is the medium one; easy, medium and hard are reported beside it by the authors' own
    formula. A label of a test image is the landmark for whose queries it is relevant, or `background`.
    """

    place = "landmarks"
    size = 540_000_000_000
    licence = "Google Landmarks: lists CC BY 4.0, each photograph a Creative Commons one; test images: of Flickr users"
    options_type = Options
    homepage = "https://github.com/cvdfoundation/google-landmark and https://github.com/filipradenovic/revisitop"
    required = ()
    decoding = Decoding()
    test: ClassVar[str]

    def wanted(self, options: Options) -> tuple[str, ...]:
        """The clean list, the training images, the ground truth and the test images."""
        return "gldv2/train_clean.csv", "gldv2/train", f"{self.test}/gnd_{self.test}.pkl", f"{self.test}/jpg"

    def list_images(self, folder: Path, options: Options) -> Listed:
        """From `train_clean.csv` and the ground truth's pickle, read without running it."""
        train, names = _clean(folder / "gldv2" / "train_clean.csv")
        truth = load_plain((folder / self.test / f"gnd_{self.test}.pkl").read_bytes())
        gallery_ids = np.arange(len(truth["imlist"])) + len(train)
        query_ids = np.arange(len(truth["qimlist"])) + len(train) + len(gallery_ids)
        protocols = {
            name: Judgements(
                query_ids,
                Lists.of([gallery_ids[_rows(one, relevant)] for one in truth["gnd"]]),
                Lists.of([gallery_ids[_rows(one, ignored)] for one in truth["gnd"]]),
            )
            for name, (relevant, ignored) in PROTOCOLS.items()
        }
        landmarks = [query.rpartition("_")[0] for query in truth["qimlist"]]
        test_names = (*sorted(set(landmarks)), BACKGROUND)
        first = len(names)
        query_labels = np.array([test_names.index(name) for name in landmarks], dtype=np.int64)
        gallery_labels = np.full(len(gallery_ids), len(test_names) - 1, dtype=np.int64)
        for row, label in enumerate(query_labels):
            gallery_labels[_rows(truth["gnd"][row], PROTOCOLS["medium"][0])] = label
        boxes = np.array([[round(float(edge)) for edge in one["bbx"]] for one in truth["gnd"]], dtype=np.int64)
        return Listed(
            names + test_names,
            train,
            Listing(self._paths(truth["qimlist"]), query_labels + first, query_ids, boxes),
            Listing(self._paths(truth["imlist"]), gallery_labels + first, gallery_ids),
            judgements=protocols["medium"],
            protocols=protocols,
            new_test_classes=True,
        )

    def _paths(self, images: list[str]) -> tuple[str, ...]:
        return tuple(f"{self.test}/jpg/{name}.jpg" for name in images)


def _clean(path: Path) -> tuple[Listing, tuple[str, ...]]:
    """The training images, and the landmarks' numbers. An image `abc…` lies at `train/a/b/c/abc….jpg`."""
    table = pd.read_csv(path, dtype={"landmark_id": np.int64, "images": str}).sort_values("landmark_id")
    rows = [row.split() for row in table["images"]]
    images = [image for row in rows for image in row]
    labels = np.repeat(np.arange(len(rows)), [len(row) for row in rows]).astype(np.int64)
    paths = tuple(f"gldv2/train/{image[0]}/{image[1]}/{image[2]}/{image}.jpg" for image in images)
    return Listing(paths, labels, np.arange(len(paths))), tuple(str(number) for number in table["landmark_id"])


def _rows(truth: Mapping[str, Any], lists: tuple[str, ...]) -> NDArray[np.int64]:
    """Rows of the gallery that are in these lists of one query."""
    return np.unique(np.concatenate([np.asarray(truth[name], dtype=np.int64).reshape(-1) for name in lists]))

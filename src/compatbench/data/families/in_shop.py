"""DeepFashion In-shop Clothes Retrieval: 52,712 photographs of 7,982 items of clothing.

Liu et al., "DeepFashion", CVPR 2016, https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing

COLUMNS = ["image_name", "item_id", "evaluation_status"]
LISTS = ("list_eval_partition.txt", "Eval/list_eval_partition.txt")
"""The archive has it in `Eval`, older copies beside the images."""


class InShop(FileFamily[Options]):
    """The published split: 3,997 items are trained on; queries of the other 3,985 search a gallery of their own."""

    name = "in_shop"
    description = "52,712 photographs of 7,982 items of clothing"
    size = 1_200_000_000
    licence = "non-commercial research, after signing the authors' agreement"
    options_type = Options
    homepage = "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html"
    required = ("img", LISTS)
    published = Counts(train=25_882, query=14_218, gallery=12_612, train_classes=3_997, classes=7_982)

    def list_images(self, folder: Path, options: Options) -> Listed:
        """From `list_eval_partition.txt`: a count, a line of column names, then one image a line."""
        path = next(folder / name for name in LISTS if (folder / name).exists())
        count, header, *lines = path.read_text(encoding="utf-8").splitlines()
        rows = [line.split() for line in lines if line.strip()]
        if header.split() != COLUMNS or len(rows) != int(count):
            raise ValueError(f"{path.name} promises {count} images in {header!r} and has {len(rows)}")
        items = {item: label for label, item in enumerate(sorted({item for _, item, _ in rows}))}
        parts = {}
        for part in ("train", "query", "gallery"):
            chosen = [(number, image, item) for number, (image, item, status) in enumerate(rows) if status == part]
            parts[part] = Listing(
                tuple(image for _, image, _ in chosen),
                np.array([items[item] for _, _, item in chosen], dtype=np.int64),
                np.array([number for number, _, _ in chosen], dtype=np.int64),
            )
        if unknown := len(rows) - sum(map(len, parts.values())):
            raise ValueError(f"{path.name} has {unknown} images that are neither train, query nor gallery")
        return Listed(tuple(items), parts["train"], parts["query"], parts["gallery"], new_test_classes=True)

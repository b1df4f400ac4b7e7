"""Stanford Online Products: 120,053 photographs of things for sale, 22,634 of them.

Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR 2016,
https://cvgl.stanford.edu/projects/lifted_struct/.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing

COLUMNS = ["image_id", "class_id", "super_class_id", "path"]


class OnlineProducts(FileFamily[Options]):
    """The published split: 11,318 products are trained on, query = gallery are all images of the other 11,316."""

    name = "online_products"
    description = "120,053 photographs of 22,634 products"
    size = 3_100_000_000
    licence = "not stated by the authors; photographs from eBay"
    options_type = Options
    homepage = "https://cvgl.stanford.edu/projects/lifted_struct/"
    required = ("Ebay_train.txt", "Ebay_test.txt")
    archive_folder = "Stanford_Online_Products"
    published = Counts(train=59_551, query=60_502, train_classes=11_318, classes=22_634)

    def list_images(self, folder: Path, options: Options) -> Listed:
        """From the two lists, with ids and classes counted from 1 through both of them."""
        train, test = (_listing(folder / f"Ebay_{part}.txt") for part in ("train", "test"))
        products = int(max(train.labels.max(), test.labels.max())) + 1
        return Listed(
            tuple(f"product {number}" for number in range(1, products + 1)), train, test, new_test_classes=True
        )


def _listing(path: Path) -> Listing:
    table = pd.read_csv(path, sep=" ")
    if list(table.columns) != COLUMNS:
        raise ValueError(f"{path.name} has the columns {list(table.columns)}, not {COLUMNS}")
    return Listing(tuple(table["path"]), table["class_id"].to_numpy(np.int64) - 1, table["image_id"].to_numpy(np.int64))

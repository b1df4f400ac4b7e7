"""iNaturalist 2018: 461,939 photographs of living things, 8,142 species, a few to a thousand of each.

Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018,
https://github.com/visipedia/inat_comp/tree/master/2018.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.listing import Listed, Listing


class INaturalist2018(FileFamily[Options]):
    """Train is the published training set (long-tailed), query = gallery the validation set (three of each)."""

    name = "inaturalist2018"
    description = "461,939 photographs of living things, 8,142 species"
    size = 130_000_000_000
    licence = "non-commercial research and education; each photograph has a licence of its own"
    options_type = Options
    homepage = "https://github.com/visipedia/inat_comp/tree/master/2018"
    required = ("train2018.json", "val2018.json", "train_val2018")
    published = Counts(train=437_513, query=24_426, train_classes=8_142, classes=8_142)

    def list_images(self, folder: Path, options: Options) -> Listed:
        """From the two COCO-style lists; only they contain the split, so torchvision's reader is of no use."""
        train, val = (json.loads((folder / f"{part}2018.json").read_bytes()) for part in ("train", "val"))
        names = {int(one["id"]): str(one["name"]) for one in train["categories"]}
        label_of = {number: label for label, number in enumerate(sorted(names))}
        first = _listing(train, label_of, 0)
        return Listed(tuple(names[number] for number in sorted(names)), first, _listing(val, label_of, len(first)))


def _listing(content: dict[str, Any], label_of: dict[int, int], first_id: int) -> Listing:
    paths = {int(image["id"]): str(image["file_name"]) for image in content["images"]}
    rows = sorted((int(one["image_id"]), label_of[int(one["category_id"])]) for one in content["annotations"])
    return Listing.of([(paths[image], label) for image, label in rows], first_id)

"""Market-1501: 32,668 photographs of 1,501 people, each seen by two to six cameras.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.image_file import Decoding
from compatbench.data.judgements import across_groups
from compatbench.data.listing import Listed, Listing

NAME = re.compile(r"(-1|\d{4})_c([1-6])s\d_\d+_\d+\.jpg(\.jpg)?")
"""Person, camera, sequence, frame, box. A few files of some copies end in `.jpg.jpg`."""
JUNK, DISTRACTOR = -1, 0
"""Persons that are nobody: boxes that count neither way, and bad boxes that are wrong answers."""
FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}


class Market1501(FileFamily[Options]):
    """The published split and protocol: 751 people are trained on, 750 others searched across cameras.

    What the query's own camera saw of the same person is ignored, boxes of nobody (`-1`) are left out for all, and
    2,793 distractors (`0000`) are wrong answers to everything. An image that is resized becomes a square.
    """

    name = "market1501"
    description = "32,668 photographs of 1,501 people by six cameras, 64x128"
    size = 150_000_000
    licence = "research"
    options_type = Options
    homepage = "https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html"
    required = tuple(FOLDERS.values())
    archive_folder = "Market-1501-v15.09.15"
    published = Counts(train=12_936, query=3_368, gallery=15_913, train_classes=751, classes=1_502)
    decoding = Decoding()

    def list_images(self, folder: Path, options: Options) -> Listed:
        """From the files' names; other files, such as Thumbs.db, are not images."""
        found = {part: self._names(folder / name) for part, name in FOLDERS.items()}
        people = sorted({person for rows in found.values() for person, _, _ in rows})
        label_of = {person: label for label, person in enumerate(people)}
        listings, sides, first_id = {}, {}, 0
        for part, rows in found.items():
            one = Listing.of([(f"{FOLDERS[part]}/{name}", label_of[person]) for person, _, name in rows], first_id)
            first_id += len(rows)
            listings[part] = one
            sides[part] = one.ids, one.labels, np.array([camera for _, camera, _ in rows], dtype=np.int64)
        return Listed(
            tuple("distractor" if person == DISTRACTOR else f"{person:04d}" for person in people),
            listings["train"],
            listings["query"],
            listings["gallery"],
            judgements=across_groups(sides["query"], sides["gallery"]),
            new_test_classes=True,
        )

    def _names(self, folder: Path) -> list[tuple[int, int, str]]:
        """Person, camera and file name of each image, by file name."""
        names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() == ".jpg")
        rows = []
        for name in names:
            parts = NAME.fullmatch(name)
            if parts is None:
                raise ValueError(f"{folder.name}/{name} is not named person_camera…, such as 0002_c1s1_000451_03.jpg")
            if int(parts[1]) != JUNK:
                rows.append((int(parts[1]), int(parts[2]), name))
        return rows

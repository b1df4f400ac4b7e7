"""Reads the images of a listing: into memory if they fit, else batch by batch from their files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from compatbench.data.dataset import Dataset, Split, check_disjoint_classes
from compatbench.data.image_file import Decoding
from compatbench.data.image_files import ImageFiles, Images, load_all
from compatbench.data.listing import Listed
from compatbench.data.sound_files import SoundFiles
from compatbench.errors import RequestError
from compatbench.storage.artefacts import Artefact, get_or_make
from compatbench.storage.canonical import digest


def read_listed(
    name: str,
    listed: Listed,
    sound: Mapping[str, SoundFiles],
    folder: Path,
    decoding: Decoding,
    image_size: int | None,
    root: Path,
    memory: int,
) -> Dataset:
    """The dataset of `listed`, its images below `folder` found `sound`; in memory if they fit, else read from files.

    They fit if they take `memory` bytes at most. `root` keeps what is known of the files, and decoded images.
    Without `image_size` all images must be squares of one size. Raises RequestError for images of several sizes.
    """
    splits = listed.splits
    size = image_size if image_size is not None else _common_size(folder, sound)
    in_files = {
        part: ImageFiles(
            folder=folder,
            paths=np.array([path.encode() for path in listing.paths]),
            hashes=sound[part].hashes,
            decoding=decoding,
            size=size,
            rows=torch.arange(len(listing)),
            boxes=listing.boxes,
        )
        for part, listing in splits.items()
    }
    fits = sum(len(images) for images in in_files.values()) * decoding.channels * size**2 <= memory
    images: dict[str, Images] = {part: _in_memory(files, root) if fits else files for part, files in in_files.items()}
    ready = {
        part: Split(images[part], torch.tensor(one.labels), torch.tensor(one.ids), one.paths)
        for part, one in splits.items()
    }
    if listed.new_test_classes:
        for part in ready.keys() - {"train"}:
            check_disjoint_classes(ready["train"].labels, ready[part].labels, f"dataset '{name}': train and {part}")
    return Dataset(
        name=name,
        class_names=listed.class_names,
        train=ready["train"],
        query=ready["query"],
        gallery=ready["gallery" if "gallery" in ready else "query"],
        judgements=listed.judgements,
        protocols=listed.protocols,
        pairs=listed.pairs,
    )


def _common_size(folder: Path, sound: Mapping[str, SoundFiles]) -> int:
    sides = np.unique(np.concatenate([one.sizes for one in sound.values()]))
    if len(sides) > 1:
        raise RequestError(f"{folder}: the images are not squares of one size; set image_size")
    return int(sides[0])


def _in_memory(files: ImageFiles, root: Path) -> torch.Tensor:
    """The images decoded; kept below `root`, so that the next process need not decode them again."""

    def make() -> Artefact:
        return Artefact({"images": load_all(files)})

    if not os.access(root, os.W_OK):
        return make().tensors["images"]
    name = digest({"size": files.size, "content": files.content_sha256})
    return get_or_make(root / ".decoded", name, make).tensors["images"]

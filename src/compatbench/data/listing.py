"""The images of a dataset before they are read: files, labels and ids, as a family finds them in its authors' lists."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.data.dataset import Dataset, Split, check_disjoint_classes
from compatbench.data.image_file import Decoding, clipped
from compatbench.data.image_files import ImageFiles, Images, load_all
from compatbench.data.judgements import Judgements
from compatbench.data.pairs import Pairs
from compatbench.data.sound_files import Notify, SoundFiles, known_files, verify
from compatbench.errors import RequestError
from compatbench.storage.artefacts import Artefact, get_or_make
from compatbench.storage.canonical import digest

IN_MEMORY = 2**30
"""Bytes of decoded images (training, query and gallery together) up to which a dataset is kept in memory."""


@dataclass(frozen=True, eq=False)
class Listing:
    """One split, row by row."""

    paths: tuple[str, ...]
    """Files below the dataset's folder, with `/` between the parts."""
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: NDArray[np.int64] | None = None
    """(N, 4) left, top, right, bottom in pixels of the file; None to use whole images."""

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, eq=False)
class Listed:
    """A dataset whose images were not read yet."""

    class_names: tuple[str, ...]
    train: Listing
    query: Listing
    gallery: Listing | None = None
    """None where every query searches the other queries."""
    judgements: Judgements | None = None
    protocols: Mapping[str, Judgements] = field(default_factory=dict)
    pairs: Pairs | None = None
    new_test_classes: bool = False
    """Whether no class of the test images may have training images."""

    @property
    def splits(self) -> dict[str, Listing]:
        """The splits that there are, by name."""
        some = {"train": self.train, "query": self.query}
        return some if self.gallery is None else some | {"gallery": self.gallery}


def read_listed(
    name: str,
    listed: Listed,
    folder: Path,
    decoding: Decoding,
    image_size: int | None,
    root: Path,
    memory: int,
) -> Dataset:
    """The dataset of `listed`, its images below `folder` verified; in memory if they fit, else left in their files.

    They fit if they take `memory` bytes at most. `root` keeps what is known of the files, and decoded images.
    Without `image_size` all images must be squares of one size. Raises RequestError that names missing or damaged
    files, and boxes outside their image.
    """
    splits = listed.splits
    sound = check_files(name, listed, folder, root)
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


def check_files(
    name: str,
    listed: Listed,
    folder: Path,
    root: Path,
    notify: Notify = lambda line: None,
    *,
    again: bool = False,
) -> dict[str, SoundFiles]:
    """What is known of the files of each split, each read whole once since it last changed, or now for `again`."""
    splits = listed.splits
    files = _files(listed)
    sound = verify(folder, files, _ledger(name, folder, root), notify, again=again)
    row_of = {path: row for row, path in enumerate(files)}
    parts = {}
    for part, listing in splits.items():
        rows = np.array([row_of[path] for path in listing.paths], dtype=np.int64)
        parts[part] = SoundFiles(sound.hashes[rows], sound.sizes[rows])
        if listing.boxes is not None:
            _check_boxes(folder, listing.paths, listing.boxes, parts[part].sizes)
    return parts


def files_gone(name: str, listed: Listed, folder: Path, root: Path) -> list[str]:
    """Files that were sound at an earlier look, and are neither listed nor there any more."""
    known = set(known_files(_ledger(name, folder, root))) - set(_files(listed))
    return sorted(path for path in known if not (folder / path).exists())


def _files(listed: Listed) -> list[str]:
    return list(dict.fromkeys(path for listing in listed.splits.values() for path in listing.paths))


def _ledger(name: str, folder: Path, root: Path) -> Path:
    return root / ".checked" / f"{name}-{digest(str(folder.resolve()))[:12]}.parquet"


def _check_boxes(folder: Path, paths: Sequence[str], boxes: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    for path, box, (width, height) in zip(paths, boxes.tolist(), sizes.tolist(), strict=True):
        try:
            clipped(tuple(box), (width, height))
        except ValueError as error:
            raise RequestError(f"{folder / path}: {error}; fetch the image or the list of boxes again") from error


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

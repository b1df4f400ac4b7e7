"""The images of a dataset before they are read: files, labels and ids, as a family finds them in its authors' lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.data.family import Notify
from compatbench.data.image_file import clipped
from compatbench.data.judgements import Judgements
from compatbench.data.pairs import Pairs
from compatbench.data.sound_files import SoundFiles, known_files, verify_files
from compatbench.errors import RequestError
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

    @classmethod
    def of(cls, rows: Sequence[tuple[str, int]], first_id: int) -> Listing:
        """From paths with labels; ids count up from `first_id`."""
        labels = np.array([label for _, label in rows], dtype=np.int64)
        return cls(tuple(path for path, _ in rows), labels, np.arange(first_id, first_id + len(rows)))

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, eq=False)
class Listed:
    """A dataset before its images are read."""

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
        """The existing splits, by name."""
        some = {"train": self.train, "query": self.query}
        return some if self.gallery is None else some | {"gallery": self.gallery}


def check_files(
    name: str, listed: Listed, folder: Path, root: Path, notify: Notify = lambda line: None, *, again: bool = False
) -> dict[str, SoundFiles]:
    """Facts about the files of each split; each file is read once after each change, or now for `again`."""
    splits = listed.splits
    files = _files(listed)
    sound = verify_files(
        folder, files, _ledger(name, folder, root), lambda line: notify(f"{name}: {line}"), again=again
    )
    row_of = {path: row for row, path in enumerate(files)}
    parts = {}
    for part, listing in splits.items():
        rows = np.array([row_of[path] for path in listing.paths], dtype=np.int64)
        parts[part] = SoundFiles(sound.hashes[rows], sound.sizes[rows])
        if listing.boxes is not None:
            _check_boxes(folder, listing.paths, listing.boxes, parts[part].sizes)
    return parts


def files_gone(name: str, listed: Listed, folder: Path, root: Path) -> list[str]:
    """Files that were sound at an earlier check, and are now neither listed nor there."""
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

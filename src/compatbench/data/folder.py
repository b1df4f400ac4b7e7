"""Any folder of images: one folder a class, or a manifest that lists path, label and split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import UnidentifiedImageError
from torch import Tensor

from compatbench.data.dataset import Dataset, Split, check_dataset
from compatbench.data.family import Family, Notify, Options, summary
from compatbench.data.folder_listing import Entry, list_folder, listed, read_manifest
from compatbench.data.image_file import decode
from compatbench.errors import RequestError

CHECK_SIZE = 8
"""Every image is decoded for a check, but small, so that it needs little memory."""


class FolderOptions(Options):
    """Options of the dataset `folder`."""

    path: str
    """Folder of the images, absolute or relative to the data folder."""
    manifest: str | None = None
    """CSV or Parquet file with the columns path, label and split, relative to `path`."""
    channels: Literal[1, 3] = 3
    """1 to read every image as grey, 3 as RGB."""


class Folder(Family[FolderOptions]):
    """Its splits are train and test, or train, query and gallery; if none is given, a fifth is test."""

    name = "folder"
    description = "a folder of your own images: one folder a class, or a CSV or Parquet manifest"
    size = None
    licence = "that of the images"
    options_type = FolderOptions

    def load(self, root: Path, options: FolderOptions, image_size: int | None) -> Dataset:
        """List, read, convert and resize all images."""
        folder = root / Path(options.path).expanduser()
        try:
            entries = list_folder(folder) if options.manifest is None else read_manifest(folder / options.manifest)
        except OSError as error:
            raise RequestError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
        _check_splits(folder, entries)
        return _assemble(entries, _Reader(folder, options.channels, image_size))

    def get(self, root: Path, notify: Notify) -> str:
        """Nothing to bring."""
        return f"{self.name}: your own images; a suite names them with the option `path`"

    def check(self, root: Path, options: FolderOptions) -> str:
        """Read every image once."""
        dataset = self.load(root, options, CHECK_SIZE)
        check_dataset(dataset)
        return summary(dataset)


def _check_splits(folder: Path, entries: Sequence[Entry]) -> None:
    given = {entry.split for entry in entries}
    if given not in ({"train", "test"}, {"train", "query", "gallery"}):
        raise RequestError(
            f"{folder}: the splits are {', '.join(sorted(given)) or 'none'}; needed are train and test, or "
            "train, query and gallery"
        )
    train = {entry.path for entry in entries if entry.split == "train"}
    leaked = sorted({entry.path for entry in entries if entry.split != "train"} & train)
    if leaked:
        raise RequestError(f"{folder}: images both in train and in the test data: {listed(leaked)}")


class _Reader:
    """Reads images of one folder, all converted alike, and remembers those that it could not read."""

    def __init__(self, folder: Path, channels: int, size: int | None) -> None:
        self.folder = folder
        self.channels = channels
        self.size = size
        self.failures: list[str] = []

    def read(self, paths: Sequence[str]) -> tuple[Tensor, list[bytes]]:
        """Pixels (N, C, S, S) uint8 and sha256 of each file; rows of unreadable files are left out or blank."""
        images: NDArray[np.uint8] = np.empty((0, self.channels, 0, 0), np.uint8)
        hashes: list[bytes] = []
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            for row, result in enumerate(pool.map(self._read_one, paths)):
                if isinstance(result, str):
                    self.failures.append(result)
                    continue
                pixels, content_hash = result
                if not hashes:
                    images = np.zeros((len(paths), *pixels.shape), np.uint8)
                if pixels.shape != images.shape[1:] or pixels.shape[1] != pixels.shape[2]:
                    raise RequestError(f"{self.folder}: the images are not squares of one size; set image_size")
                images[row] = pixels
                hashes.append(content_hash)
        return torch.from_numpy(images), hashes

    def _read_one(self, path: str) -> tuple[NDArray[np.uint8], bytes] | str:
        try:
            content = (self.folder / path).read_bytes()
            return decode(content, self.channels, self.size), hashlib.sha256(content).digest()
        except FileNotFoundError:
            return f"{path} (missing)"
        except UnidentifiedImageError:
            return f"{path} (no image of a known format)"
        except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
            return f"{path} ({str(error).splitlines()[0] if str(error) else type(error).__name__})"


def _assemble(entries: Sequence[Entry], reader: _Reader) -> Dataset:
    """Ids are positions in the sorted paths of all splits, labels positions in the sorted class names."""
    id_of = {path: i for i, path in enumerate(sorted({entry.path for entry in entries}))}
    class_names = tuple(sorted({entry.label for entry in entries}))
    label_of = {name: i for i, name in enumerate(class_names)}
    splits, hashes = {}, {}
    for name in sorted({entry.split for entry in entries}):
        members = sorted((entry for entry in entries if entry.split == name), key=lambda entry: entry.path)
        paths = tuple(entry.path for entry in members)
        images, hashes[name] = reader.read(paths)
        labels = torch.tensor([label_of[entry.label] for entry in members])
        splits[name] = Split(images, labels, torch.tensor([id_of[path] for path in paths]), paths)
    if reader.failures:
        raise RequestError(
            f"{reader.folder}: {len(reader.failures)} images cannot be read: {listed(reader.failures)}; "
            "mend or remove them"
        )
    if "test" in splits:
        query = gallery = splits["test"]
    else:
        gallery = splits["gallery"]
        ids = _query_ids(splits["query"], hashes["query"], gallery, hashes["gallery"])
        query = replace(splits["query"], ids=ids)
    return Dataset(Folder.name, class_names, splits["train"], query, gallery)


def _query_ids(query: Split, query_hashes: list[bytes], gallery: Split, gallery_hashes: list[bytes]) -> Tensor:
    """Ids (Q,) of the queries: a byte-identical copy in the gallery is the same image, so it lends its id.

    Otherwise each of these queries would find its own copy first.
    """
    queries, stored = query.ids.tolist(), gallery.ids.tolist()
    same_path = set(queries) & set(stored)
    copies = {
        (content, label): sample
        for content, label, sample in zip(gallery_hashes, gallery.labels.tolist(), stored, strict=True)
        if sample not in same_path
    }
    return torch.tensor(
        [
            sample if sample in same_path else copies.pop((content, label), sample)
            for content, label, sample in zip(query_hashes, query.labels.tolist(), queries, strict=True)
        ]
    )

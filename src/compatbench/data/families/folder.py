"""Any folder of images (ours): one folder a class, or a manifest of path, label and split."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from compatbench.data.family import Family, Notify, Options, OptionsT, checked
from compatbench.data.folder_listing import list_folder, read_manifest
from compatbench.data.image_file import Decoding
from compatbench.data.listing import IN_MEMORY, Listed, Listing, check_files
from compatbench.data.sound_files import CHECK_SIZE, SoundFiles
from compatbench.errors import RequestError, listed

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset


class FolderOptions(Options):
    """Options of the dataset `folder`."""

    path: str
    """Folder of the images, absolute or relative to the data folder."""
    manifest: str | None = None
    """CSV or Parquet file with the columns path, label and split, relative to `path`."""
    channels: Literal[1, 3] = 3
    """1 to read every image as grey, 3 as RGB."""


class FolderFamily(Family[OptionsT]):
    """A dataset in a folder, described by `as_folder`."""

    @abstractmethod
    def as_folder(self, root: Path, options: OptionsT) -> FolderOptions:
        """The folder, and the way to read it."""

    def load(self, root: Path, options: OptionsT, image_size: int | None) -> Dataset:
        """List, verify and read all images; those of a large folder stay in their files."""
        return self._read(root, options, image_size, IN_MEMORY)

    def check(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """Read every image again."""
        self.look(root, options, notify, again=True)
        return checked(self._read(root, options, CHECK_SIZE, 0))

    def look(self, root: Path, options: OptionsT, notify: Notify, *, again: bool = False) -> None:
        """Read every image that changed since the last check, or all of them."""
        folder, images = self._list(root, options)
        check_files(self.name, images, folder, root, notify, again=again)

    def missing(self, root: Path, options: OptionsT) -> tuple[str, ...]:
        """The folder, or the manifest, if it is missing."""
        where = self.as_folder(root, options)
        wanted = root / Path(where.path).expanduser() / (where.manifest or "")
        return () if wanted.exists() else (str(wanted),)

    def _list(self, root: Path, options: OptionsT) -> tuple[Path, Listed]:
        where = self.as_folder(root, options)
        folder = root / Path(where.path).expanduser()
        try:
            table = list_folder(folder) if where.manifest is None else read_manifest(folder / where.manifest)
        except OSError as error:
            raise RequestError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
        return folder, _by_split(folder, table)

    def _read(self, root: Path, options: OptionsT, image_size: int | None, memory: int) -> Dataset:
        from compatbench.data.read_listed import read_listed

        folder, images = self._list(root, options)
        sound = check_files(self.name, images, folder, root)
        images = _with_copies(images, sound)
        decoding = Decoding(self.as_folder(root, options).channels)
        return read_listed(self.name, images, sound, folder, decoding, image_size, root, memory)


class Folder(FolderFamily[FolderOptions]):
    """Its splits are train and test, or train, query and gallery; if none is given, a fifth is test."""

    name = "folder"
    description = "a folder of your own images: one folder a class, or a CSV or Parquet manifest"
    size = None
    licence = "that of the images"
    options_type = FolderOptions
    linked = False

    def as_folder(self, root: Path, options: FolderOptions) -> FolderOptions:
        """As its options say."""
        return options

    def get(self, root: Path, options: FolderOptions, notify: Notify) -> str:
        """Nothing to fetch; read every file once."""
        self.look(root, options, notify)
        return f"{self.name}: your own images in {root / Path(options.path).expanduser()}"


def _by_split(folder: Path, table: pd.DataFrame) -> Listed:
    """Ids are positions in the sorted paths of all splits, labels positions in the sorted class names."""
    parts = {str(split): part for split, part in table.sort_values("path").groupby("split")}
    if set(parts) not in ({"train", "test"}, {"train", "query", "gallery"}):
        raise RequestError(
            f"{folder}: the splits are {', '.join(sorted(parts)) or 'none'}; needed are train and test, or "
            "train, query and gallery"
        )
    tested = table["path"][table["split"] != "train"]
    if leaked := listed(sorted(set(parts["train"]["path"]) & set(tested))):
        raise RequestError(f"{folder}: images both in train and in the test data: {leaked}")
    id_of, label_of = ({name: i for i, name in enumerate(sorted(set(table[key])))} for key in ("path", "label"))
    listings = {
        split: Listing(
            tuple(part["path"]),
            part["label"].map(label_of).to_numpy(np.int64),
            part["path"].map(id_of).to_numpy(np.int64),
        )
        for split, part in parts.items()
    }
    query = listings["test" if "test" in listings else "query"]
    return Listed(tuple(label_of), listings["train"], query, listings.get("gallery"))


def _with_copies(images: Listed, sound: Mapping[str, SoundFiles]) -> Listed:
    """A query that is byte for byte a gallery image of its class is that image, so it gets its id.

    Otherwise each of these queries would find its own copy first.
    """
    if images.gallery is None:
        return images
    same_path = set(images.query.ids.tolist()) & set(images.gallery.ids.tolist())

    def samples(part: str) -> Iterator[tuple[tuple[bytes, int], int]]:
        listing, hashes = images.splits[part], sound[part].hashes
        contents = zip((row.tobytes() for row in hashes), listing.labels.tolist(), strict=True)
        return zip(contents, listing.ids.tolist(), strict=True)

    copies = {content: sample for content, sample in samples("gallery") if sample not in same_path}
    ids = [sample if sample in same_path else copies.pop(content, sample) for content, sample in samples("query")]
    return replace(images, query=replace(images.query, ids=np.array(ids, dtype=np.int64)))

"""Any folder of images (ours): one folder a class, or a manifest of path, label and split."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from compatbench.data import folder_listing
from compatbench.data.family import Family, Notify, Options, OptionsT, checked
from compatbench.data.folder_listing import Entry, list_folder, read_manifest
from compatbench.data.image_file import Decoding
from compatbench.data.listing import IN_MEMORY, Listed, Listing, check_files
from compatbench.data.sound_files import CHECK_SIZE, SoundFiles
from compatbench.errors import RequestError

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
        """Look into every image again."""
        self.look(root, options, notify, again=True)
        return checked(self._read(root, options, CHECK_SIZE, 0))

    def look(self, root: Path, options: OptionsT, notify: Notify, *, again: bool = False) -> None:
        """Read every image that changed since the last check, or all of them."""
        folder, listed = self._list(root, options)
        check_files(self.name, listed, folder, root, notify, again=again)

    def missing(self, root: Path, options: OptionsT) -> tuple[str, ...]:
        """The folder, or the manifest, if it is missing."""
        where = self.as_folder(root, options)
        wanted = root / Path(where.path).expanduser() / (where.manifest or "")
        return () if wanted.exists() else (str(wanted),)

    def _list(self, root: Path, options: OptionsT) -> tuple[Path, Listed]:
        where = self.as_folder(root, options)
        folder = root / Path(where.path).expanduser()
        try:
            entries = list_folder(folder) if where.manifest is None else read_manifest(folder / where.manifest)
        except OSError as error:
            raise RequestError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
        _check_splits(folder, entries)
        return folder, _listed(entries)

    def _read(self, root: Path, options: OptionsT, image_size: int | None, memory: int) -> Dataset:
        from compatbench.data.read_listed import read_listed

        folder, listed = self._list(root, options)
        listed = _with_copies(listed, check_files(self.name, listed, folder, root))
        decoding = Decoding(self.as_folder(root, options).channels)
        return read_listed(self.name, listed, folder, decoding, image_size, root, memory)


class Folder(FolderFamily[FolderOptions]):
    """Its splits are train and test, or train, query and gallery; if none is given, a fifth is test."""

    name = "folder"
    description = "a folder of your own images: one folder a class, or a CSV or Parquet manifest"
    size = None
    licence = "that of the images"
    options_type = FolderOptions

    def as_folder(self, root: Path, options: FolderOptions) -> FolderOptions:
        """As its options say."""
        return options

    def get(self, root: Path, options: FolderOptions, notify: Notify) -> str:
        """Nothing to bring; look into every file once."""
        self.look(root, options, notify)
        return f"{self.name}: your own images in {root / Path(options.path).expanduser()}"

    def link(self, root: Path) -> None:
        """The folder of the option `path`."""
        return


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
        raise RequestError(f"{folder}: images both in train and in the test data: {folder_listing.listed(leaked)}")


def _listed(entries: Sequence[Entry]) -> Listed:
    """Ids are positions in the sorted paths of all splits, labels positions in the sorted class names."""
    id_of = {path: i for i, path in enumerate(sorted({entry.path for entry in entries}))}
    class_names = tuple(sorted({entry.label for entry in entries}))
    label_of = {name: i for i, name in enumerate(class_names)}
    splits = {}
    for name in {entry.split for entry in entries}:
        members = sorted((entry for entry in entries if entry.split == name), key=lambda entry: entry.path)
        splits[name] = Listing(
            tuple(entry.path for entry in members),
            np.array([label_of[entry.label] for entry in members], dtype=np.int64),
            np.array([id_of[entry.path] for entry in members], dtype=np.int64),
        )
    if "test" in splits:
        return Listed(class_names, splits["train"], splits["test"])
    return Listed(class_names, splits["train"], splits["query"], splits["gallery"])


def _with_copies(listed: Listed, sound: Mapping[str, SoundFiles]) -> Listed:
    """A query that is byte for byte a gallery image is that image, so it gets its id.

    Otherwise each of these queries would find its own copy first.
    """
    if listed.gallery is None:
        return listed
    query_hashes, gallery_hashes = ([row.tobytes() for row in sound[part].hashes] for part in ("query", "gallery"))
    ids = _query_ids(listed.query, query_hashes, listed.gallery, gallery_hashes)
    return replace(listed, query=replace(listed.query, ids=ids))


def _query_ids(
    query: Listing, query_hashes: Sequence[bytes], gallery: Listing, gallery_hashes: Sequence[bytes]
) -> NDArray[np.int64]:
    """Ids (Q,) of the queries: a byte-identical copy in the gallery, of the same label, lends its id."""
    queries, stored = query.ids.tolist(), gallery.ids.tolist()
    same_path = set(queries) & set(stored)
    copies = {
        (content, label): sample
        for content, label, sample in zip(gallery_hashes, gallery.labels.tolist(), stored, strict=True)
        if sample not in same_path
    }
    return np.array(
        [
            sample if sample in same_path else copies.pop((content, label), sample)
            for content, label, sample in zip(query_hashes, query.labels.tolist(), queries, strict=True)
        ],
        dtype=np.int64,
    )

"""Lists the images of a folder with class and split: from its subfolders or from a manifest."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from compatbench.errors import RequestError

SPLITS = ("train", "test", "query", "gallery")
"""`test` is query and gallery in one."""
COLUMNS = ("path", "label", "split")
TEST_SHARE = 0.2
READABLE = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
UNREADABLE = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".svg")
"""Listed too, so that the reader names them instead of leaving them out."""


@dataclass(frozen=True)
class Entry:
    """One image in one split; an image in query and gallery has an entry for each."""

    path: str
    """Relative to the folder, with `/` between the parts."""
    label: str
    split: str
    """One of SPLITS, or empty while no split is given."""


def list_folder(folder: Path) -> list[Entry]:
    """Entries of `folder/class/…/image` or of `folder/split/class/…/image`.

    Without split folders a fifth of each class becomes the test split, see `hash_split`. Raises RequestError.
    """
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}; set the option `path` to the folder of the images")
    parts = {part.name: part for part in _subfolders(folder)}
    if not any(_subfolders(parts[name]) for name in SPLITS if name in parts):
        return hash_split(_list_classes(folder, folder, ""))
    unknown = sorted(set(parts) - set(SPLITS))
    if unknown:
        raise RequestError(f"{folder}: unknown split folders {listed(unknown)}; known are {', '.join(SPLITS)}")
    return [entry for name, part in sorted(parts.items()) for entry in _list_classes(folder, part, name)]


def read_manifest(path: Path) -> list[Entry]:
    """Entries of a CSV or Parquet file with the columns path, label and split. Raises RequestError."""
    try:
        if path.suffix == ".csv":
            # Text as it stands: a class may be called "NA" or "007".
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            raise RequestError(f"manifest {path}: a manifest is a .csv or a .parquet file")
    except FileNotFoundError as error:
        raise RequestError(f"manifest {path} does not exist; it is looked for in the folder of the images") from error
    except (OSError, ValueError) as error:
        raise RequestError(f"manifest {path} cannot be read: {str(error).splitlines()[0]}") from error
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise RequestError(f"manifest {path} lacks the columns {listed(missing)}; it has {listed(table.columns)}")
    table = table.loc[:, list(COLUMNS)]
    blank = (table.isna() | (table.astype(str) == "")).any(axis=1)
    if blank.any():
        rows = [str(row + 1) for row in blank.to_numpy().nonzero()[0]]
        raise RequestError(f"manifest {path}: empty path, label or split in the data rows {listed(rows)}")
    rows_as_text = table.astype(str).itertuples(index=False, name=None)
    entries = [Entry(str(PurePosixPath(file)), label, split) for file, label, split in rows_as_text]
    _check_manifest(path, entries)
    return entries


def hash_split(entries: Sequence[Entry]) -> list[Entry]:
    """The same entries in train and test; test is a fifth of each class, but at least two, of the lowest path hashes.

    The hash (sha256 of the path) makes the split the same everywhere, and an image added later moves few
    others.
    """
    by_class: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_class[entry.label].append(entry)
    small = [label for label, members in sorted(by_class.items()) if len(members) < 3]
    if small:
        raise RequestError(
            f"classes with fewer than 3 images cannot be split into train and test: {listed(small)}; add "
            "images, remove these classes or give a manifest"
        )
    result = []
    for members in by_class.values():
        ranked = sorted(members, key=lambda entry: hashlib.sha256(entry.path.encode()).digest())
        tested = max(2, int(TEST_SHARE * len(members) + 0.5))
        result += [replace(entry, split="test" if i < tested else "train") for i, entry in enumerate(ranked)]
    return result


def listed(names: Iterable[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _subfolders(folder: Path) -> list[Path]:
    return sorted(part for part in folder.iterdir() if part.is_dir() and not _ignored(part.name))


def _list_classes(folder: Path, part: Path, split: str) -> list[Entry]:
    loose = [path.name for path in sorted(part.iterdir()) if path.is_file() and _is_image(path.name)]
    if loose:
        raise RequestError(f"{part}: images outside any class folder: {listed(loose)}; move each into its class")
    entries, empty = [], []
    for class_folder in _subfolders(part):
        images = images_below(class_folder)
        if not images:
            empty.append(class_folder.relative_to(folder).as_posix())
        entries += [Entry(path.relative_to(folder).as_posix(), class_folder.name, split) for path in images]
    if empty:
        raise RequestError(f"{folder}: class folders without images: {listed(empty)}; fill or remove them")
    if not entries:
        raise RequestError(f"{part} holds no class folders; images are expected as class/image.jpg")
    return entries


def images_below(folder: Path) -> list[Path]:
    """All image files in `folder` and its subfolders, sorted, without hidden ones."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _ignored(name)]
        found += [Path(where, name) for name in files if _is_image(name)]
    return sorted(found)


def _is_image(name: str) -> bool:
    return not _ignored(name) and Path(name).suffix.lower() in READABLE + UNREADABLE


def _ignored(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _check_manifest(path: Path, entries: Sequence[Entry]) -> None:
    unknown = sorted({entry.split for entry in entries} - set(SPLITS))
    if unknown:
        raise RequestError(f"manifest {path}: unknown splits {listed(unknown)}; known are {', '.join(SPLITS)}")
    outside = [entry.path for entry in entries if _leaves_folder(entry.path)]
    if outside:
        raise RequestError(f"manifest {path}: paths must stay inside the folder of the images: {listed(outside)}")
    times = Counter((entry.path, entry.split) for entry in entries)
    twice = [file for (file, _), count in times.items() if count > 1]
    if twice:
        raise RequestError(f"manifest {path}: images listed twice in one split: {listed(twice)}")
    labels = {(entry.path, entry.label) for entry in entries}
    torn = [file for file, count in Counter(file for file, _ in labels).items() if count > 1]
    if torn:
        raise RequestError(f"manifest {path}: images with two labels: {listed(torn)}")


def _leaves_folder(path: str) -> bool:
    windows = PureWindowsPath(path)
    return bool(windows.anchor) or PurePosixPath(path).is_absolute() or ".." in windows.parts

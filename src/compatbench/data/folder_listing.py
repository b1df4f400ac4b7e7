"""Lists the images of a folder with class and split: from its subfolders or from a manifest.

Both give a table of path, label and split: a row for each image in each split, its path relative to the folder with `/`
between the parts.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from compatbench.errors import RequestError, listed
from compatbench.storage.bounded_parquet import read_bounded, read_schema

SPLITS = ("train", "test", "query", "gallery")
"""`test` is query and gallery in one."""
COLUMNS = ["path", "label", "split"]
TEST_SHARE = 0.2
MANIFEST_BYTES = 2**27
"""What a manifest may unpack to whatever its size: some ten million rows, each of which takes more as objects."""
READABLE = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
DROPPINGS = ("__MACOSX", "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
"""Folders of systems and of network storage, with bins, or with thumbnails of the images."""
UNREADABLE = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".svg")
"""Listed too, so that the reader names them instead of leaving them out."""


def list_folder(folder: Path) -> pd.DataFrame:
    """The images of `folder/class/…/image` or of `folder/split/class/…/image`.

    Without split folders a fifth of each class becomes the test split, see `hash_split`. Raises RequestError.
    """
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}; set the option `path` to the folder of the images")
    parts = {part.name: part for part in _subfolders(folder)}
    if not any(_subfolders(parts[name]) for name in SPLITS if name in parts):
        return hash_split(pd.DataFrame(_list_classes(folder, folder, ""), columns=COLUMNS))
    unknown = sorted(set(parts) - set(SPLITS))
    if unknown:
        raise RequestError(f"{folder}: unknown split folders {listed(unknown)}; known are {', '.join(SPLITS)}")
    rows = [row for name, part in sorted(parts.items()) for row in _list_classes(folder, part, name)]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_manifest(path: Path) -> pd.DataFrame:
    """The images of a CSV or Parquet file with the columns path, label and split. Raises RequestError."""
    try:
        if path.suffix == ".csv":
            # Text as it stands: a class may be called "NA" or "007".
            table = _without_empty_ends(pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig"))
        elif path.suffix == ".parquet":
            read = read_bounded(path, f"manifest {path}", free=MANIFEST_BYTES, columns=COLUMNS)
            table = read.to_pandas().astype(object)
        else:
            raise RequestError(f"manifest {path}: a manifest is a .csv or a .parquet file")
    except FileNotFoundError as error:
        raise RequestError(f"manifest {path} does not exist; it is looked for in the folder of the images") from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f"manifest {path} cannot be read: it is not UTF-8 (byte {error.start}); save it as CSV UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise RequestError(f"manifest {path} cannot be read: {str(error).splitlines()[0]}") from error
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        names = read_schema(path, f"manifest {path}").names if path.suffix == ".parquet" else table.columns
        raise RequestError(f"manifest {path} lacks the columns {listed(missing)}; {_why_missing(names)}")
    table = table[COLUMNS]
    blank = (table.isna() | (table.astype(str) == "")).any(axis=1)
    if blank.any():
        rows = [str(row + 1) for row in blank.to_numpy().nonzero()[0]]
        raise RequestError(f"manifest {path}: empty path, label or split in the data rows {listed(rows)}")
    table = table.astype(str).astype(object)  # strings of Arrow are slow to go through one by one
    table["path"] = [str(PurePosixPath(image)) for image in table["path"]]
    labels = table.drop_duplicates(["path", "label"])
    spelt = Counter(name.strip() for name in set(table["label"]))
    problems: dict[str, Iterable[str]] = {
        f"unknown splits {{}}; known are {', '.join(SPLITS)}, in small letters, and rows of others must be left out": [
            name if name == name.strip() else f"'{name}'" for name in sorted(set(table["split"]) - set(SPLITS))
        ],
        "paths must stay inside the folder of the images: {}": filter(_leaves_folder, table["path"]),
        "paths with a backslash, which is no separator here; write / between folders: {}": [
            name for name in table["path"] if "\\" in name and not (path.parent / name).exists()
        ],
        "images listed twice in one split: {}": table["path"][table.duplicated(["path", "split"])].unique(),
        "labels that differ in blanks around them alone: {}": [
            f"'{name}'" for name in sorted(set(table["label"])) if spelt[name.strip()] > 1
        ],
        "images with two labels: {}": labels["path"][labels.duplicated("path")].unique(),
    }
    for problem, names in problems.items():
        if several := listed(names):
            raise RequestError(f"manifest {path}: {problem.format(several)}")
    return table


def _without_empty_ends(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that all end in a comma, which the heading does not, have their first cells in the index."""
    more = 0 if isinstance(table.index, pd.RangeIndex) else table.index.nlevels
    if not more or (table.iloc[:, -more:] != "").any(axis=None):
        return table
    return table.reset_index().iloc[:, :-more].set_axis(table.columns, axis=1)


def _why_missing(columns: Iterable[str]) -> str:
    """What the heading is, and what is wrong with it if that shows."""
    found = [str(name) for name in columns]
    blanks = any(name != name.strip() for name in found)
    told = f"it has {listed(map(repr, found) if blanks else found)}"
    separators = {";": "semicolons", "\t": "tabs", "|": "bars"}
    separator = next((word for one, word in separators.items() if len(found) == 1 and one in found[0]), None)
    if separator is not None:
        return f"{told}: its columns are separated by {separator}; save it with commas"
    if blanks:
        return f"{told}: remove the blanks around the names, and after every comma"
    if any(name.lower() in COLUMNS and name not in COLUMNS for name in found):
        return f"{told}: write them in small letters"
    return told


def hash_split(table: pd.DataFrame) -> pd.DataFrame:
    """The same images in train and test; test is a fifth of each class, but at least two, of the lowest path hashes.

    The hash (sha256 of the path) makes the split the same everywhere, and an image added later moves few others.
    """
    sizes = table["label"].value_counts()
    if small := listed(sorted(sizes.index[sizes < 3])):
        raise RequestError(
            f"classes with fewer than 3 images cannot be split into train and test: {small}; add images, remove these "
            "classes or give a manifest"
        )
    hashes = [hashlib.sha256(path.encode()).hexdigest() for path in table["path"]]
    ranked = table.iloc[np.argsort(hashes, kind="stable")]
    tested = (TEST_SHARE * ranked["label"].map(sizes) + 0.5).astype(int).clip(lower=2)
    return ranked.assign(split=np.where(ranked.groupby("label").cumcount() < tested, "test", "train"))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(part for part in folder.iterdir() if part.is_dir() and not _ignored(part.name))


def _list_classes(folder: Path, part: Path, split: str) -> list[tuple[str, str, str]]:
    loose = [path.name for path in sorted(part.iterdir()) if path.is_file() and _is_image(path.name)]
    if loose:
        raise RequestError(f"{part}: images outside any class folder: {listed(loose)}; move each into its class")
    rows, empty = [], []
    for class_folder in _subfolders(part):
        images = images_below(class_folder)
        if not images:
            empty.append(class_folder.relative_to(folder).as_posix())
        rows += [(path.relative_to(folder).as_posix(), class_folder.name, split) for path in images]
    if empty:
        raise RequestError(f"{folder}: class folders without images: {listed(empty)}; fill or remove them")
    if not rows:
        raise RequestError(f"{part} contains no class folders; images are expected as class/image.jpg")
    return rows


def images_below(folder: Path) -> list[Path]:
    """All image files in `folder` and its subfolders, sorted, without hidden ones and DROPPINGS."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _ignored(name)]
        found += [Path(where, name) for name in files if _is_image(name)]
    return sorted(found)


def _is_image(name: str) -> bool:
    return not _ignored(name) and Path(name).suffix.lower() in READABLE + UNREADABLE


def _ignored(name: str) -> bool:
    return name.startswith(".") or name in DROPPINGS


def _leaves_folder(path: str) -> bool:
    if ".." not in path and ":" not in path and path[:1] not in ("/", "\\"):
        return False  # most paths, without a look at their parts
    windows = PureWindowsPath(path)
    return bool(windows.anchor) or PurePosixPath(path).is_absolute() or ".." in windows.parts

"""Faces: trained on one folder a person, tested on a list of pairs of the same or of different persons.

Reads the list of LFW (Huang et al., "Labeled Faces in the Wild", UMass TR 2007) and the plain lists, one pair a line,
in which AgeDB-30, CFP-FP, CALFW, CPLFW and the like are passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from compatbench.data.family import Options
from compatbench.data.file_family import FileFamily
from compatbench.data.folder_listing import images_below
from compatbench.data.image_file import Decoding
from compatbench.data.listing import Listed, Listing
from compatbench.data.pairs import Pairs
from compatbench.data.vectors.formats.text import read_text

FOLDS = 10
HEADING = {"name", "name1", "name2", "imagenum1", "imagenum2", "path1", "path2", "issame", "is_same", "label"}
"""Names of columns, any of which makes a first line a heading."""


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("give a path relative to the dataset's folder, which `data get faces --from FOLDER` links")
    return path


Inside = Annotated[str, AfterValidator(_inside)]


class FacesOptions(Options):
    """Options of the dataset `faces`; all paths are relative to its folder."""

    train: Inside = "train"
    """Folder of the training images, one folder a person."""
    images: Inside = "lfw"
    """Folder that the pairs' paths start from."""
    pairs: Inside = "pairs.txt"
    """The list of pairs."""
    identity: Literal["folder", "pairs"] = "folder"
    """Who is on a test image: the name of the folder it lies in, or whoever the pairs say is the same."""


@dataclass(frozen=True)
class Pair:
    """One line of a list of pairs."""

    first: str
    second: str
    same: bool
    fold: int


class Faces(FileFamily[FacesOptions]):
    """Query = gallery are all images of the list of pairs; pair verification looks at the pairs alone."""

    name = "faces"
    description = "your own faces to train on, and a list of pairs such as LFW's to verify"
    size = None
    licence = "that of the images; LFW: not stated by the authors"
    options_type = FacesOptions
    homepage = "https://vis-www.cs.umass.edu/lfw/"
    required = ()
    decoding = Decoding()

    def wanted(self, options: FacesOptions) -> tuple[str, ...]:
        """The two folders and the list."""
        return options.train, options.images, options.pairs

    def list_images(self, folder: Path, options: FacesOptions) -> Listed:
        """Training images by folder, test images by the pairs."""
        pairs = read_pair_list(folder / options.pairs)
        test = sorted({path for pair in pairs for path in (pair.first, pair.second)})
        people = (
            _people(test, pairs) if options.identity == "pairs" else [PurePosixPath(path).parent.name for path in test]
        )
        _check(pairs, dict(zip(test, people, strict=True)), folder / options.pairs)
        train = [path.relative_to(folder) for path in images_below(folder / options.train)]
        trained = [path.relative_to(options.train).parts[0] for path in train]
        names = (*sorted(set(trained)), *sorted(set(people) - set(trained)))
        label_of = {name: label for label, name in enumerate(names)}
        id_of = {path: number for number, path in enumerate(test, start=len(train))}
        return Listed(
            names,
            Listing.of([(path.as_posix(), label_of[name]) for path, name in zip(train, trained, strict=True)], 0),
            Listing.of(
                [(f"{options.images}/{path}", label_of[name]) for path, name in zip(test, people, strict=True)],
                len(train),
            ),
            pairs=Pairs(
                np.array([id_of[pair.first] for pair in pairs], dtype=np.int64),
                np.array([id_of[pair.second] for pair in pairs], dtype=np.int64),
                np.array([pair.same for pair in pairs]),
                np.array([pair.fold for pair in pairs], dtype=np.int64),
            ),
            new_test_classes=True,
        )


def read_pair_list(path: Path) -> list[Pair]:
    """The pairs of a list. Raises ValueError naming the first wrong line.

    LFW's format: the first line has the number of folds (left away where there is one) and of pairs of each kind in
    a fold; `name 1 4` stands for name/name_0001.jpg and name/name_0004.jpg, `name 1 other 2` for different people.
    Plain lists have two paths and a 1 for the same person or a 0, before or behind the paths, between blanks or commas;
    they are cut into ten folds in their order, as is usual for the lists that were made after LFW's. So are lists in
    LFW's format without its first line, or with names of columns in its place. A byte-order mark gives the encoding;
    what is no text is a RequestError.
    """
    rows = [line.replace(",", " ").split() for line in read_text(path).splitlines() if line.strip(" \t,")]
    if not rows:
        raise ValueError(f"{path.name} is empty")
    if all(word.isdecimal() for word in rows[0]) and len(rows[0]) < 3:
        return list(_lfw(rows, path))
    if set(map(str.lower, rows[0])) & HEADING:
        rows = rows[1:]
    if all(map(_is_lfw, rows)) and any(len(row) == 4 for row in rows):
        return [_lfw_pair(row, number * FOLDS // len(rows)) for number, row in enumerate(rows)]
    return [_plain(row, number, path, number * FOLDS // len(rows)) for number, row in enumerate(rows)]


def _lfw(rows: list[list[str]], path: Path) -> Iterator[Pair]:
    *folds, each = (int(word) for word in rows[0])
    count = folds[0] if folds else 1
    if len(rows) - 1 != 2 * each * count:
        raise ValueError(f"{path.name} promises {2 * each * count:,} pairs and has {len(rows) - 1:,}")
    for place, row in enumerate(rows[1:]):
        if not _is_lfw(row):
            raise ValueError(f"{path.name}, line {place + 2}: expected `name 1 4` or `name 1 other 2`")
        yield _lfw_pair(row, place // (2 * each))


def _is_lfw(row: list[str]) -> bool:
    return len(row) in (3, 4) and row[1].isdecimal() and row[-1].isdecimal()


def _lfw_pair(row: list[str], fold: int) -> Pair:
    other = row[0] if len(row) == 3 else row[2]
    return Pair(_lfw_path(row[0], row[1]), _lfw_path(other, row[-1]), len(row) == 3, fold)


def _lfw_path(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"


def _plain(row: list[str], place: int, path: Path, fold: int) -> Pair:
    if len(row) == 3 and row[0] in "01":
        row = [*row[1:], row[0]]
    if len(row) != 3 or row[2] not in ("0", "1"):
        raise ValueError(f"{path.name}, line {place + 1}: expected two paths and a 1 (same person) or a 0")
    return Pair(row[0], row[1], row[2] == "1", fold)


def _people(images: list[str], pairs: list[Pair]) -> list[str]:
    """One name for all images that a chain of pairs of the same person connects: that of the first of them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row_of = {path: row for row, path in enumerate(images)}
    edges = [(row_of[pair.first], row_of[pair.second]) for pair in pairs if pair.same]
    rows, columns = np.array(edges).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(images), len(images)))
    _, component = connected_components(graph, directed=False)
    first = dict(zip(component[::-1].tolist(), images[::-1], strict=True))
    return [first[one] for one in component.tolist()]


def _check(pairs: list[Pair], person_of: dict[str, str], path: Path) -> None:
    for number, pair in enumerate(pairs, start=1):
        if (person_of[pair.first] == person_of[pair.second]) != pair.same:
            raise ValueError(
                f"{path.name}, pair {number}: {pair.first} and {pair.second} are said to be "
                f"{'the same person' if pair.same else 'two people'}, which the option `identity` contradicts"
            )

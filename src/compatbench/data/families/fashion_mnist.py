"""Fashion-MNIST: 60,000 + 10,000 grey images of clothes, 28x28 pixels, 10 classes.

Xiao, Rasul & Vollgraf, arXiv 1708.07747, https://github.com/zalandoresearch/fashion-mnist.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compatbench.data.family import Counts, Family, Notify, Options
from compatbench.data.sources import bring, debian_package, mirror
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset


@dataclass(frozen=True)
class IdxFile:
    """One of the four files, gzipped. Debian's were compressed without file name and time, so only the
    uncompressed content is the same everywhere, and its hash proves a file right whatever its source."""

    name: str
    size: int
    """Bytes, uncompressed."""
    sha256: str
    """Of the uncompressed content."""
    download_sha256: str
    """Of the gzip file on the mirrors."""


FILES = {
    "train images": IdxFile(
        "train-images-idx3-ubyte.gz",
        47_040_016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train labels": IdxFile(
        "train-labels-idx1-ubyte.gz",
        60_008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "test images": IdxFile(
        "t10k-images-idx3-ubyte.gz",
        7_840_016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "test labels": IdxFile(
        "t10k-labels-idx1-ubyte.gz",
        10_008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
MIRRORS = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
REMEDY = "run `compatbench data get fashion_mnist`"


class FashionMnist(Family[Options]):
    """Train is the original training set, query = gallery the original test set.

    Files below the data folder come first, then those of the installed Debian package, where they are.
    """

    name = "fashion_mnist"
    description = "70,000 grey images of clothes, 28x28, 10 classes"
    size = 30_900_000
    licence = "MIT"
    options_type = Options
    published = Counts(train=60_000, query=10_000, train_classes=10, classes=10)

    def load(self, root: Path, options: Options, image_size: int | None) -> Dataset:
        """Read and verify the four files."""
        problems = []
        for folder in (root / self.name, DEBIAN_FOLDER):
            if any((folder / file.name).exists() for file in FILES.values()):
                try:
                    return read_folder(folder)
                except RequestError as problem:
                    problems.append(problem)
        absent = RequestError(f"dataset '{self.name}' is not on this machine; {REMEDY}, or use `digits`, which is")
        raise next(iter(problems), absent)

    def get(self, root: Path, options: Options, notify: Notify) -> str:
        """Find the files, else download them from a mirror, else take them out of the Debian package.

        Each source is verified by sha256. A second process that wants the files too waits for the first.
        """
        with suppress(RequestError):
            self.load(root, options, None)
            return f"{self.name}: ready"
        small_first = sorted(FILES.values(), key=lambda file: file.size)  # a mirror without them shows early
        hashes = {file.name: file.download_sha256 for file in small_first}
        sources = {url: mirror(url, hashes) for url in MIRRORS}
        sources[f"Debian package {DEBIAN_PACKAGE}"] = debian_package(DEBIAN_PACKAGE, DEBIAN_FOLDER)
        otherwise = (
            f"connect this machine, install the Debian package {DEBIAN_PACKAGE}, or run the `digits` suite, which "
            "needs no download"
        )
        source = bring(self.name, sources, root, read_folder, notify, otherwise)
        return f"{self.name}: ready, from {source}"

    def missing(self, root: Path, options: Options) -> tuple[str, ...]:
        """The files missing from both the data folder and the Debian package."""
        places = (root / self.name, DEBIAN_FOLDER)
        if any(all((folder / file.name).exists() for file in FILES.values()) for folder in places):
            return ()
        return tuple(str(path) for file in FILES.values() if not (path := root / self.name / file.name).exists())


def read_folder(folder: Path) -> Dataset:
    """The dataset from the four files in `folder`. Raises RequestError naming a wrong file."""
    from compatbench.data.dataset import Dataset, Split

    arrays = {what: _read_file(folder / file.name, file) for what, file in FILES.items()}
    train = Split.of(arrays["train images"][:, None], arrays["train labels"], ids=0)
    test = Split.of(arrays["test images"][:, None], arrays["test labels"], ids=len(train))
    return Dataset(FashionMnist.name, CLASSES, train, test, test)


def _read_file(path: Path, file: IdxFile) -> NDArray[np.uint8]:
    """Images (N, 28, 28) or labels (N,). IDX is a magic number, each size in four bytes, and unsigned bytes."""
    try:
        with gzip.open(path) as packed:
            content = packed.read(file.size + 1)  # whatever it would unpack to
    except FileNotFoundError as error:
        raise RequestError(f"{path} is missing; {REMEDY}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RequestError(f"{path} is damaged: it is no sound gzip file ({error}); {REMEDY} to replace it") from error
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise RequestError(
            f"{path} is damaged: its content is not the published one (sha256 differs); {REMEDY} to replace it"
        )
    header, shape = (16, (-1, 28, 28)) if "images" in file.name else (8, (-1,))
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()

"""SVHN: 99,289 colour images of house-number digits, cropped to 32x32 pixels ("format 2"), 10 classes.

Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS Workshop 2011,
http://ufldl.stanford.edu/housenumbers/.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compatbench.data.family import Counts, Family, Notify, Options
from compatbench.data.sources import bring, mirror
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset, Split

HOST = "http://ufldl.stanford.edu/housenumbers/"
FILES = {
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}
"""Sha256; torchvision's reader checks the authors' md5 on every load."""


class Svhn(Family[Options]):
    """Train is the published training set without the "extra" one, query = gallery the published test set."""

    name = "svhn"
    description = "99,289 colour images of house-number digits, 32x32, 10 classes"
    size = 246_400_000
    licence = "non-commercial use only"
    options_type = Options
    published = Counts(train=73_257, query=26_032, train_classes=10, classes=10)

    def load(self, root: Path, options: Options, image_size: int | None) -> Dataset:
        """By torchvision's reader, with the files' label 10 as the digit 0."""
        missing = self.missing(root, options)
        if missing:
            raise RequestError(f"{missing[0]} is missing; run `compatbench data get {self.name}`")
        return self._read(root / self.name)

    def get(self, root: Path, options: Options, notify: Notify) -> str:
        """Download both files."""
        if not self.missing(root, options):
            self.load(root, options, None)
            return f"{self.name}: ready"
        otherwise = f"connect this machine, or put {' and '.join(FILES)} in {root / self.name}"
        source = bring(self.name, {HOST: mirror(HOST, FILES)}, root, self._read, notify, otherwise)
        return f"{self.name}: ready, from {source}"

    def missing(self, root: Path, options: Options) -> tuple[str, ...]:
        """The missing ones of the two files."""
        return tuple(str(path) for name in FILES if not (path := root / self.name / name).exists())

    def _read(self, folder: Path) -> Dataset:
        from compatbench.data.dataset import Dataset

        train = self._split(folder, "train", 0)
        test = self._split(folder, "test", len(train))
        return Dataset(self.name, tuple("0123456789"), train, test, test)

    def _split(self, folder: Path, part: str, first_id: int) -> Split:
        from torchvision.datasets import SVHN

        from compatbench.data.dataset import Split

        try:
            found = SVHN(str(folder), split=part)
        except RuntimeError as error:  # its md5 is not the published one
            raise RequestError(
                f"{folder / f'{part}_32x32.mat'} is damaged; delete it and run `compatbench data get {self.name}`"
            ) from error
        return Split.of(found.data, found.labels, first_id)

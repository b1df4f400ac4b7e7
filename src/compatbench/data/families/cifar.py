"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32x32 pixels in 10 or 100 classes.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
Read from the authors' binary version: their Python version is a pickle, which would run code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.data.dataset import Dataset, Split
from compatbench.data.family import Family, Notify, Options
from compatbench.data.first_sight import changed, remember
from compatbench.data.sources import archive, bring
from compatbench.errors import RequestError

PIXELS = 3 * 32 * 32
HOST = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class BinaryVersion:
    """One of the two archives. A record is `label_bytes` labels, the last of which counts, then red, green, blue."""

    archive: str
    sha256: str
    folder: str
    train: tuple[str, ...]
    test: str
    classes: str
    """Text file with one class name a line."""
    label_bytes: int
    records: tuple[int, int]
    """Images in the training files together and in the test file."""


class _Cifar(Family[Options]):
    """Train is the published training set, query = gallery the published test set."""

    size = 184_400_000
    licence = "not stated by the authors, who ask to be cited"
    options_type = Options
    version: ClassVar[BinaryVersion]

    def load(self, root: Path, options: Options, image_size: int | None) -> Dataset:
        """Read all records."""
        missing = self.missing(root, options)
        if missing:
            raise RequestError(f"{missing[0]} is missing; {self._remedy}")
        return self._read(root / self.name / self.version.folder)

    def get(self, root: Path, options: Options, notify: Notify) -> str:
        """Download the binary version, whose sha256 is known; of files put there by hand it is kept from now on."""
        if not self.missing(root, options):
            self.load(root, options, None)
            if not self._ledger(root).exists():
                remember(self._ledger(root), self._files(root))
            return f"{self.name}: ready"
        url = HOST + self.version.archive
        source = bring(
            self.name,
            {url: archive(url, self.version.sha256)},
            root,
            lambda found: self._read(found / self.version.folder),
            notify,
            f"connect this machine, or unpack {self.version.archive} in {root / self.name}",
        )
        remember(self._ledger(root), self._files(root))
        return f"{self.name}: ready, from {source}"

    def check(self, root: Path, options: Options, notify: Notify) -> str:
        """Read all records, and compare the files with what `get` found."""
        summary = super().check(root, options, notify)
        damaged = changed(self._ledger(root), self._files(root))
        if damaged:
            raise RequestError(
                f"{damaged[0]} has changed since it was first found sound; delete its folder and {self._remedy}, or "
                f"delete {self._ledger(root)} if you replaced it yourself"
            )
        return summary

    def missing(self, root: Path, options: Options) -> tuple[str, ...]:
        """Those of the binary files that are not there."""
        return tuple(str(file) for file in self._files(root) if not file.exists())

    def _files(self, root: Path) -> list[Path]:
        version = self.version
        return [root / self.name / version.folder / name for name in (*version.train, version.test, version.classes)]

    def _ledger(self, root: Path) -> Path:
        return root / ".checked" / f"{self.name}.json"

    @property
    def _remedy(self) -> str:
        return f"run `compatbench data get {self.name}`"

    def _read(self, folder: Path) -> Dataset:
        version = self.version
        names = tuple((folder / version.classes).read_text(encoding="ascii").split())
        parts = [self._records(folder / name, len(names)) for name in version.train]
        parts.append(self._records(folder / version.test, len(names)))
        found = sum(map(len, parts[:-1])), len(parts[-1])
        if found != version.records:
            raise RequestError(
                f"{folder} has {found[0]:,} training and {found[1]:,} test images instead of "
                f"{version.records[0]:,} and {version.records[1]:,}; delete it and {self._remedy}"
            )
        train, test = self._split(parts[:-1], 0), self._split(parts[-1:], found[0])
        for part, split in (("training", train), ("test", test)):
            counts = split.labels.bincount(minlength=len(names))
            if counts.min() != counts.max():
                raise RequestError(
                    f"{folder} is damaged: the classes, equally large as published, have {int(counts.min()):,} to "
                    f"{int(counts.max()):,} {part} images; delete it and {self._remedy}"
                )
        return Dataset(self.name, names, train, test, test)

    def _records(self, path: Path, classes: int) -> NDArray[np.uint8]:
        content = np.frombuffer(bytearray(path.read_bytes()), np.uint8)
        width = self.version.label_bytes + PIXELS
        if not len(content) or len(content) % width:
            raise RequestError(
                f"{path} is damaged: {len(content):,} bytes are no whole number of records of {width}; delete it and "
                f"{self._remedy}"
            )
        records = content.reshape(-1, width)
        highest = int(records[:, self.version.label_bytes - 1].max())
        if highest >= classes:
            raise RequestError(
                f"{path} is damaged: it has a label {highest} of {classes} classes; delete it and {self._remedy}"
            )
        return records

    def _split(self, parts: list[NDArray[np.uint8]], first_id: int) -> Split:
        labels = self.version.label_bytes
        records = np.concatenate(parts)
        return Split(
            torch.from_numpy(np.ascontiguousarray(records[:, labels:]).reshape(-1, 3, 32, 32)),
            torch.from_numpy(records[:, labels - 1].astype(np.int64)),
            torch.arange(first_id, first_id + len(records)),
        )


class Cifar10(_Cifar):
    """Labels 0 … 9 as published."""

    name = "cifar10"
    description = "60,000 colour images, 32x32, 10 classes"
    version = BinaryVersion(
        archive="cifar-10-binary.tar.gz",
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{part}.bin" for part in range(1, 6)),
        test="test_batch.bin",
        classes="batches.meta.txt",
        label_bytes=1,
        records=(50_000, 10_000),
    )


class Cifar100(_Cifar):
    """The 100 fine labels; the first byte of a record is the coarse one of 20, which is not used."""

    name = "cifar100"
    description = "60,000 colour images, 32x32, 100 classes"
    version = BinaryVersion(
        archive="cifar-100-binary.tar.gz",
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        folder="cifar-100-binary",
        train=("train.bin",),
        test="test.bin",
        classes="fine_label_names.txt",
        label_bytes=2,
        records=(50_000, 10_000),
    )

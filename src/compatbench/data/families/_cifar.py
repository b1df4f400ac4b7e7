"""The shared part of CIFAR-10 and CIFAR-100: 60,000 colour images of 32x32 pixels, train and test.

Read from the authors' binary version, or from their Python version, which is a pickle: its plain data are read, and
nothing in it is run.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compatbench.data.family import Family, Notify, Options
from compatbench.data.plain_pickle import UnplainPickleError, load_plain
from compatbench.data.sources import archive, bring
from compatbench.errors import RequestError
from compatbench.storage.files import file_sha256, write_whole

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset, Split

PIXELS = 3 * 32 * 32
HOST = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class BinaryVersion:
    """One of the two archives. A record is `label_bytes` labels, of which the last counts, then red, green, blue."""

    archive: str
    sha256: str
    folder: str
    train: tuple[str, ...]
    test: str
    classes: str
    """Text file with one class name a line."""
    label_bytes: int
    pickled: str
    """Folder of the Python version, which has the same records in the same order."""


class Cifar(Family[Options]):
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
        return self._read(self._folder(root))

    def get(self, root: Path, options: Options, notify: Notify) -> str:
        """Download the binary version, by its sha256; store the sha256 of files put there by hand."""
        if not self.missing(root, options):
            self.load(root, options, None)
            if not self._ledger(root).exists():
                self._remember(root)
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
        self._remember(root)
        return f"{self.name}: ready, from {source}"

    def check(self, root: Path, options: Options, notify: Notify) -> str:
        """Read all records, and compare the files with the hashes that `get` stored."""
        summary = super().check(root, options, notify)
        try:
            known = json.loads(self._ledger(root).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return summary
        noted = [file for file in self._files(root) if file.name in known]
        if damaged := [file for file in noted if known[file.name] != file_sha256(file)]:
            raise RequestError(
                f"{damaged[0]} has changed since it was first found sound; delete its folder and {self._remedy}, or "
                f"delete {self._ledger(root)} if you replaced it yourself"
            )
        return summary

    def missing(self, root: Path, options: Options) -> tuple[str, ...]:
        """The missing ones of the files of either version."""
        return tuple(str(file) for file in self._files(root) if not file.exists())

    def _folder(self, root: Path) -> Path:
        """The binary version, unless the Python version alone is there."""
        binary, pickled = (root / self.name / name for name in (self.version.folder, self.version.pickled))
        return pickled if pickled.is_dir() and not binary.is_dir() else binary

    def _files(self, root: Path) -> list[Path]:
        version, folder = self.version, self._folder(root)
        names = [version.classes, *version.train, version.test]
        return [folder / (_pickled_name(name) if folder.name == version.pickled else name) for name in names]

    def _ledger(self, root: Path) -> Path:
        """Sha256 by name of the files as they were when they were first found sound: their authors publish none."""
        return root / ".checked" / f"{self.name}.json"

    def _remember(self, root: Path) -> None:
        hashes = {file.name: file_sha256(file) for file in self._files(root)}
        with suppress(OSError):  # a read-only disk costs the next check, no more
            write_whole(self._ledger(root), json.dumps(hashes, indent=1))

    @property
    def _remedy(self) -> str:
        return f"run `compatbench data get {self.name}`"

    def _read(self, folder: Path) -> Dataset:
        from compatbench.data.dataset import Dataset

        version = self.version
        if folder.name == version.pickled:
            names, parts = self._unpickled(folder)
        else:
            names = tuple((folder / version.classes).read_text(encoding="ascii").split())
            parts = [self._records(folder / name, len(names)) for name in (*version.train, version.test)]
        found = sum(map(len, parts[:-1])), len(parts[-1])
        if found != (self.published.train, self.published.query):
            raise RequestError(
                f"{folder} has {found[0]:,} training and {found[1]:,} test images instead of "
                f"{self.published.train:,} and {self.published.query:,}; delete it and {self._remedy}"
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

    def _unpickled(self, folder: Path) -> tuple[tuple[str, ...], list[NDArray[np.uint8]]]:
        """Class names, and records as the binary version has them; its labels before the last stay 0."""
        version, kind = self.version, "fine_label" if self.version.label_bytes == 2 else "label"
        classes, *parts = [
            _plain(folder / _pickled_name(name), self._remedy)
            for name in (version.classes, *version.train, version.test)
        ]
        try:
            names = tuple(_text(name) for name in classes[f"{kind}_names"])
            records = []
            for part in parts:
                labels = np.zeros((len(part["data"]), version.label_bytes), dtype=np.uint8)
                labels[:, -1] = part[f"{kind}s"]
                records.append(np.concatenate([labels, part["data"].reshape(-1, PIXELS)], axis=1))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RequestError(f"{folder} is damaged ({type(error).__name__}: {error}); {self._remedy}") from error
        return names, records

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
        from compatbench.data.dataset import Split

        labels = self.version.label_bytes
        records = np.concatenate(parts)
        return Split.of(records[:, labels:].reshape(-1, 3, 32, 32), records[:, labels - 1], first_id)


def _pickled_name(name: str) -> str:
    """The name in the Python version of a file of the binary one."""
    return {"batches.meta.txt": "batches.meta", "fine_label_names.txt": "meta"}.get(name, name.removesuffix(".bin"))


def _plain(path: Path, remedy: str) -> dict[str, Any]:
    """A dictionary in a pickle, by text; nothing in the file is run."""
    try:
        found = load_plain(path.read_bytes())
        return {_text(key): value for key, value in found.items()}
    except (UnplainPickleError, AttributeError) as error:
        raise RequestError(f"{path} is damaged or more than plain data ({error}); delete it and {remedy}") from error


def _text(name: str | bytes) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else str(name)

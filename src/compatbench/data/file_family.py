"""A family whose images are files: it lists them, and all else is done here for all such families alike."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from filelock import FileLock

from compatbench.data.dataset import Dataset, check_dataset
from compatbench.data.family import Family, Notify, OptionsT, summary
from compatbench.data.image_file import Decoding
from compatbench.data.listing import Listed, check_files, read_listed
from compatbench.data.sources import FetchError, Source, fetch
from compatbench.errors import RequestError

CHECK_SIZE = 8


class FileFamily(Family[OptionsT]):
    """Subclass it and write `list_images`; name in `required` what must be there before that."""

    homepage: ClassVar[str]
    """Where its authors publish it."""
    required: ClassVar[tuple[str, ...]]
    """Files and folders of the dataset, relative to `folder`, without which it is not complete."""
    archive_folder: ClassVar[str] = ""
    """The folder that the authors' archive unpacks into; it may be left away."""
    decoding: ClassVar[Decoding] = Decoding(fit="centre")
    sources: ClassVar[dict[str, Source]] = {}
    """Where it may be downloaded from; empty where licence, size or host forbid that."""

    @abstractmethod
    def list_images(self, folder: Path, options: OptionsT) -> Listed:
        """Splits, labels and ids of the files below `folder`, from the authors' lists. Raises RequestError."""

    def folder(self, root: Path) -> Path:
        """`root/name`, or the archive's own folder in there."""
        inner = root / self.name / self.archive_folder
        return inner if inner.is_dir() else root / self.name

    def missing(self, root: Path, options: OptionsT) -> tuple[str, ...]:
        """Those of `required` that are not there."""
        folder = self.folder(root)
        return tuple(str(folder / name) for name in self.required if not (folder / name).exists())

    def load(self, root: Path, options: OptionsT, image_size: int | None) -> Dataset:
        """List the images, verify those not yet known, and read them where they fit into memory."""
        listed = self._listed(root, options)
        return read_listed(self.name, listed, self.folder(root), self.decoding, image_size, root)

    def get(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """Download it where that is allowed and it is not there, then look into every file once."""

        def tell(line: str) -> None:
            notify(f"{self.name}: {line}")

        source = ""
        if self.missing(root, options):
            source = f", from {self._fetch(root, options, tell)}"
        check_files(self.name, self._listed(root, options), self.folder(root), root, tell)
        return f"{self.name}: ready{source}"

    def check(self, root: Path, options: OptionsT) -> str:
        """Look into every file that changed since the last look, and check that the splits fit together."""
        listed = self._listed(root, options)
        dataset = read_listed(self.name, listed, self.folder(root), self.decoding, CHECK_SIZE, root, memory=0)
        check_dataset(dataset)
        return summary(dataset)

    def _listed(self, root: Path, options: OptionsT) -> Listed:
        if self.missing(root, options):
            raise RequestError(self._what_is_missing(root, options))
        folder = self.folder(root)
        try:
            return self.list_images(folder, options)
        except OSError as error:
            raise RequestError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, IndexError) as error:
            said = f"{type(error).__name__}: {error}"
            raise RequestError(
                f"dataset '{self.name}': a list in {folder} is damaged ({said}); fetch it again"
            ) from error

    def _fetch(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """Bring it from one of `sources`; the source's name."""
        if not self.sources:
            raise RequestError(self._what_is_missing(root, options))
        try:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f".{self.name}.lock"):
                return fetch(self.sources, root / self.name, lambda folder: self.list_images(folder, options), notify)
        except OSError as error:
            raise RequestError(f"dataset '{self.name}' cannot be stored in {root}: {error.strerror}") from error
        except FetchError as error:
            raise RequestError(
                f"dataset '{self.name}' could not be fetched ({error}); connect this machine, or get it from "
                f"{self.homepage} and put it in {root / self.name}"
            ) from error

    def _what_is_missing(self, root: Path, options: OptionsT) -> str:
        missing = ", ".join(self.missing(root, options))
        size = f"about {self.size / 1e9:.1f} GB, " if self.size else ""
        return (
            f"dataset '{self.name}' is not complete, missing: {missing}; get it from {self.homepage} ({size}licence: "
            f"{self.licence}) and put it at {root / self.name}, or link it there with "
            f"`compatbench data get {self.name} --from FOLDER`"
        )

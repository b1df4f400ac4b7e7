"""A family of image files: the family lists them, and all else is done here for all such families alike."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compatbench.data.family import Family, Notify, OptionsT, checked
from compatbench.data.image_file import Decoding
from compatbench.data.listing import IN_MEMORY, Listed, check_files, files_gone
from compatbench.data.sound_files import CHECK_SIZE
from compatbench.data.sources import archive, bring
from compatbench.errors import RequestError, listed

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset


class FileFamily(Family[OptionsT]):
    """Subclass it and write `list_images`; name the files that this needs in `required`."""

    homepage: ClassVar[str]
    """Where its authors publish it."""
    required: ClassVar[tuple[str | tuple[str, ...], ...]]
    """Files and folders, relative to `folder`, without which it is not complete; of a tuple one is enough."""
    place: ClassVar[str] = ""
    """Its folder below the data folder, where that is not its name."""
    archive_folder: ClassVar[str] = ""
    """The folder that the authors' archive unpacks into; it may be left away."""
    decoding: ClassVar[Decoding] = Decoding(fit="centre")
    archive: ClassVar[tuple[str, str] | None] = None
    """URL and sha256 of what may be downloaded; None where licence, size or host forbid that."""

    @abstractmethod
    def list_images(self, folder: Path, options: OptionsT) -> Listed:
        """Splits, labels and ids of the files below `folder`, from the authors' lists. Raises RequestError."""

    def folder(self, root: Path) -> Path:
        """The folder of the files: `link`, or the archive's own folder in there."""
        return self._inner(self.link(root))

    def link(self, root: Path) -> Path:
        """The folder for the files, or for a link to them."""
        return root / (self.place or self.name)

    def wanted(self, options: OptionsT) -> tuple[str | tuple[str, ...], ...]:
        """`required`, if it depends on the options."""
        return self.required

    def missing(self, root: Path, options: OptionsT) -> tuple[str, ...]:
        """The missing ones of `wanted`."""
        folder = self.folder(root)
        names = [(name,) if isinstance(name, str) else name for name in self.wanted(options)]
        return tuple(str(folder / some[0]) for some in names if not any((folder / one).exists() for one in some))

    def load(self, root: Path, options: OptionsT, image_size: int | None) -> Dataset:
        """List the images, verify those not yet known, and read them if they fit into memory."""
        from compatbench.data.read_listed import read_listed

        listed, folder = self._listed(root, options), self.folder(root)
        sound = check_files(self.name, listed, folder, root)
        return read_listed(self.name, listed, sound, folder, self.decoding, image_size, root, IN_MEMORY)

    def get(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """Download it if that is allowed and it is missing, then read every file once."""
        source = f", from {self._fetch(root, options, notify)}" if self.missing(root, options) else ""
        check_files(self.name, self._listed(root, options), self.folder(root), root, notify)
        return f"{self.name}: ready{source}"

    def check(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """Read every file again, and check that the splits fit together."""
        from compatbench.data.read_listed import read_listed

        listed, folder = self._listed(root, options), self.folder(root)
        sound = check_files(self.name, listed, folder, root, notify, again=True)
        return checked(read_listed(self.name, listed, sound, folder, self.decoding, CHECK_SIZE, root, memory=0))

    def _listed(self, root: Path, options: OptionsT) -> Listed:
        if self.missing(root, options):
            raise RequestError(self._what_is_missing(root, options))
        return self._list(self.link(root), options, root)

    def _inner(self, folder: Path) -> Path:
        inner = folder / self.archive_folder
        return inner if inner.is_dir() else folder

    def _list(self, folder: Path, options: OptionsT, root: Path | None = None) -> Listed:
        """`list_images`, with as many as were published; `root` knows which files there were."""
        folder = self._inner(folder)
        try:
            found = self.list_images(folder, options)
        except OSError as error:
            raise RequestError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, IndexError) as error:
            said = f"{type(error).__name__}: {error}"
            raise RequestError(
                f"dataset '{self.name}': a list in {folder} is damaged ({said}); fetch it again"
            ) from error

        for part, listing in found.splits.items():
            published = getattr(self.published, part)
            if published not in (None, len(listing)):
                gone = files_gone(self.name, found, folder, root) if root else []
                raise RequestError(
                    f"dataset '{self.name}': {folder} lists {len(listing):,} images in its {part} split, and "
                    f"{published:,} were published{f'; gone since the last look: {listed(gone)}' if gone else ''}; "
                    "fetch it again"
                )
        return found

    def _fetch(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """Download the archive; its URL."""
        if self.archive is None:
            raise RequestError(self._what_is_missing(root, options))
        url, sha256 = self.archive
        otherwise = f"connect this machine, or get it from {self.homepage} and put it at {self.link(root)}"
        sources = {url: archive(url, sha256)}
        return bring(self.name, sources, root, lambda found: self._list(found, options), notify, otherwise)

    def _what_is_missing(self, root: Path, options: OptionsT) -> str:
        missing = ", ".join(self.missing(root, options))
        size = f"about {self.size / 1e9:.1f} GB, " if self.size else ""
        return (
            f"dataset '{self.name}' is not complete, missing: {missing}; get it from {self.homepage} ({size}licence: "
            f"{self.licence}) and put it at {self.link(root)}, or link it there with "
            f"`compatbench data get {self.name} --from FOLDER`"
        )

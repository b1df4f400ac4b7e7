"""Finds, loads, fetches and checks datasets by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from compatbench.data import families
from compatbench.data.family import Family, Notify, Options
from compatbench.discovery.finding import Found, Kind, find
from compatbench.discovery.source import load_module
from compatbench.errors import RequestError, describe, is_machines_failure
from compatbench.storage.validation import validated

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def discover_datasets(folders: Sequence[Path] = ()) -> Found[Family[Any]]:
    """All datasets of the built-in folder, of `folders`, and of installed packages.

    Raises RequestError for a folder that does not exist, and where two datasets have one name.
    """
    return find(DATASETS, folders)


def known_datasets(folders: Sequence[Path] = ()) -> Found[Family[Any]]:
    """Like `discover_datasets`, but only names, files and descriptions: parsed, if possible, and not executed."""
    return find(DATASETS, folders, lambda name: False)


def family(name: str, folders: Sequence[Path] = ()) -> Family[Any]:
    """The family called `name`; no other file is executed. Raises RequestError with the nearest names for none."""
    return find(DATASETS, folders, lambda other: other == name).get(name)


def load(
    name: str, image_size: int | None, root: Path, options: Mapping[str, Any], folders: Sequence[Path] = ()
) -> Dataset:
    """Load dataset `name` from below `root`, checked, its images resized to `image_size` (None: as they are).

    `image_size` 0 is for datasets of texts and vectors.

    Raises RequestError, in one line, if the name, an option or the data are wrong.
    """
    found = family(name, folders)
    return load_dataset(found, image_size, root, parse_options(found, options))


def load_dataset(family: Family[Any], image_size: int | None, root: Path, options: Options) -> Dataset:
    """`load`, for a family already found."""
    from compatbench.data.dataset import Dataset, check_dataset
    from compatbench.data.resize import resized

    if image_size is not None and image_size < 0:
        raise RequestError(f"dataset '{family.name}': image_size is {image_size}; it must be at least 1")
    try:
        dataset = family.load(root, options, image_size)
        if not isinstance(dataset, Dataset):
            raise TypeError(f"load() returned {type(dataset).__name__}, not a Dataset")
    except Exception as error:
        if isinstance(error, RequestError) or is_machines_failure(error):
            raise
        raise RequestError(
            f"dataset '{family.name}': {describe(error, Path(inspect.getfile(type(family))))}"
        ) from error
    check_dataset(dataset)
    if image_size == 0 and dataset.train.image_size:
        raise RequestError(f"dataset '{family.name}' has images: say their size, e.g. image_size: 32")
    return dataset if image_size is None else resized(dataset, image_size)


def get(
    name: str, root: Path, notify: Notify, options: Mapping[str, Any] = NO_OPTIONS, folders: Sequence[Path] = ()
) -> str:
    """Fetch dataset `name` to below `root` unless it is there; returns one line with the place."""
    found = family(name, folders)
    return found.get(root, parse_options(found, options), notify)


def check(
    name: str, root: Path, options: Mapping[str, Any], notify: Notify = lambda line: None, folders: Sequence[Path] = ()
) -> str:
    """One line that dataset `name` is complete and sound; raises RequestError, one line too, if it is not."""
    found = family(name, folders)
    return found.check(root, parse_options(found, options), notify)


def parse_options(family: Family[Any], options: Mapping[str, Any]) -> Options:
    """The options of a dataset, validated. Raises RequestError naming the first wrong one."""
    model: type[Options] = family.options_type
    return validated(model, dict(options), f"dataset '{family.name}', option ")


def load_family(path: Path) -> ModuleType:
    """The module of the dataset file at `path`: a built-in one under its public name, so that it is loaded once."""
    builtin = path.parent == DATASETS.builtin
    return import_module(f"{families.__name__}.{path.stem}") if builtin else load_module(path)


DATASETS: Kind[Family[Any]] = Kind(
    word="dataset",
    summary="description",
    builtin=Path(families.__path__[0]).resolve(),
    bases=lambda: (Family,),
    load=load_family,
    make=lambda cls, path: cls(),
)

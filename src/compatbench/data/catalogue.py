"""All dataset families by name, and how a dataset is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from compatbench.data.dataset import Dataset, Split, check_dataset
from compatbench.data.families.cars196 import Cars196
from compatbench.data.families.cifar import Cifar10, Cifar100
from compatbench.data.families.cub200 import Cub200
from compatbench.data.families.digits import Digits
from compatbench.data.families.faces import Faces
from compatbench.data.families.fashion_mnist import FashionMnist
from compatbench.data.families.folder import Folder
from compatbench.data.families.hub import Hub
from compatbench.data.families.imagenet import ImageNet, ImageNet100
from compatbench.data.families.in_shop import InShop
from compatbench.data.families.inaturalist2018 import INaturalist2018
from compatbench.data.families.landmarks import LandmarksOxford, LandmarksParis
from compatbench.data.families.market1501 import Market1501
from compatbench.data.families.online_products import OnlineProducts
from compatbench.data.families.places365 import Places365
from compatbench.data.families.svhn import Svhn
from compatbench.data.family import Family, Notify, Options
from compatbench.data.image_files import ImageFiles
from compatbench.data.resize import resize
from compatbench.errors import RequestError

FAMILIES: dict[str, Family[Any]] = {
    family.name: family
    for family in (
        Digits(),
        FashionMnist(),
        Cifar10(),
        Cifar100(),
        Svhn(),
        ImageNet100(),
        ImageNet(),
        Places365(),
        INaturalist2018(),
        Cub200(),
        Cars196(),
        OnlineProducts(),
        InShop(),
        LandmarksOxford(),
        LandmarksParis(),
        Market1501(),
        Faces(),
        Hub(),
        Folder(),
    )
}

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def family(name: str) -> Family[Any]:
    """The family called `name`. Raises RequestError with the nearest names if there is none."""
    if name not in FAMILIES:
        raise RequestError(f"unknown dataset '{name}'{_hint(name, FAMILIES)}")
    return FAMILIES[name]


def load(name: str, image_size: int | None, root: Path, options: Mapping[str, Any]) -> Dataset:
    """Load dataset `name` from below `root`, checked, its images resized to `image_size` (None: as they are).

    Raises RequestError, in one line, if the name, an option or the data are wrong.
    """
    if image_size is not None and image_size < 1:
        raise RequestError(f"dataset '{name}': image_size is {image_size}; it must be at least 1")
    dataset = family(name).load(root, parse_options(name, options), image_size)
    check_dataset(dataset)
    return dataset if image_size is None else _resized(dataset, image_size)


def get(name: str, root: Path, notify: Notify, options: Mapping[str, Any] = NO_OPTIONS) -> str:
    """Bring dataset `name` below `root` unless it is there; one line on where it is."""
    return family(name).get(root, parse_options(name, options), notify)


def check(name: str, root: Path, options: Mapping[str, Any], notify: Notify = lambda line: None) -> str:
    """One line that says dataset `name` is complete and sound; raises RequestError, one line too, if not."""
    return family(name).check(root, parse_options(name, options), notify)


def parse_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of dataset `name`, validated. Raises RequestError naming the first that is wrong."""
    model: type[Options] = family(name).options_type
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = model.model_fields
            hint = _hint(option, known) if known else "; it has none"
            raise RequestError(f"dataset '{name}' has no option '{option}'{hint}") from error
        if first["type"] == "missing":
            raise RequestError(f"dataset '{name}' needs the option '{option}'") from error
        raise RequestError(f"dataset '{name}', option '{option}': {first['msg']}") from error


def _hint(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(sorted(known))}"


def _resized(dataset: Dataset, size: int) -> Dataset:
    def resized(split: Split) -> Split:
        if isinstance(split.images, ImageFiles):
            return split  # their family was told the size
        return replace(split, images=resize(split.images, size))

    query = resized(dataset.query)
    gallery = query if dataset.gallery is dataset.query else resized(dataset.gallery)
    return replace(dataset, train=resized(dataset.train), query=query, gallery=gallery)

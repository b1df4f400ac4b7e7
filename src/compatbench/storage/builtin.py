"""The folders of the package's own methods and benchmarks."""

from __future__ import annotations

from pathlib import Path

import compatbench


def builtin_folder(name: str) -> Path:
    """`benchmarks` or `methods`: inside an installed wheel, else in the checkout."""
    installed = Path(compatbench.__file__).parent / "_builtin" / name
    return installed if installed.is_dir() else Path(compatbench.__file__).parents[2] / name

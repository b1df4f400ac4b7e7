"""The code on a machine: compared between the driver of a run and its workers before a cell starts."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

import compatbench
from compatbench.errors import MachineError
from compatbench.storage.builtin import builtin_folder

COMPARED_PACKAGES = ("torch", "timm", "numpy")
"""Whose versions change what a training computes."""


@functools.cache
def code_version() -> str:
    """Versions of Python and of the important packages, and a hash of this package's and its methods' files."""
    state = hashlib.sha256()
    for folder in (Path(compatbench.__file__).parent, builtin_folder("methods")):
        for path in sorted(folder.rglob("*.py")):
            content = path.read_bytes()
            state.update(f"{path.relative_to(folder).as_posix()}:{len(content)};".encode() + content)
    packages = " ".join(f"{name} {version(name)}" for name in COMPARED_PACKAGES)
    return f"python {platform.python_version()} {packages} compatbench {state.hexdigest()[:12]}"


def check_code_version(driver: str) -> None:
    """Raise MachineError if this node has other code than the driver of the run."""
    if code_version() != driver:
        raise MachineError(f"a node has {code_version()}, the driver {driver}; install the same version on every node")

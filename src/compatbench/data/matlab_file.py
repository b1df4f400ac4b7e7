"""MATLAB files, in which some authors give their lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compatbench.errors import first_line


def read_matlab(path: Path) -> dict[str, Any]:
    """The variables by name. Raises OSError for a missing file, and ValueError for a damaged one."""
    from scipy.io import loadmat

    path.open("rb").close()  # scipy gives no reason for a missing file
    try:
        content: dict[str, Any] = loadmat(path, squeeze_me=True)
    except Exception as error:  # damaged bytes raise almost anything
        raise ValueError(f"{path.name}: {first_line(error)}") from error
    return content

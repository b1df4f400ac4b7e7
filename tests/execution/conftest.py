"""A folder of methods that fail on purpose, for each test its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_methods import FAULTS, FAULTY, Faulty

from compatbench.data.dataset import Dataset


@pytest.fixture
def faulty(tmp_path: Path, digits: Dataset) -> Faulty:
    folder = tmp_path / "methods"
    folder.mkdir()
    (folder / "broken").touch()
    for name, fault in FAULTS.items():
        (folder / f"{name}.py").write_text(FAULTY.format(name=name, fault=fault))
    return Faulty(tmp_path, digits)

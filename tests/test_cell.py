"""One cell in this process: its record's numbers against their sources, and every way to fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compatbench import cell as cell_module
from compatbench.cell import Workplace, command, run_cell, without_absolute_paths
from compatbench.errors import InvalidResultError
from compatbench.records import CellSpec, Record, Status


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ('File "/home/me/env/lib/site-packages/torch/nn.py", line 3', 'File "site-packages/torch/nn.py", line 3'),
        ('File "/src/me/repo/src/compatbench/cell.py", line 3', 'File "src/compatbench/cell.py", line 3'),
        ('File "/home/me/my.py", line 3', 'File "my.py", line 3'),
        ("No such file: '/home/me/data/x.png'", "No such file: 'x.png'"),
        ("see https://host.org/a/b and a/b, 1/2, (/)", "see https://host.org/a/b and a/b, 1/2, (/)"),
        ("/home/me/one:/home/me/two", "one:two"),
    ],
)
def test_absolute_paths_are_cut(text: str, public: str) -> None:
    assert without_absolute_paths(text) == public

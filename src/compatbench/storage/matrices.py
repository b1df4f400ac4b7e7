"""Matrices larger than memory: written once, block by block, and then read as memory-mapped files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.storage.artefacts import Notify, made_together
from compatbench.storage.files import whole_file, write_whole

Blocks = Callable[[], Iterator[NDArray[np.float16]]]
"""Gives the rows of a matrix in order, some at a time."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Rows (N, F) float16 in a memory-mapped file, and the speed of making them."""

    rows: NDArray[np.float16]
    rows_per_second: float


def get_or_fill_together(folder: Path, name: str, count: int, blocks: Blocks, notify: Notify) -> Matrix:
    """The matrix `name` in `folder`, of `count` rows; written if it is missing or damaged.

    One process of the machine writes while others wait; where several train together, `blocks` takes all of them.
    """
    path = folder / f"{name}.npy"
    return made_together(path, _read, lambda: _write(path, count, blocks), lambda: list(map(len, blocks())), notify)


def _write(path: Path, count: int, blocks: Blocks) -> Matrix:
    begun = time.perf_counter()
    done, out = 0, None
    with whole_file(path) as temporary:
        for block in blocks():
            if out is None:
                shape = (count, block.shape[1])
                out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
            out[done : done + len(block)] = block
            done += len(block)
        if out is None or done != count:
            raise ValueError(f"{path.name}: {done} of {count} rows")
        out.flush()
        facts = {"rows": count, "rows_per_second": count / (time.perf_counter() - begun)}
        write_whole(path.with_suffix(".json"), json.dumps(facts))
    found, problem = _read(path)
    if found is None:
        raise ValueError(problem)
    return found


def _read(path: Path) -> tuple[Matrix | None, str]:
    """Headers and sizes are checked, and not every byte: each cell would read gigabytes before its first step."""
    if not path.exists():
        return None, ""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if rows.dtype != np.float16 or rows.ndim != 2 or len(rows) != facts["rows"]:
            return None, f"{rows.dtype} {rows.shape} is no matrix of {facts['rows']} rows"
        return Matrix(rows, float(facts["rows_per_second"])), ""
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        return None, str(error)

"""Matrices larger than memory: written once, block by block, and then read as memory-mapped files."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.storage.artefacts import Notify, Waiting, made_together, nobody_waits
from compatbench.storage.canonical import digest
from compatbench.storage.files import whole_file, write_whole

Blocks = Callable[[], Iterator[NDArray[np.float16]]]
"""Gives the rows of a matrix in order, some at a time."""

PART_BYTES = 2**22
"""A file's hash is that of its parts' hashes, so that some parts can be checked without the others."""
CHECKED_PARTS = 32
"""Of a found file: all parts of up to 128 MiB, and as many of a larger one, evenly spaced, with the first and last."""


@dataclass(frozen=True, eq=False)
class StoredMatrix:
    """Rows (N, F) float16 in a memory-mapped file, and the speed of making them."""

    rows: NDArray[np.float16]
    rows_per_second: float
    sha256: str
    """Over the file, part by part."""


def get_or_fill_together(
    folder: Path, name: str, count: int, blocks: Blocks, notify: Notify, waiting: Waiting = nobody_waits
) -> StoredMatrix:
    """The matrix `name` in `folder`, of `count` rows; written if it is missing or damaged.

    One process of the machine writes while others wait; where several train together, `blocks` takes all of them.
    """
    path = folder / f"{name}.npy"
    return made_together(
        path, _read, lambda: _write(path, count, blocks), lambda: list(map(len, blocks())), notify, waiting
    )


def is_stored(folder: Path, name: str) -> bool:
    """Whether the matrix `name` is in `folder`, by its header and size."""
    return _opened(folder / f"{name}.npy")[0] is not None


@functools.lru_cache(maxsize=256)
def content_of(path: Path) -> str:
    """The hash of the matrix at `path`, some of whose parts are checked. Raises RequestError for a damaged one."""
    found, problem = _read(path)
    if found is None:
        raise RequestError(f"{path.name}: {problem}")
    return found.sha256


def _write(path: Path, count: int, blocks: Blocks) -> StoredMatrix:
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
        parts = [_part_sha256(temporary, part) for part in range(_parts(temporary))]
        facts = {"rows": count, "rows_per_second": count / (time.perf_counter() - begun), "parts": parts}
        write_whole(path.with_suffix(".json"), json.dumps(facts))
    found, problem = _opened(path)
    if found is None:
        raise ValueError(problem)
    return found


def _read(path: Path) -> tuple[StoredMatrix | None, str]:
    """Header, size and the hashes of some parts are checked: cells would read gigabytes before their first step."""
    found, problem = _opened(path)
    if found is None:
        return None, problem
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["parts"]
    for part in np.unique(np.linspace(0, len(expected) - 1, CHECKED_PARTS).astype(int)):
        if _part_sha256(path, int(part)) != expected[part]:
            return None, f"part {part + 1} of {len(expected)} does not match its hash"
    return found, ""


def _opened(path: Path) -> tuple[StoredMatrix | None, str]:
    if not path.exists():
        return None, ""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if rows.dtype != np.float16 or rows.ndim != 2 or len(rows) != facts["rows"]:
            return None, f"{rows.dtype} {rows.shape} is no matrix of {facts['rows']} rows"
        if len(facts["parts"]) != _parts(path):
            return None, f"{len(facts['parts'])} hashes of {_parts(path)} parts"
        return StoredMatrix(rows, float(facts["rows_per_second"]), digest(facts["parts"])), ""
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        return None, str(error) or type(error).__name__


def _parts(path: Path) -> int:
    return -(-path.stat().st_size // PART_BYTES)


def _part_sha256(path: Path, part: int) -> str:
    with path.open("rb") as file:
        file.seek(part * PART_BYTES)
        return hashlib.sha256(file.read(PART_BYTES)).hexdigest()

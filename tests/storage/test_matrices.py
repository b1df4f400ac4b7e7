"""Matrices: written once in blocks, read from the file, and made again where the file is damaged."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compatbench.storage import matrices
from compatbench.storage.canonical import digest
from compatbench.storage.matrices import StoredMatrix, get_or_fill_together

VALUES = np.arange(35, dtype=np.float16).reshape(7, 5)


class Source:
    """Gives VALUES three rows at a time, and counts how often it is asked."""

    def __init__(self, stop: int = 7) -> None:
        self.asked = 0
        self.stop = stop

    def __call__(self) -> Iterator[NDArray[np.float16]]:
        self.asked += 1
        for start in range(0, self.stop, 3):
            yield VALUES[start : min(start + 3, self.stop)]


def get(folder: Path, source: Source, told: list[str] | None = None) -> StoredMatrix:
    return get_or_fill_together(folder, "some", 7, source, (told if told is not None else []).append)


def test_a_matrix_is_written_once_and_read_from_the_file(tmp_path: Path) -> None:
    source = Source()
    first, second = get(tmp_path / "new", source), get(tmp_path / "new", source)
    assert source.asked == 1
    for found in (first, second):
        assert isinstance(found.rows, np.memmap)
        np.testing.assert_array_equal(found.rows, VALUES)
        assert found.rows_per_second == first.rows_per_second > 0
    assert {path.name for path in (tmp_path / "new").iterdir() if path.suffix != ".lock"} == {"some.json", "some.npy"}


@pytest.mark.parametrize("damage", ["cut", "header", "facts", "rows", "bit", "hashes"])
def test_a_damaged_file_is_made_again_and_told(tmp_path: Path, damage: str) -> None:
    get(tmp_path, Source())
    path = tmp_path / "some.npy"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    if damage == "header":
        path.write_bytes(b"no matrix")
    if damage == "facts":
        (tmp_path / "some.json").write_text("{")
    if damage == "bit":
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
    if damage == "hashes":
        facts = json.loads(path.with_suffix(".json").read_text())
        path.with_suffix(".json").write_text(json.dumps({**facts, "parts": []}))
    if damage == "rows":
        np.save(path, VALUES[:6])
    told: list[str] = []
    source = Source()
    np.testing.assert_array_equal(get(tmp_path, source, told).rows, VALUES)
    assert source.asked == 1
    assert len(told) == 1
    assert told[0].startswith("some.npy is damaged (")


def test_what_breaks_off_leaves_no_matrix(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"some.npy: 4 of 7 rows"):
        get(tmp_path, Source(stop=4))
    assert not (tmp_path / "some.npy").exists()
    np.testing.assert_array_equal(get(tmp_path, Source()).rows, VALUES)


def test_of_a_large_file_parts_at_even_distances_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "PART_BYTES", 16)
    monkeypatch.setattr(matrices, "CHECKED_PARTS", 7)
    found = get(tmp_path, Source())
    path = tmp_path / "some.npy"
    content = path.read_bytes()
    parts = [hashlib.sha256(content[start : start + 16]).hexdigest() for start in range(0, len(content), 16)]
    assert len(parts) == 13
    assert found.sha256 == digest(parts)
    noticed = []
    for part in range(8, 13):  # those before are the header
        changed = bytearray(content)
        changed[16 * part + 1] ^= 1
        path.write_bytes(changed)
        told: list[str] = []
        get(tmp_path, Source(), told)
        noticed += [part] * len(told)
        path.write_bytes(content)
    assert noticed == [8, 10, 12], "of 13 parts every second one"


def test_memory_is_that_of_a_block_however_many_rows_there_are(tmp_path: Path) -> None:
    rows, block = 200_000, np.ones((1000, 64), np.float16)
    tracemalloc.start()
    try:
        for _ in range(2):  # written, then found and checked
            found = get_or_fill_together(tmp_path, "large", rows, lambda: (block for _ in range(rows // 1000)), print)
            assert found.rows[rows - 1].sum() == 64
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "large.npy").stat().st_size > 25_000_000
    assert peak < matrices.PART_BYTES + 2_000_000, "one part of the file at a time"

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compatbench.data import sound_files
from compatbench.data.sound_files import verify_files
from compatbench.errors import RequestError

PATHS = ["a/1.png", "b/2.jpg", "a/3.png"]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files whose content was read."""
    names: list[str] = []
    read_one = sound_files._read_one

    def spy(path: Path):
        names.append(path.name)
        return read_one(path)

    monkeypatch.setattr(sound_files, "_read_one", spy)
    return names


@pytest.fixture
def root(tmp_path: Path, write_image) -> Path:
    for number, path in enumerate(PATHS):
        write_image(tmp_path / "images" / path, (number, 0, 0), (10 + number, 5))
    return tmp_path


def look(root: Path, paths=PATHS):
    return verify_files(root / "images", paths, root / ".checked" / "toy.parquet", lambda line: None)


def test_hashes_and_sizes_are_those_of_the_files(root: Path) -> None:
    found = look(root)
    for row, path in enumerate(PATHS):
        assert found.hashes[row].tobytes() == hashlib.sha256((root / "images" / path).read_bytes()).digest()
        assert found.sizes[row].tolist() == [10 + row, 5]
    backwards = look(root, PATHS[::-1])
    np.testing.assert_array_equal(backwards.hashes, found.hashes[::-1])


def test_a_file_is_read_again_only_after_a_change(root: Path, looked_at: list[str], write_image) -> None:
    look(root)
    assert sorted(looked_at) == ["1.png", "2.jpg", "3.png"]
    look(root)
    assert len(looked_at) == 3
    write_image(root / "images" / "b/2.jpg", (0, 200, 0), (40, 40))
    changed = look(root)
    assert looked_at[3:] == ["2.jpg"]
    assert changed.sizes[1].tolist() == [40, 40]
    os.utime(root / "images" / "a/1.png", ns=(1, 1))
    look(root)
    assert looked_at[4:] == ["1.png"]


def test_all_files_are_read_again_on_request(root: Path, looked_at: list[str]) -> None:
    path = root / "images" / "b/2.jpg"
    content = path.read_bytes()
    path.write_bytes(content + bytes(8))  # what follows a JPEG's end is not looked at
    before, first = path.stat(), look(root)
    path.write_bytes(content + bytes(range(8)))  # as a failing disk would: same size, same time
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert look(root).hashes.tobytes() == first.hashes.tobytes()
    again = verify_files(root / "images", PATHS, root / ".checked" / "toy.parquet", lambda line: None, again=True)
    assert sorted(looked_at[3:]) == ["1.png", "2.jpg", "3.png"]
    assert again.hashes[1].tobytes() == hashlib.sha256(path.read_bytes()).digest() != first.hashes[1].tobytes()
    assert look(root).hashes.tobytes() == again.hashes.tobytes()


def test_a_damaged_ledger_costs_one_more_look(root: Path, looked_at: list[str]) -> None:
    look(root)
    (root / ".checked" / "toy.parquet").write_bytes(b"damaged")
    look(root)
    look(root)
    assert len(looked_at) == 6


def test_failures_are_named_and_what_is_sound_is_kept(root: Path, looked_at: list[str], write_image) -> None:
    (root / "images" / "a/1.png").write_text("no image")
    (root / "images" / "a/3.png").unlink()
    for _ in range(2):
        with pytest.raises(RequestError, match="2 images cannot be read: ") as caught:
            look(root)
        assert "a/1.png (no image of a known format)" in str(caught.value)
        assert "a/3.png (missing)" in str(caught.value)
        assert "2.jpg" not in str(caught.value)
    assert sorted(looked_at) == ["1.png", "1.png", "2.jpg"]  # a damaged file is looked into every time


def test_a_truncated_image_is_found(root: Path) -> None:
    path = root / "images" / "b/2.jpg"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(RequestError, match=r"1 images cannot be read: b/2.jpg \(.*[Tt]runcated"):
        look(root)


def test_an_interrupted_look_keeps_what_was_done(root: Path, monkeypatch, looked_at: list[str]) -> None:
    monkeypatch.setattr(sound_files, "CHUNK", 1)
    done: list[str] = []

    def interrupt(line: str) -> None:
        done.append(line)
        raise KeyboardInterrupt

    monkeypatch.setattr(sound_files, "REPORT_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        verify_files(root / "images", PATHS, root / ".checked" / "toy.parquet", interrupt)
    assert done == ["checking images: 1 of 3, about 0 minutes left"]
    look(root)
    assert sorted(looked_at) == ["1.png", "2.jpg", "3.png"]


def test_nothing_is_written_where_there_is_no_data_folder(root: Path) -> None:
    ledger = root / "elsewhere" / ".checked" / "toy.parquet"
    assert len(verify_files(root / "images", PATHS, ledger, lambda line: None).hashes) == 3
    assert not (root / "elsewhere").exists()


def test_the_ledger_can_be_read_by_others(root: Path) -> None:
    look(root)
    table = pd.read_parquet(root / ".checked" / "toy.parquet")
    assert sorted(table["path"]) == sorted(PATHS)
    assert {"bytes", "changed", "sha256", "width", "height"} <= set(table.columns)

"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compatbench.storage.files import whole_file, write_whole


def test_text_is_utf_8_and_bytes_are_bytes(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "deep" / "text", "φ → é\n")
    write_whole(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "new" / "deep" / "text").read_bytes() == "φ → é\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def half_write() -> None:
        with whole_file(path) as temporary:
            temporary.write_text("ne")
            assert path.read_text() == "old", "readers see the old file while the new one is written"
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        half_write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_between_writing_and_renaming_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

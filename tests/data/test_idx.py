import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from compatbench.data.idx import decompress, parse

HAND_MADE = bytes.fromhex("00000802 00000002 00000003 010203 0405ff")


def test_parses_a_file_written_by_hand() -> None:
    array = parse(HAND_MADE, dimensions=2)
    assert array.tolist() == [[1, 2, 3], [4, 5, 255]]
    assert array.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic number is , not 00000802"),
        (bytes.fromhex("00000801 00000003 010203"), "magic number is 00000801, not 00000802"),
        (bytes.fromhex("00000d02 00000001 00000001 3f800000"), "magic number is 00000d02"),
        (HAND_MADE[:6], "ends inside its header"),
        (HAND_MADE[:-1], "promises 6 bytes, 5 follow"),
        (HAND_MADE + b"\0", "promises 6 bytes, 7 follow"),
    ],
)
def test_says_what_is_wrong_with_the_content(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(content, dimensions=2)


def test_a_header_that_promises_more_than_memory_holds_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="promises 18,446,744,065,119,617,025 bytes"):
        parse(bytes.fromhex("00000802") + struct.pack(">II", 2**32 - 1, 2**32 - 1), dimensions=2)


def test_decompresses_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(HAND_MADE))
    assert decompress(path, len(HAND_MADE)) == HAND_MADE
    with pytest.raises(ValueError, match="more than 17 bytes"):
        decompress(path, len(HAND_MADE) - 1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-12], "truncated"),
        (lambda content: b"<html>not found</html>", "no sound gzip file"),
        (lambda content: content[:-8] + bytes(4) + content[-4:], "no sound gzip file"),
        (lambda content: content[:10] + b"\xff\xff\xff" + content[13:], "no sound gzip file"),
    ],
    ids=["truncated", "another format", "wrong checksum", "broken stream"],
)
def test_says_what_is_wrong_with_the_gzip_file(tmp_path: Path, damage, message: str) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(damage(gzip.compress(HAND_MADE * 100)))
    with pytest.raises(ValueError, match=message):
        decompress(path, 10_000)

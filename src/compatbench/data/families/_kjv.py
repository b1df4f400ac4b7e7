"""The King James Version of the Debian package `bible-kjv-text`: lines of text in windows of LZW (ours).

The format is that of Chip Chapin's Bible Retrieval System, http://chapin.org: a heading, the offset of each window,
and the codes of Unix `compress`, whose table begins anew in each window.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

HEADING = 84
"""Bytes before the size of a window."""
FIRST_BITS, MOST_BITS = 9, 16
FIRST_FREE = 257
"""Codes below 256 are bytes; 256 would clear the table."""


def read_lines(data: bytes) -> list[str]:
    """All lines of the file's text, one a verse."""
    size, windows = struct.unpack_from(">II", data, HEADING)
    offsets = [*struct.unpack_from(f">{windows}I", data, HEADING + 8), len(data)]
    text = b"".join(_unpacked(data[begin:end], size) for begin, end in pairwise(offsets))
    return text.decode("latin-1").splitlines()


def _unpacked(packed: bytes, size: int) -> bytes:
    """One window: at most `size` bytes."""
    table: dict[int, bytes] = {code: bytes([code]) for code in range(256)}
    out, before, free = bytearray(), b"", FIRST_FREE
    for code in _codes(packed):
        if code == 256:
            continue
        word = table[code] if code in table else before + before[:1]
        if before and free < 1 << MOST_BITS:
            table[free] = before + word[:1]
            free += 1
        out += word
        before = word
        if len(out) >= size:
            break
    return bytes(out[:size])


def _codes(packed: bytes) -> Iterator[int]:
    """The codes, of nine bits and more; at each further bit they begin anew at a group of eight."""
    position, bits, free = 0, FIRST_BITS, FIRST_FREE - 1
    while position < len(packed):
        content = packed[position : position + bits]
        group = int.from_bytes(content, "little")
        position += bits
        for place in range(8 * len(content) // bits):
            yield group >> (place * bits) & (1 << bits) - 1
            free += 1
            if free >= 1 << bits and bits < MOST_BITS:
                bits += 1
                break

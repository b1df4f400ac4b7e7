"""The texts of a SWORD module of the kind zText, verse by verse (ours).

The format is that of the SWORD Project, https://crosswire.org/sword: for each testament a list of compressed blocks
(.bzs), a list of entries with their block, start and length (.bzv), and the blocks (.bzz). A chapter begins with an
entry of its own that names it, and its verses follow.
"""

from __future__ import annotations

import html
import re
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTAMENTS = ("ot", "nt")
FILES = ("bzs", "bzv", "bzz")
CHAPTER = re.compile(r'<chapter [^>]*osisID="(\w+)\.(\d+)"[^>]*sID=')
LEFT_OUT = re.compile(r"<(note|title)\b.*?</\1>|</?w\b[^>]*>|<chapter [^>]*eID=.*", re.DOTALL)
"""Notes, headings, marks around single words, and what follows a chapter."""

Verse = tuple[str, int, int]
"""Book as OSIS calls it, chapter, and verse."""


def read_verses(folder: Path) -> dict[Verse, str]:
    """The plain text of every verse that has one. Raises ValueError for a damaged module."""
    found, book, chapter, verse = {}, "", 0, 0
    for entry in (entry for testament in TESTAMENTS for entry in _entries(folder, testament)):
        if heading := CHAPTER.search(entry):
            book, chapter, verse = heading[1], int(heading[2]), 0
            continue
        verse += 1
        if book and (text := " ".join(html.unescape(re.sub("<[^>]*>", " ", LEFT_OUT.sub("", entry))).split())):
            found[book, chapter, verse] = text
    return found


def _entries(folder: Path, testament: str) -> Iterator[str]:
    sizes, entries, packed = ((folder / f"{testament}.{end}").read_bytes() for end in FILES)
    blocks = list(struct.iter_unpack("<III", sizes))

    @cache
    def block(number: int) -> bytes:
        start, length, _ = blocks[number]
        try:
            return zlib.decompress(packed[start : start + length])
        except zlib.error as error:
            raise ValueError(f"block {number} of {testament} is damaged: {error}") from error

    for number, start, length in struct.iter_unpack("<IIH", entries):
        yield block(number)[start : start + length].decode() if length else ""

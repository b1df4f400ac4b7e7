"""Text files of other programs: the byte-order mark gives the encoding, and is not part of the text."""

from __future__ import annotations

import codecs
from pathlib import Path

from compatbench.errors import RequestError, first_line

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_NO_TEXT = (
    (b"PAR1", "a Parquet file; write it as text"),
    (b"\x1f\x8b", "compressed by gzip; unpack it"),
    (b"PK\3\4", "a zip archive; unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it"),
)
"""How files begin that are taken for text by their names."""


def encoding_of(path: Path) -> str:
    """The encoding by the byte-order mark; UTF-8 without one. Raises RequestError for what is packed."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if (said := next((said for mark, said in _NO_TEXT if head.startswith(mark)), None)) is not None:
        raise RequestError(f"{path} is no text: it is {said}")
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")


def read_text(path: Path) -> str:
    """The whole text. Raises RequestError if there is none."""
    try:
        return path.read_text(encoding=encoding_of(path))
    except (OSError, UnicodeError) as error:
        raise RequestError(f"{path} cannot be read: {with_remedy(error)}") from error


def with_remedy(error: Exception) -> str:
    """The first line of an error of reading a text, and what to do about an encoding."""
    of_encoding = isinstance(error, UnicodeError) or "UTF8" in str(error)
    return f"{first_line(error)}{'; save it as UTF-8' if of_encoding else ''}"


def looks_like_a_number(word: str) -> bool:
    """Whether `word` is written as a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True

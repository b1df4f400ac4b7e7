"""Standard streams that take whatever is printed: also where they are closed, or their encoding has no Γ."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

PLAIN = dict(zip("−–…·×÷→←↓↑≤≥±†‡✓✗✕○▼ΓΦφγβρΣΔµ§", "--.-x/><v^<>~*#+xxovGFfgbrSDus", strict=True))
"""One letter for one, so that columns stay in line; what is not here and has no ASCII form becomes a question mark."""


def plain_text(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: what stands for characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(_plain(character) for character in error.object[error.start : error.end])
    return text, error.end


def _plain(character: str) -> str:
    found = PLAIN.get(character) or unicodedata.normalize("NFKD", character)[:1]
    return found if found.isascii() else "?"


def mend_standard_streams() -> None:
    """Open closed standard streams on the null device, and let standard output and error print any text.

    A daemon's are closed: what Python then has is None, and the next file that is opened takes their number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number, which is this one
    codecs.register_error("plain text", plain_text)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", errors="plain text", closefd=False))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain text")

"""Packed bits: each byte is eight dimensions, which are 1 and −1. By cosine they rank as by Hamming distance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.data.vectors.formats.format import Values
from compatbench.errors import RequestError


def are_bytes(name: str, blocks: Iterable[Values]) -> bool:
    """Whether vectors, block by block, are packed bits: bytes, or whole numbers from 0 to 255 of any type.

    Text files give bytes as other numbers, and columns with empty rows as floating-point ones. Fractions are no bytes,
    nor are bits that are not packed: −1, 0 and 1. Raises RequestError for other whole numbers.
    """
    low, high = 0.0, 0.0
    for block in blocks:
        if block.dtype in (np.int8, np.uint8):
            return True
        there = block[np.isfinite(block)]
        if (there != np.floor(there)).any():
            return False
        if there.size:
            low, high = min(low, float(there.min())), max(high, float(there.max()))
    if low < -1 or high > 255:
        raise RequestError(
            f"{name}: vectors of whole numbers from {low:g} to {high:g} are no packed bits: give bytes from 0 to 255 "
            "(add 128 to signed ones); if they are no bits, give fractions, such as vectors of unit length"
        )
    return high > 1


def unpacked(raw: Values) -> NDArray[np.float32]:
    """Bytes (n, D / 8) as 1 and −1 (n, D), NaN for a row with a number that is none."""
    # signed bytes are unsigned ones less 128, as sentence-transformers stores them
    numbers: Any = raw.astype(np.int16) + 128 if raw.dtype == np.int8 else raw
    there = np.isfinite(numbers)
    bits = np.unpackbits(np.where(there, numbers, 0).astype(np.uint8), axis=1).astype(np.float32) * 2 - 1
    bits[~there.all(axis=1)] = np.nan
    return bits

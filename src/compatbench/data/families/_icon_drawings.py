"""Drawings of one concept to images, without near duplicates; arithmetic in whole numbers decides.

Nothing here depends on the processor, so that every machine keeps the same drawings.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LOOKED_AT = 32
"""Pixels a side of the images by which drawings are compared, whatever size is asked for."""
LEAST_CONTRAST = 12
"""Standard deviation of the grey levels; what has less is blank."""
MOST_ALIKE = 0.95
"""Centred cosine of two drawings of 16x16 grey levels; above it the later one is left out."""


def draw(svg: str, size: int) -> bytes:
    """A PNG of `size` x `size` pixels, on white. The renderer's own bytes, alike on every machine."""
    import resvg_py

    drawn = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, background="#ffffff", skip_system_fonts=True)
    return bytes(drawn)


def draw_distinct(svgs: Sequence[str], size: int) -> dict[int, tuple[bytes, bytes]]:
    """Those of `svgs` that are neither blank nor like an earlier one, by position.

    Each as the bytes (R, G, B) of its 32x32 pixels, by which it was chosen, and as a PNG of `size`.
    """
    kept: dict[int, tuple[bytes, bytes]] = {}
    signatures: list[NDArray[np.int64]] = []
    for position, svg in enumerate(svgs):
        png = draw(svg, LOOKED_AT)
        with Image.open(BytesIO(png)) as image:
            pixels = np.asarray(image.convert("RGB"))
        levels = pixels.sum(axis=2, dtype=np.int64)  # three times the grey level
        if blank(levels):
            continue
        signature = levels.reshape(16, LOOKED_AT // 16, 16, LOOKED_AT // 16).sum(axis=(1, 3)).ravel()
        if signatures and alike(np.stack(signatures), signature).any():
            continue
        signatures.append(signature)
        kept[position] = pixels.tobytes(), png if size == LOOKED_AT else draw(svg, size)
    return kept


def blank(levels: NDArray[np.int64]) -> bool:
    """Whether the standard deviation of `levels`, three times grey levels, is too small."""
    spread = levels.size * (levels**2).sum() - levels.sum() ** 2
    return bool(spread < (3 * LEAST_CONTRAST * levels.size) ** 2)


def alike(earlier: NDArray[np.int64], one: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the centred cosine of `one` (P,) and each of `earlier` (N, P) is above the limit.

    Sums of whole numbers are exact; a product of floats by BLAS would differ between processors.
    """
    n = one.size
    together = n * (earlier * one).sum(axis=1) - earlier.sum(axis=1) * one.sum()
    spread = n * (one**2).sum() - one.sum() ** 2
    spreads = n * (earlier**2).sum(axis=1) - earlier.sum(axis=1) ** 2
    return np.asarray(together > MOST_ALIKE * np.sqrt(spreads.astype(np.float64) * float(spread)))

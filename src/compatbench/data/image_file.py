"""One image file to an array of pixels, whatever its format, mode and orientation."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Formats that are tried, all decoded in this process (Pillow would hand EPS to another program)."""

MAX_PIXELS = 89_478_485
"""Larger images are refused undecoded: a file of a few bytes can claim any size. The limit is Pillow's."""


def decode(content: bytes, channels: int, size: int | None) -> NDArray[np.uint8]:
    """Pixels (C, H, W) of an encoded image, upright, `channels` 1 (grey) or 3 (RGB).

    Resized to `size` x `size` with bilinear antialiasing unless `size` is None. Transparent parts are laid
    over white; of an animation the first frame counts. Raises an exception, of a kind that depends on the
    format, if the image is damaged, too large or of unknown format.
    """
    with Image.open(BytesIO(content), formats=FORMATS) as file:
        if file.width * file.height > MAX_PIXELS:
            raise ValueError(f"{file.width}x{file.height} pixels are more than the {MAX_PIXELS:,} allowed")
        image = _opaque(ImageOps.exif_transpose(file)).convert("L" if channels == 1 else "RGB")
    if size is not None:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _opaque(image: Image.Image) -> Image.Image:
    """The image without alpha, and with 8 bits a channel."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("pixels of 32 bits have no set range, save it with 8 bits a channel")
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)

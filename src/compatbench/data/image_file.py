"""One image file to an array of pixels, whatever its format, mode and orientation."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Formats that are tried, all decoded in this process (Pillow would hand EPS to another program)."""

MAX_PIXELS = 89_478_485
"""Larger images, and tiles of them, are refused undecoded: a file of a few bytes can claim any size. The limit is
Pillow's. Pillow bounds what texts and colour profiles unpack to; of many frames the first alone is read."""

CENTRE = 224 / 256
"""Side of the central crop over the shorter side of the image, as ImageNet models are evaluated."""

Box = tuple[int, ...]
"""Left, top, right, bottom: the pixels from (left, top) up to, not including, (right, bottom)."""


@dataclass(frozen=True)
class Decoding:
    """How the images of a dataset become squares of equal depth."""

    channels: Literal[1, 3] = 3
    """1 for grey, 3 for RGB."""
    fit: Literal["squash", "centre"] = "squash"
    """`squash` resizes the whole image to a square; `centre` the square in its middle, 7/8 of the shorter side.

    What was cut to a box is not cut again.
    """


def decode(content: bytes, decoding: Decoding, size: int | None, box: Box | None = None) -> NDArray[np.uint8]:
    """Pixels (C, H, W) of an encoded image, upright.

    Cut to `box` first, whose coordinates are those of the file before any rotation, as far as it lies within the
    image. Resized to `size` x `size` with bilinear antialiasing unless `size` is None. Transparent parts are laid
    over white; of an animation the first frame counts. Raises an exception, of a kind that depends on the
    format, if the image is damaged, too large or of unknown format, or if nothing of it is in the box.
    """
    with open_image(content) as file:
        image = _opaque(ImageOps.exif_transpose(file if box is None else file.crop(clipped(box, file.size))))
        image = image.convert("L" if decoding.channels == 1 else "RGB")
    if size is not None:
        part = _centre(image.size) if decoding.fit == "centre" and box is None else None
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=part)
    pixels = np.array(image)
    return pixels[None] if decoding.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def open_image(content: bytes) -> Image.Image:
    """The image, undecoded. Raises an exception if it is of unknown format or too large."""
    file = Image.open(BytesIO(content), formats=FORMATS)
    if file.width * file.height > MAX_PIXELS:
        raise ValueError(f"{file.width}x{file.height} pixels are more than the {MAX_PIXELS:,} allowed")
    if isinstance(file, TiffImageFile):  # a tile is decoded whole, also where the image is but a corner of it
        width, height = int(file.tag_v2.get(TILEWIDTH, 0)), int(file.tag_v2.get(TILELENGTH, 0))
        if width * height > MAX_PIXELS:
            raise ValueError(f"tiles of {width}x{height} pixels are more than the {MAX_PIXELS:,} allowed")
    return file


def clipped(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of `box` inside an image of `size` (width, height). Raises ValueError if there is none."""
    left, top, right, bottom = box
    inside = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"its box {box} lies outside its {size[0]}x{size[1]} pixels")
    return inside


def _centre(size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    half = min(size) * CENTRE / 2
    return width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half


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

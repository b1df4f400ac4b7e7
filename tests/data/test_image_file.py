import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from compatbench.data.image_file import MAX_PIXELS, Decoding, decode

GRADIENT = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF", "WEBP"])
def test_rgb_pixels_are_those_of_the_file(kind: str) -> None:
    content = encode(Image.fromarray(GRADIENT), kind, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(decode(content, Decoding(3), None), GRADIENT.transpose(2, 0, 1))


def test_grey_is_rec_601_luma() -> None:
    grey = decode(encode(Image.fromarray(GRADIENT)), Decoding(1), None)
    assert grey.shape == (1, 6, 9)
    np.testing.assert_allclose(grey[0], GRADIENT @ [0.299, 0.587, 0.114], atol=1)


def test_grey_files_are_repeated_over_rgb() -> None:
    plane = GRADIENT[:, :, 0]
    np.testing.assert_array_equal(decode(encode(Image.fromarray(plane)), Decoding(3), None), np.stack([plane] * 3))


def test_black_and_white_files_span_the_whole_range() -> None:
    checkers = np.indices((4, 4)).sum(0) % 2 == 0
    np.testing.assert_array_equal(
        decode(encode(Image.fromarray(checkers)), Decoding(1), None)[0], checkers * np.uint8(255)
    )


def test_sixteen_bits_become_eight() -> None:
    deep = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    np.testing.assert_array_equal(
        decode(encode(Image.fromarray(deep)), Decoding(1), None)[0], [[0, 0, 1], [128, 255, 255]]
    )


def test_cmyk_becomes_rgb() -> None:
    red = encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")
    assert decode(red, Decoding(3), None)[:, 4, 4].tolist() == [255, 0, 0]
    jpeg = encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    np.testing.assert_allclose(decode(jpeg, Decoding(3), None)[:, 4, 4], [255, 0, 0], atol=3)


def test_palette_becomes_rgb() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert decode(encode(image), Decoding(3), None)[:, 0].T.tolist() == [[10, 20, 30], [200, 100, 50]]


def test_transparency_is_laid_over_white() -> None:
    colours = [(0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 128)]
    image = Image.new("RGBA", (3, 1))
    image.putdata(colours)
    clear, black, half = decode(encode(image), Decoding(3), None)[:, 0].T.tolist()
    assert clear == [255, 255, 255]
    assert black == [0, 0, 0]
    np.testing.assert_allclose(half, [255, 127, 127], atol=1)


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert decode(encode(image, transparency=0), Decoding(3), None)[:, 0].T.tolist() == [
        [255, 255, 255],
        [200, 100, 50],
    ]


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, GRADIENT),
        (2, GRADIENT[:, ::-1]),
        (3, GRADIENT[::-1, ::-1]),
        (4, GRADIENT[::-1]),
        (5, GRADIENT.transpose(1, 0, 2)),
        (6, np.rot90(GRADIENT, -1)),
        (7, np.rot90(GRADIENT, 2).transpose(1, 0, 2)),
        (8, np.rot90(GRADIENT)),
    ],
)
def test_exif_orientation_is_applied(orientation: int, upright: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(Image.fromarray(GRADIENT), exif=exif), Decoding(3), None)
    np.testing.assert_array_equal(decoded, upright.transpose(2, 0, 1))


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("L", (4, 4), value) for value in (30, 200)]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.unique(decode(content, Decoding(1), None)).tolist() == [30]


def test_resizing_averages() -> None:
    stripes = np.tile(np.array([0, 100], np.uint8), (8, 4))
    resized = decode(encode(Image.fromarray(stripes)), Decoding(1), 2)
    assert resized.shape == (1, 2, 2)
    np.testing.assert_allclose(resized, 50, atol=13)  # nearest-neighbour would give 0 or 100
    assert decode(encode(Image.fromarray(GRADIENT)), Decoding(3), 5).shape == (3, 5, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot identify image file"),
        (b"GIF89a", "cannot identify image file|not enough|truncated"),
        (encode(Image.fromarray(np.tile(GRADIENT, (20, 20, 1))), "JPEG")[:2000], "truncated"),
        (encode(Image.fromarray(np.tile(GRADIENT, (20, 20, 1))))[:400], "truncated"),
        (encode(Image.new("RGB", (8, 8)), "EPS"), "cannot identify image file"),
        (encode(Image.new("F", (8, 8), 0.5), "TIFF"), "32 bits have no set range"),
    ],
    ids=["empty", "header only", "cut JPEG", "cut PNG", "EPS", "floats"],
)
def test_says_what_is_wrong(content: bytes, message: str) -> None:
    with pytest.raises(Exception, match=message):
        decode(content, Decoding(3), 8)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_460, 30_000])
def test_bombs_are_refused_undecoded(side: int) -> None:
    assert side**2 > MAX_PIXELS
    with pytest.raises(Exception, match=r"pixels are more than|decompression bomb"):
        decode(png_claiming(side, side), Decoding(3), 8)


def test_a_box_is_cut_before_anything_else() -> None:
    content = encode(Image.fromarray(GRADIENT))
    np.testing.assert_array_equal(
        decode(content, Decoding(), None, (2, 1, 7, 5)), GRADIENT[1:5, 2:7].transpose(2, 0, 1)
    )
    np.testing.assert_array_equal(
        decode(content, Decoding(), None, (-3, -1, 4, 99)), GRADIENT[:, :4].transpose(2, 0, 1)
    )
    for outside in ((9, 0, 12, 6), (0, 6, 9, 8), (4, 4, 4, 6)):
        with pytest.raises(ValueError, match="lies outside its 9x6 pixels"):
            decode(content, Decoding(), None, outside)


def test_boxes_count_pixels_as_the_file_has_them() -> None:
    """Whoever drew them looked at the pixels and not at the EXIF rotation; the cut part is then turned upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90° clockwise when shown
    upright = decode(encode(Image.fromarray(GRADIENT), exif=exif), Decoding(), None, (2, 1, 7, 5))
    np.testing.assert_array_equal(upright, np.rot90(GRADIENT[1:5, 2:7], -1).transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(80, 64), (64, 80), (64, 64)])
def test_centre_is_resize_to_256_and_crop_224(size: tuple[int, int]) -> None:
    """Scaled down: the shorter side to 32, then the middle 28 x 28, by torchvision's transforms."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    expected = transforms.CenterCrop(28)(transforms.Resize(32)(image))
    found = decode(encode(image), Decoding(fit="centre"), 28).transpose(1, 2, 0).astype(int)
    assert abs(found - np.asarray(expected).astype(int)).max() <= 2


def test_what_was_cut_to_a_box_is_not_cut_again() -> None:
    content, box = encode(Image.fromarray(GRADIENT)), (1, 0, 9, 4)
    for fit in ("squash", "centre"):
        cut = decode(content, Decoding(fit=fit), 4, box)
        expected = Image.fromarray(GRADIENT[:4, 1:]).resize((4, 4), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(cut, np.asarray(expected).transpose(2, 0, 1))


def test_squash_keeps_the_whole_image() -> None:
    image = Image.new("RGB", (40, 10), "black")
    image.paste("white", (0, 0, 20, 10))
    halves = decode(encode(image), Decoding(fit="squash"), 8)[0]
    assert halves[:, :3].min() == 255
    assert halves[:, 5:].max() == 0

"""Drawings: the renderer's pixels, and which drawings are left out."""

from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from compatbench.data.families._icon_drawings import LOOKED_AT, alike, blank, draw, draw_distinct
from compatbench.data.families._icon_sets import Icon

pytest.importorskip("resvg_py", reason="needs resvg-py: pip install compatbench[icons]")

BODIES = (
    '<path fill="currentColor" d="M12 2a10 10 0 1 0 .1 20A10 10 0 0 0 12 2m-1 5h2v6h-2zm0 8h2v2h-2z"/>',
    '<path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" '
    'd="M3 9.5 12 3l9 6.5V20a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1zM9 21v-7.25h6V21"/>',
    '<defs><radialGradient id="a" cx="40%" cy="35%" r="60%" fx="20%" fy="30%"><stop offset="0" stop-color="#fde68a"/>'
    '<stop offset="1" stop-color="#c2410c" stop-opacity=".7"/></radialGradient></defs>'
    '<circle cx="12" cy="12" r="9.3" fill="url(#a)"/><ellipse cx="9" cy="10" rx="1.1" ry="1.7" fill="#1f2937"/>'
    '<path d="M7 15q5 4.3 10 0" fill="none" stroke="#7c2d12" stroke-dasharray="2 .6"/>',
    '<defs><linearGradient id="b" x1="3" x2="21" y1="4" y2="19" gradientUnits="userSpaceOnUse">'
    '<stop stop-color="#0ea5e9"/><stop offset=".4" stop-color="#6366f1"/><stop offset="1" stop-color="#f0f"/>'
    '</linearGradient><clipPath id="c"><path d="M12 21 3 11 8 4h8l5 7z"/></clipPath></defs>'
    '<g clip-path="url(#c)" opacity=".85" transform="rotate(7.3 12 12)"><path fill="url(#b)" d="M0 0h24v24H0z"/>'
    '<path fill="#fff" fill-opacity=".35" d="M3 11h18L12 2.7z"/></g>',
    '<mask id="d"><path fill="#fff" d="M0 0h24v24H0z"/><circle cx="17" cy="8" r="6.2"/></mask>'
    '<circle cx="11" cy="13" r="9" fill="currentColor" mask="url(#d)"/>',
)
"""The elements that the archive's drawings are made of: fills, strokes, dashes, gradients, clips, masks, opacity."""


def svg(body: str, box: tuple[float, float, float, float] = (0, 0, 24, 24)) -> str:
    return Icon("d", "s", "n", box, body).svg


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def square(left: float, top: float = 0, side: float = 12, colour: str = "currentColor") -> str:
    return svg(f'<path fill="{colour}" d="M{left} {top}h{side}v{side}h-{side}z"/>')


@pytest.mark.parametrize(
    ("size", "sha256"),
    [
        (32, "fa09b8bb8504a90ff3b82dd141b05fda6a5db86e0b550ee32a4d532d79e38d19"),
        (128, "4011200e338fac537f84ca20c1341d24a34bad07c718aedd557210f21cb5281b"),
    ],
)
def test_drawings_are_the_same_bytes_on_every_machine(size: int, sha256: str) -> None:
    drawn = b"".join(draw(svg(body), size) for body in BODIES)
    assert hashlib.sha256(drawn).hexdigest() == sha256
    assert drawn == b"".join(draw(svg(body), size) for body in BODIES)


def test_a_drawing_is_black_on_white_and_lies_in_the_middle_of_a_square() -> None:
    image = pixels(draw(svg('<path fill="currentColor" d="M0 2h24v8H0z"/>', (0, 0, 24, 12)), 48))
    expected = np.full((48, 48, 3), 255)  # two pixels a unit; the box begins 12 below the top
    expected[12 + 4 : 12 + 20] = 0
    np.testing.assert_array_equal(image, expected)


def test_blank_drawings_are_left_out() -> None:
    assert list(draw_distinct([square(0), square(0, colour="#fff"), square(6, colour="none")], 32)) == [0]
    rng = np.random.default_rng(0)
    for spread in (8, 11.5, 12.5, 30):
        levels = 3 * 128 + np.rint(3 * spread * rng.standard_normal((32, 32))).astype(np.int64)
        assert blank(levels) == (np.std(levels / 3) < 12)


def test_of_drawings_that_are_nearly_the_same_the_first_stays() -> None:
    shapes = [square(0), square(0.2), square(12), square(12, 0.1), square(0, colour="#333"), square(0, 12)]
    assert list(draw_distinct(shapes, 32)) == [0, 2, 5]
    assert list(draw_distinct(shapes[::-1], 32)) == [0, 1, 2]


def test_which_drawings_stay_does_not_depend_on_the_size() -> None:
    drawings = [svg(body) for body in BODIES] + [square(left / 2) for left in range(20)]
    small, large = draw_distinct(drawings, LOOKED_AT), draw_distinct(drawings, 100)
    assert 8 < len(small) < len(drawings)
    assert {at: looked_at for at, (looked_at, _) in small.items()} == {at: one for at, (one, _) in large.items()}
    for at, (looked_at, png) in small.items():
        assert pixels(png).tobytes() == looked_at
        assert large[at][1] == draw(drawings[at], 100)


def test_likeness_is_the_centred_cosine() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 3061, 256)
    earlier = np.clip(one + rng.normal(0, rng.uniform(50, 800, (300, 1)), (300, 256)), 0, 3060).astype(np.int64)
    cosines = np.array([np.corrcoef(row, one)[0, 1] for row in earlier])
    assert 50 < (cosines > 0.95).sum() < 250
    assert (alike(earlier, one) == (cosines > 0.95)).all()
    assert not alike(np.full((1, 256), 7), one).any()

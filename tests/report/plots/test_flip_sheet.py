"""The sheet of pictures, read back: which images stand where, and what is said of them."""

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from compatbench.records.parts import WorstFlip
from compatbench.report.plots.flip_sheet import LARGEST, Pictures, data_uri, flip_sheet
from compatbench.report.rows.flips import FlipList, ShownFlip


class Samples:
    """Sample n is a grey image of value 10·n, of class n mod 2."""

    def label(self, sample):
        return ["<even>", "odd"][sample % 2]

    def name(self, sample):
        return None if sample == 1 else f"<image {sample}>"

    def pixels(self, sample):
        return np.full((1, 4, 4), 10 * sample, dtype=np.uint8)


def flips(*systems):
    return FlipList(SimpleNamespace(label="m"), None, tuple(systems))


def shown(sample, old, new, seed=0):
    """What is right is what has the query's parity, but for sample 8."""
    right = [[item % 2 == sample % 2 and item != 8 for item in items] for items in (old, new)]
    flip = WorstFlip(
        query_generation="1", gallery_generation="0", id=sample,
        old_top=old, old_right=right[0], new_top=new, new_right=right[1],
    )  # fmt: skip
    return ShownFlip(seed, flip, old_ap=0.75, new_ap=0.1234, new_rank=9)


def decode(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))))


def test_pictures_stand_in_order_with_their_marks():
    before = "1", "0", (shown(2, [4, 6], [3, 8]), shown(1, [5, 7], [6, 9]))
    after = "1", "1", (shown(3, [1], [2]),)
    page = flip_sheet(flips(before, after), "<t>", Pictures(Samples()))
    values = [int(decode(uri)[0, 0]) // 10 for uri in re.findall(r'<img src="([^"]+)"', page)]
    assert values == [2, 4, 6, 3, 8, 1, 5, 7, 6, 9, 3, 1, 2]
    assert re.findall(r"([✓✗]) (\S+?)</small>", page) == [
        ("✓", "&lt;even&gt;"), ("✓", "&lt;even&gt;"), ("✗", "odd"), ("✗", "&lt;even&gt;"),
        ("✓", "odd"), ("✓", "odd"), ("✗", "&lt;even&gt;"), ("✓", "odd"),
        ("✓", "odd"), ("✗", "&lt;even&gt;"),
    ]  # fmt: skip
    assert page.index("Before the backfill: queries of generation 1, gallery of generation 0") < page.index(
        "After the full backfill: queries and gallery of generation 1"
    )
    assert page.count("first right hit at rank 9<small>AP 0.750 → 0.123") == 3


def test_a_picture_is_made_once():
    samples = Samples()
    asked = []
    samples.pixels = lambda sample: asked.append(sample) or np.zeros((1, 4, 4), dtype=np.uint8)
    pictures = Pictures(samples)
    for title in ("one row", "another"):
        flip_sheet(flips(("1", "0", (shown(2, [4, 6], [6, 4]),))), title, pictures)
    assert sorted(asked) == [2, 4, 6]


def test_texts_are_escaped_and_nothing_is_loaded():
    page = flip_sheet(flips(("1", "0", (shown(2, [4], [3]),))), "<t>", Pictures(Samples()))
    assert "<h1>&lt;t&gt;</h1>" in page
    assert not re.search("<image|<even", page)
    assert all(uri.startswith("data:image/") for uri in re.findall(r'src="([^"]*)"', page))
    assert "href" not in page
    assert "sample 1" not in page
    assert "sample 1: odd" in flip_sheet(flips(("1", "0", (shown(1, [3], [2]),))), "t", Pictures(Samples()))


def test_the_class_says_what_is_right_where_a_first_record_does_not():
    flip = WorstFlip(query_generation="1", gallery_generation="0", id=2, old_top=[4, 3], new_top=[8])
    page = flip_sheet(flips(("1", "0", (ShownFlip(0, flip, 0.75, 0.25, 2),))), "t", Pictures(Samples()))
    assert re.findall("([✓✗]) [^ ]+</small>", page) == ["✓", "✗", "✓"]


def test_without_flips_it_says_so():
    assert "No query flips from right to wrong." in flip_sheet(flips(), "t", Pictures(Samples()))


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_small_images_keep_every_pixel(channels, side):
    pixels = np.random.default_rng(0).integers(0, 256, (channels, side, side), dtype=np.uint8)
    found = decode(data_uri(pixels))
    assert np.array_equal(found if channels == 1 else found.transpose(2, 0, 1), pixels[0] if channels == 1 else pixels)


def test_large_images_shrink():
    rows = np.linspace(0, 255, 224, dtype=np.uint8)
    pixels = np.broadcast_to(rows[:, None], (3, 224, 224)).copy()
    uri = data_uri(pixels)
    found = decode(uri)
    assert uri.startswith("data:image/jpeg;")
    assert found.shape == (LARGEST, LARGEST, 3)
    assert np.abs(found[:, 0, 0].astype(int) - np.linspace(0, 255, LARGEST)).max() < 6

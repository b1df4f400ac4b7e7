"""The worst negative flips of a row in pictures: the query, and the first items of the old and the new system."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compatbench.report.render.to_html import templates
from compatbench.report.rows.flips import FlipList, SampleLookup, ShownFlip

LOSSLESS = 32
"""Images with longer sides than this, in pixels, are JPEG, and at most `LARGEST` long."""
LARGEST = 96


@dataclass(frozen=True)
class Picture:
    """An image and its caption."""

    label: str
    name: str
    image: str
    """A `data:` address; empty for what is no image."""


class Pictures:
    """The pictures of samples, each made once: the same items come first for many queries and methods."""

    def __init__(self, samples: SampleLookup) -> None:
        self._samples = samples
        self._made: dict[int, Picture] = {}

    def __getitem__(self, sample: int) -> Picture:
        if sample not in self._made:
            name = self._samples.name(sample) or f"sample {sample}"
            image = data_uri(self._samples.pixels(sample))
            self._made[sample] = Picture(self._samples.label(sample), name, image)
        return self._made[sample]


def flip_sheet(flips: FlipList, title: str, pictures: Pictures) -> str:
    """A page of its own, with its images inside. Equal input gives equal bytes."""
    systems = [
        {"title": _system(query, gallery), "flips": [_entry(one, pictures) for one in worst]}
        for query, gallery, worst in flips.worst
    ]
    return templates().get_template("flips.html.j2").render(title=title, systems=systems)


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """An image (C, H, W), grey or RGB, as a `data:` address; empty for what is no image."""
    if not pixels.size:
        return ""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    file = io.BytesIO()
    if max(image.size) <= LOSSLESS:
        kind = "png"
        image.save(file, kind)
    else:
        kind = "jpeg"
        image.thumbnail((LARGEST, LARGEST))
        image.save(file, kind, quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _system(query: str, gallery: str) -> str:
    if query == gallery:
        return f"After the full backfill: queries and gallery of generation {query}"
    return f"Before the backfill: queries of generation {query}, gallery of generation {gallery}"


def _entry(one: ShownFlip, pictures: Pictures) -> dict[str, object]:
    flip = one.flip
    return {
        "query": pictures[flip.id],
        "seed": one.seed,
        "old_ap": one.old_ap,
        "new_ap": one.new_ap,
        "new_rank": one.new_rank,
        "old": _hits(flip.id, flip.old_top, flip.old_right, pictures),
        "new": _hits(flip.id, flip.new_top, flip.new_right, pictures),
    }


def _hits(query: int, items: Sequence[int], right: Sequence[bool], pictures: Pictures) -> list[tuple[Picture, bool]]:
    """Pictures of `items`, and whether they are right."""
    marks = right or [pictures[item].label == pictures[query].label for item in items]
    return [(pictures[item], mark) for item, mark in zip(items, marks, strict=True)]

"""The worst negative flips of a row in pictures: the query, and what the old and the new system find first."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compatbench.report.flip_lists import FlipList, Samples, ShownFlip
from compatbench.report.render_html import templates

LOSSLESS = 32
"""Images with longer sides than this, in pixels, are JPEG, and at most `LARGEST` long."""
LARGEST = 96


def flip_sheet(flips: FlipList, title: str, samples: Samples) -> str:
    """A page of its own, with its images inside. Equal input gives equal bytes."""
    systems = [
        {
            "title": _system(query, gallery),
            "flips": [_entry(one, samples) for one in worst],
        }
        for query, gallery, worst in flips.worst
    ]
    return templates().get_template("flips.html.j2").render(title=title, systems=systems)


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """An image (C, H, W), grey or RGB, as a `data:` address."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    file = io.BytesIO()
    if max(image.size) <= LOSSLESS:
        kind = "png"
        image.save(file, kind, optimize=True)
    else:
        kind = "jpeg"
        image.thumbnail((LARGEST, LARGEST))
        image.save(file, kind, quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _system(query: str, gallery: str) -> str:
    if query == gallery:
        return f"After the full backfill: queries and gallery of generation {query}"
    return f"Before the backfill: queries of generation {query}, gallery of generation {gallery}"


def _entry(one: ShownFlip, samples: Samples) -> dict[str, object]:
    return {
        "query": _picture(one.flip.id, samples),
        "seed": one.seed,
        "old_ap": one.old_ap,
        "new_ap": one.new_ap,
        "new_rank": one.new_rank,
        "old": _pictures(one.flip.id, one.flip.old_top, one.flip.old_right, samples),
        "new": _pictures(one.flip.id, one.flip.new_top, one.flip.new_right, samples),
    }


def _pictures(query: int, ids: Sequence[int], right: Sequence[bool], samples: Samples) -> list[dict[str, object]]:
    hits = right or [samples.label(sample) == samples.label(query) for sample in ids]
    return [{**_picture(sample, samples), "right": hit} for sample, hit in zip(ids, hits, strict=True)]


def _picture(sample: int, samples: Samples) -> dict[str, object]:
    return {
        "id": sample,
        "label": samples.label(sample),
        "name": samples.name(sample) or f"sample {sample}",
        "image": data_uri(samples.pixels(sample)),
    }

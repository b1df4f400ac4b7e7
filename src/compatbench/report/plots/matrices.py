"""Compatibility matrices of chains as heat maps: one panel a row, all on one scale of colours."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil

import numpy as np
from markupsafe import Markup

from compatbench.report.plots.svg import element, label, plot
from compatbench.report.rows.chains import ChainRow
from compatbench.vocabulary import Role

LOWEST, HIGHEST = (232, 241, 250), (18, 63, 109)
"""Red, green and blue."""
_COLUMNS = 5
_SIDE = 140.0
"""Of a panel's cells together."""
_PANEL = _SIDE + 44, _SIDE + 62
"""Width and height with headings."""
_LEFT, _TOP = 36.0, 32.0
_TITLE = 26
"""Characters of a line of a panel's title."""


def heat_map_caption() -> str:
    """The plot's caption."""
    return (
        "Compatibility matrices: mAP in points of queries of generation i (row) on the gallery of generation j "
        "(column). Darker is better, on one scale for all panels. Red frame: below what the gallery's own generation "
        "scores on it, by more than the paired 95% interval."
    )


def heat_map_svg(chains: Sequence[ChainRow]) -> Markup | None:
    """An SVG element with a panel for each row: references, methods, controls, in the order of the table."""
    ordered = [chain for role in Role for chain in chains if chain.row.role == role]
    if not ordered:
        return None
    values = np.concatenate([chain.matrix[~np.isnan(chain.matrix)] for chain in ordered])
    low, high = float(values.min()), float(values.max())
    columns = min(_COLUMNS, len(ordered))
    panels = [
        element("svg", *_panel(chain, low, high), class_="panel", data_label=chain.row.label,
                x=place % columns * _PANEL[0], y=place // columns * _PANEL[1], width=_PANEL[0], height=_PANEL[1],
                viewBox=f"0 0 {_PANEL[0]:g} {_PANEL[1]:g}")
        for place, chain in enumerate(ordered)
    ]  # fmt: skip
    words = f"Compatibility matrices of {len(ordered)} rows over {len(ordered[0].matrix)} generations"
    return plot(columns * _PANEL[0], ceil(len(ordered) / columns) * _PANEL[1], words, *panels)


def _panel(chain: ChainRow, low: float, high: float) -> list[Markup]:
    title = textwrap.wrap(chain.row.label.replace("(", " (", 1), _TITLE, max_lines=2, placeholder=" …")
    middle, side = _LEFT + _SIDE / 2, _SIDE / len(chain.matrix)
    parts = [
        label(middle, _TOP - 6 - 13 * (len(title) - 1 - place), text, "middle") for place, text in enumerate(title)
    ]
    for query, gallery in zip(*np.tril_indices(len(chain.matrix)), strict=True):
        value = float(chain.matrix[query, gallery])
        share = (value - low) / (high - low) if high > low else 0.5
        at = {"x": _LEFT + gallery * side, "y": _TOP + query * side}
        parts.append(element("rect", **at, width=side, height=side, fill=_shade(share)))
        if chain.below[query, gallery]:
            inner = {"x": at["x"] + 1.5, "y": at["y"] + 1.5, "width": side - 3, "height": side - 3}
            parts.append(element("rect", **inner, class_="below"))
        ink = "#ffffff" if share > 0.5 else "#0b1f33"
        text = f"{100 * value:.0f}"
        size = max(8.0, min(12.0, 0.45 * side))
        centre = at["x"] + side / 2, at["y"] + side / 2 + size / 3
        parts.append(element("text", text, x=centre[0], y=centre[1], text_anchor="middle", fill=ink, font_size=size))
    for place in range(len(chain.matrix)):
        along = (place + 0.5) * side
        parts += [label(_LEFT - 5, _TOP + along + 4, str(place + 1), "end", "small")]
        parts += [label(_LEFT + along, _TOP + _SIDE + 13, str(place + 1), "middle", "small")]
    turned = f"translate(10 {_TOP + _SIDE / 2:g}) rotate(-90)"
    parts.append(element("text", "queries of", transform=turned, text_anchor="middle", class_="small"))
    return [*parts, label(middle, _TOP + _SIDE + 27, "gallery of", "middle", "small")]


def _shade(share: float) -> str:
    mixed = (round(low + share * (high - low)) for low, high in zip(LOWEST, HIGHEST, strict=True))
    return "#" + "".join(f"{one:02x}" for one in mixed)

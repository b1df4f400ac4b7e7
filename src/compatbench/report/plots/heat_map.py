"""Compatibility matrices as heat maps: one panel a method, all on one scale of colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from compatbench.report.plots.svg import INK, axes_in_inches, panel_title, to_svg
from compatbench.report.rows.chains import ChainRow
from compatbench.vocabulary import Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWEST, HIGHEST = "#e8f1fa", "#123f6d"
BELOW = "#d02f3a"
_ON_LIGHT, _ON_DARK = "#0b1f33", "#ffffff"
"""Colours of the numbers: of their own, since the cells do not follow the page from light to dark."""
_COLUMNS = 5
_SIDE = 1.35
"""Side of a panel in inches."""
_GAP = 0.3, 0.62
"""Space beside and above a panel."""
_MARGIN = 0.45


def heat_map_caption() -> str:
    """The plot's caption."""
    return (
        "Compatibility matrices: mAP in points of queries of generation i (row) on the gallery of generation j "
        "(column). Darker is better, on one scale for all panels. Red frame: below what the gallery's own generation "
        "scores on it, by more than the paired 95% interval."
    )


def heat_map_svg(chains: Sequence[ChainRow], name: str) -> Markup:
    """An SVG element for use inside a page: references, methods, controls, in the order of the table.

    `name` keeps its ids apart from those of other plots.
    """
    ordered = [chain for role in Role for chain in chains if chain.row.role == role]
    columns = min(_COLUMNS, len(ordered))
    rows = ceil(len(ordered) / columns)
    size = _MARGIN + max(columns, 2) * (_SIDE + _GAP[0]), rows * (_SIDE + _GAP[1]) + 0.1
    values = np.concatenate([chain.matrix[~np.isnan(chain.matrix)] for chain in ordered])
    panels = [
        _Panel(
            chain,
            left=_MARGIN + place % columns * (_SIDE + _GAP[0]),
            top=size[1] - _GAP[1] + 0.2 - place // columns * (_SIDE + _GAP[1]),
            low=float(values.min()),
            high=float(values.max()),
            first=place % columns == 0,
        )
        for place, chain in enumerate(ordered)
    ]

    def draw(figure: Figure) -> None:
        axes = axes_in_inches(figure)
        for panel in panels:
            _draw(axes, panel)

    return to_svg(draw, size, name, layout=None)


@dataclass(frozen=True)
class _Panel:
    """Where one row's matrix is drawn, and on which scale."""

    chain: ChainRow
    left: float
    top: float
    low: float
    high: float
    first: bool
    """It is the first of its line, and names the rows."""

    def shade(self, value: float) -> float:
        """0 for the lowest value of all panels, 1 for the highest."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5


def _draw(axes: Axes, panel: _Panel) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    colors = LinearSegmentedColormap.from_list("mAP", [LOWEST, HIGHEST])
    matrix = panel.chain.matrix
    side = _SIDE / len(matrix)
    framed = []
    for query, gallery in zip(*np.tril_indices(len(matrix)), strict=True):
        value = float(matrix[query, gallery])
        corner = panel.left + gallery * side, panel.top - (query + 1) * side
        axes.add_patch(Rectangle(corner, side, side, facecolor=colors(panel.shade(value)), edgecolor="none"))
        axes.text(
            corner[0] + side / 2,
            corner[1] + side / 2,
            f"{100 * value:.0f}",
            ha="center",
            va="center",
            fontsize=max(4.0, min(7.0, 22 * side)),
            color=_ON_DARK if panel.shade(value) > 0.5 else _ON_LIGHT,
        )
        if panel.chain.below[query, gallery]:
            framed.append(corner)
    for x, y in framed:
        inset = 0.012
        axes.add_patch(
            Rectangle(
                (x + inset, y + inset), side - 2 * inset, side - 2 * inset, fill=False, edgecolor=BELOW, linewidth=1
            )
        )
    middle = panel.left + _SIDE / 2
    title = panel_title(panel.chain.row.label)
    axes.text(middle, panel.top + 0.05, title, ha="center", va="bottom", fontsize=7.5, parse_math=False)
    for number in range(1, len(matrix) + 1):
        at = (number - 0.5) * side
        axes.text(panel.left + at, panel.top - _SIDE - 0.04, str(number), ha="center", va="top", fontsize=6, color=INK)
        if panel.first:
            axes.text(panel.left - 0.05, panel.top - at, str(number), ha="right", va="center", fontsize=6, color=INK)
    if panel.first:
        axes.text(
            panel.left - 0.3, panel.top - _SIDE / 2, "queries of", ha="center", va="center", fontsize=7, rotation=90
        )
    axes.text(middle, panel.top - _SIDE - 0.15, "gallery of", ha="center", va="top", fontsize=6.5)

"""Backfill curves as small multiples: one panel a method, one line a kind of order, all on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from compatbench.report.plots.svg import INK, axes_in_inches, panel_title, to_svg
from compatbench.report.render.table import Unit, number
from compatbench.report.rows.backfill import RowBackfill
from compatbench.vocabulary import Order, Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {
    Order.RANDOM: "#3b82c4",
    Order.CLASS_WISE: "#d9541e",
    Order.UNCERTAINTY: "#2a9d5c",
    Order.OWN: "#9357c9",
}
_BELOW = "#d02f3a"
_COLUMNS = 6
_CELL = 1.7, 1.5
"""Width and height of a panel and the space around it, in inches."""
_PANEL = 1.45, 1.0
_MARGIN = 0.5

Values = NDArray[np.float64]


def backfill_caption() -> str:
    """The plot's caption."""
    return (
        "M(β) − M(o,o) in mAP points while the gallery is re-embedded, by the share β of new vectors, from the "
        "cross-test (β = 0) to the full backfill (β = 1). Dashed: the old system. Red: worse than that in random "
        "order. Band: the lowest and highest of all random orders and seeds. One scale for all panels; where a curve "
        "leaves it, its lowest value is written."
    )


def backfill_svg(backfills: Sequence[RowBackfill], name: str) -> Markup | None:
    """An SVG element for use inside a page: methods in the order of the table, then references; None without curves.

    `name` keeps its ids apart from those of other plots.
    """
    members: dict[str, list[RowBackfill]] = {}
    for role in (Role.METHOD, Role.REFERENCE):
        for one in backfills:
            if one.row.role == role:
                members.setdefault(one.row.label, []).append(one)
    if not members:
        return None
    columns = min(_COLUMNS, len(members))
    rows = ceil(len(members) / columns)
    size = max(columns, 4) * _CELL[0] + _MARGIN, rows * _CELL[1] + _MARGIN
    low, high = _frame([one for several in members.values() for one in several])
    panels = [
        _Panel(
            backfills=tuple(several),
            left=_MARGIN + place % columns * _CELL[0],
            bottom=size[1] - _MARGIN - (place // columns + 1) * _CELL[1] + 0.35,
            low=low,
            high=high,
            first=place % columns == 0,
            last=place + columns >= len(members),
        )
        for place, several in enumerate(members.values())
    ]

    def draw(figure: Figure) -> None:
        axes = axes_in_inches(figure)
        for panel in panels:
            _draw(axes, panel)
        _legend(figure, backfills)

    return to_svg(draw, size, name, layout=None)


def _frame(shown: Sequence[RowBackfill]) -> tuple[float, float]:
    """Low and high end of the common scale: at most as far below the old system as the best is above it."""
    best = max(float(_gain(one, one.mean).max()) for one in shown)
    lowest = min(float(_gain(one, one.mean).min()) for one in shown)
    room = max(best, 1.0)
    return max(min(lowest, 0.0), -room) - 0.1 * room, room + 0.1 * room


def _gain(one: RowBackfill, scores: Values) -> Values:
    """Scores minus M(o,o), in points."""
    return 100 * (scores - (one.status_quo.value or 0.0))


@dataclass(frozen=True)
class _Panel:
    """Where one row's curves are drawn."""

    backfills: tuple[RowBackfill, ...]
    left: float
    bottom: float
    low: float
    high: float
    first: bool
    """It is the first of its line, and names the vertical scale."""
    last: bool
    """Nothing is below it, and it names the horizontal scale."""

    def x(self, beta: ArrayLike) -> Values:
        """Inches from the left."""
        return self.left + _PANEL[0] * np.asarray(beta, dtype=np.float64)

    def y(self, gain: ArrayLike) -> Values:
        """Inches from the bottom; a value outside the scale is drawn on its edge."""
        inside = np.clip(np.asarray(gain, dtype=np.float64), self.low, self.high)
        return self.bottom + _PANEL[1] * (inside - self.low) / (self.high - self.low)


def _draw(axes: Axes, panel: _Panel) -> None:
    _draw_scale(axes, panel)
    for one in panel.backfills:
        x, gain, color = panel.x(one.betas), _gain(one, one.mean), COLORS[one.order]
        if one.order is Order.RANDOM:
            band = panel.y(_gain(one, one.low)), panel.y(_gain(one, one.high))
            axes.fill_between(x, *band, color=color, alpha=0.2, linewidth=0)
            if (gain < 0).any():
                axes.fill_between(x, panel.y(np.minimum(gain, 0)), panel.y(0), color=_BELOW, alpha=0.2, linewidth=0)
        y = np.where(gain < panel.low, np.nan, panel.y(gain))
        axes.plot(x, y, color=color, linewidth=1.3 if one.order is Order.RANDOM else 0.9)
    lowest = min(float(_gain(one, one.mean).min()) for one in panel.backfills)
    if lowest < panel.low:
        axes.text(panel.left + 0.05, panel.bottom + 0.05, f"lowest {number(lowest, Unit.POINTS)}", fontsize=6.5)


def _draw_scale(axes: Axes, panel: _Panel) -> None:
    left, right, bottom, top = panel.left, panel.left + _PANEL[0], panel.bottom, panel.bottom + _PANEL[1]
    axes.plot([left, left, right], [top, bottom, bottom], color=INK, linewidth=0.7)
    axes.plot([left, right], [panel.y(0)] * 2, color=INK, linewidth=0.7, linestyle=(0, (4, 2)), alpha=0.7)
    title = panel_title(panel.backfills[0].row.label)
    axes.text((left + right) / 2, top + 0.05, title, ha="center", fontsize=7.5, parse_math=False)
    if panel.first:
        middle = (bottom + top) / 2
        axes.text(left - 0.42, middle, "mAP − M(o,o)", ha="center", va="center", fontsize=7, rotation=90)
    for gain in _ticks(panel.low, panel.high):
        axes.plot([left - 0.03, left], [panel.y(gain)] * 2, color=INK, linewidth=0.7)
        if panel.first:
            axes.text(
                left - 0.05, float(panel.y(gain)), f"{gain:+g}".replace("-", "−"), ha="right", va="center", fontsize=7
            )
    for beta in (0, 0.5, 1):
        axes.plot([panel.x(beta)] * 2, [bottom - 0.03, bottom], color=INK, linewidth=0.7)
        if panel.last:
            text = f"β = {beta:g}" if beta == 0.5 else f"{beta:g}"
            axes.text(float(panel.x(beta)), bottom - 0.06, text, ha="center", va="top", fontsize=7)


def _ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _legend(figure: Figure, backfills: Sequence[RowBackfill]) -> None:
    from matplotlib.lines import Line2D

    orders = [order for order in Order if any(one.order == order for one in backfills)]
    handles = [Line2D([], [], color=COLORS[order], label=order.heading.lower()) for order in orders]
    handles.append(Line2D([], [], color=INK, linewidth=0.7, linestyle=(0, (4, 2)), label="M(o,o)"))
    figure.legend(handles=handles, loc="upper left", ncols=len(handles), frameon=False, fontsize=8)

"""The Pareto plot: what queries gain with no backfill, against what compatibility costs the new model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from compatbench.report.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

INK = "#010203"
"""Stands for the page's text colour: it becomes `currentColor`, so the plot follows light and dark."""
FRONT, DOTS = "#d9541e", "#3b82c4"
LOWEST_GAIN, LOWEST_TAX = -1.0, -30.0
"""What lies below is named in the caption, not drawn."""
_DISTANCES = (5, -5, 14, -14, 23, -23, 32, -32, 41, -41, 50, -50, 59, -59)
"""How far above or below its point a name may stand, in typographic points, nearest first."""


@dataclass(frozen=True)
class Point:
    """One method by its tax (points) and its update gain Γ; both have a value."""

    label: str
    tax: Estimate
    gain: Estimate

    @property
    def position(self) -> tuple[float, float]:
        """Tax and Γ."""
        assert self.tax.value is not None and self.gain.value is not None  # noqa: PT018 - see the class
        return self.tax.value, self.gain.value

    @property
    def within_frame(self) -> bool:
        """Near enough to the others not to squeeze them into a corner."""
        tax, gain = self.position
        return gain >= LOWEST_GAIN and tax >= LOWEST_TAX


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats in tax or Γ without losing in the other, by tax."""

    def dominated(point: Point) -> bool:
        return any(
            all(theirs >= own for theirs, own in zip(other.position, point.position, strict=True))
            and other.position != point.position
            for other in points
        )

    return sorted((point for point in points if not dominated(point)), key=lambda point: (*point.position, point.label))


def plot_caption(points: Sequence[Point]) -> str:
    """What the plot shows, and which points lie outside of it."""
    text = (
        "Update gain Γ against tax, with 95% intervals. Up and to the right is better; the dashed line joins the "
        "methods that no other one beats in both."
    )
    outside = [
        f"{point.label} (Γ {point.position[1]:.2f}, tax {point.position[0]:.1f})"
        for point in points
        if not point.within_frame
    ]
    return text + (f" Outside the frame: {', '.join(outside)}." if outside else "")


def pareto_svg(points: Sequence[Point], name: str) -> Markup | None:
    """An SVG element for use inside a page, None where no point lies within the frame.

    `name` keeps its ids apart from those of other plots.
    """
    shown = [point for point in points if point.within_frame]
    if not shown:
        return None
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    look = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with style.context(["default", look]):  # a user's own matplotlibrc must not change the page
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        _draw(axes, shown)
        figure.draw_without_rendering()  # places the axes, so that names can be measured
        _label(axes, shown)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    for reference in ('id="', 'href="#', "url(#"):
        svg = svg.replace(reference, f"{reference}{name}-")
    return Markup(svg)  # matplotlib has escaped the labels


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    front = pareto_front(points)
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.plot(*zip(*(point.position for point in front), strict=True), color=FRONT, linewidth=1, linestyle="--")
    for point in points:
        axes.errorbar(
            *point.position,
            xerr=_arms(point.tax),
            yerr=_arms(point.gain),
            fmt="o",
            markersize=4,
            linewidth=0.8,
            color=FRONT if point in front else DOTS,
        )
    axes.set_xlabel("tax: M(n,n) − M(*,*), mAP points")
    axes.set_ylabel("update gain Γ")
    axes.margins(0.12)


def _arms(estimate: Estimate) -> list[list[float]] | None:
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None:
        return None
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def _label(axes: Axes, points: Sequence[Point]) -> None:
    """Write each name beside its point, at the nearest place where it covers no name written before."""
    frame = axes.get_window_extent()
    taken: list[Bbox] = []
    for point in sorted(points, key=lambda one: (-one.position[1], one.label)):
        texts = (_name(axes, point, distance, side) for distance in _DISTANCES for side in ("left", "right"))
        for text in texts:
            box = text.get_window_extent()
            inside = frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        else:  # no room anywhere: better crowded than nameless
            box = _name(axes, point, _DISTANCES[0], "left").get_window_extent()
        taken.append(box)


def _name(axes: Axes, point: Point, distance: float, align: str) -> Annotation:
    text = axes.annotate(
        point.label,
        point.position,
        xytext=(6 if align == "left" else -6, distance),
        textcoords="offset points",
        ha=align,
        va="center",
        fontsize=8,
        parse_math=False,
        arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": INK, "alpha": 0.6} if abs(distance) > 10 else None,
    )
    text.set_in_layout(False)
    return text

"""The Pareto plot: the gain of queries without backfill, against the tax on the new model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from compatbench.evaluation.estimate import Estimate
from compatbench.report.plots.svg import INK, to_svg
from compatbench.report.render.table import Unit, number
from compatbench.vocabulary import League

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

COLOURS = dict(zip(League, ("#0b62c4", "#b8430f", "#137a4c", "#8a3fb0"), strict=True))
LOWEST_GAIN, LOWEST_TAX = -1.0, -30.0
"""What lies below is named in the caption, not drawn."""
_OFFSETS = [(side, rise) for distance in range(5, 60, 9) for rise in (distance, -distance) for side in (6, -6)]
"""Where a name may stand relative to its point, in typographic points, nearest first."""
_NEAR = 10
"""Points above or below from which a line leads from the name to its point."""


@dataclass(frozen=True)
class Point:
    """One method by its tax (points) and its update gain Γ; both have a value."""

    label: str
    league: League
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
    """The points that no other one of their league beats in tax or Γ without losing in the other, by tax."""

    def dominated(point: Point) -> bool:
        return any(
            all(theirs >= own for theirs, own in zip(other.position, point.position, strict=True))
            and other.position != point.position
            for other in points
            if other.league is point.league
        )

    return sorted((point for point in points if not dominated(point)), key=lambda point: (*point.position, point.label))


def plot_caption(points: Sequence[Point]) -> str:
    """The plot's caption, and the points outside of it."""
    text = (
        "Update gain Γ against tax, with 95% intervals. Up and to the right is better; a dashed line joins the "
        "methods that no other one of their league beats in both."
    )
    outside = [
        f"{point.label} (Γ {number(gain, Unit.SHARE)}, tax {number(tax, Unit.POINTS)})"
        for point in points
        if not point.within_frame
        for tax, gain in [point.position]
    ]
    return text + (f" Outside the frame: {', '.join(outside)}." if outside else "")


def pareto_svg(points: Sequence[Point], name: str) -> Markup | None:
    """An SVG element for use inside a page, None if no point lies within the frame.

    `name` keeps its ids apart from those of other plots.
    """
    shown = [point for point in points if point.within_frame]
    if not shown:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        _draw(axes, shown)
        figure.draw_without_rendering()  # places the axes, so that names can be measured
        _label(axes, shown)

    return to_svg(draw, (7, 4.2), name)


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    front = pareto_front(points)
    axes.axhline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    for league in dict.fromkeys(
        point.league for point in sorted(points, key=lambda one: list(League).index(one.league))
    ):
        corners = [point.position for point in front if point.league is league]
        axes.plot(
            *zip(*corners, strict=True),
            label=league.heading,
            color=COLOURS[league],
            linewidth=1,
            linestyle="--",
            marker="o",
            markersize=4,
        )
    for point in points:
        axes.errorbar(
            *point.position,
            xerr=_error_bars(point.tax),
            yerr=_error_bars(point.gain),
            fmt="o",
            markersize=4,
            linewidth=0.8,
            color=COLOURS[point.league],
        )
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="lower left")
    axes.set_xlabel("tax: M(n,n) − M(*,*), mAP points")
    axes.set_ylabel("update gain Γ")
    axes.margins(0.12)


def _error_bars(estimate: Estimate) -> list[list[float]] | None:
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None:
        return None
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def _label(axes: Axes, points: Sequence[Point]) -> None:
    """Write each name beside its point, at the nearest place where it covers no name written before."""
    frame = axes.get_window_extent()
    taken: list[Bbox] = []
    for point in sorted(points, key=lambda one: (-one.position[1], one.label)):
        for offset in _OFFSETS:
            text = _name(axes, point, offset)
            box = text.get_window_extent()
            inside = frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        else:  # no room anywhere: better crowded than nameless
            offset = _OFFSETS[0]
            box = _name(axes, point, offset).get_window_extent()
        taken.append(box)
        if abs(offset[1]) > _NEAR:
            line = {"arrowstyle": "-", "linewidth": 0.4, "color": INK, "alpha": 0.6}
            axes.annotate("", point.position, xytext=offset, textcoords="offset points", arrowprops=line)


def _name(axes: Axes, point: Point, offset: tuple[int, int]) -> Annotation:
    text = axes.annotate(
        point.label,
        point.position,
        xytext=offset,
        textcoords="offset points",
        ha="left" if offset[0] > 0 else "right",
        va="center",
        fontsize=8,
        parse_math=False,
    )
    text.set_in_layout(False)
    return text

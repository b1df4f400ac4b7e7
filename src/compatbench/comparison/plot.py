"""Gains as a plot: one line a system, its interval, and the old model as the zero line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from compatbench.comparison.comparison import FULL_BACKFILL, STATUS_QUO, Comparison, Outcome
from compatbench.comparison.verdict import beats_the_old_model, gain_of
from compatbench.report.plots.svg import INK, to_svg
from compatbench.vocabulary import MetricName

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "{} minus that of the old model, in points, with 95% intervals. Green: better by both tests; hollow: a reference."
)

_BETTER, _OTHER = "#2a9d5c", "#8a94a0"


def gains_svg(comparison: Comparison) -> Markup:
    """An SVG element for use inside a page, the highest gain on top."""
    rows = [one for one in comparison.outcomes if not one.skipped and one.name != STATUS_QUO]
    rows.sort(key=lambda one: one.metric(gain_of(comparison.metric)).value or 0.0)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        for place, row in enumerate(rows):
            _mark(axes, place, row, comparison.metric)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(rows)), _labels(rows))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(f"gain over the old model, {comparison.metric} points")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return to_svg(draw, (7.0, 0.8 + 0.27 * len(rows)), "gains")


def _mark(axes: Axes, place: int, row: Outcome, metric: MetricName) -> None:
    gain = row.metric(gain_of(metric))
    color = _BETTER if row.is_adapter and beats_the_old_model(row, metric) else _OTHER
    face = color if row.is_adapter else "none"
    if gain.value is None or gain.low is None or gain.high is None:
        return
    axes.plot([100 * gain.low, 100 * gain.high], [place, place], color=color, linewidth=2)
    axes.plot([100 * gain.value], [place], "o", color=color, markerfacecolor=face, markersize=6)


def _labels(rows: Sequence[Outcome]) -> list[str]:
    return [f"{row.name} (M(n,n))" if row.name == FULL_BACKFILL else row.name for row in rows]

"""Gains as a plot: one line a system, its interval, and the old model as the zero line."""

from __future__ import annotations

from markupsafe import Markup

from compatbench.comparison.comparison import FULL_BACKFILL, STATUS_QUO, Comparison, Outcome
from compatbench.comparison.verdict import beats_the_old_model, gain_of
from compatbench.report.plots.svg import CHARACTER, Scale, element, label, line, plot, styled
from compatbench.vocabulary import MetricName

CAPTION = (
    "{} minus that of the old model, in points, with 95% intervals. Green: better by both tests; hollow: a reference."
)
_WIDTH, _ROW = 700.0, 22.0


def gains_svg(comparison: Comparison) -> Markup:
    """An SVG element for use inside a page, the highest gain on top."""
    rows = [one for one in comparison.outcomes if not one.skipped and one.name != STATUS_QUO]
    rows.sort(key=lambda one: -(one.metric(gain_of(comparison.metric)).value or 0.0))
    ends = [0.0, *(100 * end for one in rows for end in _ends(one, comparison.metric))]
    room = 0.04 * (max(ends) - min(ends) or 1.0)
    left, bottom = 16 + CHARACTER * max((len(_name(one)) for one in rows), default=0), 8 + _ROW * len(rows)
    x = Scale(min(ends) - room, max(ends) + room, left, _WIDTH - 14)
    axis = [line(x.start, bottom, x.end, bottom)]
    for value, text in x.ticks(60):
        axis += [line(x(value), bottom, x(value), 8), label(x(value), bottom + 16, text, "middle")]
    title = f"gain over the old model, {comparison.metric} points"
    axis.append(label((x.start + x.end) / 2, bottom + 34, title, "middle"))
    marks = [_mark(row, 8 + _ROW * (place + 0.5), x, comparison.metric) for place, row in enumerate(rows)]
    words = f"Gain of {len(rows)} systems over the old model; the table has the numbers"
    content = element("g", *axis, class_="axis"), line(x(0), bottom, x(0), 8, "zero"), *marks
    return styled(plot(_WIDTH, bottom + 42, words, *content))


def _ends(row: Outcome, metric: MetricName) -> list[float]:
    gain = row.metric(gain_of(metric))
    return [end for end in (gain.low, gain.value, gain.high) if end is not None]


def _mark(row: Outcome, up: float, x: Scale, metric: MetricName) -> Markup:
    gain = row.metric(gain_of(metric))
    parts = [label(x.start - 8, up + 4, _name(row), "end")]
    if gain.value is not None and gain.low is not None and gain.high is not None:
        kind = "better" if row.is_adapter and beats_the_old_model(row, metric) else "other"
        hollow = None if row.is_adapter else "hollow"
        dot = element("circle", cx=x(100 * gain.value), cy=up, r=4.5, class_=hollow)
        parts.append(element("g", line(x(100 * gain.low), up, x(100 * gain.high), up), dot, class_=kind))
    return element("g", *parts)


def _name(row: Outcome) -> str:
    return f"{row.name} (M(n,n))" if row.name == FULL_BACKFILL else row.name

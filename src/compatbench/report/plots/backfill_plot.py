"""Backfill curves: the rows that a reader asks for first in colour, the others grey."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from compatbench.evaluation.means import Values
from compatbench.report.plots.svg import CHARACTER, Scale, element, frame, label, line, path, plot, scales, short
from compatbench.report.rows.backfill import RowBackfill
from compatbench.vocabulary import Order, Role

SIZE = 720, 400
_FIRST = 5
"""Methods that have a colour at first."""


def backfill_caption() -> str:
    """The plot's caption."""
    return (
        "M(β), mAP in points, while the gallery is re-embedded, by the share β of new vectors: from the cross-test "
        "(β = 0) to the full backfill (β = 1). Lines: mean over seeds and repeats; bands: from the lowest to the "
        "highest backfill. Dashed: the old system, in its own colour where a row has its own. A curve may leave the "
        "frame below; the table has all numbers."
    )


def backfill_svgs(backfills: Sequence[RowBackfill]) -> tuple[Markup, ...]:
    """An SVG element for each order with curves of methods or references. Equal curves give equal bytes."""
    shown = [one for one in backfills if one.row.role is not Role.CONTROL]
    orders = [[one for one in shown if one.order is order] for order in Order]
    return tuple(_drawing(several) for several in orders if several)


def _drawing(curves: Sequence[RowBackfill]) -> Markup:
    chosen = _first(curves)
    points = [_points(one) for one in chosen]
    ends = [_quo(one) for one in chosen] + [float(mean[-1]) for mean, _, _ in points]
    best = max(*ends, *(float(high.max()) for _, _, high in points))
    lowest = max(min(float(low.min()) for _, low, _ in points), min(ends) - max(best - min(ends), 1.0))
    room = 0.05 * max(best - lowest, 1.0)
    x, y = scales(*SIZE, (0.0, 1.0), (lowest - room, best + room))
    shared = [one for one in curves if not one.row.own_first_generation]
    content = [frame(x, y, "β: share of the gallery that holds new vectors", "M(β), mAP points")]
    if shared:
        content.append(line(x.start, y.clipped(_quo(shared[0])), x.end, y.clipped(_quo(shared[0])), "quo"))
    content += [_curve(one, x, y, None) for one in curves if one not in chosen]
    content += [_curve(one, x, y, place) for place, one in enumerate(chosen)]
    content += _key(chosen, x.end, y.start)
    place = {"x": x.start, "y": y.end, "width": x.end - x.start, "height": y.start - y.end}
    inside = f"{short(x.start)} {short(y.end)} {short(x.end - x.start)} {short(y.start - y.end)}"
    drawn = element("svg", *content[1:], viewBox=inside, **place)
    words = f"Backfill curves of {', '.join(one.row.label for one in chosen)}. {curves[0].order.heading}."
    return plot(*SIZE, words, content[0], drawn, data_order=curves[0].order.heading)


def _first(curves: Sequence[RowBackfill]) -> list[RowBackfill]:
    """The first of each league, then the next best, and the one without any compatibility."""
    methods = [one for one in curves if one.row.role is Role.METHOD]
    leaders = list({one.row.league: one for one in reversed(methods)}.values())
    ordered = sorted(methods, key=lambda one: one not in leaders)
    return ordered[:_FIRST] + [one for one in curves if one.row.is_baseline]


def _quo(one: RowBackfill) -> float:
    """M(o,o) in points."""
    return 100 * (one.status_quo.value or 0.0)


def _points(one: RowBackfill) -> tuple[Values, Values, Values]:
    """Mean, lowest and highest M(β), in points."""
    return 100 * one.mean, 100 * one.low, 100 * one.high


def _curve(one: RowBackfill, x: Scale, y: Scale, colour: int | None) -> Markup:
    mean, low, high = (
        [(x(beta), y(value)) for beta, value in zip(one.betas, several, strict=True)] for several in _points(one)
    )
    parts = [
        element("title", one.row.label),
        element("path", d=path([*low, *reversed(high)], closed=True), class_="band"),
        element("path", d=path(mean), class_="line"),
    ]
    if one.row.own_first_generation:
        parts.append(line(x.start, y(_quo(one)), x.end, y(_quo(one)), "own"))
    return element("g", *parts, class_="curve" + ("" if colour is None else f" s{colour}"), data_label=one.row.label)


def _key(chosen: Sequence[RowBackfill], right: float, bottom: float) -> list[Markup]:
    """The chosen rows by their colours, below on the right."""
    left = right - 26 - CHARACTER * max(len(one.row.label) for one in chosen)
    parts = []
    for place, one in enumerate(chosen):
        up = bottom - 12 - 16 * (len(chosen) - 1 - place)
        parts += [element("path", d=path([(left, up - 4), (left + 16, up - 4)]), class_=f"line s{place}")]
        parts += [label(left + 22, up, one.row.label, class_="label")]
    return [element("g", *parts, class_="key")]

"""The Pareto plot: the gain of queries without backfill, against the tax on the new model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from compatbench.evaluation.estimate import Estimate
from compatbench.report.plots.svg import CHARACTER, Scale, element, frame, label, line, path, plot, scales
from compatbench.report.render.table import TableCell, Unit, interval, value
from compatbench.vocabulary import League

SIZES = (1100, 560), (420, 460)
"""Of the drawing for wide places, and of that for narrow ones."""
_FENCE = 2.0
"""Interquartile ranges below the quartiles from which a point would squeeze the others into a corner."""
_LEAST = 2.0, 0.2
"""Points of tax, and Γ, that are never too far below the quartiles."""
_OFFSETS = [(side, rise) for distance in range(0, 67, 11) for rise in (distance, -distance) for side in (8, -8)]
"""Where a name may stand relative to its point, nearest first."""
_NEAR = 11
"""From this distance on a line leads from the name to its point."""
_KEY, _LINE = 170.0, 20.0
"""Width and height of a league's name below the drawing."""


@dataclass(frozen=True)
class Point:
    """One method by its tax (points) and its update gain Γ; both have a value."""

    label: str
    league: League
    tax: Estimate
    gain: Estimate
    ranked: bool = True
    compatible: bool = False

    @property
    def position(self) -> tuple[float, float]:
        """Tax and Γ."""
        assert self.tax.value is not None and self.gain.value is not None  # noqa: PT018 - see the class
        return self.tax.value, self.gain.value

    @property
    def words(self) -> str:
        """Name and numbers."""
        gain, tax = (_words(one, unit) for one, unit in ((self.gain, Unit.SHARE), (self.tax, Unit.POINTS)))
        return f"{self.label}: Γ {gain}, tax {tax}"


def _words(one: Estimate, unit: Unit) -> str:
    cell = TableCell(one.value, low=one.low, high=one.high)
    return " ".join(part for part in (value(cell, unit), interval(cell, unit)) if part)


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


def within_frame(points: Sequence[Point]) -> list[Point]:
    """All but the points far below in tax or Γ, which would squeeze the others into a corner.

    What is compatible, and the first of each league in the order of `points`, stays wherever it lies, and so do points
    that are no worse than these.
    """
    if not points:
        return []
    firsts = {point.league: point for point in reversed(points)}
    positions = np.array([point.position for point in points])
    low, high = np.quantile(positions, (0.25, 0.75), axis=0)
    inside = (positions >= low - np.maximum(_FENCE * (high - low), _LEAST)).all(axis=1)
    kept = [one or point.compatible or point is firsts[point.league] for point, one in zip(points, inside, strict=True)]
    within = (positions >= positions[kept].min(axis=0)).all(axis=1)
    return [point for point, one in zip(points, within, strict=True) if one]


def plot_caption(points: Sequence[Point]) -> str:
    """The plot's caption, and the points outside of it."""
    shown = within_frame(points)
    outside = [point.words.replace(": ", " (", 1) + ")" for point in points if point not in shown]
    return (
        "Update gain Γ against tax, with 95% intervals. Up and to the right is better; a dashed line joins the "
        "methods that no other one of their league beats in both. Hollow: not ranked. The table has the numbers."
    ) + (f" Outside the frame: {', '.join(outside)}." if outside else "")


def pareto_svgs(points: Sequence[Point]) -> tuple[Markup, ...]:
    """An SVG element of each of the `SIZES`; none without points. Equal points give equal bytes."""
    shown, front = within_frame(points), pareto_front(points)
    return tuple(_drawing(shown, [one for one in front if one in shown], *size) for size in SIZES) if shown else ()


def _drawing(points: Sequence[Point], front: Sequence[Point], width: float, height: float) -> Markup:
    leagues = [league for league in League if any(point.league is league for point in points)]
    taxes, gains = zip(*(point.position for point in points), strict=True)
    x, y = scales(width, height, _extent(taxes, 1.0), _extent(gains, 0.1))
    content = [frame(x, y, "tax: M(n,n) − M(*,*), mAP points", "update gain Γ")]
    if y.low < 0 < y.high:
        content.append(line(x.start, y(0), x.end, y(0), "zero"))
    if x.low < 0 < x.high:
        content.append(line(x(0), y.start, x(0), y.end, "zero"))
    for league in leagues:
        corners = [(x(tax), y(gain)) for point in front if point.league is league for tax, gain in [point.position]]
        if corners:
            content.append(element("path", d=path(corners), class_=f"front {series(league)}"))
    content += [_mark(point, x, y) for point in points]
    content += _names([*front, *(point for point in points if point not in front)], x, y)
    columns = max(1, int((x.end - x.start) // _KEY))
    rows = [leagues[at : at + columns] for at in range(0, len(leagues), columns)]
    content += [
        _key(one, x.start + _KEY * at, height + _LINE * row)
        for row, several in enumerate(rows)
        for at, one in enumerate(several)
    ]
    names = ", ".join(point.label for point in front)
    words = f"Update gain against tax of {len(points)} methods. On the Pareto front: {names}."
    return plot(width, height + _LINE * len(rows), words, *content)


def series(league: League) -> str:
    """The class with the colour of a league."""
    return f"s{list(League).index(league)}"


def _extent(values: Sequence[float], least: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.1 * max(high - low, least)
    return low - room, high + room


def _mark(point: Point, x: Scale, y: Scale) -> Markup:
    tax, gain = point.position
    parts = [element("title", point.words)]
    for one, along in ((point.tax, x), (point.gain, y)):
        if one.low is not None and one.high is not None:
            ends = along.clipped(one.low), along.clipped(one.high)
            bar = (ends[0], y(gain), ends[1], y(gain)) if along is x else (x(tax), ends[0], x(tax), ends[1])
            parts.append(line(*bar, "bar"))
    parts.append(element("circle", cx=x(tax), cy=y(gain), r=4, class_=None if point.ranked else "hollow"))
    return element("g", *parts, class_=f"mark {series(point.league)}", data_label=point.label)


def _names(points: Sequence[Point], x: Scale, y: Scale) -> list[Markup]:
    """Each name beside its point, at the nearest place where it covers no name and no point; none without one."""
    places = [(point, x(point.position[0]), y(point.position[1])) for point in points]
    taken = [(at - 4, up - 4, at + 4, up + 4) for _, at, up in places]
    found = []
    for point, at, up in places:
        width = CHARACTER * len(point.label)
        for side, rise in _OFFSETS:
            left = at + side - (width if side < 0 else 0)
            box = left, up + rise - 7, left + width, up + rise + 7
            inside = box[0] > x.start and box[2] < x.end + 10 and box[1] > y.end and box[3] < y.start
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                leader = [line(at, up, at + side, up + rise, "leader")] if abs(rise) > _NEAR else []
                name = label(at + side, up + rise + 4, point.label, "start" if side > 0 else "end", "label")
                found.append(element("g", *leader, name, data_label=point.label))
                break
    return found


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _key(league: League, left: float, top: float) -> Markup:
    """A league by its colour."""
    dot, name = (
        element("circle", cx=left + 4, cy=top + 8, r=4),
        label(left + 14, top + 12, league.heading, class_="label"),
    )
    return element("g", dot, name, class_=f"mark {series(league)}")

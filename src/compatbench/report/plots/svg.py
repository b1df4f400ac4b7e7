"""Plots as SVG elements: classes for colours, so that one drawing serves a page in light or dark, and a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from math import ceil, floor, log10

from markupsafe import Markup, escape

CHARACTER = 6.6
"""Width of an average character of a label, in units of the drawing."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 12.0, 42.0
"""Margins of a frame."""
_GREY = re.compile(r'<g class="curve"[ >].*?</g>')
_HIDDEN = re.compile(r'<(path|line) [^>]*class="(band|own)"></\1>')
"""Parts of a grey curve, see plots.css."""
_ASSETS = files("compatbench.report").joinpath("templates")


def element(tag: str, *content: Markup | str, **attributes: float | str | None) -> Markup:
    """An SVG element; `text_anchor` becomes `text-anchor`, `class_` `class`, and every text is escaped."""
    shown = "".join(
        f' {name.strip("_").replace("_", "-")}="{escape(value if isinstance(value, str) else short(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{shown}>{Markup().join(content)}</{tag}>")


def short(value: float) -> str:
    """One decimal, and none where it is zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def plot(width: float, height: float, label: str, *content: Markup, data_order: str | None = None) -> Markup:
    """A whole drawing; `label` says in words what it shows."""
    return element(
        "svg",
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_="plot",
        role="img",
        aria_label=label,
        viewBox=f"0 0 {short(width)} {short(height)}",
        width=width,
        height=height,
        data_order=data_order,
    )


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` linearly to places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def clipped(self, value: float) -> float:
        """The place of a value; of one outside, the nearest end."""
        return self(min(self.high, max(self.low, value)))

    def ticks(self, space: float) -> list[tuple[float, str]]:
        """Multiples of 1, 2 or 5 times a power of ten at least `space` apart, each with its text."""
        least = (self.high - self.low) * space / abs(self.end - self.start)
        power = 10.0 ** floor(log10(least))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
        decimals = max(0, -floor(log10(step) + 1e-9))
        return [
            (count * step, f"{count * step:.{decimals}f}".replace("-", "−"))
            for count in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)
        ]


def scales(width: float, height: float, x: tuple[float, float], y: tuple[float, float]) -> tuple[Scale, Scale]:
    """The two scales of a drawing with axes; `x` and `y` are the lowest and highest values."""
    return Scale(*x, _LEFT, width - _RIGHT), Scale(*y, height - _BOTTOM, _TOP)


def frame(x: Scale, y: Scale, x_title: str, y_title: str) -> Markup:
    """Grid, ticks and titles."""
    left, right, bottom, top = x.start, x.end, y.start, y.end
    parts = []
    for value, text in x.ticks(60):
        parts += [line(x(value), bottom, x(value), top), label(x(value), bottom + 16, text, "middle")]
    for value, text in y.ticks(42):
        parts += [line(left, y(value), right, y(value)), label(left - 7, y(value) + 4, text, "end")]
    middle = f"translate(12 {short((top + bottom) / 2)}) rotate(-90)"
    parts += [
        label((left + right) / 2, bottom + 36, x_title, "middle"),
        element("text", y_title, transform=middle, text_anchor="middle"),
    ]
    return element("g", *parts, class_="axis")


def line(x1: float, y1: float, x2: float, y2: float, class_: str | None = None) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def label(x: float, y: float, text: str, anchor: str = "start", class_: str | None = None) -> Markup:
    """A text whose base line is at `y`."""
    return element("text", text, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    """The `d` of a path through the points, in steps from one to the next so that it is short."""
    whole = [(round(10 * x), round(10 * y)) for x, y in points]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(whole)]
    parts = [f"M{short(whole[0][0] / 10)} {short(whole[0][1] / 10)}"]
    parts += [f"l{short(dx / 10)} {short(dy / 10)}" for dx, dy in steps]
    return "".join(parts) + ("z" if closed else "")


def stylesheet() -> str:
    """The colours and strokes of all plots, for a page that contains them."""
    return _ASSETS.joinpath("plots.css").read_text(encoding="utf-8")


def styled(svg: Markup) -> Markup:
    """`svg` with its own style, for places without the page's."""
    start, inside = str(svg).split(">", 1)
    return Markup(f"{start}><style>{stylesheet()}</style>{inside}")


def as_file(svg: Markup) -> str:
    """An SVG file on white, for places without a page, such as a README's images.

    It lacks what the style hides of grey curves, and a page shows where a reader chooses such a curve.
    """
    shown = _GREY.sub(lambda curve: _HIDDEN.sub("", curve[0]), str(styled(svg)))
    return shown.replace("<svg ", '<svg style="color: #1b1f24; background: #ffffff" ', 1) + "\n"

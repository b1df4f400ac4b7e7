"""Figures as SVG elements: deterministic, in the page's own text colour, with ids unique to each figure."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's text colour: it becomes `currentColor`, so figures follow light and dark."""
_TITLE_WIDTH = 24
"""Characters of a line of a panel's title."""


def to_svg(
    draw: Callable[[Figure], None],
    size: tuple[float, float],
    name: str,
    layout: Literal["constrained"] | None = "constrained",
) -> Markup:
    """The drawing of `draw` on a figure of `size` inches, as an SVG element for use inside a page.

    `name` keeps its ids apart from those of other figures. Without a layout, `draw` places the axes itself.
    """
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
        figure = Figure(figsize=size, layout=layout)
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0)
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    for reference in ('id="', 'href="#', "url(#"):
        svg = svg.replace(reference, f"{reference}{name}-")
    return Markup(svg)  # matplotlib has escaped the texts


def axes_in_inches(figure: Figure) -> Axes:
    """Axes over the whole figure without lines of their own, with coordinates in inches from the lower left.

    For many small panels: an Axes for each takes longer than all the rest of the report.
    """
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    return axes


def panel_title(label: str) -> str:
    """A row's label in at most two lines, for a small panel."""
    return "\n".join(textwrap.wrap(label.replace("(", " (", 1), _TITLE_WIDTH, max_lines=2, placeholder=" …"))


def as_file(svg: Markup) -> str:
    """An SVG file with `svg` on white, for places without a page, such as a README's images."""
    return str(svg).replace("<svg ", '<svg style="color: #1b1f24; background: #ffffff" ', 1) + "\n"

"""What small panels share: coordinates in inches, and titles that fit."""

import re
import xml.etree.ElementTree as ET

import pytest

from compatbench.report.plots.svg import axes_in_inches, panel_title, to_svg

SVG = "{http://www.w3.org/2000/svg}"
POINTS = 72
"""An inch has 72 units of an SVG that matplotlib writes."""


def test_coordinates_are_inches_from_the_lower_left() -> None:
    svg = to_svg(lambda figure: axes_in_inches(figure).plot([0.5, 2.0], [1.0, 2.5], color="#ff0000"), (4, 3), "p", None)
    paths = [path for path in ET.fromstring(svg).iter(f"{SVG}path") if "#ff0000" in path.get("style", "")]
    drawn = [tuple(map(float, pair)) for pair in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", paths[0].get("d", ""))]
    expected = [(0.5, 3 - 1.0), (2.0, 3 - 2.5)]  # an SVG counts from the top
    assert len(paths) == 1
    assert drawn == [pytest.approx((POINTS * x, POINTS * y)) for x, y in expected]


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("bct", "bct"),
        ("shuffled_prototypes(weight=2)", "shuffled_prototypes\n(weight=2)"),
        ("m(a=1, b=2, c=3, d=4, e=5, f=6, g=7, h=8, i=9, j=0)", "m (a=1, b=2, c=3, d=4,\ne=5, f=6, g=7, h=8, …"),
    ],
)
def test_a_title_has_two_lines_at_most(label: str, title: str) -> None:
    assert panel_title(label) == title

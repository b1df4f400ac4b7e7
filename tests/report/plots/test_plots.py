import itertools
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.evaluation.estimate import Estimate
from compatbench.report.plots.pareto import Point, pareto_front, pareto_svg, plot_caption
from compatbench.vocabulary import League

SVG = "{http://www.w3.org/2000/svg}"


def point(label, tax, gain, league=League.INDEX_UNTOUCHED):
    return Point(label, league, Estimate(tax, tax - 1, tax + 1), Estimate(gain, gain - 0.1, gain + 0.1))


POINTS = [point("a", -1.0, 0.5), point("$x_1$ & <script>alert(1)</script>", 0.0, 0.2), point("b", -9.0, -0.2)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 2), st.integers(-4, 4)), min_size=1, max_size=12))
def test_the_front_is_what_nobody_dominates(positions):
    points = [point(str(place), tax, gain) for place, (tax, gain) in enumerate(positions)]
    front = {int(one.label) for one in pareto_front(points)}
    for place, (tax, gain) in enumerate(positions):
        better = [
            1 for other_tax, other_gain in positions
            if (other_tax >= tax and other_gain > gain) or (other_tax > tax and other_gain >= gain)
        ]  # fmt: skip
        assert (place in front) == (not better)


def test_every_league_has_a_front_of_its_own():
    """A method that rewrites the index beats those that leave it alone, and takes none of them off their front."""
    best = point("best", 0.0, 0.9, League.INDEX_REWRITTEN)
    assert {one.label for one in pareto_front([*POINTS, best])} == {one.label for one in [*pareto_front(POINTS), best]}
    texts = "".join(ET.fromstring(pareto_svg([*POINTS, best], "p")).itertext())
    assert "Index untouched" in texts
    assert "Index rewritten" in texts
    assert "Two encoders" not in texts


def test_the_plot_names_every_method_as_plain_text():
    root = ET.fromstring(pareto_svg(POINTS, "p"))
    texts = ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]
    assert {one.label for one in POINTS} <= set(texts)
    assert "update gain Γ" in texts
    assert not list(root.iter(f"{SVG}script"))


def test_the_plot_fits_into_a_page():
    svg = pareto_svg(POINTS, "plot-x")
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert "#010203" not in svg
    ids = [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")]
    assert ids
    assert all(one.startswith("plot-x-") for one in ids)
    assert len(set(ids)) == len(ids)
    references = [
        value for element in ET.fromstring(svg).iter() for key, value in element.attrib.items() if key.endswith("href")
    ]
    assert references
    assert all(reference.removeprefix("#") in ids for reference in references)
    assert pareto_svg(POINTS, "plot-x") == svg


def test_crowded_names_do_not_cover_each_other():
    points = [point(f"method_{place}", -1.0 + 0.01 * place, 0.5) for place in range(8)]
    names = {one.label for one in points}
    boxes = []
    for element in ET.fromstring(pareto_svg(points, "p")).iter(f"{SVG}text"):
        if "".join(element.itertext()).strip() in names:
            x, y = float(element.get("x")), float(element.get("y"))
            width = 40  # "method_0" is about 38 points wide at size 8
            boxes.append((x - width, y) if "text-anchor: end" in element.get("style") else (x, y))
    assert len(boxes) == 8
    for (x, y), (other_x, other_y) in itertools.combinations(boxes, 2):
        assert abs(x - other_x) >= 36 or abs(y - other_y) >= 8


def test_far_points_are_told_instead_of_drawn():
    far = [point("far", -40.0, 0.5), point("down", -1.0, -5.4)]
    assert pareto_svg(far, "p") is None
    assert plot_caption(far).endswith("Outside the frame: far (Γ 0.50, tax −40.0), down (Γ −5.40, tax −1.0).")
    assert "Outside" not in plot_caption(POINTS)
    assert pareto_svg([], "p") is None
    assert "far" not in pareto_svg([*POINTS, *far], "p")


def test_a_point_without_interval_is_drawn():
    bare = Point("bare", League.TWO_ENCODERS, Estimate(-1.0), Estimate(0.5))
    assert "bare" in pareto_svg([bare], "p")


def test_a_users_matplotlibrc_changes_nothing():
    import matplotlib as mpl

    before = pareto_svg(POINTS, "p")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert pareto_svg(POINTS, "p") == before
        assert mpl.rcParams["font.size"] == pytest.approx(30)

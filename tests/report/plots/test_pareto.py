import itertools
import xml.etree.ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.evaluation.estimate import Estimate
from compatbench.report.plots.pareto import SIZES, Point, pareto_front, pareto_svgs, plot_caption
from compatbench.report.plots.svg import CHARACTER
from compatbench.vocabulary import League

SVG = "{http://www.w3.org/2000/svg}"


def point(label, tax, gain, league=League.INDEX_UNTOUCHED, **options):
    return Point(label, league, Estimate(tax, tax - 1, tax + 1), Estimate(gain, gain - 0.1, gain + 0.1), **options)


POINTS = [point("a", -1.0, 0.5), point("$x_1$ & <script>alert(1)</script>", 0.0, 0.2), point("b", -2.0, -0.2)]


def names(svg):
    return {
        one.get("data-label"): one for one in ET.fromstring(svg).iter(f"{SVG}g") if one.find(f"{SVG}text") is not None
    }


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


def test_every_league_has_a_front_and_a_colour_of_its_own():
    """A method that rewrites the index beats those that leave it alone, and takes none of them off their front."""
    best = point("best", 0.0, 0.9, League.INDEX_REWRITTEN)
    assert {one.label for one in pareto_front([*POINTS, best])} == {one.label for one in [*pareto_front(POINTS), best]}
    root = ET.fromstring(pareto_svgs([*POINTS, best])[0])
    texts = "".join(root.itertext())
    assert "Index untouched" in texts
    assert "Index rewritten" in texts
    assert "Two encoders" not in texts
    marks = {one.get("data-label"): one.get("class") for one in root.iter(f"{SVG}g") if one.get("class")}
    assert (marks["a"], marks["best"]) == ("mark s0", "mark s1")


def test_both_drawings_name_every_method_as_plain_text():
    for svg, (width, _) in zip(pareto_svgs(POINTS), SIZES, strict=True):
        assert {one.label for one in POINTS} <= set(names(svg))
        root = ET.fromstring(svg)
        assert root.get("width") == str(width)
        assert not list(root.iter(f"{SVG}script"))
    assert pareto_svgs(POINTS) == pareto_svgs(POINTS)


def test_positions_are_to_scale_with_their_intervals():
    points = [point(label, tax, gain) for label, tax, gain in (("a", 0.0, 0.0), ("b", 1.0, 0.3), ("c", 2.0, 0.1))]
    root = ET.fromstring(pareto_svgs(points)[0])
    marks = {one.get("data-label"): one for one in root.iter(f"{SVG}g") if one.find(f"{SVG}title") is not None}
    at = {
        label: tuple(float(one.find(f"{SVG}circle").get(key)) for key in ("cx", "cy")) for label, one in marks.items()
    }
    assert at["b"][0] - at["a"][0] > 100
    assert abs((at["c"][0] - at["a"][0]) - 2 * (at["b"][0] - at["a"][0])) < 0.3
    assert abs((at["a"][1] - at["b"][1]) - 3 * (at["a"][1] - at["c"][1])) < 0.5
    assert marks["b"].find(f"{SVG}title").text == "b: Γ 0.30 [0.20, 0.40], tax 1.0 [0.0, 2.0]"
    across, up = marks["c"].findall(f"{SVG}line")
    assert abs(float(across.get("x1")) - at["b"][0]) < 0.2
    assert abs(float(up.get("y1")) - at["a"][1]) < 0.2


def test_crowded_names_do_not_cover_each_other_or_points():
    points = [point(f"method_{place}", -1.0 + 0.01 * place, 0.5) for place in range(8)]
    boxes = []
    for label, group in names(pareto_svgs(points)[0]).items():
        if label:
            text = group.find(f"{SVG}text")
            x, y, width = float(text.get("x")), float(text.get("y")), CHARACTER * len(label)
            boxes.append((x - width, y) if text.get("text-anchor") == "end" else (x, y))
    assert len(boxes) == 8
    for (x, y), (other_x, other_y) in itertools.combinations(boxes, 2):
        assert abs(x - other_x) >= CHARACTER * 8 - 0.2 or abs(y - other_y) >= 10.9


def test_far_points_are_told_instead_of_drawn_and_still_beat_others():
    many = [point(str(place), 0.1 * place, 0.01 * place) for place in range(12)]
    far = point("far", -40.0, 5.0)
    caption = plot_caption([*many, far])
    assert caption.endswith("Outside the frame: far (Γ 5.00 [4.90, 5.10], tax −40.0 [−41.0, −39.0]).")
    assert "Outside" not in plot_caption(many)
    assert "far" not in pareto_svgs([*many, far])[0]
    root = ET.fromstring(pareto_svgs([*many, point("beyond", -40.0, 5.0)])[0])
    front = next(one for one in root.iter(f"{SVG}path") if "front" in one.get("class"))
    assert "l" not in front.get("d"), "of its front only what is inside is joined"
    assert pareto_svgs([]) == ()


def test_the_best_is_never_outside_the_frame():
    """Far above or to the right, compatible, or the first of its league: all drawn, however they squeeze the rest."""
    many = [point(str(place), 0.1 * place, 0.01 * place) for place in range(12)]
    best = [point("above", 0.0, 5.0), point("right", 40.0, 0.0), point("gains", -20.0, 0.1, compatible=True)]
    rest = [point("better", -19.0, 0.0), point("worse", -21.0, 0.0)]
    planned = [point(label, 0.0, gain, League.PLANNED_AHEAD) for label, gain in (("first", -5.0), ("next", -6.0))]
    drawn = {
        one.get("data-label") for one in ET.fromstring(pareto_svgs([*many, *best, *rest, *planned])[0]).iter(f"{SVG}g")
    }
    assert {"above", "right", "gains", "first", "better"} <= drawn
    assert not {"worse", "next"} & drawn


def test_what_is_not_ranked_is_hollow_and_needs_no_interval():
    bare = Point("bare", League.TWO_ENCODERS, Estimate(-1.0), Estimate(0.5), ranked=False)
    root = ET.fromstring(pareto_svgs([bare])[0])
    assert root.find(f".//{SVG}circle[@class='hollow']") is not None
    assert root.find(f".//{SVG}line[@class='bar']") is None

"""Small multiples: what is written and drawn where."""

import re
import xml.etree.ElementTree as ET

import pytest
from pydantic import ValidationError
from synthetic import add_curves

from compatbench.report.plots.backfill_plot import COLORS, backfill_svg
from compatbench.report.plots.svg import as_file
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.vocabulary import Order

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
QUERIES = 6
OLD = {pair: [0.5] * QUERIES for pair in ("oo", "no", "nn", "ss")}
EVIL = "$x_1$&<b>bold</b>"


def backfills(bench, curves, **options):
    records = []
    for label, by_order in curves.items():
        one = bench.record(label, 0, OLD, **options.get(label, {}))
        for order, curve in by_order.items():
            add_curves(bench, one, order, [curve] * QUERIES, spread=0.05)
        records.append(one)
    return scenario_reports(records, bench.folder)[0].backfills


def texts(svg):
    return ["".join(element.itertext()).strip() for element in ET.fromstring(svg).iter(f"{SVG}text")]


def lines(svg, color):
    """Points of each line of this colour, as in the picture."""
    found = []
    for path in ET.fromstring(svg).iter(f"{SVG}path"):
        if f"stroke: {color}" in path.get("style", ""):
            found.append([tuple(map(float, pair)) for pair in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path.get("d"))])
    return found


def height_of_areas(svg, color):
    """From the lowest to the highest point of what is filled with this colour; None where nothing is."""
    root = ET.fromstring(svg)
    names = [use.get(XLINK).removeprefix("#") for use in root.iter(f"{SVG}use") if f"fill: {color}" in use.get("style")]
    shapes = [path.get("d") for path in root.iter(f"{SVG}path") if path.get("id") in names]
    heights = [float(y) for shape in shapes for _, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", shape)]
    return max(heights) - min(heights) if heights else None


def test_every_method_and_reference_has_a_panel_and_controls_have_none(bench):
    curves = {label: {"random": [0.5, 0.75]} for label in ("first", "second", "base", "control", EVIL)}
    roles = {"base": {"role": "reference"}, "control": {"role": "control"}}
    found = texts(backfill_svg(backfills(bench, curves, **roles), "p"))
    assert {"first", "second", "base"} <= set(found)
    assert "control" not in found
    assert EVIL in found
    assert found.index("second") < found.index("base"), "references come last"


def test_lines_follow_the_curves_on_one_scale(bench):
    """Gains of 0, 25, 50 and of 0, 12.5, 0: heights in the picture are in the same proportion."""
    curves = {"a": {"random": [0.5, 0.75, 1.0]}, "b": {"random": [0.5, 0.625, 0.5]}}
    high, low, _ = lines(backfill_svg(backfills(bench, curves), "p"), COLORS["random"])  # and that of the legend
    unit = high[0][1] - high[1][1]
    assert unit > 0, "up is better, and SVG counts downwards"
    assert [high[0][1] - y for _, y in high] == pytest.approx([0, unit, 2 * unit], abs=0.01)
    assert [high[0][1] - y for _, y in low] == pytest.approx([0, unit / 2, 0], abs=0.01)
    assert high[1][0] - high[0][0] == pytest.approx(high[2][0] - high[1][0], abs=0.01)


def test_every_order_is_drawn_and_listed(bench):
    found = backfills(bench, {"m": {order: [0.5, 0.75, 1.0] for order in Order}})
    assert {one.order for one in found} == set(COLORS) == set(Order)
    svg = backfill_svg(found, "p")
    assert all(lines(svg, COLORS[order]) for order in Order)
    assert {order.heading.lower() for order in Order} <= set(texts(svg))


def test_an_order_without_a_word_is_refused(bench):
    with pytest.raises(ValidationError, match="order"):
        backfills(bench, {"m": {"alphabetical": [0.5, 0.75, 1.0]}})


def test_only_what_lies_below_the_status_quo_is_red(bench):
    def red(curve):
        return height_of_areas(backfill_svg(backfills(bench, {"m": {"random": curve}}), "p"), "#d02f3a")

    assert red([0.5, 0.75, 1.0]) is None
    shallow, deep = red([0.5, 0.4, 1.0]), red([0.5, 0.3, 1.0])
    assert shallow > 0
    assert red([0.5, 0.45, 1.0]) == pytest.approx(shallow / 2, rel=0.2), "the scale follows what is drawn"
    assert deep > shallow


def test_a_curve_that_leaves_the_scale_is_told(bench):
    found = backfill_svg(backfills(bench, {"m": {"random": [0.0, 0.25, 0.55]}, "n": {"random": [0.5, 0.5, 0.6]}}), "p")
    assert texts(found).count("lowest −50.0") == 1
    assert "lowest" not in " ".join(texts(backfill_svg(backfills(bench, {"m": {"random": [0.5, 0.6]}}), "p")))


def test_the_legend_names_the_orders_that_are_there(bench):
    found = texts(backfill_svg(backfills(bench, {"m": {"random": [0.5, 0.6], "own": [0.5, 0.7]}}), "p"))
    assert {"random order", "the method's own order", "M(o,o)"} <= set(found)
    assert "class after class" not in found


def test_many_methods_get_many_lines_of_panels(bench):
    curves = {f"method_{place}": {"random": [0.5, 0.6]} for place in range(14)}
    svg = backfill_svg(backfills(bench, curves), "p")
    places = {}
    for element in ET.fromstring(svg).iter(f"{SVG}text"):
        label = "".join(element.itertext()).strip()
        if label in curves:
            places[label] = round(float(element.get("x"))), round(float(element.get("y")))
    assert len(set(places.values())) == 14
    assert len({y for _, y in places.values()}) == 3
    assert len({x for x, _ in places.values()}) == 6


def test_the_plot_fits_into_a_page_and_into_a_file(bench):
    found = backfills(bench, {"m": {"random": [0.5, 0.6]}})
    svg = backfill_svg(found, "plot-x")
    assert svg == backfill_svg(found, "plot-x")
    assert "currentColor" in svg
    ids = [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")]
    assert all(one.startswith("plot-x-") for one in ids)
    assert len(ids) == len(set(ids))
    style = ET.fromstring(as_file(svg)).get("style")
    assert "color: #1b1f24" in style
    assert "background: #ffffff" in style


def test_without_curves_there_is_no_plot(bench):
    assert backfill_svg([], "p") is None
    assert backfill_svg(backfills(bench, {"c": {"random": [0.5, 0.6]}}, c={"role": "control"}), "p") is None

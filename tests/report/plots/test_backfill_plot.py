"""Backfill curves: what is drawn where, and which rows have a colour at first."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from pydantic import ValidationError
from synthetic import add_curves

from compatbench.report.plots.backfill_plot import backfill_svgs
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.vocabulary import Order

SVG = "{http://www.w3.org/2000/svg}"
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


def curves(svg):
    """Groups of curves by row."""
    return {one.get("data-label"): one for one in ET.fromstring(svg).iter(f"{SVG}g") if one.get("data-label")}


def points(group, kind="line"):
    """Places of a row's line or band."""
    (found,) = (one for one in group.iter(f"{SVG}path") if one.get("class") == kind)
    steps = re.findall(r"[Ml](-?[\d.]+) (-?[\d.]+)", found.get("d"))
    return np.cumsum([[float(x), float(y)] for x, y in steps], axis=0)


def test_methods_and_references_have_a_curve_and_controls_have_none(bench):
    named = {label: {"random": [0.5, 0.75]} for label in ("first", "base", "control", EVIL)}
    roles = {"base": {"role": "reference"}, "control": {"role": "control"}}
    (svg,) = backfill_svgs(backfills(bench, named, **roles))
    assert set(curves(svg)) == {"first", "base", EVIL}
    assert svg == backfill_svgs(backfills(bench, named, **roles))[0]


def test_lines_follow_the_curves_on_one_scale(bench):
    """Gains of 0, 25, 50 and of 0, 12.5, 0: heights in the picture are in the same proportion."""
    (svg,) = backfill_svgs(backfills(bench, {"a": {"random": [0.5, 0.75, 1.0]}, "b": {"random": [0.5, 0.625, 0.5]}}))
    high, low = (points(curves(svg)[label]) for label in "ab")
    unit = high[0, 1] - high[1, 1]
    assert unit > 0, "up is better, and SVG counts downwards"
    assert high[0, 1] - high[:, 1] == pytest.approx([0, unit, 2 * unit], abs=0.15)
    assert high[0, 1] - low[:, 1] == pytest.approx([0, unit / 2, 0], abs=0.15)
    assert high[1, 0] - high[0, 0] == pytest.approx(high[2, 0] - high[1, 0], abs=0.15)
    band = points(curves(svg)["a"], "band")
    assert len(band) == 6
    assert band[0, 1] - high[0, 1] == pytest.approx(unit / 5, abs=0.15), "it reaches from the lowest to the highest"
    assert band[5, 1] - high[0, 1] == pytest.approx(-unit / 5, abs=0.15)


def test_every_order_has_a_drawing(bench):
    svgs = backfill_svgs(backfills(bench, {"m": {order: [0.5, 0.75, 1.0] for order in Order}}))
    assert [ET.fromstring(svg).get("data-order") for svg in svgs] == [order.heading for order in Order]
    with pytest.raises(ValidationError, match="order"):
        backfills(bench, {"m": {"alphabetical": [0.5, 0.75, 1.0]}})


def test_the_first_of_each_league_has_a_colour_and_a_line_in_the_key(bench):
    named = {f"m{place}": {"random": [0.5, 0.9 - place / 100]} for place in range(7)}
    named |= {"twice": {"random": [0.5, 0.6]}, "independent": {"random": [0.1, 0.9]}}
    options = {"twice": {"needs": ["both encoders online"]}, "independent": {"role": "reference"}}
    (svg,) = backfill_svgs(backfills(bench, named, **options))
    coloured = [label for label, one in curves(svg).items() if re.search(r" s\d$", one.get("class"))]
    assert len(coloured) == 6
    assert {"twice", "independent"} <= set(coloured)
    (key,) = (one for one in ET.fromstring(svg).iter(f"{SVG}g") if one.get("class") == "key")
    assert [text.text for text in key.iter(f"{SVG}text")] == coloured


def test_a_curve_far_below_the_old_system_squeezes_no_other(bench):
    (svg,) = backfill_svgs(backfills(bench, {"m": {"random": [0.0, 0.25, 0.7]}, "n": {"random": [0.5, 0.5, 0.7]}}))
    ends = points(curves(svg)["n"])
    assert ends[0, 1] - ends[2, 1] > 100, "20 points of gain take a third of the height"


def test_a_new_model_below_the_old_one_is_in_the_frame(bench):
    """From 50, the old system, down to 10 over 30."""
    (svg,) = backfill_svgs(backfills(bench, {"a": {"random": [0.0, 0.3, 0.1]}}))
    (plot,) = (one for one in ET.fromstring(svg).iter(f"{SVG}svg") if one.get("viewBox") and one.get("x"))
    top, height = float(plot.get("y")), float(plot.get("height"))
    (quo,) = (float(one.get("y1")) for one in ET.fromstring(svg).iter(f"{SVG}line") if one.get("class") == "quo")
    heights = points(curves(svg)["a"])[:, 1]
    assert top < quo < heights[1] < heights[2] < top + height


def test_without_curves_there_is_no_plot(bench):
    assert backfill_svgs([]) == ()
    assert backfill_svgs(backfills(bench, {"c": {"random": [0.5, 0.6]}}, c={"role": "control"})) == ()

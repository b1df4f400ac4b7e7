"""Drawings without a library: scales, ticks, paths, and texts that stay texts."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compatbench.report.plots.svg import Scale, as_file, element, label, path, plot, short


def test_a_scale_goes_through_both_of_its_ends():
    scale = Scale(-2.0, 6.0, 100.0, 20.0)
    assert [scale(value) for value in (-2.0, 2.0, 6.0)] == [100.0, 60.0, 20.0]
    assert scale.clipped(-5.0) == 100.0


# the next of 1, 2, 5 may be 2.5 times the least step: an axis of 150, 2.5 times the space, has room for one tick,
# and one of 300 for two
@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(150, 1200))
@example(1.0, 4001.0, 150)
def test_ticks_are_round_inside_and_far_enough_apart(low, length, width):
    scale = Scale(low, low + length, 0.0, float(width))
    ticks = scale.ticks(60)
    values = [value for value, _ in ticks]
    assert len(values) >= 1 + (width >= 300)
    assert all(low - 1e-6 * length <= value <= low + 1.000001 * length for value in values)
    if len(values) > 1:
        step = values[1] - values[0]
        assert np.allclose(np.diff(values), step)
        assert step / 10 ** np.floor(np.log10(step) + 1e-6) == pytest.approx(
            min((1, 2, 5), key=lambda one: abs(one - step / 10 ** np.floor(np.log10(step) + 1e-6))), rel=1e-3
        )
        assert step * width / length >= 60 * (1 - 1e-6)
    for value, text in ticks:
        assert float(text.replace("−", "-")) == pytest.approx(value, abs=1e-9 * max(1, abs(value)))


@given(st.lists(st.tuples(st.floats(0, 999), st.floats(0, 999)), min_size=2, max_size=30))
def test_a_path_does_not_drift(points):
    steps = re.findall(r"[Ml](-?[\d.]+) (-?[\d.]+)", path(points))
    drawn = np.cumsum([[float(x), float(y)] for x, y in steps], axis=0)
    assert np.abs(drawn - np.array(points)).max() <= 0.0501


def test_texts_are_escaped():
    svg = plot(10, 20, 'a "b" <c>', label(1.0, 2.04, "<script>&"), element("title", "$x_1$"))
    root = ET.fromstring(svg)
    assert root.get("aria-label") == 'a "b" <c>'
    assert [one.text for one in root] == ["<script>&", "$x_1$"]
    assert (root[0].get("x"), root[0].get("y"), short(-0.01)) == ("1", "2", "0")


def test_a_file_brings_its_own_style():
    text = as_file(plot(10, 20, "x", element("path", d="M0 0", class_="line s1")))
    root = ET.fromstring(text)
    assert "background: #ffffff" in root.get("style")
    assert "--series: light-dark(#b8430f" in root[0].text


def test_a_file_lacks_what_its_style_hides_of_grey_curves():
    parts = [element("path", d="M0 0", class_="band"), element("path", d="M1 1", class_="line")]
    curves = [element("g", *parts, element("line", class_="own"), class_=kind) for kind in ("curve", "curve s0")]
    drawn = plot(10.0, 10.0, "two curves", *curves)
    assert [as_file(drawn).count(f'class="{part}"') for part in ("band", "line", "own")] == [1, 2, 1]
    assert as_file(drawn).endswith(f"{curves[1]}</svg>\n")

"""The table of backfill numbers, by hand: curves at β = 0, 0.5 and 1, the same for all queries of a record."""

import numpy as np
import pytest
from synthetic import add_curves

from compatbench.errors import RequestError
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.vocabulary import Status

QUERIES = 40
OLD = {pair: [0.5] * QUERIES for pair in ("oo", "no", "nn", "ss")}


def record(bench, label, seed, curve, order="random", **options):
    return add_curves(bench, bench.record(label, seed, OLD, **options), order, [curve] * QUERIES)


def table(bench, *records):
    return scenario_reports(records, bench.folder)[0].tables.get("backfill")


def cells(found, group=0):
    return {row.cells["method"].value: row.cells for row in found.groups[group].rows}


def test_numbers_by_hand(bench):
    """A dip to 0.25 half-way: area 0.25 + 0.3125 with trapezoids, the status quo is 0.5."""
    row = cells(table(bench, record(bench, "m", 0, [0.75, 0.25, 1.0])))["m"]
    assert row["area"].value == pytest.approx(100 * (0.5 * (0.75 + 0.25) / 2 + 0.5 * (0.25 + 1.0) / 2))
    assert (row["minimum"].value, row["minimum_beta"].value, row["dip"].value) == (25, 0.5, -25)
    assert (row["oo"].value, row["crossing"].value) == (50, 1.0)
    assert row["dip"].marks == ("▼",)
    assert (row["dip"].low, row["dip"].high) == (-25, -25), "all queries are alike"


def test_the_minima_of_the_seeds_are_averaged(bench):
    """The areas are half of the middle values, which vary by Student's t with two degrees of freedom, and 0.375."""
    curves = [[0.5, 0.25, 1.0], [0.5, 0.75, 1.0], [0.5, 0.875, 1.0]]
    row = cells(table(bench, *(record(bench, "m", seed, curve) for seed, curve in enumerate(curves))))["m"]
    assert row["minimum"].value == pytest.approx(100 * (0.25 + 0.5 + 0.5) / 3)
    assert row["minimum_beta"].value == 0, "where the mean over the seeds is lowest"
    assert row["crossing"].value == 0.5
    mean = 0.25 * (0.5 + 2 * (0.25 + 0.75 + 0.875) / 3 + 1.0)
    margin = 4.302653 * 0.5 * np.std([0.25, 0.75, 0.875], ddof=1) / np.sqrt(3)
    cell = row["area"]
    ends = (max(0.0, mean - margin), min(1.0, mean + margin))
    assert (cell.value, cell.low, cell.high) == pytest.approx([100 * one for one in (mean, *ends)])


def test_a_dip_within_its_interval_is_no_incident(bench):
    """Half of the queries gain what the others lose, and a little less."""
    one = bench.record("m", 0, OLD)
    add_curves(bench, one, "random", [[0.875, 0.49]] * (QUERIES // 2) + [[0.0, 0.49]] * (QUERIES // 2))
    row = cells(table(bench, one))["m"]
    assert row["dip"].value == pytest.approx(-6.25)
    assert row["dip"].low < 0 < row["dip"].high
    assert row["dip"].marks == ()
    assert row["crossing"].value is None, "it ends below"


def test_the_status_quo_is_paired_query_by_query(bench):
    """Queries differ widely, but each is better by the same amount: the dip has no spread."""
    old = [0.0625 * (place % 10) for place in range(QUERIES)]
    one = bench.record("m", 0, {**OLD, "oo": old})
    add_curves(bench, one, "random", [[score + 0.125, score + 0.25] for score in old])
    row = cells(table(bench, one))["m"]
    assert (row["dip"].value, row["dip"].low, row["dip"].high) == pytest.approx((12.5, 12.5, 12.5), abs=1e-4)
    assert row["minimum"].high - row["minimum"].low > 3


def test_a_sample_of_the_queries_is_compared_with_its_own_status_quo(bench):
    one = bench.record("m", 0, {**OLD, "oo": [0.25] * (QUERIES - 2) + [0.75, 1.0]})
    add_curves(bench, one, "random", [[0.5, 0.5], [0.5, 0.5]], ids=[QUERIES - 1, QUERIES - 2])
    found = table(bench, one)
    assert cells(found)["m"]["oo"].value == 87.5
    assert "Over 2 queries and the whole gallery" in found.caption


def test_orders_are_groups_and_controls_stay_out(bench):
    found = table(
        bench,
        add_curves(bench, record(bench, "b", 0, [0.5, 1], "own"), "random", [[0.5, 1]] * QUERIES),
        record(bench, "a", 0, [0.5, 1], needs=["own first generation"]),
        record(bench, "r", 0, [0.5, 1], role="reference"),
        record(bench, "c", 0, [0.5, 1], role="control"),
    )
    assert [group.title for group in found.groups] == ["Random order", "The method's own order"]
    assert list(cells(found)) == ["r", "a", "b"]
    assert list(cells(found, 1)) == ["b"]
    assert cells(found)["a"]["method"].marks == ("†",)
    assert set(found.footnotes) == {"†"}


def test_a_row_needs_the_order_in_all_its_finished_seeds(bench):
    records = [record(bench, "m", 0, [0.5, 1]), bench.record("m", 1, OLD)]
    records += [record(bench, "n", 0, [0.5, 1]), bench.record("n", 1, status=Status.OOM)]
    assert list(cells(table(bench, *records))) == ["n"]
    assert table(bench, bench.record("m", 0, OLD)) is None


def test_records_of_other_queries_are_refused(bench):
    one, other = bench.record("m", 0, OLD), bench.record("m", 1, OLD)
    add_curves(bench, one, "random", [[0.5, 1]] * 2)
    add_curves(bench, other, "random", [[0.5, 1]] * 2, ids=[5, 6])
    with pytest.raises(RequestError, match="m: its records followed different queries"):
        table(bench, one, other)
    stranger = add_curves(bench, bench.record("m", 0, OLD), "random", [[0.5, 1]], ids=[999])
    with pytest.raises(RequestError, match="backfill curves are of other queries"):
        table(bench, stranger)

"""The table of flips, by hand. A query whose AP is 0.5 or more has its first hit at rank 1, any other at rank 7."""

import pytest

from compatbench.report.site.scenario_report import scenario_reports
from compatbench.vocabulary import Status

HIT, MISS = 0.75, 0.25


def cells(bench, *records):
    table = scenario_reports(records, bench.folder)[0].tables["flips"]
    return {row.cells["method"].value: row.cells for group in table.groups for row in group.rows}, table


def entries(old, cross, new):
    return {"oo": old, "no": cross, "nn": new, "ss": new}


def test_rates_by_hand(bench):
    """Old ✓✓✓✗, new queries on the old gallery ✗✓✓✓, on the new gallery ✓✓✓✓."""
    scores = entries([HIT] * 3 + [MISS], [MISS] + [HIT] * 3, [HIT] * 4)
    rows, _ = cells(bench, bench.record("m", 0, scores))
    expected = {"no_NFR@1": 25, "no_PFR@1": 25, "no_relative_NFR@1": 100 / 3, "nn_relative_NFR@1": 0}
    for key, value in expected.items():
        cell = rows["m"][key]
        assert cell.value == pytest.approx(value)
        assert cell.low <= cell.value <= cell.high
    assert rows["m"]["no_relative_NFR@10"].value == 0, "all have a hit in the first ten"


def test_seeds_are_pooled_and_rows_with_fewer_of_them_stay(bench):
    """A seed in which all queries are broken and two in which none is."""
    good, broken = entries([HIT] * 4, [HIT] * 4, [HIT] * 4), entries([HIT] * 4, [MISS] * 4, [HIT] * 4)
    records = [bench.record("m", seed, broken if seed == 0 else good) for seed in range(3)]
    records += [bench.record("one", 0, broken), bench.record("one", 1, status=Status.OOM)]
    rows, _ = cells(bench, *records)
    cell = rows["m"]["no_NFR@1"]
    assert (cell.value, cell.low, cell.high) == (pytest.approx(100 / 3), 0, pytest.approx(100))
    assert rows["one"]["no_NFR@1"].value == 100


def test_rows_stand_in_groups_and_only_with_a_finished_seed(bench):
    scores = entries([HIT] * 2, [HIT] * 2, [HIT] * 2)
    rows, table = cells(
        bench,
        bench.record("method", 0, scores, needs=["old encoder"]),
        bench.record("own", 0, scores, needs=["own first generation"]),
        bench.record("reference", 0, scores, role="reference"),
        bench.record("control", 0, scores, role="control"),
        bench.record("gone", 0, status=Status.TIMEOUT),
    )
    assert [group.title for group in table.groups] == ["References", "Index untouched", "Planned ahead", "Controls"]
    assert set(rows) == {"method", "own", "reference", "control"}
    assert rows["own"]["method"].marks == tuple(table.footnotes) == ("†",)
    assert {row.tags for group in table.groups for row in group.rows} == {
        (), ("old encoder",), ("own first generation",),
    }  # fmt: skip


def test_without_old_hits_relative_rates_are_undefined(bench):
    rows, _ = cells(bench, bench.record("m", 0, entries([MISS] * 2, [HIT] * 2, [HIT] * 2)))
    assert rows["m"]["no_relative_NFR@1"].value is None
    assert rows["m"]["no_PFR@1"].value == 100

"""All scenarios side by side, from scores that are known beforehand."""

import pytest
from synthetic import Bench

from compatbench.records.record import Record
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.tables.overview import overview_of_several
from compatbench.vocabulary import Status

QUERIES = 20


def scored(
    bench: Bench, label: str, scenario: str, old: float, cross: list[float], seeds: int = 2, **options: object
) -> list[Record]:
    precisions = {"oo": [old] * QUERIES, "no": cross, "nn": [0.75] * QUERIES, "ss": [0.75] * QUERIES}
    return [bench.record(label, seed, precisions, scenario=scenario, **options) for seed in range(seeds)]


def overview(bench: Bench, records: list[Record]):
    """With a row `independent` in every scenario that does what it must."""
    places = dict.fromkeys((record.spec.scenario, record.spec.seed) for record in records)
    sound = []
    for scenario in dict.fromkeys(scenario for scenario, _ in places):
        seeds = sum(at == scenario for at, _ in places)
        options = {"role": "reference", "expects": ["cross below status quo"]}
        sound += scored(bench, "independent", scenario, 0.25, [0.0] * QUERIES, seeds, **options)
    return overview_of_several(scenario_reports([*records, *sound], bench.folder))


def labels(table):
    return [
        row.cells["method"].value for group in table.groups if group.title == "Index untouched" for row in group.rows
    ]


def cells(table, label):
    return next(row.cells for group in table.groups for row in group.rows if row.cells["method"].value == label)


def test_gains_stand_side_by_side_and_say_where_a_method_breaks(bench):
    table = overview(
        bench,
        [
            *scored(bench, "both", "a", 0.25, [0.5] * QUERIES),
            *scored(bench, "both", "b", 0.5, [0.75] * QUERIES),
            *scored(bench, "breaks", "a", 0.25, [0.5] * QUERIES),
            *scored(bench, "breaks", "b", 0.5, [0.25] * QUERIES),
            *scored(bench, "unsure", "a", 0.25, [0.0, 0.75] * (QUERIES // 2)),
            *scored(bench, "unsure", "b", 0.5, [0.25, 0.75] * (QUERIES // 2)),
        ],
    )
    both, breaks, unsure = (cells(table, label) for label in ("both", "breaks", "unsure"))
    assert (both["a"].value, both["b"].value) == pytest.approx((25.0, 25.0))
    assert both["a"].marks == ("↑",)
    assert both["b"].marks == ("↑",)
    assert both["compatible"].value == "2/2"
    assert breaks["b"].value == pytest.approx(-25.0)
    assert breaks["a"].marks == ("↑",)
    assert breaks["b"].marks == ("↓",)
    assert breaks["compatible"].value == "1/2"
    assert unsure["a"].value == pytest.approx(12.5)
    assert not unsure["a"].marks
    assert unsure["compatible"].value == "0/2"
    assert labels(table) == ["both", "unsure", "breaks"], "by mean A: 0.7, 0.55, 0.4"
    assert list(table.footnotes) == ["↑", "↓"]
    quo = cells(table, "status quo")
    assert (quo["a"].value, quo["b"].value) == pytest.approx((25.0, 50.0))


def test_a_scenario_that_a_row_did_not_finish_counts_for_nothing(bench):
    table = overview(
        bench,
        [
            *scored(bench, "m", "a", 0.25, [0.5] * QUERIES),
            bench.record("m", 0, scenario="b", status=Status.SKIPPED, reason="the dimension changes"),
            *scored(bench, "other", "b", 0.25, [0.5] * QUERIES),
        ],
    )
    assert cells(table, "m")["b"].value is None
    assert cells(table, "m")["compatible"].value == "1/1"
    assert "a" not in cells(table, "other") or cells(table, "other")["a"].value is None


def test_gains_against_an_old_model_of_its_own_are_marked(bench):
    needs = ["own first generation"]
    records = [one for at in "ab" for one in scored(bench, "own", at, 0.25, [0.5] * QUERIES, needs=needs)]
    table = overview(bench, records)
    assert cells(table, "own")["method"].marks == ("†",)
    assert "†" in table.footnotes


def test_needs_are_those_of_all_scenarios_in_the_order_of_the_vocabulary(bench):
    records = []
    for at, needs in {"a": ["labels"], "b": ["old encoder", "old classifier"], "c": ["labels", "old encoder"]}.items():
        records += scored(bench, "m", at, 0.25, [0.5] * QUERIES, needs=needs)
    table = overview(bench, records)
    assert cells(table, "m")["needs"].value == "old encoder, old classifier, labels"
    (line,) = (row for group in table.groups for row in group.rows if row.cells["method"].value == "m")
    assert line.tags == ("old encoder", "old classifier", "labels")


def test_one_scenario_has_no_overview(bench):
    assert overview(bench, scored(bench, "m", "a", 0.25, [0.5] * QUERIES)) is None


def test_one_seed_is_said_to_be_one(bench):
    for seeds in (1, 2):
        found = overview(bench, [one for at in "ab" for one in scored(bench, "m", at, 0.25, [0.5] * QUERIES, seeds)])
        assert ("one seed" in found.caption) is (seeds == 1)
        assert cells(found, "m")["compatible"].value == ("0/2" if seeds == 1 else "2/2")


def test_a_share_of_the_scenarios_orders_the_rows(bench):
    table = overview(
        bench,
        [
            *scored(bench, "a few", "a", 0.25, [0.5] * QUERIES),
            bench.record("a few", 0, scenario="b", status=Status.SKIPPED, reason="the dimension changes"),
            bench.record("a few", 0, scenario="c", status=Status.SKIPPED, reason="the dimension changes"),
            *scored(bench, "most", "a", 0.25, [0.5] * QUERIES),
            *scored(bench, "most", "b", 0.25, [0.5] * QUERIES),
            *scored(bench, "most", "c", 0.25, [0.0] * QUERIES),
        ],
    )
    assert labels(table) == ["a few", "most"]


def test_a_scenario_whose_controls_misbehave_is_marked_and_counts_for_nothing(bench):
    records = [one for scenario in "ab" for one in scored(bench, "m", scenario, 0.25, [0.5] * QUERIES)]
    options = {"role": "control", "expects": ["cross equals status quo"]}
    faults = scored(bench, "identity", "a", 0.25, [0.75] * QUERIES, **options)
    table = overview(bench, [*records, *faults])
    assert cells(table, "status quo")["a"].marks == ("✗",)
    assert cells(table, "status quo")["b"].marks == ()
    assert cells(table, "m")["compatible"].value == "1/1"
    assert "✗" in table.footnotes

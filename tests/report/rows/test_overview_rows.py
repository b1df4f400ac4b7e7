"""Mean ranks over scenarios, worked out by hand: ranks of a contest are fixed, so draws only choose contests."""

import pytest
from boards import board_suite, row

from compatbench.evaluation.estimate import Estimate
from compatbench.report.rows.overview import overview_rows
from compatbench.vocabulary import Status

PLACES = {"one": "abc", "two": "abc", "three": "bca"}
"""Methods of each scenario, the best first."""


def records_of(bench, places=PLACES):
    found = []
    for scenario, labels in places.items():
        for place, label in enumerate(labels):
            found += row(bench, label, 0.5 - place / 16, scenario)
        found += row(bench, "independent", 0.125, scenario, role="reference")
    return found


def mean_ranks(bench, records):
    return {one.label: one.mean_rank for one in overview_rows(board_suite(bench, records).reports)}


def test_mean_ranks_and_intervals_by_hand(bench):
    """Of 27 draws of three contests one, 3.7%, is three times the same: more than the 2.5% that an interval leaves."""
    assert mean_ranks(bench, records_of(bench)) == {
        "a": Estimate(pytest.approx(5 / 3), 1.0, 3.0),
        "b": Estimate(pytest.approx(5 / 3), 1.0, 2.0),
        "c": Estimate(pytest.approx(8 / 3), 2.0, 3.0),
        "independent": Estimate(),
    }


def test_who_did_not_compete_everywhere_has_no_mean_rank_and_counts_where_it_did(bench):
    records = records_of(bench, {"one": "dabc", "two": "abc"})
    records += [bench.record("d", seed, scenario="two", status=Status.SKIPPED, reason="needs 9") for seed in range(3)]
    records += row(bench, "control", 0.9, "one", role="control") + row(bench, "short", 0.9, "one")[:2]
    found = mean_ranks(bench, records)
    assert [found[label].value for label in "abc"] == [1.5, 2.5, 3.5]
    assert found["d"] == found["control"] == found["short"] == Estimate()


def test_no_rank_crosses_leagues_and_a_league_of_one_has_none(bench):
    records = records_of(bench)
    for scenario in PLACES:
        records += row(bench, "y", 0.7, scenario, needs=["gallery rewrite"])
        records += row(bench, "z", 0.6, scenario, needs=["gallery rewrite"])
        records += row(bench, "own", 0.65, scenario, needs=["own first generation"])
    found = mean_ranks(bench, records)
    assert found["a"].value == pytest.approx(5 / 3), "as without the others"
    assert (found["y"].value, found["z"].value, found["own"].value) == (1.0, 2.0, None)


def test_a_scenario_whose_control_misbehaves_counts_for_no_mean(bench):
    """Without scenario three, a is always before b, and the means are those of the other two."""
    control = row(bench, "control", 0.9, "three", role="control", expects=["cross equals status quo"])
    failed = [
        bench.record("f", seed, scenario="one", status=Status.FAILED, reason="of no control") for seed in range(3)
    ]
    records = records_of(bench) + control + failed
    found = {one.label: one for one in overview_rows(board_suite(bench, records).reports)}
    others = board_suite(bench, records_of(bench, {name: PLACES[name] for name in ("one", "two")})).reports
    expected = {one.label: one for one in overview_rows(others)}
    assert found["a"].mean_rank == Estimate(1.0, 1.0, 1.0)
    assert all(found[label].means == expected[label].means for label in "abc")

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


def published_encoders(records):
    """The same records, between encoders that nobody trained."""
    found = []
    for record in records:
        chain = record.spec.generations
        raw = tuple(one.model_copy(update={"head": one.head.model_copy(update={"none": True})}) for one in chain)
        found.append(record.model_copy(update={"spec": record.spec.model_copy(update={"generations": raw})}))
    return found


def test_scenarios_for_maps_alone_count_only_where_there_are_no_others(bench):
    """The map is second of three where encoders are trained; that it is the first between published ones is no rank."""
    trained = [
        one for label, cross in (("a", 0.5), ("map", 0.4), ("b", 0.3)) for one in row(bench, label, cross, "one")
    ]
    raw = published_encoders([one for label in ("map", "other") for one in row(bench, label, 0.45, "raw")])
    found = {one.label: one for one in overview_rows(board_suite(bench, trained + raw).reports)}
    number = board_suite(bench, trained).reports[0].rank_by
    assert [found[label].ranks[number] for label in ("a", "map", "b")] == [1, 2, 3]
    assert not found["other"].ranks
    assert found["map"].means[number].value == pytest.approx(found["map"].rows[0].number(number).value)
    alone = {one.label: one.ranks[number] for one in overview_rows(board_suite(bench, raw).reports)}
    assert alone == {"map": 1.5, "other": 1.5}

"""Mean ranks over scenarios, worked out by hand: ranks of a contest are fixed, so draws only choose contests."""

import pytest
from boards import board_suite, row

from compatbench.evaluation.estimate import Estimate
from compatbench.report.rows.standing import standings
from compatbench.vocabulary import League, MetricName, Status

PLACES = {"one": "abc", "two": "abc", "three": "bca"}
"""Methods of each scenario, the best first."""


def records_of(bench, places=PLACES):
    found = []
    for scenario, labels in places.items():
        for place, label in enumerate(labels):
            found += row(bench, label, 0.5 - place / 16, scenario)
        found += row(bench, "independent", 0.125, scenario, role="reference")
    return found


def by_label(bench, records, plan=None):
    found = standings([board_suite(bench, records, plan)])
    return found, {one.label: one for one in found.rows}


def test_mean_ranks_and_intervals_by_hand(bench):
    """Of 27 draws of three contests one, 3.7%, is three times the same: more than the 2.5% that an interval leaves."""
    found, rows = by_label(bench, records_of(bench))
    assert found.contests == {League.INDEX_UNTOUCHED: 3}
    assert rows["a"].mean_rank == Estimate(pytest.approx(5 / 3), 1.0, 3.0)
    assert rows["b"].mean_rank == Estimate(pytest.approx(5 / 3), 1.0, 2.0)
    assert rows["c"].mean_rank == Estimate(pytest.approx(8 / 3), 2.0, 3.0)
    assert rows["a"].relative_rank == Estimate(pytest.approx(1 / 3), 0.0, 1.0)
    assert [(one.place, one.label) for one in found.of("method")] == [(1, "a"), (1, "b"), (3, "c")]
    assert [entry.rank for entry in rows["a"].entries] == [1.0, 3.0, 1.0], "scenarios are sorted by name"
    assert [entry.competitors for entry in rows["a"].entries] == [3, 3, 3]


def test_only_who_lags_behind_in_nearly_all_draws_is_not_tied_with_the_first(bench):
    _, rows = by_label(bench, records_of(bench))
    assert (rows["a"].tied_with_first, rows["b"].tied_with_first) == (True, True)
    assert rows["c"].tied_with_first, "in the third scenario it is before a, the first by name"
    _, rows = by_label(bench, records_of(bench, dict.fromkeys(PLACES, "abc")))
    assert [rows[label].tied_with_first for label in "abc"] == [True, False, False]
    assert rows["b"].mean_rank == Estimate(2.0, 2.0, 2.0)


def test_who_did_not_compete_everywhere_has_no_place_and_a_reason(bench):
    records = records_of(bench, {"one": "abcd", "two": "abc"})
    records += [bench.record("d", seed, scenario="two", status=Status.SKIPPED, reason="needs 9") for seed in range(3)]
    records += row(bench, "short", 0.25, "one")[:2]
    _, rows = by_label(bench, records, {"scenarios": ["one", "two"], "methods": ["a", "b", "c", "d", "short", "new"]})
    d, short, new = rows["d"], rows["short"], rows["new"]
    assert (d.place, d.mean_rank.value, d.competed, d.measured) == (None, None, 1, 1)
    assert d.relative_rank.value == 1.0
    assert (d.entries[1].state, d.entries[1].why) == ("unfinished", "skipped: needs 9")
    assert (short.entries[0].state, short.entries[0].why) == ("not ranked", "2 of 3 seeds")
    assert (short.entries[0].missing_seeds, short.entries[1].missing_seeds) == ((2,), (0, 1, 2))
    assert (short.competed, short.measured, short.relative_rank.value) == (0, 1, None)
    assert [entry.state for entry in new.entries] == ["missing", "missing"]
    assert (new.missing, short.missing, d.missing) == (6, 4, 0)
    assert rows["a"].relative_rank == Estimate(0.0, 0.0, 0.0)
    assert rows["b"].relative_rank.value == pytest.approx((1 / 3 + 1 / 2) / 2), "of four rows, and of three"


def test_references_and_controls_do_not_compete(bench):
    records = records_of(bench) + row(bench, "control", 0.9, "one", role="control")
    found, rows = by_label(bench, records)
    assert rows["a"].mean_rank.value == pytest.approx(5 / 3)
    for label in ("independent", "control"):
        assert rows[label].place is None
        assert all(entry.rank is None for entry in rows[label].entries)
    assert [one.label for one in found.rows] == ["a", "b", "c", "independent", "control"]


def test_the_criterion_is_counted_where_the_row_was_measured(bench):
    _, rows = by_label(bench, records_of(bench) + row(bench, "worse", 0.2, "one") + row(bench, "even", 0.25, "two"))
    assert (rows["a"].compatible, rows["a"].measured) == (3, 3)
    assert (rows["worse"].compatible, rows["worse"].measured) == (0, 1)
    assert (rows["even"].compatible, rows["even"].undecided) == (0, 1)


def test_no_rank_crosses_leagues(bench):
    """Two rows that rewrite the index are better everywhere, and a third league has one row alone."""
    records = records_of(bench)
    for scenario in PLACES:
        records += row(bench, "y", 0.7, scenario, needs=["gallery rewrite"])
        records += row(bench, "z", 0.6, scenario, needs=["gallery rewrite"])
        records += row(bench, "own", 0.65, scenario, needs=["own first generation"])
    found, rows = by_label(bench, records)
    assert found.contests == {League.INDEX_UNTOUCHED: 3, League.INDEX_REWRITTEN: 3}
    assert [(one.place, one.label) for one in found.of("method")] == [
        (1, "a"), (1, "b"), (3, "c"), (1, "y"), (2, "z"), (None, "own"),
    ]  # fmt: skip
    assert rows["a"].mean_rank.value == pytest.approx(5 / 3), "as without the others"
    assert (rows["y"].entries[0].rank, rows["y"].entries[0].competitors) == (1.0, 2)
    assert (rows["own"].entries[0].rank, rows["own"].competed) == (1.0, 0), "no rival, so no contest"
    gamma, phi = (0.65 - 0.25) / 0.5, (0.625 - 0.25) / 0.5
    assert rows["own"].mean_share.value == pytest.approx(0.6 * gamma + 0.4 * phi, abs=1e-6)


def test_a_published_row_follows_its_tuned_one_without_a_place(bench):
    records = records_of(bench) + row(bench, "d(tuned)", 0.75, "one", setting="tuned")
    records += row(bench, "d(published)", 0.7, "one", setting="published")
    found, rows = by_label(bench, records)
    assert [one.label for one in found.of("method")] == ["b", "a", "c", "d(tuned)", "d(published)"]
    one = next(entry for entry in rows["d(published)"].entries if entry.scenario == "one")
    assert (one.rank, one.why) == (None, "the published setting, beside the tuned one")
    assert one.gain.value == pytest.approx(0.45, abs=1e-6)
    assert next(entry for entry in rows["a"].entries if entry.scenario == "one").competitors == 4, "no rival"


def test_the_reader_may_rank_by_what_remains_after_the_backfill(bench):
    records = [one for label, new in (("a", 0.5), ("b", 0.75)) for one in row(bench, label, 0.5, "one", new=new)]
    suite = board_suite(bench, records + row(bench, "independent", 0.125, "one", role="reference"))
    found = standings([suite], MetricName.FINAL_SHARE)
    assert [(one.label, one.mean_rank.value, one.mean_share.value) for one in found.of("method")] == [
        ("b", 1.0, 1.0), ("a", 2.0, 0.5),
    ]  # fmt: skip


def test_a_planned_scenario_without_any_record_is_there_and_is_no_contest(bench):
    plan = {"scenarios": ["zero", "one", "two", "three"], "methods": ["a", "b", "c"]}
    found, rows = by_label(bench, records_of(bench), plan)
    assert [scenario for _, scenario in found.scenarios] == ["zero", "one", "two", "three"]
    assert (found.contests, found.missing) == ({League.INDEX_UNTOUCHED: 3}, 9)
    assert rows["a"].entries[0].state == "missing"
    assert rows["a"].place == 1


def test_one_seed_is_no_competition(bench):
    records = [record for record in records_of(bench) if record.spec.seed == 0]
    found, rows = by_label(bench, records)
    assert found.contests == {}
    assert all(one.place is None and not one.tied_with_first for one in rows.values())
    assert rows["a"].entries[0].why == "1 of 3 seeds"

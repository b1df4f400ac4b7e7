"""What a reader of the leaderboard is warned of."""

from dataclasses import replace

from boards import board_suite, row

from compatbench.report.site.board import Board


def good(bench):
    return row(bench, "independent", 0.125, "one", role="reference") + row(bench, "a", 0.5, "one")


def test_a_control_that_misbehaves_is_named_with_suite_and_scenario(bench):
    wrong = row(bench, "shuffled", 0.5, "one", role="control", expects=["cross below status quo"])
    warnings = board_suite(bench, [*good(bench), *wrong]).warnings
    assert warnings == ("synthetic, one: shuffled: M(n,o) = 50.0 should be below M(o,o) = 25.0",)


def test_outdated_and_left_out_records_are_counted(bench):
    right = row(bench, "shuffled", 0.125, "one", role="control", expects=["cross below status quo"])
    records = [*good(bench), *right]
    assert board_suite(bench, records).warnings == ()
    outdated = {"x.json": ("other code", "other recipe"), "y.json": ("other code",)}
    first, second, third = board_suite(bench, records, outdated=outdated, left_out=(records[0],)).warnings
    assert first == "synthetic: 2 records are outdated, run before a change: other code"
    assert second == "synthetic: 1 record is outdated, run before a change: other recipe"
    assert third.startswith("synthetic: 1 record is left out, of other code or settings than the newer ones")
    assert "synthetic/records/one/independent--seed0--" in third


def test_records_of_other_protocols_are_counted(bench):
    right = row(bench, "shuffled", 0.125, "one", role="control", expects=["cross below status quo"])
    told = "synthetic: 3 records are left out, measured under protocol 1; tables are of protocol 2"
    mixed = board_suite(bench, [*good(bench), *right], older={1: 3})
    assert mixed.warnings == (told,)
    untold = replace(mixed, reports=())
    assert Board.of([mixed, untold]) == Board((mixed,), (untold,))
    assert Board.of([mixed, untold]).warnings == (told, told)

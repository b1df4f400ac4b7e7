"""What a suite lacks: cells without a record, rows without a rank or numbers, each with its reason."""

from boards import board_suite, row

from compatbench.report.rows.gaps import gaps
from compatbench.vocabulary import Status


def test_each_gap_has_its_reason_and_its_missing_seeds(bench):
    records = [record for label in ("a", "independent") for record in row(bench, label, 0.5, "one")]
    records += row(bench, "short", 0.25, "one")[:2]
    records += [bench.record("d", seed, scenario="one", status=Status.SKIPPED, reason="needs 9") for seed in range(3)]
    plan = {"scenarios": ["zero", "one"], "methods": ["a", "short", "new"]}
    found = {(one.scenario, one.label): (one.why, one.missing_seeds) for one in gaps(board_suite(bench, records, plan))}
    every = (0, 1, 2)
    assert list(found.items()) == [
        (("zero", "a"), ("", every)),
        (("zero", "new"), ("", every)),
        (("zero", "short"), ("", every)),
        (("one", "d"), ("skipped: needs 9", ())),
        (("one", "new"), ("", every)),
        (("one", "short"), ("2 of 3 seeds", (2,))),
    ]
    assert [one.label for one in gaps(board_suite(bench, records))] == ["d", "short"]

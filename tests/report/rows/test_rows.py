from dataclasses import replace

import pytest
from synthetic import cross_metric

from compatbench.evaluation.estimate import Estimate
from compatbench.report.rows.controls import ordering, row_verdict
from compatbench.report.rows.row import how_ended, in_order, method_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.suite.times import Times
from compatbench.vocabulary import MethodKind, MetricName, Status


def flat(cross, new=0.75, old=0.25, reference=0.75):
    return {"oo": [old] * 4, "no": [cross] * 4, "nn": [new] * 4, "ss": [reference] * 4}


def rows(bench, records, timed=None):
    return method_rows(scenarios(records, timed)[0], ScoreReader(bench.folder))


def row_with(bench, gain, backfill, p_value=0.01):
    """A row of two seeds without expectations that has these numbers."""
    row = rows(bench, [bench.record("a", seed, flat(0.5)) for seed in range(2)])[0]
    return replace(row, gain_p_value=p_value, numbers={("mAP", "cross_gain"): gain, ("mAP", "backfill_gain"): backfill})


ABOVE, ABOVE_NS = Estimate(0.1, 0.05, 0.15), Estimate(0.1, -0.05, 0.25)
BELOW, BELOW_NS, ZERO = Estimate(-0.1, -0.2, -0.05), Estimate(-0.1, -0.2, 0.05), Estimate(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (ABOVE, "compatible"),
        (ABOVE_NS, "undecided"),
        (BELOW, "not compatible"),
        (BELOW_NS, "undecided"),
        (ZERO, "undecided"),
    ],
)
def test_the_verdict_is_the_sign_of_the_gain(bench, gain, words):
    assert row_verdict(row_with(bench, gain, ABOVE)) == words
    assert row_verdict(row_with(bench, gain, ABOVE, p_value=0.05)) == "undecided"


def test_one_seed_gives_no_verdict(bench):
    row = rows(bench, [bench.record("a", 0, flat(0.5))])[0]
    assert row.number("cross_gain").low == 0.25
    assert (row.verdict, row_verdict(row), ordering(row)) == (None, "one seed", "one seed")


def test_verdicts_are_corrected_over_the_rows_of_the_scenario(bench):
    """The gain is compatible alone, with p = 0.02, and undecided among five such rows."""
    values = {"oo": [0.25] * 20, "nn": [0.75] * 20, "ss": [0.75] * 20, "no": [0.75] * 6 + [0.25] * 14}
    records = [bench.record(label, seed, values) for label in "abcde" for seed in range(3)]
    found = rows(bench, records)
    alone = rows(bench, [record for record in records if record.spec.method.label == "a"])[0]
    assert found[0].gain_p_value == pytest.approx(5 * alone.gain_p_value)
    assert alone.gain_p_value < 0.05 < found[0].gain_p_value
    assert [row.verdict for row in found] == ["undecided"] * 5
    assert alone.verdict == "compatible"


@pytest.mark.parametrize(
    ("gain", "backfill", "word"),
    [
        (ABOVE, ABOVE, "yes"),
        (ABOVE_NS, ABOVE, "undecided"),
        (ABOVE, ABOVE_NS, "undecided"),
        (BELOW, ABOVE, "no"),
        (ABOVE, BELOW_NS, "undecided"),
        (ABOVE_NS, BELOW, "no"),
    ],
)
def test_ordering_needs_both_steps(bench, gain, backfill, word):
    assert ordering(row_with(bench, gain, backfill)) == word


def test_rows_are_ranked_by_gain_then_tax_and_the_others_follow(bench):
    records = [
        bench.record(label, seed, flat(cross, new), role=role)
        for label, cross, new, seeds, role in [
            ("low", 0.375, 0.75, 3, "method"),
            ("high_taxed", 0.5, 0.5, 3, "method"),
            ("high", 0.5, 0.625, 3, "method"),
            ("best_but_two_seeds", 0.75, 0.75, 2, "method"),
            ("good_but_one_seed", 0.625, 0.75, 1, "method"),
            ("reference", 0.7, 0.75, 3, "reference"),
        ]
        for seed in range(seeds)
    ]
    records += [bench.record("broken", 0, status=Status.TIMEOUT)]
    found = in_order(rows(bench, records), MetricName.UPDATE_GAIN)
    assert [row.label for row in found] == [
        "high", "high_taxed", "low", "best_but_two_seeds", "reference", "good_but_one_seed", "broken",
    ]  # fmt: skip
    assert [row.label for row in found if row.ranked] == ["high", "high_taxed", "low"]


def test_a_row_without_anything_to_gain_is_not_ranked(bench):
    records = [bench.record("a", seed, flat(0.5, old=0.75, reference=0.5)) for seed in range(3)]
    row = rows(bench, records)[0]
    assert row.number("update_gain") == Estimate()
    assert not row.ranked


def test_times_are_those_of_the_repeats_in_turn_alone(bench):
    """Images/s of busy cells say 2; the repeats say 1.25, and 1 more for the independent model of `m`."""
    labels = ("independent", "m(tuned)", "untimed", "adapter")
    costs = {"train_images_per_second": 500.0}
    records = [bench.record(label, 0, flat(0.5), costs=costs) for label in labels]
    records[1].spec.method.needs.append("independent model")
    method = records[3].spec.method.model_copy(update={"kind": MethodKind.ADAPTER})
    records[3] = records[3].model_copy(update={"spec": records[3].spec.model_copy(update={"method": method})})
    repeats = Times(rows={"independent": (1.0, 1.0, 1.0), "m": (1.5, 1.0, 1.25)})
    found = {row.label: row.time for row in rows(bench, records, repeats)}
    assert found["m(tuned)"] == Estimate(2.25, 2.0, 2.5)
    assert found["independent"] == found["adapter"] == Estimate(1.0, 1.0, 1.0)
    assert found["untimed"] == Estimate()
    assert {row.time for row in rows(bench, records)} == {Estimate()}


def test_readings_without_arrays_are_means_over_seeds(bench):
    def extra(seed):
        return [
            cross_metric("mAP", 0.25 * seed, subset="seen"),
            cross_metric("mAP", None, subset="unseen"),
            cross_metric("mAP", 0.5, distance="l2"),
            cross_metric("chance:mAP", 0.1 * seed, ci_low=0.05 * seed, ci_high=0.2 * seed),
        ]

    row = rows(bench, [bench.record("a", seed, flat(0.5), extra=extra(seed)) for seed in range(3)])[0]
    assert (row.cross("seen"), row.cross("unseen"), row.cross(distance="l2")) == (0.25, None, 0.5)
    assert (row.chance.value, row.chance.low, row.chance.high) == pytest.approx((0.1, 0.05, 0.2))
    partly = [bench.record("a", seed, flat(0.5), extra=extra(seed) if seed else []) for seed in range(3)]
    assert rows(bench, partly)[0].chance == Estimate()


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.OK, Status.SKIPPED)])
def test_every_failure_is_marked(bench, status):
    assert how_ended([bench.record("a", 0, status=status)], name_seeds=False) == f"✗ {status.value}"


def test_outcomes_name_reasons_and_tell_seeds_apart(bench):
    skipped = [bench.record("a", seed, status=Status.SKIPPED, reason="needs\nmore") for seed in range(2)]
    assert how_ended(skipped, name_seeds=False) == "skipped: needs more"
    assert how_ended(skipped, name_seeds=True) == "seed 0, 1 skipped: needs more"
    oom = bench.record("a", 2, status=Status.OOM)
    assert how_ended([*skipped, oom], name_seeds=False) == "seed 0, 1 skipped: needs more; seed 2 ✗ oom"
    long = bench.record("a", 0, status=Status.FAILED, reason="word " * 100)
    assert len(how_ended([long], name_seeds=False)) < 140
    assert how_ended([long], name_seeds=False).endswith(" …")

import pytest
from synthetic import cross_metric

from compatbench.method import Expectation
from compatbench.report.rows.controls import CHECKS, banner
from compatbench.report.rows.row import method_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import Status

CHANCE = [cross_metric("chance:mAP", 0.125, ci_low=0.0625, ci_high=0.25)]


def flat(cross, new=0.75, old=0.5, reference=0.75):
    return {"oo": [old] * 4, "no": [cross] * 4, "nn": [new] * 4, "ss": [reference] * 4}


def judge(bench, *records):
    scenario = scenarios(records)[0]
    return banner(scenario, method_rows(scenario, ScoreReader(bench.folder)))


def with_independent(bench, *records):
    reference = bench.record("independent", 0, flat(0.125), role="reference", expects=["cross at chance"], extra=CHANCE)
    return judge(bench, reference, *records)


def test_every_expectation_of_the_contract_has_a_check():
    assert set(CHECKS) == {expectation.value for expectation in Expectation}


@pytest.mark.parametrize(
    ("expectation", "entries", "holds"),
    [
        ("cross at chance", flat(0.125), True),
        ("cross at chance", flat(0.0), True),  # below the band is no leak
        ("cross at chance", flat(0.25), True),
        ("cross at chance", flat(0.2505), False),
        ("cross below status quo", flat(0.4995), True),
        ("cross below status quo", flat(0.5), False),
        ("cross below status quo", flat(0.5005), False),
        ("self equals independent", flat(0.1, new=0.75009), True),
        ("self equals independent", flat(0.1, new=0.75011), False),
        ("self equals independent", flat(0.1, new=0.74989), False),
        ("cross equals status quo", flat(0.5 + 5e-7), True),
        ("cross equals status quo", flat(0.5 + 2e-6), False),
        ("cross equals status quo", flat(0.5 - 2e-6), False),
    ],
)
def test_expectations_hold_up_to_their_tolerance(bench, expectation, entries, holds):
    record = bench.record("it", 0, entries, role="control", expects=[expectation], extra=CHANCE)
    found = with_independent(bench, record)
    assert (found.problems == ()) == holds, found.problems
    if holds:
        assert found.headline == "controls as expected: independent, it"
    else:
        assert "not as expected" in found.headline
        assert found.problems[0].startswith("it: M(n,")


def test_chance_is_judged_on_the_mean_over_seeds(bench):
    def run(crosses):
        return judge(
            bench,
            *(
                bench.record("independent", seed, flat(cross), expects=["cross at chance"], extra=CHANCE)
                for seed, cross in enumerate(crosses)
            ),
        )

    assert run([0.3, 0.125, 0.125]).problems == ()
    assert run([0.5, 0.25, 0.125]).problems == ("independent: M(n,o) = 29.2 is above chance, which ends at 25.0",)


def test_equalities_are_judged_seed_by_seed(bench):
    """Deviations of opposite sign must not cancel."""
    records = [
        bench.record("it", seed, flat(0.5 + sign / 128), role="control", expects=["cross equals status quo"])
        for seed, sign in enumerate((1, -2, 1))
    ]
    (problem,) = with_independent(bench, *records).problems
    assert problem == "it: M(n,o) should equal M(o,o), and they are 48.4375 and 50.0000 with seed 1"


def test_a_missing_chance_band_is_a_problem(bench):
    found = judge(bench, bench.record("independent", 0, flat(0.1), expects=["cross at chance"]))
    assert found.problems == ("independent: its records contain no chance band to compare M(n,o) with",)


def test_a_failed_control_is_a_problem_and_a_skipped_one_is_not(bench):
    def control(status, seed=0, entries=None):
        return bench.record("it", seed, entries, role="control", expects=["cross below status quo"], status=status)

    assert with_independent(bench, control(Status.OOM)).problems == ("it: not checked, ✗ oom",)
    partly = with_independent(bench, control(Status.OK, 0, flat(0.1)), control(Status.KILLED, 1))
    assert partly.problems == ("it: not checked, seed 1 ✗ killed",)
    skipped = with_independent(bench, control(Status.SKIPPED))
    assert skipped.problems == ()
    assert skipped.headline == "controls as expected: independent"


def test_without_independent_or_without_any_check_nothing_is_green(bench):
    lonely = judge(bench, bench.record("it", 0, flat(0.1), role="control", expects=["cross below status quo"]))
    assert len(lonely.problems) == 1
    assert lonely.problems[0].startswith("independent:")
    nothing = judge(bench, bench.record("bct", 0, flat(0.6)))
    assert nothing.headline == "no control checks this table"
    assert len(nothing.problems) == 2


def test_a_gallery_that_is_never_re_embedded_is_not_compared_with_the_independent_one(bench):
    def run(document_encoder):
        records = [
            bench.record("it", 0, flat(0.1, new=0.1), role="control", expects=["self equals independent"]),
            bench.record("independent", 0, flat(0.1), role="reference"),
        ]
        for record in records:
            new = GenerationSpec(backbone="large", dim=8, document_encoder=document_encoder)
            record.spec.generations = (record.spec.generations[0], new)
        return judge(bench, *records).problems

    assert run("previous") == ()
    assert len(run({"backbone": "large"})) == 1

import pytest
from synthetic import at_chance

from compatbench.method import Expectation
from compatbench.report.rows.controls import CHECKS, banner, with_leaks
from compatbench.report.rows.row import method_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import Status


def flat(cross, new=0.75, old=0.5, reference=0.75):
    return {"oo": [old] * 4, "no": [cross] * 4, "nn": [new] * 4, "ss": [reference] * 4}


def judge(bench, *records):
    scenario = scenarios(records)[0]
    return banner(scenario, with_leaks([method_rows(scenario, ScoreReader(bench.folder))])[0])


def with_independent(bench, *records):
    reference = bench.record(
        "independent", 0, flat(0.125), role="reference", expects=["cross at chance"], extra=at_chance(0.1)
    )
    return judge(bench, reference, *records)


def test_every_expectation_of_the_contract_has_a_check():
    assert set(CHECKS) == {expectation.value for expectation in Expectation}


@pytest.mark.parametrize(
    ("expectation", "entries", "holds"),
    [
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
    record = bench.record("it", 0, entries, role="control", expects=[expectation])
    found = with_independent(bench, record)
    assert (found.problems == ()) == holds, found.problems
    if holds:
        assert found.headline == "controls as expected: independent, it"
    else:
        assert "not as expected" in found.headline
        assert found.problems[0].startswith("it: M(n,")


def judge_chance(bench, *crosses, others=()):
    """Of `independent` with these cross-tests by seed; rotations give 12.5 ± 5."""
    return judge(
        bench,
        *(
            bench.record("independent", seed, flat(0.125), expects=["cross at chance"], extra=at_chance(cross))
            for seed, cross in enumerate(crosses)
        ),
        *others,
    ).problems


def test_chance_is_judged_over_all_seeds_together(bench):
    """The mean of three seeds varies by 5 / √3 = 2.89 points; 1.645 of these are the end of 95%."""
    assert judge_chance(bench, 0.0, 0.0, 0.0) == (), "below chance is no leak"
    assert judge_chance(bench, 0.125 + 3 * 0.0470, 0.125, 0.125) == ()
    (problem,) = judge_chance(bench, 0.125 + 3 * 0.0480, 0.125, 0.125)
    assert problem == "independent: M(n,o) = 17.3 is above chance: random rotations give 12.5 (p = 0.048)"


def test_checks_at_chance_are_corrected_for_their_number(bench):
    leak = [0.125 + 0.0480] * 3
    others = [
        bench.record("relational", 0, flat(0.1), role="control", expects=["cross at chance"], extra=at_chance(0.1))
    ]
    assert len(judge_chance(bench, *leak)) == 1
    assert judge_chance(bench, *leak, others=others) == ()


def test_a_lost_first_hit_is_a_problem_though_the_mean_stays(bench):
    """AP 0.5 counts as a hit: 0.75 + 0.25 has the mean of 0.5 + 0.5, and one hit less."""
    entries = flat(0.5) | {"no": [0.75, 0.25, 0.5, 0.5]}
    record = bench.record("it", 0, entries, role="control", expects=["cross equals status quo"])
    assert with_independent(bench, record).problems == (
        "it: NFR@1 should be 0, and 25% of the queries lose their first hit",
    )


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
    assert found.problems == ("independent: its records contain no rotations to compare M(n,o) with",)


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

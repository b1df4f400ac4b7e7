"""The words of the verdict, on made-up rows for which the right decision is plain."""

from __future__ import annotations

from upgrades import interval, references, row

from compatbench.comparison.comparison import Outcome
from compatbench.comparison.verdict import beats_the_old_model, conclusion, verdict_of
from compatbench.vocabulary import Need


def test_the_best_adapter_that_beats_the_old_model_is_named() -> None:
    lines = conclusion([*references(0.05), row("ridge", 0.02, 0.004), row("procrustes", 0.031, 0.004)])
    assert lines[0] == (
        "compatible: procrustes keeps the index and gains 3.1 ± 0.4 points; a full backfill gains 5.0 ± 1.0."
    )


def test_where_none_beats_it_the_old_model_is_kept() -> None:
    rows = [row("mlp", -0.02), row("ridge", 0.005, 0.01), row("lucky", 0.03, 0.01, p_value=0.2)]
    assert not any(beats_the_old_model(one) for one in rows)
    assert conclusion([*references(0.05), *rows])[0] == (
        "undecided: no adapter beats the old model beyond doubt (best: lucky, 3.0 ± 1.0 points); a full backfill gains "
        "5.0 ± 1.0."
    )
    assert [verdict_of(one) for one in rows] == ["not compatible", "undecided", "undecided"]
    assert verdict_of(row("unlucky", -0.02, p_value=0.2)) == "undecided", "the same rule on both sides"
    assert conclusion([*references(0.05), rows[0]])[0].startswith(
        "not compatible: every adapter is worse than the old one"
    )


def test_a_backfill_that_gains_nothing_is_said() -> None:
    assert "a full backfill loses 4.0 ± 1.0." in conclusion([*references(-0.04), row("ridge", -0.1)])[0]
    assert (
        "a full backfill gains nothing significant (0.1 ± 1.0)."
        in conclusion([*references(0.001), row("ridge", -0.1)])[0]
    )


def test_what_the_best_one_needs_is_said_and_the_best_without_it() -> None:
    rows = [
        row("slerp", 0.06, needs=[Need.BOTH_ENCODERS_ONLINE]),
        row("fct", 0.05, needs=[Need.GALLERY_REWRITE]),
        row("ridge", 0.02),
    ]
    lines = conclusion([*references(0.1), *rows])
    assert lines[0].startswith(
        "compatible: slerp keeps the index (with both encoders online) and gains 6.0 ± 1.0 points"
    )
    assert "With one encoder and an unchanged index: ridge keeps the index and gains 2.0 ± 1.0 points." in lines
    lines = conclusion([*references(0.1), rows[1]])
    assert lines[0].startswith("compatible: fct rewrites the index and gains 5.0 ± 1.0 points")
    assert "No adapter with one encoder and an unchanged index beats the old model." in lines


def test_flips_disagreement_and_moved_scores_are_remarked() -> None:
    best = row("ridge", 0.04)
    best.metrics["relative_NFR@1"] = interval(0.082, 0.01)
    best.metrics["cross_gain:CMC@1"] = interval(-0.013, 0.002)
    best.metrics["transfer_FAR@FAR=0.001"] = interval(0.02, 0.001)
    best.metrics["transfer_TAR@FAR=0.001"] = interval(0.43, 0.01)
    assert conclusion([*references(0.1), best])[1:] == [
        "It breaks 8.2% of the queries whose first hit is right today.",
        "By CMC@1 it gains −1.3 ± 0.2 points: the two numbers disagree, so look at both.",
        "Where scores are cut, set a new threshold: at the old one for 0.1% of false accepts, 2% of the impostor pairs "
        "and 43% of the genuine ones are accepted.",
    ]
    best.metrics["cross_gain:CMC@1"] = interval(0.013, 0.02)
    assert "By CMC@1 its gain is not significant (1.3 ± 2.0)." in conclusion([*references(0.1), best])
    best.metrics["transfer_FAR@FAR=0.001"] = interval(0.0011, 0.001)
    best.metrics["cross_gain:CMC@1"] = interval(0.013, 0.002)
    assert len(conclusion([*references(0.1), best])) == 2


def test_a_gain_beyond_the_new_models_own_is_put_down_to_the_labels() -> None:
    line = "That is more than the new model itself has to give: its fit saw class labels"
    for gain, needs, said in ((0.2, ["labels"], True), (0.2, [], False), (0.05, ["labels"], False)):
        lines = conclusion([*references(0.1), row("a", gain, needs=needs)])
        assert any(one.startswith(line) for one in lines) is said


def test_without_any_fitted_adapter_the_backfill_is_what_is_left() -> None:
    skipped = Outcome(name="mlp", role="adapter", skipped="no time")
    assert conclusion([*references(0.1), skipped]) == ["no adapter could be fitted; a full backfill gains 10.0 ± 1.0."]

import itertools

import numpy as np
import pytest

from compatbench.evaluation.bootstrap import hierarchical_bootstrap
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import holm, paired_permutation_test, sign
from compatbench.report.rows.estimates import best_rows, contributions, estimate
from compatbench.report.rows.scores import Scores
from compatbench.vocabulary import DERIVED_FROM, Entry, MetricName


def scores(seeds=(0, 1, 2), **entries):
    """Entries old, cross, new, reference, each (S, Q)."""
    names = {"old": Entry.OLD, "cross": Entry.CROSS, "new": Entry.NEW, "reference": Entry.REFERENCE}
    values = {name: np.asarray(entries[short], dtype=float) for short, name in names.items()}
    queries = values[Entry.OLD].shape[1]
    return Scores(
        seeds, np.arange(queries), {(metric, name): one for metric in DERIVED_FROM for name, one in values.items()}
    )


def on_map(numbers):
    return {word: one for (metric, word), one in numbers.items() if metric == MetricName.MAP}


def near(value, low, high):
    return [pytest.approx(number, abs=1e-12) for number in (value, low, high)]


def triple(estimate):
    return [estimate.value, estimate.low, estimate.high]


def constant(old, cross, new, reference, seeds=(0, 1, 2), queries=20):
    """One number a seed, or one for all, the same for every query."""

    def column(numbers):
        return np.broadcast_to(np.reshape(np.atleast_1d(numbers), (-1, 1)), (len(seeds), queries))

    return scores(seeds, old=column(old), cross=column(cross), new=column(new), reference=column(reference))


def random_rows(generator, names, queries=60):
    old, reference = generator.uniform(0.3, 0.6, (3, queries)), generator.uniform(0.6, 0.9, (3, queries))
    shift = np.array([0.0, 0.002, 0.01, 0.03, 0.08])[: len(names)]
    return {
        name: scores(
            old=old,
            cross=old + 0.1 - step + generator.normal(0, 0.05, (3, queries)),
            new=reference - step + generator.normal(0, 0.05, (3, queries)),
            reference=reference,
        )
        for name, step in zip(names, shift, strict=True)
    }


def test_numbers_follow_the_protocol():
    numbers = on_map(estimate({"a": constant(0.25, (0.25, 0.375, 0.5), 0.625, 0.75)})["a"])
    # 27 equally likely draws of three seeds; 1/27 > 2.5% are three times the lowest, so intervals end there
    assert triple(numbers[Entry.OLD]) == near(0.25, 0.25, 0.25)
    assert triple(numbers[Entry.CROSS]) == near(0.375, 0.25, 0.5)
    assert triple(numbers[MetricName.CROSS_GAIN]) == near(0.125, 0.0, 0.25)
    assert triple(numbers[MetricName.BACKFILL_GAIN]) == near(0.25, 0.125, 0.375)
    assert triple(numbers[MetricName.UPDATE_GAIN]) == near(0.25, 0.0, 0.5)
    assert triple(numbers[MetricName.TAX]) == near(-0.125, -0.125, -0.125)
    assert sign(numbers[MetricName.CROSS_GAIN]) == 0
    assert sign(numbers[MetricName.BACKFILL_GAIN]) == 1
    assert sign(numbers[MetricName.TAX]) == -1


def test_update_gain_is_undefined_where_nothing_is_to_gain():
    numbers = on_map(estimate({"a": constant(0.75, 0.875, 0.625, 0.75)})["a"])
    assert numbers[MetricName.UPDATE_GAIN] == Estimate()
    assert triple(numbers[MetricName.CROSS_GAIN]) == near(0.125, 0.125, 0.125)


def test_intervals_are_those_of_paired_draws():
    row = random_rows(np.random.default_rng(0), ["a"])["a"]
    numbers = on_map(estimate({"a": row, "other": constant(0.5, 0.5, 0.5, 0.75)})["a"])
    draws = hierarchical_bootstrap({name: row.of("mAP", name) for name in (Entry.OLD, Entry.CROSS, Entry.REFERENCE)})
    gains = [
        (cross - old) / (reference - old)
        for old, cross, reference in zip(draws[Entry.OLD], draws[Entry.CROSS], draws[Entry.REFERENCE], strict=True)
    ]
    assert numbers[MetricName.UPDATE_GAIN].low == pytest.approx(np.percentile(gains, 2.5))
    assert numbers[MetricName.UPDATE_GAIN].high == pytest.approx(np.percentile(gains, 97.5))


def test_contributions_average_to_the_number():
    row = random_rows(np.random.default_rng(1), ["a"])["a"]
    numbers = on_map(estimate({"a": row})["a"])
    assert contributions(row, MetricName.UPDATE_GAIN).mean() == pytest.approx(numbers[MetricName.UPDATE_GAIN].value)
    assert contributions(row, MetricName.TAX).mean() == pytest.approx(numbers[MetricName.TAX].value)
    assert contributions(row, Entry.CROSS).mean() == pytest.approx(numbers[Entry.CROSS].value)
    assert contributions(constant(0.75, 0.875, 0.625, 0.75), MetricName.UPDATE_GAIN) is None


def test_best_rows_agree_with_one_test_at_a_time():
    rows = random_rows(np.random.default_rng(2), ["a", "b", "c", "d", "e"])
    found = best_rows(rows, [Entry.CROSS, Entry.NEW, MetricName.UPDATE_GAIN, MetricName.TAX])
    sizes = set()
    for number in (Entry.CROSS, Entry.NEW, MetricName.UPDATE_GAIN, MetricName.TAX):
        values = {label: contributions(row, number) for label, row in rows.items()}
        order = sorted(values, key=lambda label: -values[label].mean())
        p_values = holm([paired_permutation_test(values[order[0]], values[label]) for label in order[1:]])
        expected = [order[0]]
        for label, p_value in zip(order[1:], p_values, strict=True):
            draws = hierarchical_bootstrap({"difference": values[order[0]] - values[label]})["difference"]
            if p_value >= 0.05 or np.percentile(draws, 2.5) <= 0:
                expected.append(label)
        assert found[number] == expected
        sizes.add(len(expected))
    assert max(sizes) < 5  # something was told apart
    assert max(sizes) > 1  # and something tied


def test_seed_noise_alone_makes_a_tie():
    rows = {"a": constant(0.25, 0.5, 0.5, 0.75), "b": constant(0.25, (0.25, 0.375, 0.5), 0.5, 0.75)}
    assert paired_permutation_test(rows["a"].of("mAP", Entry.CROSS), rows["b"].of("mAP", Entry.CROSS)) < 0.001
    assert best_rows(rows, [Entry.CROSS])[Entry.CROSS] == ["a", "b"]
    rows["b"] = constant(0.25, (0.25, 0.375, 0.4375), 0.5, 0.75)
    assert best_rows(rows, [Entry.CROSS])[Entry.CROSS] == ["a"]


def test_few_queries_make_a_tie():
    # of 2³ sign patterns of three equal differences two are as extreme: p = 0.25
    rows = {name: constant(0.25, cross, 0.5, 0.75, queries=3) for name, cross in (("a", 0.5), ("b", 0.25))}
    assert best_rows(rows, [Entry.CROSS])[Entry.CROSS] == ["a", "b"]


def test_rows_are_compared_on_the_seeds_they_share():
    def rows(seeds):
        return {
            "a": constant(0.25, (0.5, 0.5, 0.5), 0.5, 0.75, (0, 1, 2)),
            "b": constant(0.25, (0.25, 0.25, 0.25), 0.5, 0.75, seeds),
        }

    assert best_rows(rows((1, 2, 3)), [Entry.CROSS])[Entry.CROSS] == ["a"]
    assert best_rows(rows((3, 4, 5)), [Entry.CROSS])[Entry.CROSS] == ["a", "b"]


def test_no_row_with_a_number_gives_no_best():
    assert best_rows({"a": constant(0.75, 0.875, 0.625, 0.75)}, [MetricName.UPDATE_GAIN]) == {
        MetricName.UPDATE_GAIN: []
    }


def test_the_interval_of_three_seeds_is_exact():
    """The enumeration behind the hand-computed intervals of these tests."""
    means = [np.mean(draw) for draw in itertools.product((0.25, 0.375, 0.5), repeat=3)]
    assert np.mean(np.isclose(means, 0.25)) > 0.025
    assert np.mean(np.isclose(means, 0.5)) > 0.025

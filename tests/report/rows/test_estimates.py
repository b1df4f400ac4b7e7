import numpy as np
import pytest

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import mean_estimate
from compatbench.evaluation.significance import behind_the_first, sign
from compatbench.report.rows.estimates import best_rows, contributions, estimate
from compatbench.report.rows.scores import Scores
from compatbench.vocabulary import DERIVED_FROM, Entry, MetricName


def scores(seeds=(0, 1, 2), **entries):
    """Entries old, cross, new, reference, each (S, Q)."""
    names = {"old": Entry.OLD, "cross": Entry.CROSS, "new": Entry.NEW, "reference": Entry.REFERENCE}
    values = {name: np.asarray(entries[short], dtype=float) for short, name in names.items()}
    return Scores(seeds, {(metric, name): one for metric in DERIVED_FROM for name, one in values.items()})


def on_map(numbers):
    return {word: one for (metric, word), one in numbers.items() if metric == MetricName.MAP}


def near(value, low, high):
    return [pytest.approx(number, abs=1e-6) for number in (value, low, high)]


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
    margin = 4.302653 * 0.125 / np.sqrt(3)  # three seeds that are 0.125 apart, t with 2 degrees of freedom
    assert triple(numbers[Entry.OLD]) == near(0.25, 0.25, 0.25)
    assert triple(numbers[Entry.CROSS]) == near(0.375, 0.375 - margin, 0.375 + margin)
    assert triple(numbers[MetricName.CROSS_GAIN]) == near(0.125, 0.125 - margin, 0.125 + margin)
    assert triple(numbers[MetricName.BACKFILL_GAIN]) == near(0.25, 0.25 - margin, 0.25 + margin)
    assert triple(numbers[MetricName.UPDATE_GAIN]) == near(0.25, 0.25 - 2 * margin, 0.25 + 2 * margin)
    assert triple(numbers[MetricName.TAX]) == near(-0.125, -0.125, -0.125)
    assert sign(numbers[MetricName.CROSS_GAIN]) == 0
    assert sign(numbers[MetricName.BACKFILL_GAIN]) == 0
    assert sign(numbers[MetricName.TAX]) == -1


def test_update_gain_is_undefined_where_nothing_is_to_gain():
    numbers = on_map(estimate({"a": constant(0.75, 0.875, 0.625, 0.75)})["a"])
    assert numbers[MetricName.UPDATE_GAIN] == Estimate()
    assert triple(numbers[MetricName.CROSS_GAIN]) == near(0.125, 0.125, 0.125)


def test_intervals_are_paired():
    row = random_rows(np.random.default_rng(0), ["a"])["a"]
    numbers = on_map(estimate({"a": row, "other": constant(0.5, 0.5, 0.5, 0.75)})["a"])
    expected = mean_estimate(row.of("mAP", Entry.CROSS) - row.of("mAP", Entry.OLD))
    assert triple(numbers[MetricName.CROSS_GAIN]) == near(*triple(expected))


def test_contributions_average_to_the_number():
    row = random_rows(np.random.default_rng(1), ["a"])["a"]
    numbers = on_map(estimate({"a": row})["a"])
    assert contributions(row, MetricName.UPDATE_GAIN).mean() == pytest.approx(numbers[MetricName.UPDATE_GAIN].value)
    assert contributions(row, MetricName.TAX).mean() == pytest.approx(numbers[MetricName.TAX].value)
    assert contributions(row, Entry.CROSS).mean() == pytest.approx(numbers[Entry.CROSS].value)
    assert contributions(constant(0.75, 0.875, 0.625, 0.75), MetricName.UPDATE_GAIN) is None


def test_best_rows_are_those_not_behind_the_first():
    rows = random_rows(np.random.default_rng(2), ["a", "b", "c", "d", "e"])
    found = best_rows(rows, [Entry.CROSS, Entry.NEW, MetricName.UPDATE_GAIN, MetricName.TAX])
    sizes = set()
    for number in (Entry.CROSS, Entry.NEW, MetricName.UPDATE_GAIN, MetricName.TAX):
        values = {label: contributions(row, number) for label, row in rows.items()}
        order = sorted(values, key=lambda label: -values[label].mean())
        behind = behind_the_first({label: values[label] for label in order}, dict.fromkeys(order, (0, 1, 2)))
        assert found[number] == [label for label in order if label not in behind]
        sizes.add(len(found[number]))
    assert max(sizes) < 5  # something was told apart
    assert max(sizes) > 1  # and something tied


def test_seed_noise_alone_makes_a_tie():
    rows = {"a": constant(0.25, 0.5, 0.5, 0.75), "b": constant(0.25, (0.25, 0.375, 0.5), 0.5, 0.75)}
    assert best_rows(rows, [Entry.CROSS])[Entry.CROSS] == ["a", "b"]
    rows["b"] = constant(0.25, (0.24, 0.25, 0.26), 0.5, 0.75)
    assert best_rows(rows, [Entry.CROSS])[Entry.CROSS] == ["a"]


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

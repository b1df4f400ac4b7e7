"""Ranks and their means, against slow loops and another library."""

import numpy as np
import pytest
from scipy.stats import rankdata

from compatbench.evaluation.bootstrap import RESAMPLES, hierarchical_bootstrap
from compatbench.report.rows.contests import CONTEST_STREAM, averages, ranks
from compatbench.report.rows.row import method_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.vocabulary import RANKED_BY, MetricName


def test_ranks_without_ties_are_those_of_scipy():
    gain, tax = np.random.default_rng(0).normal(size=(2, 50, 7))
    np.testing.assert_array_equal(ranks(gain, tax), rankdata(-gain, axis=1))


def test_equal_gains_are_ranked_by_tax_and_equal_pairs_share_their_places():
    gain = np.array([0.5, 0.1, 0.5, 0.5, 0.1 + 1e-15])
    tax = np.array([0.0, 0.2, 0.3, 0.0, 0.2])
    assert ranks(gain, tax).tolist() == [2.5, 4.5, 1.0, 2.5, 4.5]


@pytest.mark.parametrize("seed", range(5))
def test_ranks_with_ties_and_undefined_gains_are_those_of_a_slow_loop(seed):
    generator = np.random.default_rng(seed)
    gain, tax = generator.integers(0, 3, size=(2, 8)).astype(float)
    gain[generator.integers(0, 8, size=2)] = np.nan
    for own, place in enumerate(ranks(gain, tax)):
        if np.isnan(gain[own]):
            assert np.isnan(place)
            continue
        pairs = [(g, t) for g, t in zip(gain, tax, strict=True) if not np.isnan(g)]
        above = sum(pair > (gain[own], tax[own]) for pair in pairs)
        assert place == above + (1 + pairs.count((gain[own], tax[own]))) / 2


def contest(bench, scenario, crosses):
    """Ranked rows of one scenario, of random scores around the given M(n,o)."""
    generator = np.random.default_rng(len(scenario))
    records = []
    for label, cross in crosses.items():
        for seed in range(3):
            noise = generator.uniform(-0.2, 0.2, size=(4, 6))
            base = np.array([0.25, cross, 0.6, 0.75])[:, None]
            values = dict(zip(("oo", "no", "nn", "ss"), np.clip(base + noise, 0, 1).tolist(), strict=True))
            records.append(bench.record(label, seed, values, scenario=scenario))
    return method_rows(scenarios(records)[0], ScoreReader(bench.folder))


def drawn_shares(scores, number):
    """The number in every draw, from means over draws that all columns share."""
    columns = {
        "update_gain": ("M(o,o)", "M(n,o)", "M(*,*)"),
        "final_share": ("M(o,o)", "M(n,n)", "M(*,*)"),
        "backfill_share": ("M(o,o) followed", "mean M(β)", "M(*,*) followed"),
    }[number]
    old, score, full = hierarchical_bootstrap({name: scores.of("mAP", name) for name in columns}).values()
    return (score - old) / (full - old)


@pytest.mark.parametrize("number", RANKED_BY)
def test_means_and_their_draws_are_those_of_a_slow_loop(bench, number):
    contests = [
        contest(bench, "one", {"a": 0.5, "b": 0.5, "c": 0.45}),
        contest(bench, "another", {"a": 0.5, "b": 0.4, "c": 0.5, "d": 0.5}),
        contest(bench, "third", {"a": 0.45, "b": 0.5}),
        contest(bench, "alone", {"c": 0.3}),
    ]
    found = averages(contests, number)
    assert {label: one.competed for label, one in found.items()} == {"a": 3, "b": 3, "c": 2, "d": 1}
    drawn = np.random.default_rng([0, CONTEST_STREAM]).multinomial(4, [1 / 4] * 4, size=RESAMPLES)
    draws = []
    for rows in contests:
        draws.append({row.label: drawn_shares(row.scores, number) for row in rows})
    for draw in range(0, RESAMPLES, 37):
        places = []
        for of_rows in draws:
            gains = {label: gain[draw] for label, gain in of_rows.items()}
            places.append({label: 1 + sum(other > gain for other in gains.values()) for label, gain in gains.items()})
        for label, one in found.items():
            chosen = [number for number, times in enumerate(drawn[draw]) for _ in range(times)]
            own = [places[at][label] for at in chosen if label in places[at] and len(places[at]) > 1]
            np.testing.assert_allclose(one.rank_draws[draw], np.mean(own) if own else np.nan)
            shares = [draws[at][label][draw] for at in chosen if label in draws[at]]
            np.testing.assert_allclose(one.share_draws[draw], np.mean(shares) if shares else np.nan)
    for label, one in found.items():
        values = [row.number(number).value for rows in contests for row in rows if row.label == label]
        assert one.share == pytest.approx(np.mean(values))


def test_no_contest_gives_no_averages():
    assert averages([], MetricName.BACKFILL_SHARE) == {}
